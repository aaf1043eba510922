"""How the rows of a sync travel: what its object, mode and key allow together (DESIGN §5, §15).

Planhat's bulk call creates what it does not match and changes what it matches. So whoever must not create, or must
not change, has to find the records first; and a record that no key of ours finds again is created alone, since only
the answer to a single create names its id.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from planhat_dbt.declaration.types import Mode

if TYPE_CHECKING:
    from planhat_dbt.declaration.types import Sync
    from planhat_dbt.objects import ObjectType


class Creates(StrEnum):
    """How new records come into being."""

    NEVER = "never"
    IN_BULK = "in_bulk"
    """Many in one call, tied to our keys by the key they carry."""
    SINGLY = "singly"
    """One call each: nothing but its answer ties the new id to our key."""


@dataclass(frozen=True, slots=True)
class Manner:
    """The way of one sync."""

    creates: Creates
    finds_first: bool = False
    """Whether a key that is new to us is looked up in Planhat before anything is sent."""
    changes_found: bool = True
    """Whether a record that was found is changed; else it is only noted as existing."""
    sent_once: bool = False
    """Whether a row in doubt must not be sent again by itself: nothing would tell that it is there already."""

    @property
    def remembers_doubt(self) -> bool:
        """Whether an insert of unknown outcome is noted: to be held, or to be looked up with patience."""
        return self.sent_once or self.finds_first


_EVENTS = Manner(Creates.IN_BULK, sent_once=True)
_KEYLESS = Manner(Creates.SINGLY, sent_once=True)


def manner(obj: ObjectType, mode: Mode, match: str | None) -> Manner:
    """Say how rows travel.

    Args:
        obj: The object.
        mode: What may happen to a row.
        match: The match key; None where rows are known by a key of ours alone.
    """
    if obj.is_event:
        return _EVENTS
    if match == "_id" or mode is Mode.UPDATE:
        return Manner(Creates.NEVER, finds_first=True)
    if match is None:
        return _KEYLESS
    if match not in obj.bulk_keys:  # a bulk call would create it again at every run (planhat-api §12.7)
        return Manner(Creates.SINGLY, finds_first=True, changes_found=mode is Mode.UPSERT)
    if mode is Mode.INSERT:
        return Manner(Creates.IN_BULK, finds_first=True, changes_found=False)
    return Manner(Creates.IN_BULK)


def manner_of(sync: Sync) -> Manner:
    """Say how the rows of a sync travel."""
    return manner(sync.object, sync.mode, sync.match.field if sync.match else None)
