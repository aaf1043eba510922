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


def _is_event(result: SyncResult) -> bool:
    return result.object in ("metric", "user_activity")
