"""The expression by which the warehouse writes a planned row as JSON, where all its values are plain.

It is NULL for any other row: `payload` then does what it always can. Both write the same JSON values.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Final

import orjson

from planhat_dbt.declaration.types import Constant, Lookup
from planhat_dbt.objects import FieldType
from planhat_dbt.plain import Check, Plain
from planhat_dbt.warehouse.port import ColumnKind, WireForm
from planhat_dbt.warehouse.text import concatenated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from planhat_dbt.binding import BoundField
    from planhat_dbt.warehouse.port import Dialect

_SAFE_INTEGER: Final = 2**53
_SAFE_LENGTH: Final = 15
_WORD: Final = string.ascii_letters + string.digits + "_.-"
_INSERT: Final = "p._operation = 'insert'"
_OF_TIMES: Final = (WireForm.INSTANT, WireForm.DAY_NUMBER, WireForm.DAY_TEXT)
"""What functions write: who knows for certain that they never give NULL?"""


def _email(dialect: Dialect, source: str, _: Plain) -> str:
    one_at = f"length({source}) - length(replace({source}, '@', '')) = 1"
    inside = f"{source} not like '@%' and {source} not like '%@'"
    return f"({dialect.only(source, _WORD + '+@')} and {one_at} and {inside})"


def _usual_float(double: str) -> str:
    """Of the double that is sent: the float of four bytes nearest to 0.0001 is less than that."""
    return f"({double} = 0 or (abs({double}) >= 0.0001 and abs({double}) < 1e15))"


_TESTS: Final[dict[Check, Callable[[Dialect, str, Plain], str]]] = {
    Check.NONE: lambda *_: "",
    Check.SAFE_INTEGER: lambda dialect, source, _: dialect.within(source, _SAFE_INTEGER),
    Check.SHORT_NUMBER: lambda _, source, __: f"length({source}) <= {_SAFE_LENGTH}",
    Check.USUAL_FLOAT: lambda _, source, __: _usual_float(source),
    Check.ONE_OF: lambda dialect, source, plain: (
        f"{source} in ({', '.join(map(dialect.literal, plain.values))})"
    ),
    Check.NOT_EMPTY: lambda _, source, __: f"{source} <> ''",
    Check.WORD: lambda dialect, source, _: dialect.only(source, _WORD),
    Check.EMAIL: _email,
    Check.OBJECT_ID: lambda dialect, source, _: dialect.is_object_id(source),
}
"""When a value is plain, as SQL; empty: always."""


class FieldItem:
    """How one mapped field is written, as SQL."""

    def __init__(
        self, dialect: Dialect, bound: BoundField, source: str, name: str, empty: object, *, skip: bool
    ):
        """Gather what is known of the field.

        Args:
            dialect: The warehouse's.
            bound: The field.
            source: Its value in the form in which it is sent.
            name: Its name on the wire.
            empty: What a NULL is sent as.
            skip: Whether a NULL is not sent with a whole row.
        """
        self._dialect = dialect
        self._bound = bound
        self._source = source
        self._label = f",{_json(name)}:"
        self._empty = f",{_json(name)}:{_json(empty)}"
        self._skip = skip
        self.target = bound.mapping.target
        self.custom = bound.mapping.custom_name is not None

    @property
    def usable(self) -> bool:
        """Whether any value of it is plain."""
        source = self._bound.mapping.source
        return isinstance(source, Constant | Lookup) or self._bound.conversion.plain is not None

    @property
    def present(self) -> str:
        """The condition that it has a value."""
        return f"p.{self._dialect.quote(self._bound.name)} is not null"

    @property
    def always_sent(self) -> bool:
        """Whether a whole row has it, whatever its value."""
        return not self._skip

    def part(self, when_changed: str) -> str:
        """Write the member of the row's object with a comma before it, or nothing, where it is not sent."""
        return (
            f"case when not ({_INSERT} or {when_changed}) then '' "
            f"when {self.present} then {self._member()} "
            f"when {_INSERT} then {self._nothing()} else {self._dialect.literal(self._empty)} end"
        )

    def whole_part(self) -> str:
        """Write the same of a row that is sent whole and of which `whole_test` holds: never NULL."""
        member = self._dialect.joined([self._dialect.literal(self._label), self._value()])
        return f"case when {self.present} then {member} else {self._nothing()} end"

    def whole_test(self) -> str:
        """The condition that the value is plain, or none; empty: it always is."""
        tests = [self._test()]
        if self._bound.conversion.form in _OF_TIMES and not isinstance(self._bound.mapping.source, Constant):
            tests.append(f"({self._source}) is not null")
        test = " and ".join(filter(None, tests))
        return f"(not ({self.present}) or ({test}))" if test else ""

    def _nothing(self) -> str:
        return "''" if self._skip else self._dialect.literal(self._empty)

    def _member(self) -> str:
        member = f"{self._dialect.literal(self._label)} || {self._value()}"
        test = self._test()
        return f"case when {test} then {member} end" if test else member

    def _value(self) -> str:
        mapping = self._bound.mapping
        if isinstance(mapping.source, Constant):
            return self._dialect.literal(_json(mapping.source.value))
        plain = self._plain()
        text = f"{self._dialect.literal(plain.prefix)} || {self._source}" if plain.prefix else self._source
        if plain.quoted:
            quoted = self._dialect.json_text(text)
            return f"'[' || {quoted} || ']'" if self._is_list() else quoted
        if plain.check is Check.USUAL_FLOAT:
            return self._dialect.float_text(text)
        if self._bound.kind is ColumnKind.BOOLEAN:  # not every engine casts one to text
            return self._dialect.json(text, self._bound.stored)
        return f"cast({text} as {self._dialect.text})"

    def _test(self) -> str:
        if isinstance(self._bound.mapping.source, Constant):
            return ""
        plain, source = self._plain(), self._source
        test = _TESTS[plain.check](self._dialect, source, plain)
        if plain.least is None:
            return test
        enough = f"cast({source} as {self._dialect.double}) >= {plain.least}"
        return f"({test} and {enough})" if test else enough

    def _plain(self) -> Plain:
        if isinstance(self._bound.mapping.source, Lookup):
            return Plain(quoted=True, check=Check.NOT_EMPTY)
        plain = self._bound.conversion.plain
        assert plain is not None  # noqa: S101 - `usable` was asked
        return plain

    def _is_list(self) -> bool:
        lookup = isinstance(self._bound.mapping.source, Lookup)
        return lookup and self._bound.mapping.field.type is FieldType.IDS


