"""What is known of a DuckDB type, and how a value becomes a literal of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hypothesis import strategies as st

from planhat_dbt.objects import FieldType as F

Spell: TypeAlias = Callable[[Any], str | None]
"""The text of a value that is cast to a type; None: it cannot be written so."""


@dataclass(frozen=True)
class Type:
    """A DuckDB type."""

    name: str
    values: st.SearchStrategy[Any]
    feeds: tuple[F, ...]
    spell: Callable[[Any], str] = str
    """The text that is cast to the type."""
    means: Callable[[Any], Any] = lambda v: v
    """The JSON value of it inside a list, and for comparison; BAD: none."""
    into: Callable[[Any, F], Any] | None = None
    """The JSON value in a field of a type, if not `means`."""
    others: tuple[tuple[str, Spell], ...] = ()
    """Other types and spellings of the same values; None: not of this value."""
    only: dict[F, st.SearchStrategy[Any]] = field(default_factory=dict)
    """Values for certain fields."""
    nested: bool = False

    def sql(self, value: Any) -> str:
        return literal(self.name, value, self.spell, nested=self.nested)

    def expected(self, value: Any, of: F) -> Any:
        return self.into(value, of) if self.into else self.means(value)


def literal(name: str, value: Any, spell: Spell, *, nested: bool = False) -> str:
    if value is None:
        return f"cast(null as {name})"
    text = spell(value)
    return f"cast({text} as {name})" if nested else f"cast({quoted(str(text))} as {name})"


def quoted(text: str) -> str:
    parts = text.split("\x00")
    return "'" + "' || chr(0) || '".join(p.replace("'", "''") for p in parts) + "'"
