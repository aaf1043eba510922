"""PostgreSQL's spelling of the expressions in `port.Dialect` (13 and newer)."""

from __future__ import annotations

import re
from typing import Final

from planhat_dbt.warehouse.ansi import NUMBERS, TIMES, AnsiDialect
from planhat_dbt.warehouse.port import Column, ColumnKind

_KINDS: Final[dict[str, ColumnKind]] = {
    **dict.fromkeys(("smallint", "integer", "bigint"), ColumnKind.INTEGER),
    **dict.fromkeys(("real", "double precision"), ColumnKind.FLOAT),
    **dict.fromkeys(("text", "character varying", "character", "name", "citext"), ColumnKind.TEXT),
    **dict.fromkeys(("json", "jsonb"), ColumnKind.JSON),
    "numeric": ColumnKind.DECIMAL,
    "boolean": ColumnKind.BOOLEAN,
    "date": ColumnKind.DATE,
    "timestamp without time zone": ColumnKind.TIMESTAMP,
    "timestamp with time zone": ColumnKind.TIMESTAMPTZ,
    "time without time zone": ColumnKind.TIME,
    "uuid": ColumnKind.UUID,
}


_INTEGERS: Final = {"smallint": 15, "integer": 31, "bigint": 63}
"""Bits beside the sign."""
_FLOATS: Final = {"real": "1e37", "double precision": "1e307"}
"""A size that surely fits; its inverse is the smallest that does."""
_NUMERIC: Final = re.compile(r"numeric\((\d+),(-?\d+)\)")
_MODIFIER: Final = re.compile(r"\(\d+(,-?\d+)?\)")
_NOT_FINITE: Final = "('NaN', 'Infinity', '-Infinity')"
_EXACT_FLOAT: Final = "9e15"
"""Below it, a whole float is exactly one bigint, in fewer digits than its shortest text may drop."""


