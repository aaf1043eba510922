"""Trino's spelling of the expressions in `port.Dialect`."""

from __future__ import annotations

import re
from typing import Final

from planhat_dbt.warehouse.ansi import TIMES, LakeDialect, TryingDialect
from planhat_dbt.warehouse.port import Column, ColumnKind, WireForm

_KINDS: Final[dict[str, ColumnKind]] = {
    **dict.fromkeys(("varchar", "char"), ColumnKind.TEXT),
    **dict.fromkeys(("tinyint", "smallint", "integer", "bigint"), ColumnKind.INTEGER),
    "decimal": ColumnKind.DECIMAL,
    **dict.fromkeys(("real", "double"), ColumnKind.FLOAT),
    "boolean": ColumnKind.BOOLEAN,
    "date": ColumnKind.DATE,
    "time": ColumnKind.TIME,
    "timestamp": ColumnKind.TIMESTAMP,
    "uuid": ColumnKind.UUID,
    "json": ColumnKind.JSON,
    **dict.fromkeys(("array", "map", "row"), ColumnKind.NESTED),
}
_ZONED: Final = "with time zone"
_NO_JSON: Final = re.compile(
    rf"\b(?:varbinary|uuid|ipaddress|interval|hyperloglog|geometry|time\(|time\b(?! zone))|{_ZONED}|\bmap\((?!varchar)"
)
"""Types that do not cast to JSON inside others, and maps whose keys are no texts."""
_FINE: Final = "timestamp(6)"
"""The only precision that Iceberg has."""


