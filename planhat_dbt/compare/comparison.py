"""All that decides the comparison of one sync, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from planhat_dbt.declaration.manner import Creates, Manner, manner_of

if TYPE_CHECKING:
    from planhat_dbt.binding import BoundSync
    from planhat_dbt.parents import ParentCheck
    from planhat_dbt.state.event_times import Horizon
    from planhat_dbt.state.snapshot import MappingRecord


@dataclass(frozen=True, slots=True)
class Comparison:
    """One sync, its mapping, and what is known of others."""

    bound: BoundSync
    mapping: MappingRecord
    checks: tuple[ParentCheck, ...]
    batch_rows: int
    has_unknown: bool = False
    """Whether `failures` holds events or keyless creates of this sync whose outcome is not known."""
    known_parents: frozenset[str] = frozenset()
    """Syncs that have a snapshot table."""
    planned_parents: frozenset[str] = frozenset()
    """Syncs whose planned inserts count as present (for plans that are shown, not delivered)."""
    horizon: Horizon | None = None
    """From when on events are looked at; None: from the beginning."""

    @property
    def manner(self) -> Manner:
        """How the rows of the sync travel."""
        return manner_of(self.bound.sync)

    @property
    def single_creates(self) -> bool:
        """Whether inserts travel one by one."""
        return self.manner.creates is Creates.SINGLY
