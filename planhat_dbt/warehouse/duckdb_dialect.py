"""DuckDB's spelling of the expressions in `port.Dialect` (1.5 and 2.0)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from planhat_dbt.warehouse import duckdb_types as types
from planhat_dbt.warehouse.port import Column, ColumnKind, WireForm

if TYPE_CHECKING:
    from collections.abc import Sequence

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
_INSTANTS: Final = (ColumnKind.TIMESTAMP, ColumnKind.TIMESTAMPTZ)
_TIMES: Final = (ColumnKind.DATE, *_INSTANTS)
_NUMBERS: Final = (ColumnKind.INTEGER, ColumnKind.DECIMAL, ColumnKind.FLOAT)
_WIDEST: Final = 38
"""Digits of a decimal."""
_HASHED_AS_NUMBERS: Final = {
    name
    for name, kind in _KINDS.items()
    if kind not in (ColumnKind.TEXT, ColumnKind.JSON, ColumnKind.UUID, ColumnKind.DECIMAL)
} - {"HUGEINT", "UHUGEINT"}
"""Types with at most as many values as there are hashes: each value but NULL has one of its own."""
_DIGITS_OF_64_BITS: Final = 18
_STRING: Final = r'"(?:[^"\\]|\\.)*"'
_OTHER_THAN_WHOLE: Final = rf"({_STRING}|\d+\.\d*[1-9])"
"""What `_WHOLE` must not look into: strings, and numbers with a fraction."""
_WHOLE: Final = r"(\d+)\.0\b"


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
    numbering = ""

    def __init__(self, *, remote: bool = False) -> None:
        """Make a dialect; a remote database is not DuckDB's of this process."""
        self._remote = remote

    def quote(self, name: str) -> str:
        """Quote an identifier."""
        return types.quote(name)

    def literal(self, text: str) -> str:
        """Write a text literal."""
        return types.literal(text)

    def find_schema(self, schema: str) -> str:
        """Nothing to ask."""
        del schema
        return ""

    def create_schema(self, database: str, schema: str) -> str:
        """In the database named."""
        return f"create schema if not exists {self.quote(database)}.{self.quote(schema)}"

    def kind(self, type_name: str) -> ColumnKind:
        """Classify a type by the name DuckDB prints; nested values are as good as what is inside."""
        parsed = types.parse(type_name)
        if isinstance(parsed, types.Leaf):
            return _kind(parsed.name)
        if _keyed_by_parts(parsed) or any(_kind(n) is ColumnKind.UNSUPPORTED for n in types.leaves(parsed)):
            return ColumnKind.UNSUPPORTED
        return ColumnKind.NESTED

    def stored_type(self, column: Column) -> str:
        """Keep the model's type; but enumerations as text, since the type may be dropped with the model."""
        match column.kind:
            case ColumnKind.TEXT | ColumnKind.UNSUPPORTED:
                return self.text
            case ColumnKind.TIMESTAMP:
                return self.timestamp
            case ColumnKind.JSON:
                return "json"
            case ColumnKind.NESTED:
                return types.render(types.replaced(types.parse(column.type), _stored))
            case _:
                return column.type

    def canonical(self, expression: str, column: Column) -> str:
        """Cut times to milliseconds, minify JSON, inside nested values too; numbers are compared by value."""
        if column.kind is ColumnKind.UNSUPPORTED:
            return "cast(null as varchar)"
        if column.kind is ColumnKind.TEXT:
            return _exact(_canonical(expression, column.type) or expression)
        changed = types.rebuilt(expression, types.parse(column.type), _canonical)
        stored = self.stored_type(column)
        if column.kind is ColumnKind.NESTED and (changed or stored != column.type):
            return f"cast({changed or expression} as {stored})"
        return changed or expression

    def differs(self, left: str, right: str, kind: ColumnKind) -> str:
        """Every DuckDB type has a null-safe comparison; hashes tell texts inside nested values apart.

        DuckDB 2.0 compares those by the collation of what they were made of, which nothing takes away for nothing.
        """
        differs = f"{left} is distinct from {right}"
        if kind is not ColumnKind.NESTED:
            return differs
        return f"({differs} or hash({left}) <> hash({right}))"

    def joined(self, texts: Sequence[str]) -> str:
        """`concat`, which copies each text once."""
        return f"concat({', '.join(texts)})"

    def fingerprints(self, values: Sequence[tuple[str, Column]]) -> tuple[str, ...] | None:
        """`hash` twice, 64 bits each; None: MotherDuck has memory of its own, and our scratch tables are not there.

        `hash` mixes the hashes of the values in their order, takes NULL for a number like any other, and is weak where
        values have several parts. So the second one takes them the other way round, says which numbers are NULL, and
        reads all else as texts with an `x` ahead. Both are needed: of lists and structs the second alone is sure.
        """
        if self._remote:
            return None
        if not values:
            return ()
        ahead, back = zip(*(_hashed(value, column) for value, column in values), strict=True)
        return (f"hash({', '.join(ahead)})", f"hash({', '.join(reversed(back))})")

    def key_text(self, expression: str, column: Column) -> str:
        """Write numbers by value: no point in whole ones, no trailing zeros."""
        text = f"cast({expression} as varchar)"
        if column.kind is ColumnKind.DECIMAL:
            text = _decimal_text(expression, column.type)
            return f"rtrim(rtrim({text}, '0'), '.')" if _scale(column.type) else text
        if column.kind is ColumnKind.FLOAT:
            whole = f"cast(cast({expression} as hugeint) as varchar)"
            is_whole = f"{expression} = trunc({expression}) and abs({expression}) < 1e38"
            return f"case when {is_whole} then {whole} else {text} end"
        return _exact(text) if column.kind is ColumnKind.TEXT else text

    def utc(self, expression: str, kind: ColumnKind) -> str:
        """Turn a time with zone to UTC; without one it counts as UTC. Days go on where moments end: infinity."""
        if kind is ColumnKind.DATE:
            beyond = f"case when {expression} > date '1970-01-01' then timestamp 'infinity' "
            beyond += f"when {expression} is not null then timestamp '-infinity' end"
            return f"coalesce(try_cast({expression} as timestamp), {beyond})"
        utc = f"timezone('UTC', {expression})" if kind is ColumnKind.TIMESTAMPTZ else expression
        return f"cast({utc} as timestamp)"

    def is_object_id(self, expression: str) -> str:
        """A regular expression; `translate` takes thirty times as long."""
        return f"regexp_full_match({expression}, '[0-9a-f]{{24}}')"

    def only(self, expression: str, characters: str) -> str:
        """A regular expression; `translate` takes thirty times as long."""
        return f"regexp_full_match({expression}, '[{re.escape(characters)}]+')"

    def within(self, expression: str, limit: int) -> str:
        """By way of 64 bits: DuckDB casts a `UHUGEINT` to compare it with what may be negative, and fails."""
        return f"try_cast({expression} as bigint) between -{limit} and {limit}"

    def digest(self, text: str) -> str:
        """`md5`."""
        return f"md5({text})"

    def digest_number(self, hex_digits: str) -> str:
        """A cast of `0x…`."""
        return f"cast('0x' || {hex_digits} as bigint)"

    def contains(self, text: str, part: str) -> str:
        """Look for one text in another."""
        return f"position({part} in {text}) > 0"

    def alike(self, old: str, new: str) -> bool:
        """Numbers are, and times, and nested values of the same names and of types that are alike."""
        return _alike(types.parse(old), types.parse(new), nested=False)

    def fits(self, expression: str, old: str, new: str) -> str:
        """Cast there and back without failing: comparing across types would round on the way."""
        ways = [f"try_cast({source} as {new})" for source in _sources(expression, old, new)]
        return f"({' or '.join(_comes_back(there, expression, old, new) for there in ways)})"

    def converted(self, expression: str, old: str, new: str) -> str:
        """A cast, by way of the text where that comes back as what it was."""
        *others, direct = _sources(expression, old, new)
        ways = [f"try_cast({source} as {new})" for source in others]
        tried = "".join(f"when {_comes_back(way, expression, old, new)} then {way} " for way in ways)
        cast = f"cast({direct} as {new})"
        return f"case {tried}else {cast} end" if tried else cast

    def rename_table(self, path: tuple[str, str], old: str, new: str) -> str:
        """The new name stands alone."""
        table = ".".join(self.quote(part) for part in (*path, old))
        return f"alter table {table} rename to {self.quote(new)}"

    def retyped(self, table: str, column: str, type_name: str, value: str) -> tuple[str, ...]:
        """`using` says what becomes of what is there."""
        return (f"alter table {table} alter column {column} type {type_name} using {value}",)

    def update_from(self, table: str, changes: str, source: str, condition: str) -> str:
        """`update … from`."""
        return f"update {table} set {changes} from {source} where {condition}"

    def unfit(self, expression: str, column: Column) -> str | None:
        """NaN and ±Infinity, infinite and far-off times, and whole kinds without a JSON form."""
        if column.kind is ColumnKind.UNSUPPORTED:
            return f"{expression} is not null"
        return types.any_of(expression, types.parse(column.type), _unfit)

    def json(self, expression: str, column: Column) -> str:
        """Write times as they are sent, all else with DuckDB's own `to_json`."""
        return f"coalesce({self.wire(expression, column, WireForm.JSON)}, 'null')"

    def json_text(self, expression: str) -> str:
        """`to_json`."""
        return f"cast(to_json({expression}) as varchar)"

    def float_text(self, expression: str) -> str:
        """The shortest text of the double: a float of four bytes has more digits as one."""
        return f"cast(cast({expression} as double) as varchar)"

    def wire(self, expression: str, column: Column, form: WireForm) -> str:
        """Fetch a value in the form in which it is sent."""
        match form:
            case WireForm.TEXT:
                return f"cast({expression} as varchar)"
            case WireForm.NUMBER:
                return _decimal_text(expression, column.type)
            case WireForm.KEY:
                return self.key_text(expression, column)
            case WireForm.INSTANT:
                return _instant(expression, column.kind)
            case WireForm.DAY_NUMBER:
                return f"date_diff('day', date '1970-01-01', cast({_utc(expression, column.kind)} as date))"
            case WireForm.DAY_TEXT:
                return f"strftime(cast({_utc(expression, column.kind)} as date), '%Y-%m-%d')"
            case WireForm.JSON:
                changed = types.rebuilt(expression, types.parse(column.type), _json)
                return f"cast(to_json({changed or expression}) as varchar)"
            case WireForm.NATIVE:
                return expression


