"""Snowflake's spelling of the expressions in `port.Dialect`."""

from __future__ import annotations

import re
from typing import Final

from planhat_dbt.warehouse.ansi import NUMBERS, TIMES, AnsiDialect
from planhat_dbt.warehouse.port import Column, ColumnKind

_KINDS: Final[dict[str, ColumnKind]] = {
    **dict.fromkeys(("VARCHAR", "TEXT"), ColumnKind.TEXT),
    **dict.fromkeys(("VARIANT",), ColumnKind.JSON),
    **dict.fromkeys(("ARRAY", "OBJECT", "MAP"), ColumnKind.NESTED),
    **dict.fromkeys(("TIMESTAMP_TZ", "TIMESTAMP_LTZ"), ColumnKind.TIMESTAMPTZ),
    "TIMESTAMP_NTZ": ColumnKind.TIMESTAMP,
    "FLOAT": ColumnKind.FLOAT,
    "BOOLEAN": ColumnKind.BOOLEAN,
    "DATE": ColumnKind.DATE,
    "TIME": ColumnKind.TIME,
    "UUID": ColumnKind.UUID,
}
_NUMBER: Final = re.compile(r"NUMBER\(\d+, ?(\d+)\)")
_DOCUMENTS: Final = (ColumnKind.JSON, ColumnKind.NESTED)
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
_NOT_FINITE: Final = "(cast('NaN' as float), cast('inf' as float), cast('-inf' as float))"


def folded(name: str) -> str:
    """Change between the case in which Snowflake keeps a name and ours, in which plain names are small.

    Unquoted, `account_id` is kept as `ACCOUNT_ID`; what was made in small letters with quotes is thus named in capitals
    here. Mixed case stays, and twice is back again.
    """
    if not name.isascii():
        return name
    return name.lower() if name == name.upper() else name.upper() if name == name.lower() else name


def unquoted(name: str) -> str:
    """Our name of what a profile names without quotes."""
    return name.lower() if _PLAIN.fullmatch(name) else folded(name)


def type_name(printed: str) -> str:
    """A type without lengths and precisions, except those of numbers."""
    return printed if printed.startswith("NUMBER") else re.split(r"\(", printed)[0].strip()


