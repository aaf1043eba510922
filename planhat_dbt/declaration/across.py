"""What shows only when all syncs are seen together: names used twice, fields written twice (DESIGN §15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planhat_dbt.objects import FieldType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from planhat_dbt.declaration.check import Draft
    from planhat_dbt.declaration.types import FieldMapping, Sync


def check_across(drafts: Iterable[tuple[Draft, Sync | None]]) -> None:
    """Add the faults between syncs to the faults of each sync after the first."""
    pairs = tuple(drafts)
    _check_names(draft for draft, _ in pairs)
    _check_previous_names([draft for draft, _ in pairs])
    _check_writers((draft, sync) for draft, sync in pairs if sync)


def _check_names(drafts: Iterable[Draft]) -> None:
    first: dict[str, Draft] = {}
    for draft in drafts:
        other = first.setdefault(draft.name, draft)
        if other is not draft:
            named = "" if draft.block.name is not None else "; add `name: …` to tell them apart"
            draft.faults.error(
                "name" if draft.block.name is not None else "",
                f"there is already a sync named `{draft.name}`: {_whereabouts(other)}{named}.",
            )


def _check_previous_names(drafts: Sequence[Draft]) -> None:
    """State goes from one name to one other: nobody else may have the old one, or claim it."""
    present = {draft.name: draft for draft in reversed(drafts)}
    claimed: dict[str, Draft] = {}
    for draft in drafts:
        name = draft.block.previous_name
        if name is None or name == draft.name:
            continue
        if other := present.get(name):
            draft.faults.error(
                "previous_name",
                f"`{name}` is the name of another sync ({_whereabouts(other)}), whose state it keeps; expected a name "
                "that no sync has any more.",
            )
        elif (other := claimed.setdefault(name, draft)) is not draft:
            draft.faults.error(
                "previous_name",
                f"`{name}` is the previous name of the sync `{other.name}` already ({_whereabouts(other)}); its state "
                "can go to one sync only.",
            )


def _check_writers(pairs: Iterable[tuple[Draft, Sync]]) -> None:
    first: dict[tuple[str, str], Draft] = {}
    for draft, sync in pairs:
        if not sync.enabled:
            continue
        paths = {e.target: e.path for e in draft.entries}
        for mapping in _written(sync):
            other = first.setdefault((sync.object.name, mapping.target), draft)
            if other is not draft:
                draft.faults.error(
                    paths.get(mapping.target, "fields"),
                    f"`{mapping.target}` of {sync.object.name} is written by the sync `{other.name}` already "
                    f"({_whereabouts(other)}); two syncs would overwrite each other.",
                )


def _written(sync: Sync) -> Iterator[FieldMapping]:
    """The fields a sync writes into records that others may write as well.

    Events and records inserted without a match are a sync's own. References to the company may repeat.
    """
    if sync.match is None:
        return
    for mapping in sync.fields:
        if mapping.field.type not in (FieldType.COMPANY, FieldType.COMPANIES):
            yield mapping


def _whereabouts(draft: Draft) -> str:
    return f"model {draft.model.name}, {draft.model.path}"
