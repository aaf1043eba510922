"""The spans of a plan that are delivered alike, each with its courier: creates, changes, clears, deletes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from planhat_dbt.compare import (
    CLEAR_BATCHES_FROM,
    CREATE_BATCH_ROWS,
    CREATE_BATCHES_FROM,
    DELETE_BATCHES_FROM,
)
from planhat_dbt.declaration.manner import Creates, manner_of
from planhat_dbt.deliver.bulk import BulkCourier
from planhat_dbt.deliver.clears import ClearCourier
from planhat_dbt.deliver.courier import unsent
from planhat_dbt.deliver.events import EventCourier
from planhat_dbt.deliver.keyless import KeylessCourier
from planhat_dbt.deliver.singles import CreateCourier, DeleteCourier, UpdateCourier
from planhat_dbt.plan import Operation
from planhat_dbt.state.journal import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from planhat_dbt.deliver.breaker import Breaker
    from planhat_dbt.deliver.payload import Batch
    from planhat_dbt.outcome import BatchOutcome
    from planhat_dbt.run.compare_step import Compared
    from planhat_dbt.run.desk import Desk

    Courier = Callable[[Sequence[Batch]], list[BatchOutcome]]

WINDOW_BATCHES: Final = 2
"""Bulk batches of the first window; each has twice as many as the one before."""
LARGEST_WINDOW: Final = 4
"""Bulk batches of the largest. Two windows are under way at a time: a crash leaves as much to be sent again."""
EVENT_WINDOW_BATCHES: Final = 1
"""Half of what a crash may leave in doubt (DESIGN §15)."""
DELETE_WINDOW: Final = 200


@dataclass(frozen=True, slots=True)
class Phase:
    """A span of batches that are delivered alike."""

    first: int
    batches: int
    window: int
    """Batches that are sent, and then recorded, together, to begin with."""
    courier: Courier
    read: int = 1
    """Batches that are read at one go; their size is known only when they are encoded."""
    largest: int = 1
    """Batches of a window in the end."""
    overlaps: bool = True
    """Whether a window may be sent before the one before it is recorded: both would be in doubt after a crash."""

    @property
    def span(self) -> Window:
        """All its batches."""
        return Window(self.first, self.first + self.batches - 1)


class _OneBatch(Protocol):
    def deliver(self, batch: Batch) -> BatchOutcome: ...


def change_phases(desk: Desk, compared: Compared, breaker: Breaker) -> Iterator[Phase]:
    """Inserts and updates of one sync."""
    sync, plan = compared.sync, compared.plan
    size = plan.batch_rows
    inserts, updates = plan.count(Operation.INSERT), plan.count(Operation.UPDATE)
    if sync.object.is_event:
        events = EventCourier(
            desk.calls, "metrics" if sync.object.name == "metric" else "activities", desk.limits
        )
        yield Phase(
            1, math.ceil(inserts / size), EVENT_WINDOW_BATCHES, in_turn(desk, sync.name, events, breaker)
        )
        return
    if plan.single_calls:
        batches = math.ceil(inserts / CREATE_BATCH_ROWS)
        yield Phase(CREATE_BATCHES_FROM, batches, 1, creates(desk, compared, breaker), overlaps=False)
        inserts = 0
    elif sync.match is None:  # mode insert only: there are no updates
        keyless = KeylessCourier(desk.calls, sync.object.path, desk.limits)
        courier = in_turn(desk, sync.name, keyless, breaker)
        yield Phase(1, math.ceil(inserts / size), 1, courier, overlaps=False)
        return
    changes = in_turn(desk, sync.name, _updates(desk, compared), breaker)
    batches = math.ceil((inserts + updates) / size)
    yield Phase(1, batches, WINDOW_BATCHES, changes, largest=LARGEST_WINDOW)


def removal_phases(desk: Desk, compared: Compared, breaker: Breaker) -> Iterator[Phase]:
    """Clears and deletes of one sync."""
    sync, plan = compared.sync, compared.plan
    clears, deletes = plan.count(Operation.CLEAR), plan.count(Operation.DELETE)
    clear = ClearCourier(desk.calls, _updates(desk, compared), sync.object.path)
    yield Phase(
        CLEAR_BATCHES_FROM,
        math.ceil(clears / plan.batch_rows),
        WINDOW_BATCHES,
        in_turn(desk, sync.name, clear, breaker),
        largest=LARGEST_WINDOW,
    )
    delete = DeleteCourier(desk.calls, sync.object.path, desk.limits, breaker)

    def deletes_at_once(batches: Sequence[Batch]) -> list[BatchOutcome]:
        desk.enter_batch(sync.name, None)
        return delete(batches)

    yield Phase(
        DELETE_BATCHES_FROM, deletes, DELETE_WINDOW, deletes_at_once, DELETE_WINDOW, largest=DELETE_WINDOW
    )


def creates(desk: Desk, compared: Compared, breaker: Breaker) -> Courier:
    """Single creates: without a key, only their answer ties the new id to the row."""
    sync = compared.sync
    return in_turn(desk, sync.name, CreateCourier(desk.calls, sync.object.path), breaker)


def in_turn(desk: Desk, sync: str, courier: _OneBatch, breaker: Breaker) -> Courier:
    """One bulk call in flight for an object: parallel ones have produced duplicates (planhat-api §2)."""

    def deliver(batches: Sequence[Batch]) -> list[BatchOutcome]:
        outcomes: list[BatchOutcome] = []
        for batch in batches:
            if breaker.open:
                outcomes.append(unsent(batch, breaker.reason))
                continue
            desk.enter_batch(sync, batch.number)
            outcomes.append(courier.deliver(batch))
            breaker.note(outcomes[-1])
        return outcomes

    return deliver


def _updates(desk: Desk, compared: Compared) -> _OneBatch:
    """Whoever changes records of this object; with those that are created in bulk, in the same calls."""
    sync = compared.sync
    manner = manner_of(sync)
    # What is found by a key is not made anew at once: the next run looks the key up before.
    creates = Creates.NEVER if manner.finds_first else manner.creates
    if not sync.object.bulk:
        return UpdateCourier(desk.calls, sync.object.path, revives=creates is Creates.SINGLY)
    match = sync.match.field if sync.match else None
    return BulkCourier(desk.calls, sync.object.path, match, desk.limits, creates=creates)
