"""A declaration meets the table that dbt built: which column, of which type, feeds which field in which form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from planhat_dbt.declaration.types import CompanyRef, Constant, Fault, FieldMapping, FromColumn, Lookup, Sync
from planhat_dbt.objects import FieldType
from planhat_dbt.values import Conversion, company_conversion, conversion
from planhat_dbt.warehouse.port import Column, ColumnKind, Dialect, WireForm

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class BoundField:
    """One mapped field with the type it has in the plan and snapshot tables."""

    mapping: FieldMapping
    column: Column | None
    """The model column; None for a constant."""
    kind: ColumnKind
    """What the plan and snapshot tables hold."""
    stored_type: str
    conversion: Conversion
    """How a fetched value becomes JSON; not used for constants."""

    @property
    def name(self) -> str:
        """The field's column in the plan and snapshot tables."""
        return self.mapping.state_column

    @property
    def stored(self) -> Column:
        """That column, with its type."""
        return Column(self.name, self.stored_type, self.kind)

    @property
    def fingerprint(self) -> str:
        """What, besides the column's values, decides what Planhat is sent."""
        source = self.mapping.source
        match source:
            case CompanyRef(by=by):
                return f"company:{by}"
            case Lookup(object=kind, by=by):
                return f"lookup:{kind}:{by}"
            case Constant():
                return "constant"
            case FromColumn():
                return f"column:{self.kind}"


@dataclass(frozen=True, slots=True)
class BoundSync:
    """A sync whose columns are known to exist and to fit."""

    sync: Sync
    key: Column
    fields: tuple[BoundField, ...]
    previous_key: Column | None = None
    """The column that still carries the key of before; None: the match key did not change."""
    event_time: Column | None = None
    """When an event happened, where the sync names it; kept in plan and snapshot table, never sent."""
    table: tuple[Column, ...] = ()
    """All columns of the built table, also those that feed nothing."""

    @property
    def name(self) -> str:
        """The sync's name."""
        return self.sync.name

    def value_name(self, state_column: str) -> str:
        """Name the new value of a column inside a comparison."""
        return f"n_{next(i for i, f in enumerate(self.fields) if f.name == state_column)}"


class BindingError(Exception):
    """The built table does not carry what the declaration names; `faults` says what."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(f.message for f in faults))
        self.faults = faults


_KEY_KINDS: Final = frozenset(
    {
        ColumnKind.TEXT,
        ColumnKind.INTEGER,
        ColumnKind.DECIMAL,
        ColumnKind.FLOAT,
        ColumnKind.UUID,
        ColumnKind.DATE,
        ColumnKind.TIMESTAMP,
        ColumnKind.TIMESTAMPTZ,
    }
)


_TIME_KINDS: Final = frozenset({ColumnKind.DATE, ColumnKind.TIMESTAMP, ColumnKind.TIMESTAMPTZ})


def bind(sync: Sync, table: Sequence[Column], dialect: Dialect) -> BoundSync:
    """Tie a sync to the columns of its built table; every named column must be among them.

    Raises:
        BindingError: A column's type can never become its field.
    """
    columns = {c.name.lower(): c for c in table}
    faults: list[Fault] = []
    fields = []
    for mapping in sync.fields:
        try:
            fields.append(_bind_field(mapping, columns, dialect))
        except TypeError as error:
            faults.append(_fault(sync, f"fields.{mapping.target}", str(error)))
    key = columns[sync.key.lower()]
    previous = columns[sync.previous_match.column.lower()] if sync.previous_match else None
    for place, column in (("key", key), ("previous_match", previous)):
        if column is not None and column.kind not in _KEY_KINDS:
            text = f"column {column.name} is of type {column.type}; a key is text, a number, a UUID or a time"
            faults.append(_fault(sync, place, text))
    event_time = columns[sync.event_time.lower()] if sync.event_time else None
    if event_time is not None and event_time.kind not in _TIME_KINDS:
        faults.append(
            _fault(
                sync,
                "event_time",
                f"column {event_time.name} is of type {event_time.type}; an event time is a date or a time stamp: "
                "cast it in the model",
            )
        )
    if faults:
        raise BindingError(tuple(faults))
    return BoundSync(sync, key, tuple(fields), previous, event_time, tuple(table))


def _fault(sync: Sync, path: str, message: str) -> Fault:
    return Fault(sync.model.name, sync.model.path, f"config.meta.planhat.{path}", message)


def _bind_field(mapping: FieldMapping, columns: dict[str, Column], dialect: Dialect) -> BoundField:
    if mapping.model_column is None:
        return BoundField(mapping, None, ColumnKind.TEXT, dialect.text, Conversion(WireForm.NATIVE))
    column = columns[mapping.model_column.lower()]
    source = mapping.source
    kind, found = column.kind, None
    if isinstance(source, CompanyRef):
        found = company_conversion(kind, source.by, several=mapping.field.type is FieldType.COMPANIES)
    elif isinstance(source, Lookup):
        found = Conversion(WireForm.KEY) if kind in _KEY_KINDS else None
    else:
        found = conversion(kind, mapping.field)
    if found is None:
        raise TypeError(
            f"column {column.name} is of type {column.type}, the field takes {mapping.field.type.value}: "
            "cast it in the model"
        )
    if found.form is WireForm.KEY and isinstance(source, CompanyRef | Lookup):
        return BoundField(
            mapping, column, ColumnKind.TEXT, dialect.text, replace(found, form=WireForm.NATIVE)
        )
    stored = dialect.stored_type(column)
    return BoundField(mapping, column, column.kind, stored, found)
