"""Amazon Redshift's spelling of the expressions in `port.Dialect`.

A text has 65,535 bytes at most, also one that an expression makes; more would end the statement. So what is put
together of many values takes long ones by their beginning and digest (`json`), or not at all (`json_text`).
"""

from __future__ import annotations

import re
from typing import Final

from planhat_dbt.warehouse.ansi import NUMBERS, TIMES, AnsiDialect, by_another_column
from planhat_dbt.warehouse.port import Column, ColumnKind, WireForm

_KINDS: Final[dict[str, ColumnKind]] = {
    **dict.fromkeys(("smallint", "integer", "bigint"), ColumnKind.INTEGER),
    **dict.fromkeys(("real", "double precision"), ColumnKind.FLOAT),
    **dict.fromkeys(("character varying", "character", "text", "name"), ColumnKind.TEXT),
    "numeric": ColumnKind.DECIMAL,
    "boolean": ColumnKind.BOOLEAN,
    "date": ColumnKind.DATE,
    "timestamp without time zone": ColumnKind.TIMESTAMP,
    "timestamp with time zone": ColumnKind.TIMESTAMPTZ,
    "time without time zone": ColumnKind.TIME,
    "super": ColumnKind.JSON,
}
_MODIFIER: Final = re.compile(r"\(\d+(,-?\d+)?\)")
_NUMERIC: Final = re.compile(r"numeric\((\d+),(\d+)\)")
_BITS: Final = {"smallint": 15, "integer": 31, "bigint": 63}
"""Bits beside the sign."""
_FLOAT_DIGITS: Final = {"real": 6, "double precision": 15}
"""So many decimal digits come back from a float as they went in."""
_TEXT: Final = "varchar(65535)"
_MOST_BYTES: Final = 65535
_TOO_LARGE: Final = "'<too large>'"
"""Stands for a document that no text can hold; JSON never begins so."""
_SHOWN_BYTES: Final = 250
"""Of one value among many; those of a hundred fields, old and new, fit in a text."""
_SHOWN_BEGINNING: Final = 40
_PLAIN_BYTES: Final = 500
_WHOLE_FLOAT: Final = "9e15"
"""Below it, a whole float is exactly one bigint."""
_NOT_FINITE: Final = "('nan', 'infinity', '-infinity', 'inf', '-inf')"
_BACKSLASH: Final = "chr(92)"
"""Whether a backslash in a literal escapes hangs on a setting: none is ever written."""
_ESCAPES: Final = (
    (_BACKSLASH, f"{_BACKSLASH} || {_BACKSLASH}"),
    ("'\"'", f"{_BACKSLASH} || '\"'"),
    ("chr(10)", f"{_BACKSLASH} || 'n'"),
    ("chr(13)", f"{_BACKSLASH} || 'r'"),
    ("chr(9)", f"{_BACKSLASH} || 't'"),
)
"""What JSON escapes, the backslash first."""
_CONTROLS: Final = "".join(chr(code) for code in range(1, 32) if code not in (9, 10, 13))
"""Characters that JSON escapes by their number."""


