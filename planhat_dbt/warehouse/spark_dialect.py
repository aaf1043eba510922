"""Spark's and Databricks' spelling of the expressions in `port.Dialect`."""

from __future__ import annotations

import re
from typing import Final

from planhat_dbt.warehouse.ansi import TIMES, LakeDialect
from planhat_dbt.warehouse.port import Column, ColumnKind

_KINDS: Final[dict[str, ColumnKind]] = {
    **dict.fromkeys(("string", "varchar", "char"), ColumnKind.TEXT),
    **dict.fromkeys(("tinyint", "smallint", "int", "integer", "bigint", "long"), ColumnKind.INTEGER),
    "decimal": ColumnKind.DECIMAL,
    **dict.fromkeys(("float", "double"), ColumnKind.FLOAT),
    "boolean": ColumnKind.BOOLEAN,
    "date": ColumnKind.DATE,
    "timestamp": ColumnKind.TIMESTAMPTZ,
    "timestamp_ntz": ColumnKind.TIMESTAMP,
    "variant": ColumnKind.JSON,
    **dict.fromkeys(("array", "map", "struct"), ColumnKind.NESTED),
}
_SPECIAL: Final = re.compile(r"[\\']|(?<=\$)\{")
"""What a backslash stands before in a text. `${` would begin a variable, which Spark replaces in texts, too."""


class SparkDialect(LakeDialect):
    """Spark's SQL. Times are instants, which the session shows in UTC."""

    name = "spark"
    placeholder = "?"
    text = "string"
    integer = "bigint"
    bigint = "bigint"
    boolean = "boolean"
    double = "double"
    timestamp = "timestamp"
    utc_now = "current_timestamp()"
    numbering = "order by _key"

    def quote(self, name: str) -> str:
        """Quote an identifier."""
        return "`" + name.replace("`", "``") + "`"

    def literal(self, text: str) -> str:
        """Write a text literal, in which a backslash escapes."""
        return "'" + _SPECIAL.sub(lambda found: "\\" + found[0], text) + "'"

    def kind(self, type_name: str) -> ColumnKind:
        """Classify a type by the name `describe` prints."""
        return _KINDS.get(re.split(r"[(<]", type_name.lower())[0], ColumnKind.UNSUPPORTED)

    def stored_type(self, column: Column) -> str:
        """Keep the model's type; documents as their JSON text, times as instants."""
        match column.kind:
            case ColumnKind.TEXT | ColumnKind.UNSUPPORTED | ColumnKind.JSON | ColumnKind.NESTED:
                return self.text
            case ColumnKind.INTEGER:
                return self.bigint
            case ColumnKind.TIMESTAMP | ColumnKind.TIMESTAMPTZ:
                return self.timestamp
            case _:
                return column.type.lower()

    def canonical(self, expression: str, column: Column) -> str:
        """Cut times to milliseconds, write documents as JSON; numbers are compared by value."""
        match column.kind:
            case ColumnKind.UNSUPPORTED:
                return "cast(null as string)"
            case ColumnKind.TEXT:
                padded = column.type.lower().startswith("char")
                return f"rtrim({expression})" if padded else expression
            case ColumnKind.INTEGER:
                return f"cast({expression} as bigint)"
            case ColumnKind.TIMESTAMP | ColumnKind.TIMESTAMPTZ:
                return f"date_trunc('millisecond', {self.utc(expression, column.kind)})"
            case ColumnKind.JSON:
                return f"to_json({expression})"
            case ColumnKind.NESTED:
                return f"to_json({expression}, map('ignoreNullFields', 'false'))"
            case _:
                return expression

    def key_text(self, expression: str, column: Column) -> str:
        """Write numbers by value: no point in whole ones, no trailing zeros."""
        if column.kind is not ColumnKind.FLOAT:
            return self._text(expression, column)
        whole = f"cast(cast({expression} as decimal(38, 0)) as string)"
        is_whole = f"{expression} % 1 = 0 and abs({expression}) < 1e37"  # `floor` fails beyond 2^63
        usual = f"abs({expression}) between 1e-4 and 1e15"
        other = f"cast({expression} as string)"
        short = self._trimmed(self._digits(expression))
        return f"case when {is_whole} then {whole} when {usual} then {short} else {other} end"

    def _text(self, expression: str, column: Column) -> str:
        match column.kind:
            case ColumnKind.DECIMAL:
                # A cast may write an exponent; `format_string` takes no decimals.
                return self._trimmed(
                    f"translate(format_number({expression}, {_scale(column.type)}), ',', '')"
                )
            case ColumnKind.TIMESTAMP | ColumnKind.TIMESTAMPTZ:
                return self._trimmed(f"date_format({expression}, 'yyyy-MM-dd HH:mm:ss.SSSSSS')")
            case _:
                return f"cast({expression} as string)"

    def utc(self, expression: str, kind: ColumnKind) -> str:
        """An instant, which the session shows in UTC; a time without zone counts as UTC."""
        return expression if kind is ColumnKind.TIMESTAMPTZ else f"cast({expression} as timestamp)"

    def digest_number(self, hex_digits: str) -> str:
        """A number read in base sixteen."""
        return f"cast(conv({hex_digits}, 16, 10) as decimal(38, 0))"  # a sum of bigint ends at 2^63

    def contains(self, text: str, part: str) -> str:
        """Look for one text in another."""
        return f"instr({text}, {part}) > 0"

    def fits(self, expression: str, old: str, new: str) -> str:
        """Convert there and back, by casts that give NULL where others would fail."""
        there = f"try_cast({expression} as {new})"
        return f"try_cast({there} as {old}) is not distinct from {expression}"

    def converted(self, expression: str, old: str, new: str) -> str:  # noqa: ARG002 - other engines need it
        """A cast."""
        return f"cast({expression} as {new})"

    def rename_table(self, path: tuple[str, str], old: str, new: str) -> str:
        """The new name says no catalog: Spark takes none there."""
        before, after = (".".join(map(self.quote, names)) for names in ((*path, old), (path[1], new)))
        return f"alter table {before} rename to {after}"

    def unfit(self, expression: str, column: Column) -> str | None:
        """NaN and ±Infinity, far-off times, and types without a JSON form."""
        if column.kind is ColumnKind.UNSUPPORTED:
            return f"{expression} is not null"
        if column.kind is ColumnKind.FLOAT:
            return f"(isnan({expression}) or abs({expression}) = double('infinity'))"
        if column.kind in TIMES:
            return f"year({expression}) not between 1 and 9999"
        return None

    def json_text(self, expression: str) -> str:
        """The one item of a list in JSON, without the brackets."""
        listed = f"to_json(array(cast({expression} as string)))"
        return f"case when {expression} is not null then substr({listed}, 2, length({listed}) - 2) end"

    def _plain_text(self, expression: str, column: Column) -> str:
        return self._text(expression, column)

    def _instant(self, utc: str) -> str:
        time = f"substr(date_format({utc}, 'HH:mm:ss.SSSSSS'), 1, 12)"
        return f"date_format({utc}, 'yyyy-MM-dd') || 'T' || {time} || 'Z'"

    def _day_number(self, utc: str) -> str:
        return f"datediff(cast({utc} as date), cast('1970-01-01' as date))"

    def _day_text(self, utc: str) -> str:
        return f"date_format({utc}, 'yyyy-MM-dd')"

    def _digits(self, expression: str) -> str:
        return f"format_string('%.25f', {expression})"


def _scale(type_name: str) -> int:
    found = re.search(r",\s*(\d+)\)", type_name)
    return int(found[1]) if found else 0