class TrinoDialect(TryingDialect, LakeDialect):
    """Trino's SQL, on tables of the Iceberg connector."""

    name = "trino"
    placeholder = "?"
    text = "varchar"
    integer = "bigint"  # a wider value is never put into a narrower column without a cast
    bigint = "bigint"
    boolean = "boolean"
    double = "double"
    timestamp = _FINE
    utc_now = f"cast(current_timestamp at time zone 'UTC' as {_FINE})"
    numbering = ""
    try_cast = "try_cast"

    def quote(self, name: str) -> str:
        """Quote an identifier; Trino knows no capitals in it."""
        return '"' + name.lower().replace('"', '""') + '"'

    def literal(self, text: str) -> str:
        """Write a text literal; nothing escapes in it."""
        return "'" + text.replace("'", "''") + "'"

    def kind(self, type_name: str) -> ColumnKind:
        """Classify a type by the name `information_schema.columns` has."""
        name = type_name.lower()
        kind = _KINDS.get(re.split(r"[( ]", name)[0], ColumnKind.UNSUPPORTED)
        if kind is ColumnKind.NESTED:
            return ColumnKind.UNSUPPORTED if _NO_JSON.search(name) else kind
        if name.endswith(_ZONED):
            return ColumnKind.TIMESTAMPTZ if kind is ColumnKind.TIMESTAMP else ColumnKind.UNSUPPORTED
        return kind

    def stored_type(self, column: Column) -> str:
        """Keep what Iceberg has; documents as their JSON text."""
        match column.kind:
            case ColumnKind.TEXT | ColumnKind.UNSUPPORTED | ColumnKind.JSON | ColumnKind.NESTED:
                return self.text
            case ColumnKind.INTEGER:
                return self.bigint
            case ColumnKind.TIME:
                return "time(6)"
            case ColumnKind.TIMESTAMP:
                return _FINE
            case ColumnKind.TIMESTAMPTZ:
                return f"{_FINE} {_ZONED}"
            case _:
                return column.type.lower()

    def canonical(self, expression: str, column: Column) -> str:
        """Cut times to milliseconds, write documents as JSON; numbers are compared by value."""
        match column.kind:
            case ColumnKind.UNSUPPORTED:
                return "cast(null as varchar)"
            case ColumnKind.TEXT:
                return f"rtrim(cast({expression} as varchar))" if _is_char(column) else expression
            case ColumnKind.INTEGER:
                return f"cast({expression} as bigint)"
            case ColumnKind.TIME:
                return f"cast({expression} as time(6))"
            case ColumnKind.TIMESTAMP | ColumnKind.TIMESTAMPTZ:
                return f"cast(date_trunc('millisecond', {expression}) as {self.stored_type(column)})"
            case ColumnKind.JSON:
                return f"json_format({expression})"
            case ColumnKind.NESTED:
                return f"json_format(cast({expression} as json))"
            case _:
                return expression

    def key_text(self, expression: str, column: Column) -> str:
        """Write numbers by value: no point in whole ones, no trailing zeros."""
        if column.kind is not ColumnKind.FLOAT:
            return self._text(expression, column.kind)
        whole = f"cast(cast({expression} as decimal(38, 0)) as varchar)"
        is_whole = f"{expression} = truncate({expression}) and abs({expression}) < 1e37"
        usual = f"abs({expression}) between 1e-4 and 1e37"
        other = f"cast({expression} as varchar)"
        short = self._trimmed(self._digits(expression))
        return f"case when {is_whole} then {whole} when {usual} then {short} else {other} end"

    def _text(self, expression: str, kind: ColumnKind) -> str:
        match kind:
            case ColumnKind.DECIMAL:
                return self._trimmed(f"cast({expression} as varchar)")
            case ColumnKind.TIME:
                return self._trimmed(f"cast({expression} as varchar)")
            case ColumnKind.TIMESTAMP | ColumnKind.TIMESTAMPTZ:
                # `date_format` knows milliseconds only.
                return self._trimmed(f"cast({self.utc(expression, kind)} as varchar)")
            case _:
                return f"cast({expression} as varchar)"

    def utc(self, expression: str, kind: ColumnKind) -> str:
        """Turn a time with zone to UTC; without one it counts as UTC."""
        if kind is ColumnKind.TIMESTAMPTZ:
            expression = f"({expression} at time zone 'UTC')"
        return f"cast({expression} as {_FINE})"

    def digest(self, text: str) -> str:
        """`md5` takes and gives bytes."""
        return f"lower(to_hex(md5(to_utf8({text}))))"

    def digest_number(self, hex_digits: str) -> str:
        """A number read in base sixteen."""
        return f"cast(from_base({hex_digits}, 16) as decimal(38, 0))"  # a sum of bigint ends at 2^63

    def contains(self, text: str, part: str) -> str:
        """Look for one text in another."""
        return f"strpos({text}, {part}) > 0"

    def _moment(self, expression: str, kind: ColumnKind) -> str:
        return f"with_timezone({self.utc(expression, kind)}, 'UTC')"

    def rename_table(self, path: tuple[str, str], old: str, new: str) -> str:
        """By whole names."""
        before, after = (".".join(self.quote(part) for part in (*path, name)) for name in (old, new))
        return f"alter table {before} rename to {after}"

    def unfit(self, expression: str, column: Column) -> str | None:
        """NaN and ±Infinity, far-off times, and types without a JSON form."""
        if column.kind is ColumnKind.UNSUPPORTED:
            return f"{expression} is not null"
        if column.kind is ColumnKind.FLOAT:
            return f"(is_nan({expression}) or is_infinite({expression}))"
        if column.kind in TIMES:
            return f"year({self.utc(expression, column.kind)}) not between 1 and 9999"
        return None

    def json_text(self, expression: str) -> str:
        """A text cast to JSON, as text again."""
        return f"json_format(cast(cast({expression} as varchar) as json))"

    def wire(self, expression: str, column: Column, form: WireForm) -> str:
        """As ever, but a `real` as the double it is."""
        if form is WireForm.NATIVE and column.type.lower() == "real":
            return f"cast({expression} as double)"
        return super().wire(expression, column, form)

    def _plain_text(self, expression: str, column: Column) -> str:
        return self._text(expression, column.kind)

    def _instant(self, utc: str) -> str:
        return f"substr(date_format({utc}, '%Y-%m-%dT%H:%i:%s.%f'), 1, 23) || 'Z'"

    def _day_number(self, utc: str) -> str:
        return f"date_diff('day', cast('1970-01-01' as date), cast({utc} as date))"

    def _day_text(self, utc: str) -> str:
        return f"cast(cast({utc} as date) as varchar)"

    def _digits(self, expression: str) -> str:
        return f"format('%.25f', {expression})"


def _is_char(column: Column) -> bool:
    return column.type.lower().startswith("char")
