"""Words and numbers that all reports share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from planhat_dbt.plan import Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planhat_dbt.result import SyncResult

SIGNS = {Operation.INSERT: "+", Operation.UPDATE: "~", Operation.CLEAR: "○", Operation.DELETE: "-"}
_VALUE_WIDTH = 40
_LOOKED_UP = {
    "update": "those not found are held (no_match)",
    "insert": "those found are left alone",
    "upsert": "what is sent depends on what is found",
}


def number(count: int) -> str:
    """Write a count; nothing for zero, so that what happens stands out."""
    return f"{count:,}" if count else ""


def counted(count: int, noun: str) -> str:
    """Write a count with its noun: `1 row`, `2 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def printable(text: str, width: int = 60) -> str:
    """Data as it may be shown on a terminal: no control characters, no line breaks, not too long."""
    plain = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[: width + 1])
    return plain if len(plain) <= width else plain[: width - 1] + "…"


def value(found: Any) -> str:
    """Write a value of a sample row, cut to a bearable width."""
    text = found if isinstance(found, str) else "null" if found is None else orjson.dumps(found).decode()
    return printable(text, _VALUE_WIDTH)


def estimate(results: Sequence[SyncResult], calls_per_minute: int) -> str:
    """Say how many calls a plan costs and how long they take at least under the budget."""
    main = sum(r.plan.calls for r in results if r.plan and not _is_event(r))
    tracking = sum(r.plan.calls for r in results if r.plan and _is_event(r))
    calls = main + tracking
    if not calls:
        return "0 calls"
    waits = max(0, (main - 1) // calls_per_minute)
    time = f", at least {waits} min at {calls_per_minute} calls a minute" if waits else ""
    return f"{counted(calls, 'call')}{time}"


def notes(result: SyncResult) -> list[str]:
    """Say of a sync what its counts do not: rows to be looked up first, rows that are left alone."""
    plan = result.plan
    if plan is None:
        return []
    lines = []
    if plan.to_look_up:
        verb = "is" if plan.to_look_up == 1 else "are"
        lines.append(
            f"{counted(plan.to_look_up, 'row')} {verb} looked up in Planhat by key first: the calls come on top, and "
            f"{_LOOKED_UP.get(result.mode, _LOOKED_UP['upsert'])}"
        )
    if plan.to_read_back:
        verb = "is" if plan.to_read_back == 1 else "are"
        lines.append(
            f"{counted(plan.to_read_back, 'row')} of unknown outcome {verb} read back from Planhat first: the calls "
            "come on top; what it has is done, what it surely lacks is sent again"
        )
    if found := plan.noted.get("found"):
        verb = "is" if found == 1 else "are"
        lines.append(
            f"{counted(found, 'row')} of unknown outcome {verb} in Planhat: done, and not sent again"
        )
    if again := plan.noted.get("sent_again"):
        verb = "is" if again == 1 else "are"
        lines.append(f"{counted(again, 'row')} of unknown outcome {verb} not in Planhat, and sent again")
    if existing := plan.noted.get("existing"):
        verb = "is" if existing == 1 else "are"
        lines.append(f"{counted(existing, 'row')} {verb} in Planhat already, and left alone (mode insert)")
    if changed := plan.noted.get("changed_after_insert"):
        what = "it was" if changed == 1 else "they were"
        lines.append(f"{counted(changed, 'row')} changed after {what} created, and left alone (mode insert)")
    if old := plan.noted.get("before_lookback"):
        verb = "is" if old == 1 else "are"
        lines.append(f"{counted(old, 'row')} {verb} older than the lookback, and not looked at")
    if forgotten := plan.noted.get("forgotten"):
        verb = "is" if forgotten == 1 else "are"
        lines.append(
            f"{counted(forgotten, 'row')} {verb} within the lookback, but from a time of which the keys are forgotten "
            "already: not looked at, since they may be in Planhat"
        )
    return lines


def _is_event(result: SyncResult) -> bool:
    return result.object in ("metric", "user_activity")
