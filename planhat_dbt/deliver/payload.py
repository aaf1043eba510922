"""Rows of a plan table as JSON: whole for a new record, only what changed for one that Planhat has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from planhat_dbt.declaration.types import Constant, Lookup, Nulls
from planhat_dbt.deliver.items import FieldItem, ItemWriter, source_of
from planhat_dbt.deliver.written import SentRow, WrittenForm, array_bytes
from planhat_dbt.objects import FieldType, Scope
from planhat_dbt.plan import Operation
from planhat_dbt.values import BadValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from planhat_dbt.binding import BoundField, BoundSync
    from planhat_dbt.warehouse.port import Dialect, Row

_dumps: Final = partial(orjson.dumps, option=orjson.OPT_NON_STR_KEYS)
_LISTS: Final = frozenset((FieldType.TEXTS, FieldType.IDS, FieldType.OBJECTS, FieldType.COMPANIES))

HEAD: Final = ("_row", "_batch", "_operation", "_key", "_planhat_id", "_changed")
"""What is fetched of every planned row before its values."""
_ROW, _BATCH, _OPERATION, _KEY, _ID, _CHANGED = range(len(HEAD))


class RefusedRow(NamedTuple):
    """One row that our own check stopped."""

    row: int
    key: str
    operation: str
    message: str


def row_number(row: Row) -> int:
    """The number in the plan of a row as `PayloadWriter.select` gives it."""
    return int(row[_ROW])


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows that are meant to travel in one call, encoded, and those that cannot."""

    number: int
    rows: Sequence[SentRow]
    refused: tuple[RefusedRow, ...] = ()

    @property
    def bytes(self) -> int:
        """Size of the JSON array of all rows."""
        return array_bytes(self.rows)


class _Field(NamedTuple):
    target: str
    name: str
    """The name on the wire; for custom fields the display name."""
    custom: bool
    convert: Callable[[Any], Any] | None
    empty: Any
    """What a NULL becomes: null, or an empty list."""
    skip_null: bool


