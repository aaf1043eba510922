"""Expressions that engines on servers spell alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from planhat_dbt.warehouse.port import Column, ColumnKind, WireForm

NUMBERS: Final = (ColumnKind.INTEGER, ColumnKind.DECIMAL, ColumnKind.FLOAT)
TIMES: Final = (ColumnKind.DATE, ColumnKind.TIMESTAMP, ColumnKind.TIMESTAMPTZ)


class AnsiDialect(ABC):
    """A part of `port.Dialect`."""

    @abstractmethod
    def kind(self, type_name: str) -> ColumnKind:
        """Classify a type by the name the engine prints."""

    @abstractmethod
    def wire(self, expression: str, column: Column, form: WireForm) -> str:
        """Fetch a value in the form in which it is sent."""

    def differs(self, left: str, right: str, kind: ColumnKind) -> str:  # noqa: ARG002 - other engines need it
        """Every type that is stored has a null-safe comparison."""
        return f"{left} is distinct from {right}"

    def is_object_id(self, expression: str) -> str:
        """Strip all hex digits from a text of the right length: nothing may be left."""
        return f"length({expression}) = 24 and translate({expression}, '0123456789abcdef', '') = ''"

    def only(self, expression: str, characters: str) -> str:
        """Strip the characters: nothing may be left."""
        return f"({expression} <> '' and translate({expression}, '{characters}', '') = '')"

    def digest(self, text: str) -> str:
        """`md5`."""
        return f"md5({text})"

    def update_from(self, table: str, changes: str, source: str, condition: str) -> str:
        """`update … from`."""
        return f"update {table} set {changes} from {source} where {condition}"

    def retyped(self, table: str, column: str, type_name: str, value: str) -> tuple[str, ...]:
        """By way of another column: few engines change a type in place."""
        return (
            f"alter table {table} add column planhat_retyped {type_name}",
            f"update {table} set planhat_retyped = {value}",
            f"alter table {table} drop column {column}",
            f"alter table {table} rename column planhat_retyped to {column}",
        )

    def contains(self, text: str, part: str) -> str:
        """Look for one text in another."""
        return f"position({part} in {text}) > 0"

    def alike(self, old: str, new: str) -> bool:
        """Numbers are, and times."""
        kinds = {self.kind(old), self.kind(new)}
        return old == new or kinds <= set(NUMBERS) or kinds <= set(TIMES)

    def json(self, expression: str, column: Column) -> str:
        """Write a stored value as JSON text, NULL as `null`."""
        return f"coalesce({self.wire(expression, column, WireForm.JSON)}, 'null')"
