"""How far back events are looked at, as a person writes it: `30 days`, `48 hours`, `30`."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, Final

from planhat_dbt.declaration.wording import told

LOOKBACK_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [
        {"type": "number", "minimum": 1 / 24, "maximum": 36_500, "description": "Days."},
        {
            "type": "string",
            "pattern": r"^\s*\d+(\.\d+)?\s*(days?|hours?)?\s*$",
            "description": "Days or hours.",
        },
    ]
}
_WORDS: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(days?|hours?|)")
_SHORTEST: Final = 1 / 24
_LONGEST: Final = 36_500


def parse_lookback(value: object) -> object:
    """Read a duration; a bare number is days.

    Raises:
        ValueError: it is none, or shorter than an hour, or longer than a hundred years.
    """
    if value is None or isinstance(value, dt.timedelta):
        return value
    days: float | None = None
    if isinstance(value, str):
        if found := _WORDS.fullmatch(value.strip()):
            days = float(found[1]) / (24 if found[2].startswith("hour") else 1)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        days = value
    if days is None or not _SHORTEST <= days <= _LONGEST:
        raise ValueError(
            f"expected a duration such as `30 days` or `48 hours`, at least 1 hour and at most {_LONGEST} days, "
            f"found {told(value)}"
        )
    return dt.timedelta(days=days)
