"""Which rows must wait for another sync's rows: references from a model column to the key of a declared parent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from planhat_dbt.declaration.types import CompanyRef, Constant, FieldMapping, FromColumn, Sync
from planhat_dbt.objects import FieldType

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_METRIC_PARENTS: Final = {"Company": "company", "EndUser": "enduser", "Asset": "asset", "Project": "project"}


@dataclass(frozen=True, slots=True)
class ParentCheck:
    """A mapped column whose values must be keys that a parent sync has brought to Planhat."""

    state_column: str
    target: str
    object: str
    parents: tuple[str, ...]
    """The syncs of the project that feed the parent object under that key."""


def parent_checks(sync: Sync, syncs: Iterable[Sync]) -> tuple[ParentCheck, ...]:
    """Find the references of a sync whose parent the project itself syncs (DESIGN §5, `parent_missing`)."""
    by_key: dict[tuple[str, str], list[str]] = {}
    for other in syncs:
        if other.enabled and other.match and other.name != sync.name:
            by_key.setdefault((other.object.name, other.match.field), []).append(other.name)
    checks = []
    for mapping in sync.fields:
        reference = _reference(sync, mapping)
        if reference and (parents := by_key.get(reference)):
            checks.append(
                ParentCheck(mapping.state_column, mapping.target, reference[0], tuple(sorted(parents)))
            )
    return tuple(checks)


@dataclass(frozen=True, slots=True)
class ChildReference:
    """A column of a child's snapshot table that names records of a parent by the parent's key."""

    sync: str
    state_column: str


def child_references(parent: Sync, syncs: Iterable[Sync]) -> tuple[ChildReference, ...]:
    """Find the syncs whose records Planhat takes along when a record of this one is deleted (planhat-api §13.21)."""
    if parent.object.name != "company" or parent.match is None:
        return ()
    return tuple(
        ChildReference(other.name, mapping.state_column)
        for other in syncs
        if other.name != parent.name and not other.object.is_event
        for mapping in other.fields
        if isinstance(mapping.source, CompanyRef)
        and mapping.source.by == parent.match.field
        and mapping.field.type is FieldType.COMPANY
    )


def _reference(sync: Sync, mapping: FieldMapping) -> tuple[str, str] | None:
    source = mapping.source
    if isinstance(source, CompanyRef):
        single = mapping.field.type is FieldType.COMPANY
        return ("company", source.by) if single and source.by != "_id" else None
    if not sync.object.is_event or not isinstance(source, FromColumn):
        return None
    if sync.object.name == "metric" and mapping.target == "externalId":
        model = _constant(sync.fields, "model", default="Company")
        return (_METRIC_PARENTS[model], "externalId") if model in _METRIC_PARENTS else None
    if mapping.target == "companyExternalId":
        return "company", "externalId"
    return None


def _constant(fields: Sequence[FieldMapping], target: str, *, default: str) -> str:
    for mapping in fields:
        if mapping.target == target:
            return str(mapping.source.value) if isinstance(mapping.source, Constant) else ""
    return default