def _kind(leaf: str) -> ColumnKind:
    leaf = leaf.upper()  # our own stored types are written small
    if leaf.startswith("DECIMAL("):
        return ColumnKind.DECIMAL
    if leaf.startswith("ENUM("):
        return ColumnKind.TEXT
    return _KINDS.get(leaf, ColumnKind.UNSUPPORTED)


def _keyed_by_parts(of: types.DuckDBType) -> bool:
    """Whether there is a map inside whose keys are lists, structs or maps: JSON keys are texts."""
    match of:
        case types.Leaf():
            return False
        case types.ListOf(item):
            return _keyed_by_parts(item)
        case types.MapOf(key, value):
            return not isinstance(key, types.Leaf) or _keyed_by_parts(value)
        case types.StructOf(fields):
            return any(_keyed_by_parts(part) for _, part in fields)


def _stored(leaf: str) -> str:
    kind = _kind(leaf)
    if kind is ColumnKind.TEXT:
        return "VARCHAR"
    return "TIMESTAMP" if kind is ColumnKind.TIMESTAMP else leaf


def _canonical(expression: str, leaf: str) -> str | None:
    kind = _kind(leaf)
    if kind in _INSTANTS:
        if leaf == "TIMESTAMP_NS":
            return _floored(expression)
        moment = expression if leaf.startswith("TIMESTAMP ") else f"cast({expression} as timestamp)"
        return f"date_trunc('millisecond', {moment})"
    if kind is ColumnKind.TEXT:
        return f"cast({expression} as varchar)" if leaf != "VARCHAR" else None
    if kind is ColumnKind.JSON:
        text = f"json({expression})"
        whole = f"regexp_replace({text}, '{_OTHER_THAN_WHOLE}|{_WHOLE}', '\\1\\2', 'g')"
        return f"case when contains({text}, '.0') then cast({whole} as json) else {text} end"
    return None


