"""BigQuery's spelling of the expressions in `port.Dialect` (GoogleSQL)."""

from __future__ import annotations

import re
from typing import Final

from planhat_dbt.warehouse.ansi import TryingDialect
from planhat_dbt.warehouse.port import Column, ColumnKind

_KINDS: Final[dict[str, ColumnKind]] = {
    "STRING": ColumnKind.TEXT,
    "INT64": ColumnKind.INTEGER,
    **dict.fromkeys(("NUMERIC", "BIGNUMERIC"), ColumnKind.DECIMAL),
    "FLOAT64": ColumnKind.FLOAT,
    "BOOL": ColumnKind.BOOLEAN,
    "DATE": ColumnKind.DATE,
    "TIME": ColumnKind.TIME,
    "DATETIME": ColumnKind.TIMESTAMP,
    "TIMESTAMP": ColumnKind.TIMESTAMPTZ,
    "JSON": ColumnKind.JSON,
    **dict.fromkeys(("ARRAY", "STRUCT"), ColumnKind.NESTED),
}
_OF_THE_API: Final = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}
"""Types that the API calls by other names than SQL does."""
_DOCUMENTS: Final = (ColumnKind.JSON, ColumnKind.NESTED)
_ESCAPES: Final = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\0": "\\x00"}
_SPECIAL: Final = re.compile(r"[\\'\n\r\0]")
_OF_A_TABLE: Final = re.compile(r"('(?:[^'\\]|\\.)*')|`[^`]+`\.`[^`]+`\.(`[^`]+`)\.")
"""A text, or the whole name of a table before one of its columns."""


def type_name(printed: str) -> str:
    """A type in SQL's word for it, without lengths, precisions and what it is made of."""
    name = re.split(r"[(<]", printed.upper())[0].strip()
    return _OF_THE_API.get(name, name)


def by_last_name(sql: str) -> str:
    """Name columns by the last part of their table's name: the whole name may only stand where a table does."""
    return _OF_A_TABLE.sub(lambda found: found[1] or f"{found[2]}.", sql)


class BigQueryDialect(TryingDialect):
    """GoogleSQL, as BigQuery speaks it. Zones are always named: the default one is a setting of the project."""

    name = "bigquery"
    placeholder = "?"
    text = "string"
    integer = "int64"
    bigint = "int64"
    boolean = "bool"
    double = "float64"
    timestamp = "datetime"
    utc_now = "current_datetime('UTC')"
    numbering = ""
    try_cast = "safe_cast"

    def quote(self, name: str) -> str:
        """Quote an identifier, in which escapes are those of texts (its reference, "Quoted identifiers")."""
        return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"

    def literal(self, text: str) -> str:
        """Write a text literal: backslashes escape, quotes are not doubled, and no line may end in it."""
        return "'" + _SPECIAL.sub(lambda found: _ESCAPES[found[0]], text) + "'"

    def kind(self, type_name: str) -> ColumnKind:
        """Classify a type by its name in SQL."""
        return _KINDS.get(type_name.upper(), ColumnKind.UNSUPPORTED)

    def stored_type(self, column: Column) -> str:
        """Keep the model's type; documents as their JSON text, for JSON, arrays and structs cannot be compared."""
        if column.kind in (ColumnKind.TEXT, ColumnKind.UNSUPPORTED, *_DOCUMENTS):
            return self.text
        return column.type.lower()

    def canonical(self, expression: str, column: Column) -> str:
        """Cut times to milliseconds, write documents as JSON; numbers are compared by value."""
        match column.kind:
            case ColumnKind.UNSUPPORTED:
                return "cast(null as string)"
            case ColumnKind.TIMESTAMP:
                return f"datetime_trunc({expression}, millisecond)"
            case ColumnKind.TIMESTAMPTZ:
                return f"timestamp_trunc({expression}, millisecond)"
            case ColumnKind.JSON | ColumnKind.NESTED:
                return f"case when {expression} is not null then to_json_string({expression}) end"
            case _:
                return expression

    def key_text(self, expression: str, column: Column) -> str:
        """Write numbers by value: no point in whole ones, no trailing zeros."""
        if column.kind is not ColumnKind.FLOAT:
            return self._text(expression, column.kind)
        whole = f"cast(cast({expression} as bignumeric) as string)"
        is_whole = f"{expression} = trunc({expression}) and abs({expression}) < 1e37"
        return f"case when {is_whole} then {_trimmed(whole)} else cast({expression} as string) end"

    def _text(self, expression: str, kind: ColumnKind) -> str:
        match kind:
            case ColumnKind.DECIMAL:
                return _trimmed(f"cast({expression} as string)")
            case ColumnKind.TIME:
                return _trimmed(f"format_time('%H:%M:%E6S', {expression})")
            case ColumnKind.TIMESTAMP | ColumnKind.TIMESTAMPTZ:
                return _trimmed(f"format_datetime('%E4Y-%m-%d %H:%M:%E6S', {self.utc(expression, kind)})")
            case _:
                return f"cast({expression} as string)"

    def utc(self, expression: str, kind: ColumnKind) -> str:
        """Turn a moment to UTC; a `DATETIME` counts as UTC."""
        if kind is ColumnKind.TIMESTAMPTZ:
            return f"datetime({expression}, 'UTC')"
        return f"cast({expression} as datetime)"

    def digest(self, text: str) -> str:
        """`md5` gives bytes."""
        return f"to_hex(md5({text}))"

    def digest_number(self, hex_digits: str) -> str:
        """A cast of a text in base sixteen (its reference, "Conversion rules")."""
        return f"cast('0x' || {hex_digits} as int64)"

    def contains(self, text: str, part: str) -> str:
        """Look for one text in another."""
        return f"strpos({text}, {part}) > 0"

    def _moment(self, expression: str, kind: ColumnKind) -> str:  # noqa: ARG002 - other engines need it
        return f"timestamp({expression}, 'UTC')"

    def retyped(self, table: str, column: str, type_name: str, value: str) -> tuple[str, ...]:  # noqa: ARG002 - in the value
        """In one statement that makes the table anew: a column's type can only be widened."""
        return (f"create or replace table {table} as select * replace ({value} as {column}) from {table}",)

    def unfit(self, expression: str, column: Column) -> str | None:
        """NaN and ±Infinity, and types without a JSON form; years are 1 to 9999 in any case."""
        if column.kind is ColumnKind.UNSUPPORTED:
            return f"{expression} is not null"
        if column.kind is ColumnKind.FLOAT:
            return f"(is_nan({expression}) or is_inf({expression}))"
        return None

    def json_text(self, expression: str) -> str:
        """`to_json_string` of a text; it would write NULL as `null`."""
        return f"case when {expression} is not null then to_json_string({expression}) end"

    def float_text(self, expression: str) -> str:
        """The shortest text of the double, with a point in any case."""
        text = f"cast({expression} as string)"
        return f"case when strpos({text}, '.') > 0 then {text} else {text} || '.0' end"

    def _plain_text(self, expression: str, column: Column) -> str:
        return self._text(expression, column.kind)

    def _instant(self, utc: str) -> str:
        return f"format_datetime('%E4Y-%m-%dT%H:%M:%E3SZ', {utc})"

    def _day_number(self, utc: str) -> str:
        return f"unix_date(cast({utc} as date))"

    def _day_text(self, utc: str) -> str:
        return f"format_date('%E4Y-%m-%d', cast({utc} as date))"


def _trimmed(text: str) -> str:
    """A number or time without the zeros at the end of its fraction."""
    return f"case when strpos({text}, '.') > 0 then rtrim(rtrim({text}, '0'), '.') else {text} end"
