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
from planhat_dbt.deliver.bulk import BulkCourier
from planhat_dbt.deliver.clears import ClearCourier
from planhat_dbt.deliver.courier import unsent
from planhat_dbt.deliver.events import EventCourier
from planhat_dbt.deliver.find import Finder
from planhat_dbt.deliver.singles import CreateCourier, DeleteCourier
from planhat_dbt.plan import Operation
from planhat_dbt.run.compare_step import Compared, creates_singly
from planhat_dbt.state.journal import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from planhat_dbt.deliver.breaker import Breaker
    from planhat_dbt.deliver.payload import Batch
    from planhat_dbt.outcome import BatchOutcome
    from planhat_dbt.run.desk import Desk

    Courier = Callable[[Sequence[Batch]], list[BatchOutcome]]

WINDOW_BATCHES: Final = 4
"""Bulk batches sent between two recordings."""
EVENT_WINDOW_BATCHES: Final = 2
"""Batches of events that a crash may leave in doubt (DESIGN §15)."""
DELETE_WINDOW: Final = 200


@dataclass(frozen=True, slots=True)
class Phase:
    """A span of batches that are delivered alike."""

    first: int
    batches: int
    window: int
    """Batches that are sent, and then recorded, together."""
    courier: Courier
    read: int = 1
    """Batches that are read at one go; their size is known only when they are encoded."""

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
    if creates_singly(sync):
        batches = math.ceil(inserts / CREATE_BATCH_ROWS)
        yield Phase(CREATE_BATCHES_FROM, batches, 1, creates(desk, compared, breaker))
        inserts = 0
    bulk = in_turn(desk, sync.name, _bulk(desk, compared), breaker)
    yield Phase(1, math.ceil((inserts + updates) / size), WINDOW_BATCHES, bulk)


def removal_phases(desk: Desk, compared: Compared, breaker: Breaker) -> Iterator[Phase]:
    """Clears and deletes of one sync."""
    sync, plan = compared.sync, compared.plan
    clears, deletes = plan.count(Operation.CLEAR), plan.count(Operation.DELETE)
    finder = Finder(desk.calls, sync)
    clear = ClearCourier(desk.calls, _bulk(desk, compared), sync.object.path, _only_to_find(compared), finder)
    yield Phase(
        CLEAR_BATCHES_FROM,
        math.ceil(clears / plan.batch_rows),
        WINDOW_BATCHES,
        in_turn(desk, sync.name, clear, breaker),
    )
    delete = DeleteCourier(desk.calls, sync.object.path, finder, desk.limits, breaker)

    def deletes_at_once(batches: Sequence[Batch]) -> list[BatchOutcome]:
        desk.enter_batch(sync.name, None)
        return delete(batches)

    yield Phase(DELETE_BATCHES_FROM, deletes, DELETE_WINDOW, deletes_at_once, read=DELETE_WINDOW)


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


def _bulk(desk: Desk, compared: Compared) -> BulkCourier:
    match = compared.sync.match.field if compared.sync.match else None
    return BulkCourier(desk.calls, compared.sync.object.path, match, desk.limits)


def _only_to_find(compared: Compared) -> tuple[str, ...]:
    sync = compared.sync
    names: list[str] = [sync.match.field] if sync.match else []
    if sync.object.company_field:
        names.append(sync.object.company_field)
    return tuple(sync.object.fields[n].json_name for n in names)