class PostgresDialect(AnsiDialect):
    """PostgreSQL's SQL. Sessions run in UTC, with standard strings."""

    name = "postgres"
    placeholder = "%s"
    text = "text"
    integer = "integer"
    bigint = "bigint"
    boolean = "boolean"
    double = "double precision"
    timestamp = "timestamp"
    utc_now = "cast(now() at time zone 'UTC' as timestamp)"
    numbering = ""

    def quote(self, name: str) -> str:
        """Quote an identifier."""
        return '"' + name.replace('"', '""') + '"'

    def literal(self, text: str) -> str:
        """Write a text literal; PostgreSQL keeps no NUL characters."""
        return "'" + text.replace("\0", "").replace("'", "''") + "'"

    def find_schema(self, schema: str) -> str:
        """PostgreSQL wants the right to make schemas for `if not exists`, too."""
        return f"select 1 from pg_catalog.pg_namespace where nspname = {self.literal(schema)}"

    def create_schema(self, database: str, schema: str) -> str:
        """A schema is named without its database."""
        del database
        return f"create schema if not exists {self.quote(schema)}"

    def kind(self, type_name: str) -> ColumnKind:
        """Classify a base type, or an array of one, by the name `format_type` prints."""
        name = type_name.lower()
        if name.endswith("[]"):
            inside = self.kind(name[:-2])
            return inside if inside is ColumnKind.UNSUPPORTED else ColumnKind.NESTED
        return _KINDS.get(_MODIFIER.sub("", name), ColumnKind.UNSUPPORTED)

    def stored_type(self, column: Column) -> str:
        """Keep the model's type; but own types as text or `jsonb`, since they may be dropped with the model."""
        match column.kind:
            case ColumnKind.TEXT | ColumnKind.UNSUPPORTED:
                return self.text
            case ColumnKind.TIMESTAMP | ColumnKind.TIMESTAMPTZ:
                return _MODIFIER.sub("", column.type)
            case ColumnKind.JSON:
                return "jsonb"
            case ColumnKind.NESTED:
                return self._stored_list(column.type)
            case _:
                return column.type

    def _stored_list(self, type_name: str) -> str:
        item = type_name.removesuffix("[]")
        kind = self.kind(item) if item != type_name else ColumnKind.UNSUPPORTED
        if kind in (
            ColumnKind.UNSUPPORTED,
            ColumnKind.JSON,
        ):  # composite, enumeration, domain; `json` has no `=`
            return "jsonb"
        return f"{self.stored_type(Column('', item, kind))}[]"

    def canonical(self, expression: str, column: Column) -> str:
        """Cut times to milliseconds, own types to text or `jsonb`; numbers and `jsonb` are compared by value."""
        match column.kind:
            case ColumnKind.UNSUPPORTED:
                return "cast(null as text)"
            case ColumnKind.TEXT:
                return self._text(expression)
            case ColumnKind.TIMESTAMP | ColumnKind.TIMESTAMPTZ:
                return f"date_trunc('milliseconds', {expression})"
            case ColumnKind.JSON:
                return expression if column.type == "jsonb" else _jsonb(expression)
            case ColumnKind.NESTED:
                return self._canonical_list(expression, column)
            case _:
                return expression

    def _text(self, expression: str) -> str:
        # A collation of the column's own could not be compared with that of the state tables.
        return f'cast({expression} as text) collate "default"'

    def _canonical_list(self, expression: str, column: Column) -> str:
        stored = self.stored_type(column)
        if stored == "jsonb":
            return f"to_jsonb({expression})"
        if self.kind(stored[:-2]) in (ColumnKind.TIMESTAMP, ColumnKind.TIMESTAMPTZ):
            items = f"unnest({expression}) with ordinality planhat_u(planhat_t, planhat_n)"
            cut = f"array(select date_trunc('milliseconds', planhat_t) from {items} order by planhat_n)"
            return f"case when array_ndims({expression}) = 1 then {cut} else {expression} end"
        return expression if stored == column.type else f"cast({expression} as {stored})"

    def key_text(self, expression: str, column: Column) -> str:
        """Write numbers by value: no point in whole ones, no trailing zeros."""
        match column.kind:
            case ColumnKind.DECIMAL:
                return self._text(f"trim_scale({expression})")
            case ColumnKind.FLOAT:
                exact = f"cast(cast({expression} as bigint) as text)"
                digits = f"cast({_exact(expression, column.type)} as text)"
                whole = f"{expression} = trunc({expression})"
                return (
                    f"case when {whole} and abs({expression}) < {_EXACT_FLOAT} then {exact} "
                    f"when {whole} and abs({expression}) < 1e38 then {digits} else cast({expression} as text) end"
                )
            case _:
                return self._text(expression)

    def utc(self, expression: str, kind: ColumnKind) -> str:
        """Turn a time with zone to UTC; without one it counts as UTC."""
        utc = f"timezone('UTC', {expression})" if kind is ColumnKind.TIMESTAMPTZ else expression
        return f"cast({utc} as timestamp)"

    def digest_number(self, hex_digits: str) -> str:
        """A cast by way of a bit string."""
        return f"cast(cast('x' || lpad({hex_digits}, 16, '0') as bit(64)) as bigint)"

    def fits(self, expression: str, old: str, new: str) -> str:
        """Test the number's range and digits before any cast, as casts that fail end the statement."""
        if self.kind(old) not in NUMBERS:
            return f"cast(cast({expression} as {new}) as {old}) is not distinct from {expression}"
        number = _exact(expression, old)
        return f"({expression} is null or {_holds(number, new)})"

    def converted(self, expression: str, old: str, new: str) -> str:
        """By way of the shortest text from a float: the cast to `numeric` drops digits."""
        source = _exact(expression, old) if self.kind(old) is ColumnKind.FLOAT else expression
        return f"cast({source} as {new})"

    def retyped(self, table: str, column: str, type_name: str, value: str) -> tuple[str, ...]:
        """`using` says what becomes of what is there."""
        return (f"alter table {table} alter column {column} type {type_name} using {value}",)

    def unfit(self, expression: str, column: Column) -> str | None:
        """NaN and ±Infinity, infinite and far-off times, and types without a JSON form."""
        kind, is_list = column.kind, column.type.endswith("[]")
        if kind is ColumnKind.UNSUPPORTED:
            return f"{expression} is not null"
        if kind is ColumnKind.NESTED and is_list:
            kind = self.kind(column.type[:-2])
        if kind in (ColumnKind.FLOAT, ColumnKind.DECIMAL):
            if is_list:
                return (
                    f"exists (select 1 from unnest({expression}) u(v) where cast(v as text) in {_NOT_FINITE})"
                )
            return f"cast({expression} as text) in {_NOT_FINITE}"
        if kind in TIMES:
            if is_list:
                tests = self._far("v", kind)
                return f"exists (select 1 from unnest({expression}) u(v) where {tests})"
            return self._far(expression, kind)
        return None

    def _far(self, expression: str, kind: ColumnKind) -> str:
        # Beyond four digits there is no ISO 8601 text that others read. With a zone, years before 1 count backwards.
        year = f"extract(year from {self.utc(expression, kind)})"
        far = f"{year} not between 1 and 9999"
        return f"(case when isfinite({expression}) then {far} else {expression} is not null end)"

    def json_text(self, expression: str) -> str:
        """`to_json`."""
        return f"cast(to_json(cast({expression} as text)) as text)"

    def float_text(self, expression: str) -> str:
        """The shortest text of the double: a float of four bytes has more digits as one; with a point in any case."""
        text = f"cast(cast({expression} as double precision) as text)"
        return f"case when position('.' in {text}) > 0 then {text} else {text} || '.0' end"

    def _plain_text(self, expression: str, column: Column) -> str:  # noqa: ARG002 - other engines need it
        return f"cast({expression} as text)"

    def _instant(self, utc: str) -> str:
        return f"""to_char({utc}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""

    def _day_number(self, utc: str) -> str:
        return f"cast({utc} as date) - date '1970-01-01'"

    def _day_text(self, utc: str) -> str:
        return f"to_char({utc}, 'YYYY-MM-DD')"

    def _json(self, expression: str, column: Column) -> str:
        match column.kind:
            case ColumnKind.TIMESTAMP | ColumnKind.TIMESTAMPTZ:
                return f"""'"' || {self._instant(self.utc(expression, column.kind))} || '"'"""
            case ColumnKind.JSON:
                return _minified(f"cast({expression} as text)")
            case ColumnKind.NESTED:
                text = _minified(f"cast(to_jsonb({expression}) as text)")
                inside = self.kind(column.type.removesuffix("[]"))
                return _instants(text) if inside in TIMES[1:] else text
            case _:
                return f"cast(to_json({expression}) as text)"


def _exact(expression: str, type_name: str) -> str:
    """A number as `numeric`, with all digits that its text shows."""
    if type_name in _FLOATS:
        return f"cast(cast({expression} as text) as numeric)"
    return f"cast({expression} as numeric)"


def _holds(number: str, type_name: str) -> str:
    """Whether a type can hold a `numeric` exactly."""
    finite = f"cast({number} as text) not in {_NOT_FINITE}"
    if type_name in _INTEGERS:
        limit = 2 ** _INTEGERS[type_name]
        return f"({finite} and {number} = trunc({number}) and {number} between -{limit} and {limit - 1})"
    if digits := _NUMERIC.fullmatch(type_name):
        width, scale = int(digits[1]), int(digits[2])
        limit = 10 ** max(width - scale, 0)
        return f"({finite} and {number} = round({number}, {scale}) and abs({number}) < {limit})"
    if type_name in _FLOATS:
        most = _FLOATS[type_name]
        usual = f"{number} = 0 or (abs({number}) < {most} and abs({number}) > 1 / cast({most} as numeric))"
        there = f"cast(cast(cast({number} as {type_name}) as text) as numeric)"
        return f"(case when {usual} then {there} = {number} else false end)"
    return "true"


def _jsonb(expression: str) -> str:
    """`jsonb` cannot hold the escape of NUL: such a value becomes its own text, which no structured field takes."""
    text = f"cast({expression} as text)"
    nul = rf"{text} ~ '(^|[^\\])(\\\\)*\\u0000'"
    return f"case when {nul} then to_jsonb({text}) else cast({expression} as jsonb) end"


def _minified(text: str) -> str:
    """JSON without the spaces that `jsonb` prints between its parts."""
    return rf"""regexp_replace({text}, '("(?:[^"\\]|\\.)*")|\s+', '\1', 'g')"""


def _instants(text: str) -> str:
    """JSON whose texts are all times in UTC, as they are sent: milliseconds, and `Z`."""
    padded = rf"""regexp_replace({text}, '"([0-9T:-]+)(?:\.([0-9]+))?(?:\+00:00)?"', '"\1.\2000Z"', 'g')"""
    return rf"""regexp_replace({padded}, '\.([0-9]{{3}})[0-9]*Z"', '.\1Z"', 'g')"""
