"""Words and numbers that all reports share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from planhat_dbt.plan import REJECTED_CODES, Operation
from planhat_dbt.result import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planhat_dbt.plan import SyncPlan
    from planhat_dbt.result import SyncResult

SIGNS = {Operation.INSERT: "+", Operation.UPDATE: "~", Operation.CLEAR: "○", Operation.DELETE: "-"}
_VALUE_WIDTH = 40
_LOOKED_UP = {
    "update": "those not found are held (no_match)",
    "insert": "those found are left alone",
    "upsert": "what is sent depends on what is found",
}


def _with(verb: str, verbs: str, rest: str) -> tuple[str, str]:
    """The words for one row and for several."""
    return f"{verb} {rest}", f"{verbs} {rest}"


_NOTES: Final = {
    "to_look_up": _with(
        "is", "are", "looked up in Planhat by key first: the calls come on top, and {looked_up}"
    ),
    "waiting": _with(
        "that was refused before waits,",
        "that were refused before wait,",
        "unchanged, for a later run: see `planhat-dbt failures`; --retry-rejected tries now",
    ),
    "to_read_back": _with(
        "of unknown outcome is",
        "of unknown outcome are",
        "read back from Planhat first: the calls come on top; what it has is done, what it surely lacks is sent again",
    ),
    "found": _with("of unknown outcome is", "of unknown outcome are", "in Planhat: done, and not sent again"),
    "sent_again": _with("of unknown outcome is", "of unknown outcome are", "not in Planhat, and sent again"),
    "existing": _with("is", "are", "in Planhat already, and left alone (mode insert)"),
    "changed_after_insert": (
        "changed after it was created, and left alone (mode insert)",
        "changed after they were created, and left alone (mode insert)",
    ),
    "taken_over": _with(
        "that left the model is", "that left the model are", "not removed: another row has the record by now"
    ),
    "before_lookback": _with("is", "are", "older than the lookback, and not looked at"),
    "forgotten": _with(
        "is",
        "are",
        "within the lookback, but from a time of which the keys are forgotten already: not looked at, since they may "
        "be in Planhat",
    ),
}
"""What is told of rows, by code: of one, of several."""


_ASIDE: Final = {
    "null_key": "no key",
    "duplicate_key": "other rows with the same key",
    "bad_value": "a value that cannot be sent",
    "missing_required": "a field that Planhat requires is empty",
    "parent_missing": "what it refers to is not in Planhat yet",
    "lookup_missing": "the person it refers to is not in Planhat",
    "no_match": "no single record of it in Planhat",
    "no_id": "its Planhat id is not known",
    "same_record": "another row updates the same record",
    "not_sent": "an earlier run ended before it",
    "unknown": "an earlier run did not learn the outcome",
}
"""Why rows of a plan are not sent, by code."""


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


def sendable(results: Sequence[SyncResult]) -> list[SyncPlan]:
    """The plans that a sync would deliver: those that no guard refuses."""
    return [r.plan for r in results if r.plan and r.status is not Status.REFUSED]


def planned_rows(results: Sequence[SyncResult], calls_per_minute: int) -> str:
    """Say what plans would send, and apart from it what a guard refuses."""
    rows = sum(plan.rows_to_send for plan in sendable(results))
    refused = sum(r.plan.rows_to_send for r in results if r.plan and r.status is Status.REFUSED)
    text = f"{counted(rows, 'row')} in {estimate(results, calls_per_minute)}"
    return f"{text}; {counted(refused, 'row')} refused" if refused else text


def estimate(results: Sequence[SyncResult], calls_per_minute: int) -> str:
    """Say how many calls a plan costs and how long they take at least under the budget."""
    plans = sendable(results)
    main = sum(plan.calls for plan in plans if not _is_event(plan))
    tracking = sum(plan.calls for plan in plans if _is_event(plan))
    calls = main + tracking
    if not calls:
        return "0 calls"
    waits = max(0, (main - 1) // calls_per_minute)
    time = f", at least {waits} min at {calls_per_minute} calls a minute" if waits else ""
    return f"{counted(calls, 'call')}{time}"


def notes(result: SyncResult) -> list[str]:
    """Say of a sync what its counts do not: rows to be looked up first, rows that wait, rows that are left alone."""
    plan = result.plan
    if plan is None:
        return []
    looked_up = _LOOKED_UP.get(result.mode, _LOOKED_UP["upsert"])
    counts = {
        "to_look_up": plan.to_look_up,
        "waiting": plan.waiting,
        "to_read_back": plan.to_read_back,
        **plan.noted,
    }
    return [
        f"{counted(rows, 'row')} {(one if rows == 1 else several).format(looked_up=looked_up)}"
        for code, (one, several) in _NOTES.items()
        if (rows := counts.get(code, 0))
    ]


def aside(result: SyncResult) -> list[str]:
    """Say why rows of a plan are not sent, by reason; those that wait or are read back have notes of their own."""
    plan = result.plan
    told = dict(plan.set_aside) if plan else {}
    if plan and plan.to_read_back:
        told.pop("unknown", None)
    return [
        f"{counted(rows, 'row')} {_aside_word(code)} ({code}): {_ASIDE[code]}"
        for code, rows in told.items()
        if code in _ASIDE
    ]


def _aside_word(code: str) -> str:
    if code == "unknown":
        return "of unknown outcome"
    return "rejected" if code in REJECTED_CODES else "held"


def _is_event(plan: SyncPlan) -> bool:
    return plan.object in ("metric", "user_activity")