class SnowflakeDialect(AnsiDialect):
    """Snowflake's SQL."""

    name = "snowflake"
    placeholder = "%s"
    text = "varchar"
    integer = "integer"
    bigint = "bigint"
    boolean = "boolean"
    double = "float"
    timestamp = "timestamp_ntz"
    utc_now = "cast(convert_timezone('UTC', current_timestamp()) as timestamp_ntz)"
    numbering = "order by _key"

    def quote(self, name: str) -> str:
        """Quote an identifier in the case in which Snowflake keeps it."""
        return '"' + folded(name).replace('"', '""') + '"'

    def literal(self, text: str) -> str:
        """Write a text literal, in which a backslash escapes."""
        return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

    def kind(self, type_name: str) -> ColumnKind:
        """Classify a type by the name `describe table` prints."""
        name = type_name.upper()
        if number := _NUMBER.fullmatch(name):
            return ColumnKind.DECIMAL if int(number[1]) else ColumnKind.INTEGER
        return _KINDS.get(name.partition("(")[0], ColumnKind.UNSUPPORTED)

    def stored_type(self, column: Column) -> str:
        """Keep the model's type; documents as their JSON text, which can be compared."""
        if column.kind in (ColumnKind.TEXT, ColumnKind.UNSUPPORTED, *_DOCUMENTS):
            return self.text
        return column.type

    def canonical(self, expression: str, column: Column) -> str:
        """Cut times to milliseconds, write documents as JSON; numbers are compared by value."""
        match column.kind:
            case ColumnKind.UNSUPPORTED:
                return "cast(null as varchar)"
            case ColumnKind.TIMESTAMP | ColumnKind.TIMESTAMPTZ:
                return f"date_trunc('millisecond', {expression})"
            case ColumnKind.JSON | ColumnKind.NESTED:
                return f"to_json(to_variant({expression}))"
            case _:
                return expression

    def key_text(self, expression: str, column: Column) -> str:
        """Write numbers by value: no point in whole ones, no trailing zeros."""
        match column.kind:
            case ColumnKind.DECIMAL:
                return _trimmed(f"cast({expression} as varchar)")
            case ColumnKind.FLOAT:
                whole = f"cast(cast({expression} as number(38, 0)) as varchar)"
                is_whole = f"{expression} = trunc({expression}) and abs({expression}) < 1e37"
                return f"case when {is_whole} then {whole} else cast({expression} as varchar) end"
            case _:
                return self._text(expression, column.kind)

    def _text(self, expression: str, kind: ColumnKind) -> str:
        # A bare cast would write times as the session's settings say.
        match kind:
            case ColumnKind.DATE:
                return f"to_char({expression}, 'YYYY-MM-DD')"
            case ColumnKind.TIME:
                return _trimmed(f"to_char({expression}, 'HH24:MI:SS.FF9')")
            case ColumnKind.TIMESTAMP | ColumnKind.TIMESTAMPTZ:
                return _trimmed(f"to_char({self.utc(expression, kind)}, 'YYYY-MM-DD HH24:MI:SS.FF9')")
            case _:
                return f"cast({expression} as varchar)"

    def utc(self, expression: str, kind: ColumnKind) -> str:
        """Turn a time with zone to UTC; without one it counts as UTC."""
        utc = f"convert_timezone('UTC', {expression})" if kind is ColumnKind.TIMESTAMPTZ else expression
        return f"cast({utc} as timestamp_ntz)"

    def digest_number(self, hex_digits: str) -> str:
        """A number read in base sixteen."""
        return f"to_number({hex_digits}, 'XXXXXXXXXXXXXXX')"

    def fits(self, expression: str, old: str, new: str) -> str:
        """Cast there and back; numbers by way of their text, the only cast that need not fail."""
        there = f"cast({expression} as {new})"
        if self.kind(old) in NUMBERS:
            there = f"try_cast(cast({expression} as varchar) as {new})"
        return f"cast({there} as {old}) is not distinct from {expression}"

    def converted(self, expression: str, old: str, new: str) -> str:
        """A cast; of numbers the one that was tried, since the text of a float is the decimal that was meant."""
        source = f"cast({expression} as varchar)" if self.kind(old) in NUMBERS else expression
        return f"cast({source} as {new})"

    def rename_table(self, path: tuple[str, str], old: str, new: str) -> str:
        """A new name that stands alone would move the table to the schema of the session."""
        before, after = (".".join(self.quote(part) for part in (*path, name)) for name in (old, new))
        return f"alter table {before} rename to {after}"

    def retyped(self, table: str, column: str, type_name: str, value: str) -> tuple[str, ...]:  # noqa: ARG002 - in the value
        """In one statement: a column's type cannot be changed, and each `alter` is committed by itself."""
        rows = f"select * replace ({value} as {column}) from {table}"
        return (f"create or replace table {table} copy grants as {rows}",)

    def unfit(self, expression: str, column: Column) -> str | None:
        """NaN and ±Infinity, far-off times, and types without a JSON form."""
        if column.kind is ColumnKind.UNSUPPORTED:
            return f"{expression} is not null"
        if column.kind is ColumnKind.FLOAT:
            return f"{expression} in {_NOT_FINITE}"
        if column.kind in TIMES:
            return f"year({self.utc(expression, column.kind)}) not between 1 and 9999"
        return None

    def json_text(self, expression: str) -> str:
        """`to_json` of a text."""
        return f"to_json(to_variant(cast({expression} as varchar)))"

    def float_text(self, expression: str) -> str:
        """The text of the double, with a point in any case."""
        text = f"cast({expression} as varchar)"
        return f"case when position('.' in {text}) > 0 then {text} else {text} || '.0' end"

    def _plain_text(self, expression: str, column: Column) -> str:
        return self._text(expression, column.kind)

    def _instant(self, utc: str) -> str:
        return f"""to_char({utc}, 'YYYY-MM-DD"T"HH24:MI:SS.FF3') || 'Z'"""

    def _day_number(self, utc: str) -> str:
        return f"datediff('day', cast('1970-01-01' as date), cast({utc} as date))"

    def _day_text(self, utc: str) -> str:
        return f"to_char(cast({utc} as date), 'YYYY-MM-DD')"


def _trimmed(text: str) -> str:
    """A number or time without the zeros at the end of its fraction."""
    return f"regexp_replace({text}, '[.]?0+$', '')"
