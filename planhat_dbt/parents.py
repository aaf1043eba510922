"""Which rows must wait for another sync's rows: references from a model column to the key of a declared parent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from planhat_dbt.declaration.manner import Creates, manner_of
from planhat_dbt.declaration.references import references
from planhat_dbt.declaration.types import CompanyRef
from planhat_dbt.objects import FieldType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from planhat_dbt.declaration.references import Reference
    from planhat_dbt.declaration.types import Sync


@dataclass(frozen=True, slots=True)
class ParentCheck:
    """A mapped column whose values must be keys that a parent sync has brought to Planhat."""

    state_column: str
    target: str
    object: str
    parents: tuple[str, ...]
    """The syncs of the project that feed the parent object under that key."""


def parent_checks(sync: Sync, syncs: Iterable[Sync]) -> tuple[ParentCheck, ...]:
    """Find the references of a sync whose parent the project itself syncs (DESIGN §5, `parent_missing`).

    Nobody waits for a sync that creates nothing: it may cover a part of what Planhat has.
    """
    by_key: dict[tuple[str, str], list[str]] = {}
    for other in syncs:
        creates = manner_of(other).creates is not Creates.NEVER
        if other.enabled and other.match and creates and other.name != sync.name:
            by_key.setdefault((other.object.name, other.match.field), []).append(other.name)
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


def _is_checked(sync: Sync, reference: Reference) -> bool:
    """Whether a row waits here for its parent. Of lists Planhat judges, and look-ups hold their rows themselves."""
    if sync.object.is_event:
        return not reference.made_if_missing
    mapping = reference.mapping
    return isinstance(mapping.source, CompanyRef) and mapping.field.type is FieldType.COMPANY