class PayloadWriter:
    """Encodes the planned rows of one sync."""

    def __init__(self, bound: BoundSync, dialect: Dialect, *, only_inserts: bool = False) -> None:
        """Make a writer; where all rows are inserts, the warehouse has less to do for each."""
        self._only_inserts = only_inserts
        self._sync = bound.sync
        object_type = bound.sync.object
        self._fields = tuple(_field(f, event=object_type.is_event) for f in bound.fields)
        self._positions = {f.target: i for i, f in enumerate(self._fields)}
        self._select = tuple(source_of(dialect, i, f) for i, f in enumerate(bound.fields))
        self._lookups = tuple(
            (i, f.mapping.source, dialect.quote(f.name))
            for i, f in enumerate(bound.fields)
            if isinstance(f.mapping.source, Lookup)
        )
        self._fixed: dict[str, Any] = dict(object_type.constants)
        match = bound.sync.match
        self._match = match.field if match else None
        self._key_name = object_type.fields[match.field].json_name if match else None
        self._key_is_id = bool(match) and match.field == "_id" if match else False
        scoped = object_type.key_scope is Scope.COMPANY and not object_type.is_event
        company = object_type.company_field if scoped else ""
        self._company = self._positions.get(company)
        self.written = self._written(bound, dialect)
        """How rows are fetched that the warehouse writes itself.

        None: a field has no plain values, or one name means two.
        """

    def _written(self, bound: BoundSync, dialect: Dialect) -> WrittenForm | None:
        fields = [
            FieldItem(dialect, b, source, f.name, f.empty, skip=f.skip_null)
            for b, f, source in zip(bound.fields, self._fields, self._select, strict=True)
        ]
        names = [f.name for f in self._fields if not f.custom]
        names += [*self._fixed, *([self._key_name] if self._key_name else []), "_id"]
        twice = len(set(names)) + self._key_is_id < len(names)
        if twice or not all(field.usable for field in fields):
            return None
        items = ItemWriter(
            dialect,
            fields,
            fixed=self._fixed,
            key_name=self._key_name,
            match=self._match,
            company=self._company,
            whole=self._only_inserts,
        )
        if self._only_inserts and self._key_name and not self._key_is_id:
            return WrittenForm.of_inserts(items.text, self._key_name)
        new_key = "1 = 0" if self._key_is_id else f"(coalesce(p._planhat_id, '') <> '' and {items.rekeyed})"
        return WrittenForm.of_any(dialect, items.text, new_key)

    @property
    def select(self) -> tuple[str, ...]:
        """The SQL expressions to fetch from the plan table (aliased `p`), head first."""
        return (*(f"p.{c}" for c in HEAD), *self._select)

    def joins(self, lookups: str) -> str:
        """The joins that `select` needs besides the plan table: one to the look-ups for each field that is one."""
        return "".join(
            f"\nleft join (select key, min(planhat_id) as planhat_id, count(distinct planhat_id) as persons "
            f"from {lookups} where object = '{source.object}' and key_field = '{source.by}' group by key) l{i} "
            f"on l{i}.key = p.{column} and l{i}.persons = 1"
            for i, source, column in self._lookups
        )

    def batches(self, rows: Iterable[Row], *, whole: bool = False) -> list[Batch]:
        """Encode fetched rows, grouped by batch number.

        Args:
            rows: Rows as `select` gives them.
            whole: Send every field, by key, even where the plan says update: the record is gone.
        """
        encoded: dict[int, tuple[list[SentRow], list[RefusedRow]]] = {}
        for row in rows:
            sent, refused = encoded.setdefault(row[_BATCH], ([], []))
            operation, planhat_id = (Operation.INSERT, None) if whole else (row[_OPERATION], row[_ID])
            item: dict[str, Any] = {}
            try:
                item = self._whole(row) if operation == Operation.INSERT else self._partial(row)
                new_key = bool(planhat_id) and not self._key_is_id and (self._key_name or "") in item
                sent.append(SentRow(row[_ROW], row[_KEY], operation, planhat_id, _dumps(item), new_key))
            except (BadValueError, orjson.JSONEncodeError) as error:
                text = f"{self._unfit(item)}{error}"
                refused.append(RefusedRow(row[_ROW], row[_KEY], operation, text))
        return [
            Batch(number, tuple(sent), tuple(refused)) for number, (sent, refused) in sorted(encoded.items())
        ]

    def _unfit(self, item: dict[str, Any]) -> str:
        """Name the field whose value JSON cannot carry; nothing where the item is whole, or was never made."""
        for field in self._fields:
            try:
                _dumps((item.get("custom", {}) if field.custom else item).get(field.name))
            except orjson.JSONEncodeError:
                return f"{field.target}: "
        return ""

    def _whole(self, row: Row) -> dict[str, Any]:
        item = dict(self._fixed)
        custom: dict[str, Any] = {}
        if self._key_name:
            item[self._key_name] = row[_KEY]
        values = row[len(HEAD) :]
        for field, value in zip(self._fields, values, strict=True):
            if value is None:
                if field.skip_null:
                    continue
                sent = field.empty
            else:
                sent = self._converted(field, value) if field.convert else value
            (custom if field.custom else item)[field.name] = sent
        if custom:
            item["custom"] = custom
        return item

    def _partial(self, row: Row) -> dict[str, Any]:
        item = dict(self._fixed)
        if row[_ID]:
            item["_id"] = row[_ID]
        elif self._key_name:
            item[self._key_name] = row[_KEY]
            if self._company is not None and row[len(HEAD) + self._company] is not None:
                self._put(item, self._company, row)
        for target in orjson.loads(row[_CHANGED] or b"[]"):
            if target == self._match:
                self._put_key(item, row)
            else:
                self._put(item, self._positions[target], row)
        return item

    def _put_key(self, item: dict[str, Any], row: Row) -> None:
        """Give a record its new key; without its id, the new key would make another one."""
        if not row[_ID]:
            raise BadValueError(f"{self._match}: its record is known by the key of before alone")
        item[self._key_name or ""] = row[_KEY]

    def _put(self, item: dict[str, Any], position: int, row: Row) -> None:
        field = self._fields[position]
        value = row[len(HEAD) + position]
        sent = field.empty if value is None else self._converted(field, value)
        if field.custom:
            item.setdefault("custom", {})[field.name] = sent
        else:
            item[field.name] = sent

    def _converted(self, field: _Field, value: Any) -> Any:
        if field.convert is None:
            return value
        try:
            return field.convert(value)
        except BadValueError as error:
            raise BadValueError(f"{field.target}: {error}") from None


def _field(bound: BoundField, *, event: bool) -> _Field:
    mapping = bound.mapping
    convert = bound.conversion.convert
    if isinstance(mapping.source, Lookup):
        convert = _persons if mapping.field.type is FieldType.IDS else _person
    if isinstance(mapping.source, Constant):
        constant = mapping.source.value
        convert = lambda _: constant  # noqa: E731 - closes over this field's value
    reference = mapping.field.type in (FieldType.COMPANY, FieldType.COMPANIES)
    return _Field(
        target=mapping.target,
        name=mapping.custom_name or mapping.field.json_name,
        custom=mapping.custom_name is not None,
        convert=convert,
        empty=[] if mapping.field.type in _LISTS else None,
        skip_null=event or reference or mapping.nulls is Nulls.SKIP,
    )


def _person(planhat_id: str) -> str:
    if not planhat_id:
        raise BadValueError("Planhat has nobody with this key, or several")
    return planhat_id


def _persons(planhat_id: str) -> list[str]:
    return [_person(planhat_id)]