class RedshiftDialect(AnsiDialect):
    """Redshift's SQL. Sessions run in UTC. Names, quoted or not, are kept in small letters unless a setting differs."""

    name = "redshift"
    placeholder = "%s"
    text = _TEXT
    integer = "integer"
    bigint = "bigint"
    boolean = "boolean"
    double = "double precision"
    timestamp = "timestamp"
    utc_now = "cast(getdate() as timestamp)"
    numbering = "order by _key"

    def quote(self, name: str) -> str:
        """Quote an identifier."""
        return '"' + name.replace('"', '""') + '"'

    def literal(self, text: str) -> str:
        """Write a text literal; Redshift keeps no NUL characters."""
        parts = text.replace("\0", "").replace("'", "''").split("\\")
        if len(parts) == 1:
            return f"'{parts[0]}'"
        return "(" + f" || {_BACKSLASH} || ".join(f"'{part}'" for part in parts) + ")"

    def wire(self, expression: str, column: Column, form: WireForm) -> str:
        """A float of four bytes as the double that it is in JSON."""
        if form is WireForm.NATIVE and column.type == "real":
            return f"cast({expression} as double precision)"
        return super().wire(expression, column, form)

    def find_schema(self, schema: str) -> str:
        """PostgreSQL wants the right to make schemas for `if not exists`, too."""
        names = f"{self.literal(schema)}, {self.literal(schema.lower())}"
        return f"select 1 from pg_catalog.pg_namespace where nspname in ({names})"

    def create_schema(self, database: str, schema: str) -> str:
        """A schema is made in the database of the connection."""
        del database
        return f"create schema if not exists {self.quote(schema)}"

    def kind(self, type_name: str) -> ColumnKind:
        """Classify a type by the name `format_type` prints."""
        return _KINDS.get(_MODIFIER.sub("", type_name.lower()), ColumnKind.UNSUPPORTED)

    def stored_type(self, column: Column) -> str:
        """Keep the model's type; texts at their longest, documents as their JSON text, which can be compared."""
        if column.kind in (ColumnKind.TEXT, ColumnKind.UNSUPPORTED, ColumnKind.JSON):
            return _TEXT
        return column.type

    def canonical(self, expression: str, column: Column) -> str:
        """Cut times to milliseconds, write documents as JSON; numbers are compared by value."""
        match column.kind:
            case ColumnKind.UNSUPPORTED:
                return f"cast(null as {_TEXT})"
            case ColumnKind.TEXT:
                return f"cast({expression} as {_TEXT})"
            case ColumnKind.TIMESTAMP | ColumnKind.TIMESTAMPTZ:
                return f"cast(date_trunc('milliseconds', {expression}) as {column.type})"
            case ColumnKind.JSON:
                return (
                    f"case when {expression} is null then null when json_size({expression}) > {_MOST_BYTES} "
                    f"then {_TOO_LARGE} else json_serialize({expression}) end"
                )
            case _:
                return expression

    def differs(self, left: str, right: str, kind: ColumnKind) -> str:
        """Redshift has no `is distinct from`. Blanks at the end of a text count here, which `<>` passes over."""
        unlike = f"{left} <> {right}"
        if kind in (ColumnKind.TEXT, ColumnKind.JSON, ColumnKind.UNSUPPORTED):
            unlike = f"({unlike} or length({left}) <> length({right}))"
        return f"case when {left} is null then {right} is not null when {right} is null then true else {unlike} end"

    def key_text(self, expression: str, column: Column) -> str:
        """Write numbers by value: no point in whole ones, no trailing zeros."""
        match column.kind:
            case ColumnKind.DECIMAL:
                return _trimmed(f"cast({expression} as {_TEXT})")
            case ColumnKind.FLOAT:
                whole = f"{expression} = trunc({expression}) and abs({expression})"
                return (
                    f"case when {whole} < {_WHOLE_FLOAT} then cast(cast({expression} as bigint) as {_TEXT}) "
                    f"when {whole} < 1e37 then cast(cast({expression} as numeric(38,0)) as {_TEXT}) "
                    f"else cast({expression} as {_TEXT}) end"
                )
            case _:
                return self._plain_text(expression, column)

    def utc(self, expression: str, kind: ColumnKind) -> str:
        """Turn a time with zone to UTC; without one it counts as UTC."""
        utc = f"({expression}) at time zone 'UTC'" if kind is ColumnKind.TIMESTAMPTZ else expression
        return f"cast({utc} as timestamp)"

    def digest_number(self, hex_digits: str) -> str:
        """A number read in base sixteen."""
        return f"strtol({hex_digits}, 16)"

    def alike(self, old: str, new: str) -> bool:
        """Numbers are, and times; but no two sizes of floats, which have other digits."""
        kinds = (self.kind(old), self.kind(new))
        both_floats = kinds == (ColumnKind.FLOAT, ColumnKind.FLOAT)
        return old == new or (set(kinds) <= set(NUMBERS) and not both_floats) or set(kinds) <= set(TIMES)

    def fits(self, expression: str, old: str, new: str) -> str:
        """Test the number's range and digits before any cast, as casts that fail end the statement."""
        if self.kind(old) not in NUMBERS:
            test = f"cast(cast({expression} as {new}) as {old}) = {expression}"
        elif old in _FLOAT_DIGITS:
            test = _is_decimal(expression, old, new)
        elif new in _FLOAT_DIGITS:
            test = _has_few_digits(expression, old, _FLOAT_DIGITS[new])
        else:
            test = _holds(expression, old, new)
        return f"({expression} is null or ({test}))"

    def converted(self, expression: str, old: str, new: str) -> str:  # noqa: ARG002 - other engines need it
        """A cast."""
        return f"cast({expression} as {new})"

    def retyped(self, table: str, column: str, type_name: str, value: str) -> tuple[str, ...]:
        """By a new column: `alter column … type` is for lengths of texts, and for no transaction."""
        return by_another_column(table, column, type_name, value)

    def unfit(self, expression: str, column: Column) -> str | None:
        """NaN and ±Infinity, far-off times, documents that are too large, and types without a JSON form."""
        if column.kind is ColumnKind.UNSUPPORTED:
            return f"{expression} is not null"
        if column.kind is ColumnKind.FLOAT:
            return f"lower(cast({expression} as {_TEXT})) in {_NOT_FINITE}"
        if column.kind is ColumnKind.JSON:
            return f"{expression} = {_TOO_LARGE}"
        if column.kind in TIMES:
            return f"extract(year from {self.utc(expression, column.kind)}) not between 1 and 9999"
        return None

    def json(self, expression: str, column: Column) -> str:
        """Write a stored value as JSON text, NULL as `null`; of a long one its beginning and digest, as a text."""
        text = super().json(expression, column)
        if column.kind not in (ColumnKind.TEXT, ColumnKind.JSON):
            return text
        beginning = _without_controls(_escaped(f"left({expression}, {_SHOWN_BEGINNING})"))
        short = f"""'"' || {beginning} || '… md5 ' || md5({expression}) || '"'"""
        return f"case when {_is_odd(expression, _SHOWN_BYTES)} then {short} else {text} end"

    def json_text(self, expression: str) -> str:
        """Escape what JSON wants escaped; a long text, or one with rare control characters, becomes NULL."""
        odd = _is_odd(expression, _PLAIN_BYTES)
        return f"""case when {odd} then null else '"' || {_escaped(expression)} || '"' end"""

    def float_text(self, expression: str) -> str:
        """The text of the float if a float reads it back, with a point in any case; else NULL."""
        number = f"cast({expression} as double precision)"
        text = f"cast({number} as {_TEXT})"
        exact = f"strpos(lower({text}), 'e') = 0 and cast({text} as double precision) = {number}"
        return (
            f"case when {expression} = trunc({expression}) then cast(cast({expression} as bigint) as {_TEXT}) || '.0' "
            f"when {exact} then {text} end"
        )

    def _plain_text(self, expression: str, column: Column) -> str:
        if column.kind is ColumnKind.BOOLEAN:  # it has no cast to text
            return f"case when {expression} then 'true' when not {expression} then 'false' end"
        return f"cast({expression} as {_TEXT})"

    def _instant(self, utc: str) -> str:
        day, time = f"to_char({utc}, 'YYYY-MM-DD')", f"to_char({utc}, 'HH24:MI:SS.MS')"
        return f"{day} || 'T' || {time} || 'Z'"

    def _day_number(self, utc: str) -> str:
        return f"datediff(day, cast('1970-01-01' as date), cast({utc} as date))"

    def _day_text(self, utc: str) -> str:
        return f"to_char({utc}, 'YYYY-MM-DD')"

    def _json(self, expression: str, column: Column) -> str:
        kind = column.kind
        if kind is ColumnKind.JSON:
            return expression
        if kind in (*NUMBERS, ColumnKind.BOOLEAN):
            return self._plain_text(expression, column)
        if kind in (ColumnKind.TIMESTAMP, ColumnKind.TIMESTAMPTZ):
            return f"""'"' || {self._instant(self.utc(expression, kind))} || '"'"""
        return f"""'"' || {_escaped(self._plain_text(expression, column))} || '"'"""


