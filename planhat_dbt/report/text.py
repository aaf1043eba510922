"""Plans and results on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from planhat_dbt.plan import Operation
from planhat_dbt.report.wording import SIGNS, counted, estimate, number, value
from planhat_dbt.result import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planhat_dbt.declaration.types import Sync
    from planhat_dbt.plan import SampleRow
    from planhat_dbt.result import RunResult, SyncResult
    from planhat_dbt.state.history import LastRun

_STYLES = {
    Operation.INSERT: "green",
    Operation.UPDATE: "yellow",
    Operation.CLEAR: "magenta",
    Operation.DELETE: "red",
}
_STATUS_STYLES: dict[str, str] = {
    Status.SUCCESS: "green",
    Status.NOTHING_TO_DO: "dim",
    Status.PARTIAL: "yellow",
    Status.GATED: "yellow",
    Status.REFUSED: "red",
    Status.FAILED: "red",
    Status.INTERRUPTED: "yellow",
}
_FIELDS_SHOWN = 6


def _console() -> Console:
    # A pipe has no width: let tables be as wide as they are.
    return Console(width=None if sys.stdout.isatty() else 200, highlight=False)


def show_plan(target: str, results: Sequence[SyncResult], calls_per_minute: int) -> None:
    """Write plans to stdout: a table, sample rows, and what it would cost."""
    console = _console()
    table = _table(
        "sync", "object", "in model", "insert", "update", "clear", "delete", "held", "rejected", "calls"
    )
    for result in results:
        plan = result.plan
        if plan is None:
            table.add_row(result.sync, result.object, *[""] * 7, Text(result.status.value, "yellow"))
            continue
        counts = [Text(number(plan.count(o)), _STYLES[o]) for o in Operation]
        held = Text(number(plan.held + plan.unknown), "yellow")
        rejected = Text(number(plan.rejected), "red")
        table.add_row(
            plan.sync, plan.object, f"{plan.rows_in_model:,}", *counts, held, rejected, number(plan.calls)
        )
    console.print(table)
    for result in results:
        if result.plan and result.plan.samples:
            console.print(Text(f"\n{result.sync}", "bold"))
            for sample in result.plan.samples:
                _show_sample(console, sample)
    _show_reasons(console, results)
    rows = sum(r.plan.rows_to_send for r in results if r.plan)
    console.print(
        f"\nTarget {target}: {counted(rows, 'row')} in {estimate(results, calls_per_minute)}. Nothing was sent."
    )


def _show_sample(console: Console, sample: SampleRow) -> None:
    line = Text("  ")
    line.append(f"{SIGNS[sample.operation]} {sample.key}", _STYLES[sample.operation])
    shown = list(sample.changes.items())[:_FIELDS_SHOWN]
    for field, (old, new) in shown:
        line.append(f"  {field} ", "dim")
        if sample.operation is not Operation.INSERT:
            line.append(f"{value(old)} → ")
        line.append(value(new))
    if len(sample.changes) > len(shown):
        line.append(f"  … {len(sample.changes) - len(shown)} more", "dim")
    console.print(line, soft_wrap=True)


def show_result(result: RunResult) -> None:
    """Write what a run did to stdout."""
    console = _console()
    table = _table(
        "sync", "object", "status", "inserted", "updated", "cleared", "deleted", "held", "rejected", "calls"
    )
    for one in result.results:
        counts = one.counts
        table.add_row(
            one.sync,
            one.object,
            Text(one.status.value, _STATUS_STYLES[one.status]),
            Text(number(counts.inserted), "green"),
            Text(number(counts.updated), "yellow"),
            Text(number(counts.cleared), "magenta"),
            Text(number(counts.deleted), "red"),
            Text(number(counts.held + counts.unknown), "yellow"),
            Text(number(counts.rejected), "red"),
            number(one.calls),
        )
    console.print(table)
    _show_reasons(console, result.results)
    totals = result.totals
    seconds = (result.finished_at - result.started_at).total_seconds()
    console.print(
        f"\n{result.status.value}: {counted(totals.sent, 'row')} sent in {counted(result.calls, 'call')} "
        f"({result.bytes_sent / 1024 / 1024:.1f} MiB), {seconds:.1f} s, run {result.run_id}"
    )
    if totals.held or totals.rejected or totals.unknown:
        console.print("See why rows did not go through: planhat-dbt failures")


def show_status(target: str, entries: Sequence[tuple[Sync, int, LastRun | None]]) -> None:
    """Write each sync's last run to stdout."""
    console = _console()
    table = _table(
        "sync", "object", "status", "in Planhat", "last sent", "held", "rejected", "unknown", "last run (UTC)"
    )
    for sync, rows, last in entries:
        if last is None:
            table.add_row(sync.name, sync.object.name, Text("never run", "dim"))
            continue
        table.add_row(
            sync.name,
            sync.object.name,
            Text(last.status, _STATUS_STYLES.get(last.status, "")),
            f"{rows:,}",
            number(last.sent),
            Text(number(last.held), "yellow"),
            Text(number(last.rejected), "red"),
            Text(number(last.unknown), "red"),
            f"{last.started_at:%Y-%m-%d %H:%M}",
        )
    console.print(table)
    console.print(f"\nTarget {target}.")


def _show_reasons(console: Console, results: Sequence[SyncResult]) -> None:
    told = [r for r in results if r.reason]
    if told:
        console.print()
    for result in told:
        line = Text(f"{result.sync} {result.status.value}: ", _STATUS_STYLES[result.status])
        line.append(result.reason, "default")
        console.print(line, soft_wrap=True)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, column in enumerate(columns):
        numeric = i > 1 and column != "status"
        table.add_column(column, justify="right" if numeric else "left", no_wrap=True)
    return table