def _exact(text: str) -> str:
    """Compare a text as it is, here and wherever it goes: a collation of its column's would go with it.

    `c` is the same as `binary`, which DuckDB 2.0 cannot read in what it writes of a table.
    """
    return f"{text} collate c"


def _floored(expression: str) -> str:
    """Cut nanoseconds to milliseconds: a cast cuts them in DuckDB 1.5 and rounds them in 2.0."""
    nanoseconds = f"epoch_ns({expression})"
    before = f"case when {nanoseconds} % 1000000 < 0 then 1 else 0 end"
    moment, milliseconds = f"cast({expression} as timestamp)", f"({nanoseconds} // 1000000 - {before})"
    return f"case when isinf({moment}) then {moment} else make_timestamp({milliseconds} * 1000) end"


def _unfit(expression: str, leaf: str) -> str | None:
    kind = _kind(leaf)
    if kind is ColumnKind.FLOAT:
        return f"(isnan({expression}) or isinf({expression}))"
    if kind in _TIMES:
        # Beyond four digits there is no ISO 8601 text that others read. With a zone, years before 1 count backwards.
        return f"(isinf({expression}) or year({_utc(expression, kind)}) not between 1 and 9999)"
    if kind is ColumnKind.JSON:
        bare = f"regexp_replace({expression}, '{_STRING}', '', 'g')"
        suspect = f"(contains({expression}, 'NaN') or contains({expression}, 'Inf'))"
        return f"({suspect} and regexp_matches({bare}, 'NaN|Inf'))"
    return None


