"""DuckDB's spelling of the expressions in `port.Dialect` (1.5 and 2.0)."""

from __future__ import annotations

import re
from typing import Final

from planhat_dbt.warehouse.port import Column, ColumnKind, WireForm

_KINDS: Final[dict[str, ColumnKind]] = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"), ColumnKind.INTEGER),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"), ColumnKind.INTEGER),
    **dict.fromkeys(("FLOAT", "DOUBLE"), ColumnKind.FLOAT),
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"), ColumnKind.TIMESTAMP),
    "BIGNUM": ColumnKind.DECIMAL,
    "BOOLEAN": ColumnKind.BOOLEAN,
    "DATE": ColumnKind.DATE,
    "TIMESTAMP WITH TIME ZONE": ColumnKind.TIMESTAMPTZ,
    "TIME": ColumnKind.TIME,
    "UUID": ColumnKind.UUID,
    "JSON": ColumnKind.JSON,
    "VARCHAR": ColumnKind.TEXT,
    "BIT": ColumnKind.TEXT,
    "\"NULL\"": ColumnKind.TEXT,
}  # fmt: skip
_NESTED: Final = re.compile(r"(^(STRUCT|MAP)\()|(\[\d*\]$)")


class DuckDBDialect:
    """DuckDB SQL."""

    name = "duckdb"
    placeholder = "?"
    text = "varchar"
    integer = "integer"
    bigint = "bigint"
    boolean = "boolean"
    double = "double"
    timestamp = "timestamp"
    utc_now = "cast(now() at time zone 'UTC' as timestamp)"

    def quote(self, name: str) -> str:
        """Quote an identifier."""
        return '"' + name.replace('"', '""') + '"'

    def literal(self, text: str) -> str:
        """Write a text literal; DuckDB knows no backslash escapes in it."""
        return "'" + text.replace("'", "''") + "'"

    def kind(self, type_name: str) -> ColumnKind:
        """Classify a type by the name DuckDB prints."""
        if _NESTED.search(type_name):
            # An enumeration inside may be dropped with the model: such values are kept as JSON.
            return ColumnKind.JSON if "ENUM(" in type_name else ColumnKind.NESTED
        if type_name.startswith("DECIMAL"):
            return ColumnKind.DECIMAL
        if type_name.startswith("ENUM("):
            return ColumnKind.TEXT
        return _KINDS.get(type_name, ColumnKind.UNSUPPORTED)

    def stored_type(self, column: Column) -> str:
        """Keep the model's type; enumerations as text, since the type may be dropped with the model."""
        if column.kind is ColumnKind.TEXT:
            return self.text
        if column.kind is ColumnKind.TIMESTAMP:
            return self.timestamp
        if column.kind is ColumnKind.UNSUPPORTED:
            return self.text
        if column.kind is ColumnKind.JSON:
            return "json"
        return column.type

    def canonical(self, expression: str, kind: ColumnKind) -> str:
        """Cut times to milliseconds, minify JSON; numbers are compared by value as they are."""
        match kind:
            case ColumnKind.TEXT:
                return f"cast({expression} as varchar)"
            case ColumnKind.TIMESTAMP:
                return f"date_trunc('millisecond', cast({expression} as timestamp))"
            case ColumnKind.TIMESTAMPTZ:
                return f"date_trunc('millisecond', {expression})"
            case ColumnKind.JSON:
                return f"cast(json(to_json({expression})) as json)"
            case ColumnKind.UNSUPPORTED:
                return "cast(null as varchar)"
            case _:
                return expression

    def differs(self, left: str, right: str, kind: ColumnKind) -> str:  # noqa: ARG002 - other engines need it
        """Every DuckDB type, nested ones too, has a null-safe comparison."""
        return f"{left} is distinct from {right}"

    def key_text(self, expression: str, kind: ColumnKind) -> str:
        """Write whole numbers of decimal or float columns without point or exponent."""
        text = f"cast({expression} as varchar)"
        if kind in (ColumnKind.DECIMAL, ColumnKind.FLOAT):
            whole = f"cast(cast({expression} as hugeint) as varchar)"
            is_whole = f"{expression} = trunc({expression}) and abs({expression}) < 1e18"
            return f"case when {is_whole} then {whole} else {text} end"
        return text

    def utc(self, expression: str, kind: ColumnKind) -> str:
        """Turn a time with zone to UTC; without one it counts as UTC."""
        utc = f"timezone('UTC', {expression})" if kind is ColumnKind.TIMESTAMPTZ else expression
        return f"cast({utc} as timestamp)"

    def is_object_id(self, expression: str) -> str:
        """Strip all hex digits from a text of the right length: nothing may be left."""
        return f"length({expression}) = 24 and translate({expression}, '0123456789abcdef', '') = ''"

    def contains(self, text: str, part: str) -> str:
        """Look for one text in another."""
        return f"position({part} in {text}) > 0"

    def fits(self, expression: str, type_name: str) -> str:
        """Cast without failing, and compare by value."""
        return f"try_cast({expression} as {type_name}) is not distinct from {expression}"

    def unfit(self, expression: str, kind: ColumnKind) -> str | None:
        """NaN and ±Infinity, infinite and far-off times, and whole kinds without a JSON form."""
        match kind:
            case ColumnKind.FLOAT:
                return f"(isnan({expression}) or isinf({expression}))"
            case ColumnKind.DATE | ColumnKind.TIMESTAMP | ColumnKind.TIMESTAMPTZ:
                # Beyond four digits there is no ISO 8601 text that others read.
                return f"(isinf({expression}) or year({expression}) not between 1 and 9999)"
            case ColumnKind.UNSUPPORTED:
                return f"{expression} is not null"
            case _:
                return None

    def json(self, expression: str, kind: ColumnKind) -> str:
        """Write times as they are sent, all else with DuckDB's own `to_json`."""
        if kind in (ColumnKind.TIMESTAMP, ColumnKind.TIMESTAMPTZ):
            expression = self.wire(expression, kind, WireForm.INSTANT)
        return f"coalesce(cast(to_json({expression}) as varchar), 'null')"

    def wire(self, expression: str, kind: ColumnKind, form: WireForm) -> str:
        """Fetch a value in the form in which it is sent."""
        match form:
            case WireForm.TEXT | WireForm.NUMBER:
                return f"cast({expression} as varchar)"
            case WireForm.KEY:
                return self.key_text(expression, kind)
            case WireForm.INSTANT:
                utc = f"timezone('UTC', {expression})" if kind is ColumnKind.TIMESTAMPTZ else expression
                return f"strftime(cast({utc} as timestamp), '%Y-%m-%dT%H:%M:%S.%gZ')"
            case WireForm.DAY_NUMBER:
                utc = f"timezone('UTC', {expression})" if kind is ColumnKind.TIMESTAMPTZ else expression
                return f"date_diff('day', date '1970-01-01', cast({utc} as date))"
            case WireForm.DAY_TEXT:
                utc = f"timezone('UTC', {expression})" if kind is ColumnKind.TIMESTAMPTZ else expression
                return f"strftime(cast({utc} as date), '%Y-%m-%d')"
            case WireForm.JSON:
                return f"cast(to_json({expression}) as varchar)"
            case WireForm.NATIVE:
                return expression