def _trimmed(text: str) -> str:
    """A number without the zeros at the end of its fraction."""
    return f"case when strpos({text}, '.') > 0 then rtrim(rtrim({text}, '0'), '.') else {text} end"


def _escaped(text: str) -> str:
    """A text with JSON's escapes of a backslash, quotes and the usual control characters."""
    for character, escape in _ESCAPES:
        text = f"replace({text}, {character}, {escape})"
    return text


def _without_controls(text: str) -> str:
    return f"translate({text}, '{_CONTROLS}', '')"


def _is_odd(text: str, most_bytes: int) -> str:
    """Test for a text that is too long to be put together with others, or wants rare escapes."""
    return f"(octet_length({text}) > {most_bytes} or {text} <> {_without_controls(text)})"


def _holds(number: str, old: str, new: str) -> str:
    """Whether an exact type can hold a number of another; no literal has more digits than the old type."""
    (width, scale), (room, decimals) = _digits(old), _digits(new)
    tests = []
    if scale > decimals:
        tests.append(f"{number} = round({number}, {decimals})")
    if new in _BITS and width >= room:
        limit = 2 ** _BITS[new]
        tests.append(f"{number} between -{limit} and {limit - 1}")
    elif width > room:
        tests.append(f"abs({number}) < {10**room}")
    return " and ".join(tests) or "1 = 1"


def _has_few_digits(number: str, old: str, digits: int) -> str:
    """Whether a float of so many digits gives an exact number back as it is."""
    width, scale = _digits(old)
    return f"abs({number}) < {10 ** max(digits - scale, 0)}" if width + scale > digits else "1 = 1"


def _is_decimal(number: str, old: str, new: str) -> str:
    """Whether a float is a number of the new, exact type; NaN and ±Infinity are not smaller than anything."""
    width, scale = _digits(new)
    limit = 10 ** max(min(width - 1 if new in _BITS else width, _FLOAT_DIGITS[old] - scale), 0)
    return f"case when abs({number}) < {limit} then cast(cast({number} as {new}) as {old}) = {number} else false end"


def _digits(type_name: str) -> tuple[int, int]:
    """How many digits a number of the type may have before its point, and after it."""
    if type_name in _BITS:
        return len(str(2 ** _BITS[type_name])), 0
    found = _NUMERIC.fullmatch(type_name)
    width, scale = (
        (int(found[1]), int(found[2])) if found else (18, 0)
    )  # as the reference says of a bare `numeric`
    return width - scale, scale
