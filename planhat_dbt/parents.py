"""Which rows must wait for another sync's rows: references from a model column to the key of a declared parent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from planhat_dbt.declaration.manner import Creates, manner_of
from planhat_dbt.declaration.references import references
from planhat_dbt.declaration.types import CompanyRef, FromColumn
from planhat_dbt.objects import FieldType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from planhat_dbt.declaration.references import Reference
    from planhat_dbt.declaration.types import Sync


@dataclass(frozen=True, slots=True, order=True)
class ParentKey:
    """A key that a sync gives the records it brings to Planhat."""

    sync: str
    state_column: str = ""
    """The column of its snapshot table that holds it; empty: the key it matches on."""


@dataclass(frozen=True, slots=True)
class ParentCheck:
    """A mapped column whose values must be keys that a parent sync has brought to Planhat."""

    state_column: str
    target: str
    object: str
    parents: tuple[ParentKey, ...]
    """The syncs of the project that feed the parent object with that key."""


def parent_checks(sync: Sync, syncs: Iterable[Sync]) -> tuple[ParentCheck, ...]:
    """Find the references of a sync whose parent the project itself syncs (DESIGN §5, `parent_missing`).

    Nobody waits for a sync that creates nothing: it may cover a part of what Planhat has.
    """
    by_key: dict[tuple[str, str], list[ParentKey]] = {}
    for other in syncs:
        creates = manner_of(other).creates is not Creates.NEVER
        if other.enabled and creates and other.name != sync.name:
            for field, key in _keys(other).items():
                by_key.setdefault((other.object.name, field), []).append(key)
    return tuple(
        ParentCheck(
            reference.mapping.state_column,
            reference.mapping.target,
            reference.object,
            tuple(sorted(by_key[reference.object, reference.by])),
        )
        for reference in references(sync)
        if (reference.object, reference.by) in by_key and _is_checked(sync, reference)
    )


def _keys(sync: Sync) -> dict[str, ParentKey]:
    """Field → the key that a sync's records have there: the one it matches on, and others that it maps."""
    if sync.match is None:
        return {}
    mapped = {
        mapping.target: ParentKey(sync.name, mapping.state_column)
        for mapping in sync.fields
        if isinstance(mapping.source, FromColumn)
    }
    return {**mapped, sync.match.field: ParentKey(sync.name)}


@dataclass(frozen=True, slots=True)
class ChildReference:
    """A column of a child's snapshot table that names records of a parent by one of the parent's keys."""

    sync: str
    state_column: str
    parent_column: str
    """The column of the parent's plan table that holds that key."""


def child_references(parent: Sync, syncs: Iterable[Sync]) -> tuple[ChildReference, ...]:
    """Find the syncs whose records Planhat takes along when a record of this one is deleted (planhat-api §13.21)."""
    if parent.object.name != "company" or parent.match is None:
        return ()
    columns = {"_id": "_planhat_id"} | {by: key.state_column or "_key" for by, key in _keys(parent).items()}
    return tuple(
        ChildReference(other.name, mapping.state_column, columns[mapping.source.by])
        for other in syncs
        if other.name != parent.name and not other.object.is_event
        for mapping in other.fields
        if isinstance(mapping.source, CompanyRef)
        and mapping.source.by in columns
        and mapping.field.type is FieldType.COMPANY
    )


def _is_checked(sync: Sync, reference: Reference) -> bool:
    """Whether a row waits here for its parent. Of lists Planhat judges, and look-ups hold their rows themselves."""
    if sync.object.is_event:
        return not reference.made_if_missing
    mapping = reference.mapping
    return isinstance(mapping.source, CompanyRef) and mapping.field.type is FieldType.COMPANY
