"""All that decides the comparison of one sync, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from planhat_dbt.declaration.manner import Creates, Manner, manner_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from planhat_dbt.binding import BoundSync
    from planhat_dbt.parents import ParentCheck, ParentKey
    from planhat_dbt.state.event_times import Horizon
    from planhat_dbt.state.rekey import FormerKeys
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
    run_number: int = 1
    """The how-many-th run of this sync it is."""
    has_waiting: bool = False
    """Whether `failures` holds refused rows whose next try is not due yet."""
    known_parents: frozenset[str] = frozenset()
    """Syncs that have a snapshot table."""
    planned_parents: frozenset[str] = frozenset()
    """Syncs whose planned inserts count as present (for plans that are shown, not delivered)."""
    untold: frozenset[ParentKey] = frozenset()
    """Keys that parents map, but of which their snapshot tables have no column yet: Planhat was told none."""
    rekeyed_parents: Mapping[str, int] = field(default_factory=dict)
    """Parents whose match key changed → the mapping version since which Planhat is told the new one."""
    former: FormerKeys | None = None
    """The rows of this sync that Planhat knows by a key of before."""

    @property
    def by_former_key(self) -> str:
        """The condition on plan rows `p` whose record a key of before alone can find."""
        if self.former is None:
            return "1 = 0"
        return (
            "(p._planhat_id is null and p._operation in ('update', 'clear', 'delete') "
            f"and p._key in (select key from ({self.former.rows}) e))"
        )

    @property
    def key_since(self) -> int:
        """The mapping version since which rows are sent under the present key; 1: always."""
        return self.mapping.key_since

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