def _json(expression: str, leaf: str) -> str | None:
    kind = _kind(leaf)
    if kind in _INSTANTS:
        return _instant(expression, kind)
    if not _has_no_zero(leaf):
        return None
    width = _scale(leaf)
    if width < _WIDEST:
        return f"cast({expression} as decimal({width + 1},{width}))"
    return (
        f"cast({_decimal_text(expression, leaf)} as json)"  # read as a double, the only one that is not exact
    )


def _utc(expression: str, kind: ColumnKind) -> str:
    return f"timezone('UTC', {expression})" if kind is ColumnKind.TIMESTAMPTZ else expression


def _instant(expression: str, kind: ColumnKind) -> str:
    return f"strftime(cast({_utc(expression, kind)} as timestamp), '%Y-%m-%dT%H:%M:%S.%gZ')"


def _hashed(value: str, column: Column) -> tuple[str, str]:
    """What the two fingerprints hash of a value."""
    found = types.decimal(column.type)
    if column.type.upper() in _HASHED_AS_NUMBERS or (found and found[0] <= _DIGITS_OF_64_BITS):
        return value, f"{value}, {value} is null"
    text = f"cast({value} as varchar)"
    ahead = value if column.kind in (ColumnKind.TEXT, ColumnKind.NESTED) else text
    return ahead, f"'x' || {text}"


def _scale(leaf: str) -> int:
    found = types.decimal(leaf)
    return found[1] if found else 0


def _has_no_zero(leaf: str) -> bool:
    """Whether DuckDB writes this decimal without a digit before its point: `.50` is no JSON."""
    found = types.decimal(leaf)
    return found is not None and found[0] == found[1]


def _decimal_text(expression: str, leaf: str) -> str:
    text = f"cast({expression} as varchar)"
    if _has_no_zero(leaf):
        return f"case when {expression} < 0 then '-0' || substr({text}, 2) else '0' || {text} end"
    return text


def _sources(expression: str, old: str, new: str) -> tuple[str, ...]:
    """What to cast to another type, the best first.

    The shortest text of a float is the decimal that was meant: DuckDB makes 1234567.8899999998 of the double 1234567.89
    where a decimal has ten digits behind its point. But DECIMAL(18,18) reads no `5e-16`.
    """
    before = types.parse(old)
    by_text = _floats_as_text(before, types.parse(new))
    return (
        (expression,) if by_text == before else (f"cast({expression} as {types.render(by_text)})", expression)
    )


def _floats_as_text(old: types.DuckDBType, new: types.DuckDBType) -> types.DuckDBType:
    """The old type with texts where floats become decimals; both types are alike."""
    match old, new:
        case types.Leaf(one), types.Leaf(other):
            becomes = (_kind(one), _kind(other)) == (ColumnKind.FLOAT, ColumnKind.DECIMAL)
            return types.Leaf("VARCHAR") if becomes else old
        case types.ListOf(one, size), types.ListOf(other):
            return types.ListOf(_floats_as_text(one, other), size)
        case types.MapOf(key, one), types.MapOf(_, other):
            return types.MapOf(key, _floats_as_text(one, other))
        case types.StructOf(fields), types.StructOf(new_fields):
            parts = dict(new_fields)
            return types.StructOf(
                tuple((name, _floats_as_text(p, parts[name]) if name in parts else p) for name, p in fields)
            )
        case _:
            return old


def _comes_back(there: str, expression: str, old: str, new: str) -> str:
    """The condition that a value is found again in what was made of it."""
    if ColumnKind.DECIMAL not in map(
        _kind, (*types.leaves(types.parse(old)), *types.leaves(types.parse(new)))
    ):
        return f"try_cast({there} as {old}) is not distinct from {expression}"
    shape = types.render(types.replaced(types.parse(new), lambda _: "VARCHAR"))
    text = f"try_cast(cast({there} as {shape}) as {old}) is not distinct from {expression}"
    return f"({text} or coalesce({expression} = try_cast({there} as {old}), false))"


def _alike(old: types.DuckDBType, new: types.DuckDBType, *, nested: bool) -> bool:
    match old, new:
        case types.Leaf(one), types.Leaf(other):
            kinds = {_kind(one), _kind(other)}
            if kinds <= set(_NUMBERS):
                return one == other or "BIGNUM" not in (one, other)  # DuckDB cannot cast it to all others
            return one == other or kinds <= set(_INSTANTS if nested else _TIMES)
        case types.ListOf(one), types.ListOf(other):
            return _alike(one, other, nested=True)
        case types.MapOf(key, one), types.MapOf(new_key, other):
            return key == new_key and _alike(one, other, nested=True)
        case types.StructOf(fields), types.StructOf(new_fields):
            parts = dict(new_fields)
            return {name for name, _ in fields} == set(parts) and all(
                _alike(part, parts[name], nested=True) for name, part in fields
            )
        case _:
            return False
