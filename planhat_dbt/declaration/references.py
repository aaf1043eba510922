"""Which records a sync's fields refer to: of which object, and by which of its keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from planhat_dbt.declaration.types import CompanyRef, Constant, FromColumn, Lookup

if TYPE_CHECKING:
    from collections.abc import Iterable

    from planhat_dbt.declaration.types import FieldMapping, KeyField, Sync

_METRIC_PARENTS: Final = {"Company": "company", "EndUser": "enduser", "Asset": "asset", "Project": "project"}
_PERSON: Final[tuple[KeyField, ...]] = ("externalId", "email")


@dataclass(frozen=True, slots=True)
class Reference:
    """A field whose column names records of an object by one of their keys."""

    mapping: FieldMapping
    object: str
    by: KeyField
    made_if_missing: bool = False
    """Planhat makes the record itself where it can: the person of an activity (planhat-api §10.2)."""


def references(sync: Sync) -> tuple[Reference, ...]:
    """Find the references of a sync; by Planhat's own `_id` there are none, since who has it has the record."""
    return tuple(found for mapping in sync.fields if (found := _reference(sync, mapping)))


def _reference(sync: Sync, mapping: FieldMapping) -> Reference | None:
    match mapping.source:
        case CompanyRef(by=by) if by != "_id":
            return Reference(mapping, "company", by)
        case Lookup(object=found, by=by):
            return Reference(mapping, found, by)
        case FromColumn():
            return _named_by_column(sync, mapping)
    return None


def _named_by_column(sync: Sync, mapping: FieldMapping) -> Reference | None:
    """Fields that hold another record's key as plain text."""
    if mapping.target == "companyExternalId":
        return Reference(mapping, "company", "externalId")
    if sync.object.name == "metric" and mapping.target == "externalId":
        parent = _METRIC_PARENTS.get(_metric_model(sync.fields))
        return Reference(mapping, parent, "externalId") if parent else None
    if sync.object.name == "user_activity":
        key = next((k for k in _PERSON if k == mapping.target), None)
        return Reference(mapping, "enduser", key, made_if_missing=True) if key else None
    return None


def _metric_model(fields: Iterable[FieldMapping]) -> str:
    """What the constant `model` says; empty if it differs from row to row."""
    for mapping in fields:
        if mapping.target == "model":
            return str(mapping.source.value) if isinstance(mapping.source, Constant) else ""
    return "Company"