def source_of(dialect: Dialect, number: int, bound: BoundField) -> str:
    """The value of a field in the form in which it is fetched; look-ups are joined as `l<number>`."""
    column = f"p.{dialect.quote(bound.name)}"
    if isinstance(bound.mapping.source, Lookup):
        return f"case when {column} is not null then coalesce(l{number}.planhat_id, '') end"
    if isinstance(bound.mapping.source, Constant):
        return dialect.wire(column, bound.stored, WireForm.NATIVE)
    if bound.kind is ColumnKind.FLOAT and bound.conversion.form is WireForm.NATIVE:
        return f"cast({column} as {dialect.double})"  # drivers read a short float with the fewest digits
    return dialect.wire(column, bound.stored, bound.conversion.form)


class ItemWriter:
    """Writes the whole object of a row, as SQL."""

    def __init__(
        self,
        dialect: Dialect,
        fields: Sequence[FieldItem],
        *,
        fixed: Mapping[str, object],
        key_name: str | None,
        match: str | None,
        company: int | None,
        whole: bool,
    ) -> None:
        """Gather what is known of the rows.

        Args:
            dialect: The warehouse's.
            fields: The mapped fields.
            fixed: Members that every row of the object has.
            key_name: The match key on the wire; None: rows are sent without one.
            match: The match key as declarations name it.
            company: The field that must go with a key, since the key is unique only within a company.
            whole: Whether all rows are inserts, which takes less to write.
        """
        self._dialect = dialect
        self._fields = fields
        self._fixed = "".join(f",{_json(name)}:{_json(value)}" for name, value in fixed.items())
        self._key_name = key_name
        self._match = match
        self._company = company
        self._whole = whole

    @property
    def rekeyed(self) -> str:
        """The condition that a row gives a record that exists another key."""
        return f"({self._changed(self._match)})" if self._match and not self._whole else "1 = 0"

    @property
    def text(self) -> str:
        """The JSON object of the row, NULL where a value is not plain."""
        whole, literal = self._whole, self._dialect.literal
        joined = (
            self._dialect.joined if whole else concatenated
        )  # of inserts no part is NULL: the tests go first
        parts = [(f, f.whole_part() if whole else self._part(i, f)) for i, f in enumerate(self._fields)]
        members = [literal(self._fixed), *self._keys(), *(part for f, part in parts if not f.custom)]
        if custom := [part for f, part in parts if f.custom]:
            opened, none = literal(',"custom": {'), literal(',"custom": {}')
            object_of = joined([opened, f"substr({joined(custom)}, 2)", "'}'"])
            always = whole and any(f.custom and f.always_sent for f in self._fields)
            # Written with a space, `none` stands nowhere else. The parts are written once, for speed.
            members.append(object_of if always else f"replace({object_of}, {none}, '')")
        text = joined(["'{'", f"substr({joined(members)}, 2)", "'}'"])
        if not whole:
            return text
        tests = ["p._key is not null", *(test for f in self._fields if (test := f.whole_test()))]
        return f"case when {' and '.join(tests)} then {text} end"

    def _keys(self) -> list[str]:
        if self._whole and self._key_name != "_id":
            return [self._member(self._key_name, "p._key")] if self._key_name else []
        if not self._key_name:
            return [f"case when {_INSERT} then '' else {self._member('_id', 'p._planhat_id')} end"]
        if self._key_name == "_id":
            return [self._member("_id", "coalesce(p._planhat_id, p._key)")]
        by_key = self._member(self._key_name, "p._key")
        by_id = self._member("_id", "p._planhat_id")
        new_key = f"case when {self.rekeyed} then {by_key} else '' end"
        # Without its id, a new key would make another record: `payload` refuses that row.
        without_id = f"case when {self.rekeyed} then null else {by_key} end"
        known = "coalesce(p._planhat_id, '') <> ''"
        return [
            f"case when {_INSERT} then {by_key} when {known} then {by_id} || {new_key} else {without_id} end"
        ]

    def _member(self, name: str, source: str) -> str:
        return f"{self._dialect.literal(f',{_json(name)}:')} || {self._dialect.json_text(source)}"

    def _part(self, number: int, field: FieldItem) -> str:
        changed = self._changed(field.target)
        if number == self._company:
            changed = f"({changed} or (coalesce(p._planhat_id, '') = '' and {field.present}))"
        return field.part(changed)

    def _changed(self, target: str) -> str:
        """Whether the list of changed fields names this one: a comma and a quote begin names, nothing else."""
        listed = "',' || substr(coalesce(p._changed, '[]'), 2)"
        return self._dialect.contains(listed, self._dialect.literal(f",{_json(target)}"))


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
