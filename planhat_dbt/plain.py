"""Values that need no Python on their way to Planhat: SQL can test that they are plain, and write them as JSON.

Whatever fails the test goes through the conversion in `values`, which alone decides what is refused. For the plain
ones both come to the same JSON value; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Check(StrEnum):
    """What SQL must find of a value before it may write it."""

    NONE = "none"
    SAFE_INTEGER = "safe_integer"
    """Within ±2^53."""
    SHORT_NUMBER = "short_number"
    """A decimal of so few digits that a double holds them."""
    USUAL_FLOAT = "usual_float"
    """Zero, or of a size that is written without exponent."""
    ONE_OF = "one_of"
    NOT_EMPTY = "not_empty"
    WORD = "word"
    """Latin letters, digits, `_`, `-` and `.`: plain by any rule that asks for a text that is not blank."""
    EMAIL = "email"
    """Two words, `+` allowed, around one `@`."""
    OBJECT_ID = "object_id"
    """24 small hex characters."""


@dataclass(frozen=True, slots=True)
class Plain:
    """How the plain values of a column are written."""

    quoted: bool
    """As a JSON text; else as the number or truth value that the form spells."""
    check: Check = Check.NONE
    values: tuple[str, ...] = ()
    """For `ONE_OF`."""
    prefix: str = ""
    """Goes before the value, inside its quotes."""
    least: int | None = None
    """The smallest number allowed."""


TEXT = Plain(quoted=True)
BARE = Plain(quoted=False)
