"""Plans as Markdown, for pull requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planhat_dbt.plan import Operation
from planhat_dbt.report.wording import SIGNS, aside, notes, number, planned_rows, value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planhat_dbt.result import SyncResult


def plan_markdown(target: str, results: Sequence[SyncResult], calls_per_minute: int) -> str:
    """Write plans as a Markdown table, with sample rows folded away."""
    unknown = ("unknown",) if any(r.plan and r.plan.unknown for r in results) else ()
    head = ("sync", "object", "in model", *Operation, "held", *unknown, "rejected", "calls")
    rule = ["---"] * 2 + ["--:"] * (len(head) - 2)
    lines = [f"### Planhat plan for target `{target}`", "", _row(head), _row(rule)]
    for result in results:
        plan = result.plan
        if plan is None:
            lines.append(_row([result.sync, result.object, *[""] * (len(head) - 3), result.status.value]))
            continue
        counts = [number(plan.count(o)) for o in Operation]
        kept = [number(plan.held), *(number(plan.unknown) for _ in unknown), number(plan.rejected)]
        lines.append(
            _row([plan.sync, plan.object, f"{plan.rows_in_model:,}", *counts, *kept, number(plan.calls)])
        )
    lines += ["", f"{planned_rows(results, calls_per_minute)}.", ""]
    lines += [f"- **{r.sync}** {r.status.value}: {_escaped(r.reason)}" for r in results if r.reason]
    lines += [f"- **{r.sync}**: {note}" for r in results for note in (*notes(r), *aside(r))]
    lines += _samples(results)
    return "\n".join(lines)


def _samples(results: Sequence[SyncResult]) -> list[str]:
    lines = []
    for result in results:
        if not (result.plan and result.plan.samples):
            continue
        lines += [
            "",
            f"<details><summary>{result.sync}</summary>",
            "",
            "| | key | field | old | new |",
            "|-|-|-|-|-|",
        ]
        for sample in result.plan.samples:
            for field, (old, new) in sample.changes.items() or [("", ("", ""))]:
                before = "" if sample.operation is Operation.INSERT else value(old)
                lines.append(_row([SIGNS[sample.operation], sample.key, field, before, value(new)]))
        lines += ["", "</details>"]
    return lines


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_escaped(c) for c in cells) + " |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
