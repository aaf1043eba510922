"""Limits of the guards as a person writes them: `10%`, `0.1`, `250`."""

from __future__ import annotations

import re
from typing import Any

from planhat_dbt.declaration.types import Limit
from planhat_dbt.declaration.wording import told

LIMIT_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "description": "A count of rows."},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1, "description": "A share."},
        {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*%\s*$", "description": "A share in percent."},
    ]
}


def parse_limit(value: object) -> object:
    """Read a limit.

    A whole number is a count, a number between 0 and 1 a share; `1.0` could be either and is refused.

    Raises:
        ValueError: it is none of these.
    """
    if value is None or isinstance(value, Limit):
        return value
    if isinstance(value, str):
        text = value.strip()
        if percent := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text):
            return Limit(share=float(percent[1]) / 100)
        if text.isascii() and text.isdigit():
            return Limit(count=int(text))
    elif isinstance(value, bool):
        pass
    elif isinstance(value, int) and value >= 0:
        return Limit(count=value)
    elif isinstance(value, float) and 0 < value < 1:
        return Limit(share=value)
    raise ValueError(f"expected a share such as `10%` or a count such as `250`, found {told(value)}")
