"""Expressions that engines on servers spell alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from planhat_dbt.warehouse.port import Column, ColumnKind, WireForm
from planhat_dbt.warehouse.text import concatenated

if TYPE_CHECKING:
    from collections.abc import Sequence

NUMBERS: Final = (ColumnKind.INTEGER, ColumnKind.DECIMAL, ColumnKind.FLOAT)
TIMES: Final = (ColumnKind.DATE, ColumnKind.TIMESTAMP, ColumnKind.TIMESTAMPTZ)


class AnsiDialect(ABC):
    """A part of `port.Dialect`."""

    def joined(self, texts: Sequence[str]) -> str:
        """`||`."""
        return concatenated(texts)

    def fingerprints(self, values: Sequence[tuple[str, Column]]) -> Sequence[str] | None:  # noqa: ARG002 - none has
        """None: a server joins whole rows."""
        return None

    def within(self, expression: str, limit: int) -> str:
        """`between`."""
        return f"{expression} between -{limit} and {limit}"

    @abstractmethod
    def kind(self, type_name: str) -> ColumnKind:
        """Classify a type by the name the engine prints."""

    @abstractmethod
    def quote(self, name: str) -> str:
        """Quote an identifier, escaping what must be."""

    @abstractmethod
    def key_text(self, expression: str, column: Column) -> str:
        """Write a key as text."""

    @abstractmethod
    def utc(self, expression: str, kind: ColumnKind) -> str:
        """Write a date or time in the type of our own time columns."""

    @abstractmethod
    def _plain_text(self, expression: str, column: Column) -> str:
        """A value as text, times as ISO 8601 has them."""

    @abstractmethod
    def _instant(self, utc: str) -> str:
        """A time in UTC as it is sent: milliseconds, and `Z`."""

    @abstractmethod
    def _day_number(self, utc: str) -> str:
        """Whole days since 1970-01-01."""

    @abstractmethod
    def _day_text(self, utc: str) -> str:
        """The day, `YYYY-MM-DD`."""

    @abstractmethod
    def json_text(self, expression: str) -> str:
        """A text as JSON text; NULL stays NULL."""

    def _json(self, expression: str, column: Column) -> str:
        """A stored value as JSON text; NULL stays NULL. Documents are stored as theirs."""
        match column.kind:
            case ColumnKind.JSON | ColumnKind.NESTED:
                return expression
            case ColumnKind.INTEGER | ColumnKind.DECIMAL | ColumnKind.FLOAT | ColumnKind.BOOLEAN:
                return self._bare(expression, column)
            case ColumnKind.TIMESTAMP | ColumnKind.TIMESTAMPTZ:
                return f"""'"' || {self._instant(self.utc(expression, column.kind))} || '"'"""
            case _:
                return self.json_text(self._plain_text(expression, column))

    def _bare(self, expression: str, column: Column) -> str:
        """A number or truth value, which JSON has without quotes."""
        return self._plain_text(expression, column)

    def wire(self, expression: str, column: Column, form: WireForm) -> str:
        """Fetch a value in the form in which it is sent."""
        match form:
            case WireForm.TEXT | WireForm.NUMBER:
                return self._plain_text(expression, column)
            case WireForm.KEY:
                return self.key_text(expression, column)
            case WireForm.INSTANT:
                return self._instant(self.utc(expression, column.kind))
            case WireForm.DAY_NUMBER:
                return self._day_number(self.utc(expression, column.kind))
            case WireForm.DAY_TEXT:
                return self._day_text(self.utc(expression, column.kind))
            case WireForm.JSON:
                return self._json(expression, column)
            case WireForm.NATIVE:
                return expression

    def find_schema(self, schema: str) -> str:
        """Nothing to ask."""
        del schema
        return ""

    def create_schema(self, database: str, schema: str) -> str:
        """In the database named."""
        return f"create schema if not exists {self.quote(database)}.{self.quote(schema)}"

    def rename_table(self, path: tuple[str, str], old: str, new: str) -> str:
        """The new name stands alone."""
        table = ".".join(self.quote(part) for part in (*path, old))
        return f"alter table {table} rename to {self.quote(new)}"

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


class TryingDialect(AnsiDialect):
    """Engines with a cast that gives NULL where others fail; moments change to other times by way of UTC."""

    try_cast: str
    """How they call it."""

    @abstractmethod
    def _moment(self, expression: str, kind: ColumnKind) -> str:
        """A date or time without zone, as UTC has it, in the type of moments."""

    def fits(self, expression: str, old: str, new: str) -> str:
        """Convert there and back."""
        there = self._changed(expression, old, new, self.try_cast)
        return f"{self._changed(there, new, old, self.try_cast)} is not distinct from {expression}"

    def converted(self, expression: str, old: str, new: str) -> str:
        """A cast; between moments and times without zone by way of UTC."""
        return self._changed(expression, old, new, "cast")

    def _changed(self, expression: str, old: str, new: str, cast: str) -> str:
        before, after = self.kind(old), self.kind(new)
        if before is ColumnKind.TIMESTAMPTZ and after in TIMES:
            return f"{cast}({self.utc(expression, before)} as {new})" if after is not before else expression
        if after is ColumnKind.TIMESTAMPTZ and before in TIMES:
            return self._moment(expression, before)
        return f"{cast}({expression} as {new})"


class LakeDialect(AnsiDialect):
    """Engines over tables of files: no `update … from`, and types that can only be widened."""

    @abstractmethod
    def _digits(self, expression: str) -> str:
        """A double by its own digits, without exponent; 25 of them after the point hold those of 0.0001 and more."""

    def _trimmed(self, text: str) -> str:
        """A number or time without the zeros at the end of its fraction."""
        point = "'.'"
        short = f"trim(trailing '.' from trim(trailing '0' from {text}))"
        return f"case when {self.contains(text, point)} then {short} else {text} end"

    def float_text(self, expression: str) -> str:
        """The digits of the double, with a point in any case."""
        text = f"trim(trailing '0' from {self._digits(expression)})"
        return f"case when {text} like '%.' then {text} || '0' else {text} end"

    def retyped(self, table: str, column: str, type_name: str, value: str) -> tuple[str, ...]:
        """By way of another column: a type can only be widened."""
        return by_another_column(table, column, type_name, value)

    def update_from(self, table: str, changes: str, source: str, condition: str) -> str:
        """`merge`."""
        return f"merge into {table} using {source} on {condition} when matched then update set {changes}"

    def _bare(self, expression: str, column: Column) -> str:
        if column.kind is ColumnKind.FLOAT:  # a cast may write an exponent
            return self.key_text(expression, column)
        return super()._bare(expression, column)


def by_another_column(table: str, column: str, type_name: str, value: str) -> tuple[str, ...]:
    """Give a column (quoted) another type where that is not to be had by itself, or only wider ones are."""
    other = f"{column[:-1]}__new{column[-1]}"
    return (
        f"alter table {table} add column {other} {type_name}",
        f"update {table} set {other} = {value}",
        f"alter table {table} drop column {column}",
        f"alter table {table} rename column {other} to {column}",
    )
