"""Progress on stderr: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Self

import click

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from planhat_dbt.binding import BoundSync
    from planhat_dbt.declaration.types import Sync
    from planhat_dbt.plan import SyncPlan
    from planhat_dbt.result import SyncResult


class Progress:
    """A listener of runs that writes to stderr."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console  # noqa: PLC0415 - a tenth of a second that only terminals need
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn  # noqa: PLC0415
            from rich.progress import Progress as Bar  # noqa: PLC0415

            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def notice(self, text: str) -> None:
        """Say something worth knowing."""
        self._say(f"Note: {text}")

    def comparing(self, bound: BoundSync) -> None:
        """A comparison begins."""
        if self._bar:
            self._tasks[bound.name] = self._bar.add_task(f"{bound.name}: comparing", total=None)

    def planned(self, plan: SyncPlan) -> None:
        """A comparison ended: the line goes unless there is something to send."""
        if self._bar and plan.sync in self._tasks:
            task = self._tasks[plan.sync]
            self._bar.update(
                task, total=plan.rows_to_send or 1, description=plan.sync, visible=bool(plan.rows_to_send)
            )

    def delivered(self, sync: Sync, rows: int, of: int) -> None:
        """Rows were delivered."""
        if self._bar and sync.name in self._tasks:
            self._bar.update(self._tasks[sync.name], completed=rows, total=of)
        else:
            self._say(f"{sync.name}: {rows:,} of {of:,} rows")

    def finished(self, result: SyncResult) -> None:
        """A sync ended; the report follows."""

    def _say(self, text: str) -> None:
        if self._bar:
            self._bar.console.print(text, highlight=False, markup=False)
        else:
            click.echo(text, err=True)
