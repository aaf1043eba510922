"""What a run needs to know, gathered before it begins, and whom it tells how it goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from planhat_dbt.artifacts import Manifest
    from planhat_dbt.binding import BoundSync
    from planhat_dbt.declaration.types import Sync
    from planhat_dbt.gate import Gate
    from planhat_dbt.plan import SyncPlan
    from planhat_dbt.result import SyncResult
    from planhat_dbt.settings import ProjectSettings
    from planhat_dbt.warehouse.port import Warehouse


class Listener(Protocol):
    """Told of the progress of a run."""

    def notice(self, text: str) -> None:
        """Something worth knowing that changes nothing."""

    def comparing(self, bound: BoundSync) -> None:
        """A comparison begins."""

    def planned(self, plan: SyncPlan) -> None:
        """A comparison ended."""

    def delivered(self, sync: Sync, rows: int, of: int) -> None:
        """So many rows of the plan are done."""

    def finished(self, result: SyncResult) -> None:
        """A sync ended."""


class Silent:
    """A listener that says nothing."""

    def notice(self, text: str) -> None:
        """Say nothing."""

    def comparing(self, bound: BoundSync) -> None:
        """Say nothing."""

    def planned(self, plan: SyncPlan) -> None:
        """Say nothing."""

    def delivered(self, sync: Sync, rows: int, of: int) -> None:
        """Say nothing."""

    def finished(self, result: SyncResult) -> None:
        """Say nothing."""


class Onward(Silent):
    """A listener of removals: their rows count on from the changes, which went before."""

    def __init__(self, listener: Listener, before: int, left_out: int) -> None:
        """Pass on to a listener, which has been told of so many rows; so many more are not sent after all."""
        self._listener = listener
        self._before = before
        self._left_out = left_out

    def notice(self, text: str) -> None:
        """Pass it on."""
        self._listener.notice(text)

    def delivered(self, sync: Sync, rows: int, of: int) -> None:
        """Pass it on, with the rows of before."""
        self._listener.delivered(sync, self._before + rows, of - self._left_out)


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the user allows for this once."""

    removals: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    resync: frozenset[str] = frozenset()
    fail_fast: bool = False
    retry_rejected: bool = False
    """Whether refused rows are tried that would wait for a later run."""


@dataclass(frozen=True, slots=True)
class Context:
    """One project, one target, the syncs chosen for this run."""

    project_dir: Path
    target_dir: Path
    target: str
    settings: ProjectSettings
    manifest: Manifest
    gate: Gate
    invocation_id: str
    syncs: tuple[Sync, ...]
    """Those selected, in delivery order."""
    all_syncs: tuple[Sync, ...]
    """Those of the project: parents count even if they are not selected."""
    warehouse: Warehouse
    data_source: str = ""
    """The warehouse as OpenLineage names it."""
    chosen: bool = False
    """Whether the user named the syncs of this run: then each of them is expected to run."""
    git_sha: str = ""
    """The commit of the project's checkout; empty if it is none."""
    overrides: Overrides = field(default_factory=Overrides)
