"""The order of delivery, as the references between syncs ask for it, and what stands in its way (DESIGN §4)."""

from __future__ import annotations

from collections import deque
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from planhat_dbt.declaration.manner import Creates, manner_of
from planhat_dbt.declaration.mapping import canonical
from planhat_dbt.declaration.references import references
from planhat_dbt.declaration.types import CompanyRef, Lookup
from planhat_dbt.objects import OBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from planhat_dbt.declaration.check import Draft
    from planhat_dbt.declaration.references import Reference
    from planhat_dbt.declaration.types import Sync

Waits: TypeAlias = "dict[str, dict[str, tuple[str, ...]]]"
"""Sync → the syncs it waits for → its fields that refer to them (none: it updates what they create)."""


def delivery_order(syncs: Iterable[Sync]) -> tuple[Sync, ...]:
    """Put syncs into the order in which they are delivered, whatever order they come in.

    A sync goes after those it waits for. Among the syncs that wait for nothing more, the object's rank decides, then
    the name.

    Args:
        syncs: syncs with different names, of which none wait for each other in a circle.
    """
    by_name = {sync.name: sync for sync in syncs}
    sorter = TopologicalSorter(_waits(by_name.values()))
    sorter.prepare()
    free: list[tuple[int, str]] = []
    order: list[Sync] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heappush(free, _place(by_name[name]))
        _, name = heappop(free)
        order.append(by_name[name])
        sorter.done(name)
    return tuple(order)


def check_order(drafts: Iterable[tuple[Draft, Sync | None]]) -> None:
    """Add the faults of references: syncs that wait for each other, and keys that no parent carries."""
    first: dict[str, tuple[Draft, Sync]] = {}
    for draft, sync in drafts:
        if sync and sync.enabled:
            first.setdefault(sync.name, (draft, sync))
    syncs = tuple(sync for _, sync in first.values())
    _check_cycles(first, _waits(syncs))
    for draft, sync in first.values():
        _check_keys(draft, sync, syncs)


def _waits(syncs: Iterable[Sync]) -> Waits:
    """Say for each sync which others it waits for: those that create what it refers to, or what it only updates.

    Keys come in order of rank and name. A sync that creates nothing is waited for by none, and a disabled one
    neither waits nor is waited for.
    """
    by_place = sorted(syncs, key=_place)
    creators = [sync for sync in by_place if sync.enabled and _creates(sync)]
    return {sync.name: _waits_for(sync, creators) if sync.enabled else {} for sync in by_place}


def _cycles(waiting: Waits) -> Iterator[tuple[str, ...]]:
    """Find the syncs that wait for each other: names in order, the first one again at the end.

    For each sync that is the first of a cycle, its shortest one; without these syncs there is none.
    """
    later = dict(waiting)
    for name in waiting:
        if way := _way_back(name, later):
            yield way
        del later[name]


def _place(sync: Sync) -> tuple[int, str]:
    return sync.object.rank, sync.name


def _creates(sync: Sync) -> bool:
    """Whether records may come from it; those that are named by `_id` exist before."""
    return manner_of(sync).creates is not Creates.NEVER


def _waits_for(sync: Sync, creators: Iterable[Sync]) -> dict[str, tuple[str, ...]]:
    fields: dict[str, tuple[str, ...]] = {} if _creates(sync) else {sync.object.name: ()}
    for reference in references(sync):
        fields[reference.object] = (*fields.get(reference.object, ()), reference.mapping.target)
    return {
        other.name: fields[other.object.name]
        for other in creators
        if other.object.name in fields and other.name != sync.name
    }


def _way_back(start: str, waiting: Waits) -> tuple[str, ...]:
    """The shortest way from a sync back to itself; empty if there is none."""
    ways: deque[tuple[str, ...]] = deque([(start,)])
    seen = {start}
    while ways:
        way = ways.popleft()
        for name in waiting[way[-1]]:
            if name == start:
                return (*way, name)
            if name in waiting and name not in seen:
                seen.add(name)
                ways.append((*way, name))
    return ()


def _check_cycles(drafts: Mapping[str, tuple[Draft, Sync]], waiting: Waits) -> None:
    for way in _cycles(waiting):
        draft, sync = drafts[way[0]]
        steps = [(parent, _listed(waiting[child][parent])) for child, parent in pairwise(way)]
        told = ", which refers to ".join(f"`{parent}` ({fields})" for parent, fields in steps)
        targets = waiting[way[0]][way[1]]
        draft.faults.error(
            _path(draft, sync, targets[0]),
            f"these syncs wait for each other: `{sync.name}` refers to {told}. Move {_listed(targets)} to a second "
            f"sync of {sync.object.name} in `mode: update`: no other sync waits for such a one.",
        )


def _check_keys(draft: Draft, sync: Sync, syncs: Sequence[Sync]) -> None:
    """Warn of references by a key that the syncs which create the parents do not send."""
    for reference in references(sync):
        feeders = [other for other in syncs if other.object.name == reference.object]
        creators = [other for other in feeders if _creates(other)]
        if not creators or reference.made_if_missing or any(_sends(f, reference.by) for f in feeders):
            continue
        plural = OBJECTS[reference.object].plural
        draft.faults.warn(
            _path(draft, sync, reference.mapping.target),
            f"refers to {plural} by `{reference.by}`, a key that is not sent by {_listed(c.name for c in creators)}: "
            f"it meets only {plural} that others made. Map `{reference.by}` there{_other_key(reference, creators)}.",
        )


def _sends(sync: Sync, key: str) -> bool:
    matched = sync.match is not None and sync.match.field == key
    return matched or any(mapping.target == key for mapping in sync.fields)


def _other_key(reference: Reference, creators: Iterable[Sync]) -> str:
    """The key to refer by instead, where the field leaves a choice."""
    keys = dict.fromkeys(c.match.field for c in creators if c.match)
    if not keys or not isinstance(reference.mapping.source, CompanyRef | Lookup):
        return ""
    return f", or refer to them `by: {next(iter(keys))}`"


def _path(draft: Draft, sync: Sync, target: str) -> str:
    return next((e.path for e in draft.entries if canonical(sync.object, e.target) == target), "fields")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)
