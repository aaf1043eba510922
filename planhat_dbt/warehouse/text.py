"""SQL that puts many texts together, and SQL whose percent signs must stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def concatenated(parts: Sequence[str]) -> str:
    """Concatenate expressions by halves; NULL if one of them is.

    Written as a chain, each `||` copies all that stands before it: of two hundred columns, gigabytes.
    """
    if len(parts) < 3:
        return " || ".join(parts)
    middle = len(parts) // 2
    return f"({concatenated(parts[:middle])}) || ({concatenated(parts[middle:])})"


def escaped(sql: str) -> str:
    """Double the percent signs of a statement whose parameters a driver fills in for `%s`."""
    return "%s".join(part.replace("%", "%%") for part in sql.split("%s"))
