"""Plans and results on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from planhat_dbt.plan import Operation
from planhat_dbt.report.wording import SIGNS, aside, counted, notes, number, planned_rows, printable, value
from planhat_dbt.result import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planhat_dbt.declaration.types import Sync
    from planhat_dbt.plan import SampleRow
    from planhat_dbt.result import RunResult, SyncResult
    from planhat_dbt.state.history import LastRun, OpenRun

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
_UNSENT = ("held", "unknown", "rejected")
_RARE = ("unknown",)
"""Columns that are shown only if they have a value."""


def _console() -> Console:
    # A pipe has no width: let tables be as wide as they are.
    return Console(width=None if sys.stdout.isatty() else 200, highlight=False)


def show_plan(target: str, results: Sequence[SyncResult], calls_per_minute: int) -> None:
    """Write plans to stdout: a table, sample rows, and what it would cost."""
    console = _console()
    rows: list[list[Text]] = []
    for result in results:
        plan = result.plan
        if plan is None:
            rows.append(
                [Text(result.sync), Text(result.object), *_blank(8), Text(result.status.value, "yellow")]
            )
            continue
        counts = [Text(number(plan.count(o)), _STYLES[o]) for o in Operation]
        kept = _unsent(plan.held, plan.unknown, plan.rejected)
        ends = [Text(number(plan.calls))]
        rows.append(
            [Text(plan.sync), Text(plan.object), Text(f"{plan.rows_in_model:,}"), *counts, *kept, *ends]
        )
    heads = ("sync", "object", "in model", "insert", "update", "clear", "delete", *_UNSENT, "calls")
    _print_table(console, heads, rows)
    for result in results:
        if result.plan and result.plan.samples:
            console.print(Text(f"\n{result.sync}", "bold"))
            for sample in result.plan.samples:
                _show_sample(console, sample)
    _show_reasons(console, results)
    reasons = [f"{r.sync}: {why}." for r in results for why in aside(r)]
    _show_notes(console, results, reasons)
    console.print(f"\nTarget {target}: {planned_rows(results, calls_per_minute)}. Nothing was sent.")
    if reasons:
        console.print("After a sync, see which rows these are: planhat-dbt failures")


def _unsent(held: int, unknown: int, rejected: int) -> list[Text]:
    return [Text(number(held), "yellow"), Text(number(unknown), "red"), Text(number(rejected), "red")]


def _show_sample(console: Console, sample: SampleRow) -> None:
    line = Text("  ")
    line.append(f"{SIGNS[sample.operation]} {printable(sample.key)}", _STYLES[sample.operation])
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
    rows: list[list[Text]] = []
    for one in result.results:
        counts = one.counts
        rows.append(
            [
                Text(one.sync),
                Text(one.object),
                Text(one.status.value, _STATUS_STYLES[one.status]),
                Text(number(counts.inserted), "green"),
                Text(number(counts.updated), "yellow"),
                Text(number(counts.cleared), "magenta"),
                Text(number(counts.deleted), "red"),
                *_unsent(counts.held, counts.unknown, counts.rejected),
                Text(number(one.calls)),
            ]
        )
    heads = ("sync", "object", "status", "inserted", "updated", "cleared", "deleted", *_UNSENT, "calls")
    _print_table(console, heads, rows)
    _show_reasons(console, result.results)
    old = [f"{r.sync}: {_of_earlier_runs(r)}." for r in result.results if r.failing_before]
    _show_notes(console, result.results, old)
    totals = result.totals
    seconds = (result.finished_at - result.started_at).total_seconds()
    console.print(
        f"\n{result.status.value}: {counted(totals.sent, 'row')} sent in {counted(result.calls, 'call')} "
        f"({result.bytes_sent / 1024 / 1024:.1f} MiB), {seconds:.1f} s, run {result.run_id}"
    )
    if old or totals.held or totals.rejected or totals.unknown:
        console.print("See why rows did not go through: planhat-dbt failures")


def _of_earlier_runs(result: SyncResult) -> str:
    return f"{counted(result.failing_before, 'row')} of earlier runs still rejected or of unknown outcome"


def show_status(
    target: str, entries: Sequence[tuple[Sync, int, LastRun | None]], open_run: OpenRun | None = None
) -> None:
    """Write each sync's last run to stdout, and the run under way."""
    console = _console()
    rows: list[list[Text]] = []
    for sync, known, last in entries:
        if last is None:
            rows.append([Text(sync.name), Text(sync.object.name), Text("never run", "dim"), *_blank(6)])
            continue
        rows.append(
            [
                Text(sync.name),
                Text(sync.object.name),
                Text(last.status, _STATUS_STYLES.get(last.status, "")),
                Text(f"{known:,}"),
                Text(number(last.sent)),
                Text(number(last.held), "yellow"),
                Text(number(last.rejected), "red"),
                Text(number(last.unknown), "red"),
                Text(f"{last.started_at:%Y-%m-%d %H:%M}"),
            ]
        )
    heads = (
        "sync",
        "object",
        "status",
        "in Planhat",
        "rows sent",
        "held",
        "rejected",
        "unknown",
        "last run (UTC)",
    )
    _print_table(console, heads, rows)
    _print_reasons(console, [(s.name, last.status, last.reason) for s, _, last in entries if last])
    if open_run:
        console.print(Text(f"\n{_told(open_run)}", "yellow"), soft_wrap=True)
    console.print(f"\nTarget {target}.")
    if any(last and (last.held or last.rejected or last.unknown) for _, _, last in entries):
        console.print("See why rows did not go through: planhat-dbt failures")


def _told(run: OpenRun) -> str:
    if run.holder:
        return f"Under way: {run.holder}."
    when = f"{run.started_at:%Y-%m-%d %H:%M} UTC"
    return (
        f"`planhat-dbt {run.command}`, begun {when}, never came to its end: the next sync goes on from there."
    )


def _show_reasons(console: Console, results: Sequence[SyncResult]) -> None:
    _print_reasons(console, [(r.sync, r.status.value, r.reason) for r in results])


def _print_reasons(console: Console, ends: Sequence[tuple[str, str, str]]) -> None:
    told = [end for end in ends if end[2]]
    if told:
        console.print()
    for sync, status, reason in told:
        line = Text(f"{sync} {status}: ", _STATUS_STYLES.get(status, ""))
        line.append(reason, "default")
        console.print(line, soft_wrap=True)


def _show_notes(console: Console, results: Sequence[SyncResult], more: Sequence[str]) -> None:
    lines = [*(f"{result.sync}: {note}." for result in results for note in notes(result)), *more]
    if lines:
        console.print()
    for line in lines:
        console.print(Text(line, "dim"), soft_wrap=True)


def _print_table(console: Console, heads: Sequence[str], rows: list[list[Text]]) -> None:
    """Print a table; on a narrow screen columns without a value go first, then the object's."""
    if not rows:
        return
    shown = [i for i, head in enumerate(heads) if head not in _RARE or any(row[i].plain for row in rows)]
    widths = [max(len(head), *(len(row[i]) for row in rows)) for i, head in enumerate(heads)]
    if _width(widths, shown) > console.width:
        shown = [i for i in shown if any(row[i].plain for row in rows)]
    if _width(widths, shown) > console.width and "object" in heads:
        shown.remove(heads.index("object"))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i in shown:
        words = heads[i] in ("sync", "object", "status")
        table.add_column(heads[i], justify="left" if words else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(row[i] for i in shown))
    console.print(table)


def _width(widths: Sequence[int], shown: Sequence[int]) -> int:
    return sum(widths[i] for i in shown) + 2 * (len(shown) - 1)


def _blank(cells: int) -> list[Text]:
    return [Text() for _ in range(cells)]


_FINDING_STYLES = {"ok": "green", "warning": "yellow", "failed": "red", "skipped": "dim"}


def show_findings(findings: Sequence[tuple[str, str, str, str]]) -> None:
    """Write checks to stdout: name, state, what was found and, indented, what to do."""
    console = _console()
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check, state, text, hint in findings:
        told = Text(printable(text, len(text)))
        if hint and state != "ok":
            told.append(f"\n→ {printable(hint, len(hint))}", "bold")
        table.add_row(Text(state, _FINDING_STYLES[state]), Text(check), told)
    console.print(table)
