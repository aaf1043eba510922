"""Steps two and three of a sync: read a window of the plan, mark it, send it, record it; and so on to the end.

The warehouse is open while a window is read and while it is recorded, never while a call is under way.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Final, Protocol

from planhat_dbt.compare import (
    CLEAR_BATCHES_FROM,
    CREATE_BATCH_ROWS,
    CREATE_BATCHES_FROM,
    DELETE_BATCHES_FROM,
)
from planhat_dbt.deliver.bulk import BulkCourier
from planhat_dbt.deliver.courier import Calls, Limits, Tally
from planhat_dbt.deliver.events import EventCourier
from planhat_dbt.deliver.find import Finder
from planhat_dbt.deliver.payload import PayloadWriter
from planhat_dbt.deliver.singles import CreateCourier, DeleteCourier
from planhat_dbt.errors import FailedError
from planhat_dbt.plan import Operation
from planhat_dbt.planhat import AccessDeniedError, CallError
from planhat_dbt.result import Counts
from planhat_dbt.run.compare_step import Compared, creates_singly
from planhat_dbt.state.journal import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from planhat_dbt.deliver.payload import Batch
    from planhat_dbt.errors import PlanhatDbtError
    from planhat_dbt.outcome import BatchOutcome
    from planhat_dbt.run.context import Context, Listener
    from planhat_dbt.state.journal import Journal
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.state.lease import Lease
    from planhat_dbt.state.runs import RequestRow, RunLog
    from planhat_dbt.warehouse.port import Session

WINDOW_BATCHES: Final = 8
"""Bulk batches sent between two recordings."""
EVENT_WINDOW_BATCHES: Final = 2
"""Batches of events that a crash may leave in doubt (DESIGN §15)."""
DELETE_WINDOW: Final = 200
_FETCH: Final = 2000

_COUNTED: Final = {
    Operation.INSERT: "inserted",
    Operation.UPDATE: "updated",
    Operation.CLEAR: "cleared",
    Operation.DELETE: "deleted",
}


class _Courier(Protocol):
    def __call__(self, batches: Sequence[Batch]) -> list[BatchOutcome]: ...


@dataclass(frozen=True, slots=True)
class Phase:
    """A span of batches that are delivered alike."""

    first: int
    batches: int
    rows: int
    """Rows of the plan in it."""
    window: int
    courier: _Courier


@dataclass(slots=True)
class Delivery:
    """What came of one sync so far."""

    counts: Counts
    stop: PlanhatDbtError | None = None
    """Why the sync went no further."""
    ends_run: bool = False


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a run reads and writes: everything a delivery needs besides the plan itself."""

    context: Context
    tables: StateTables
    journal: Journal
    log: RunLog
    lease: Lease
    calls: Calls
    take_requests: Callable[[], list[RequestRow]]
    enter_batch: Callable[[str, int | None], None]
    """Says which batch the next calls belong to."""
    stopping: Callable[[], bool]
    """Whether the run has been asked to end."""


def deliver_changes(desk: Desk, compared: Compared, listener: Listener) -> Delivery:
    """Send inserts and updates of one sync."""
    return _Deliverer(desk, compared, listener).run(_change_phases(desk, compared))


def deliver_removals(desk: Desk, compared: Compared, listener: Listener) -> Delivery:
    """Send clears and deletes of one sync."""
    return _Deliverer(desk, compared, listener).run(_removal_phases(desk, compared))


def _change_phases(desk: Desk, compared: Compared) -> Iterator[Phase]:
    sync, plan = compared.sync, compared.plan
    size, limits = plan.batch_rows, _limits(desk)
    inserts, updates = plan.count(Operation.INSERT), plan.count(Operation.UPDATE)
    if sync.object.is_event:
        courier = EventCourier(
            desk.calls, "metrics" if sync.object.name == "metric" else "activities", limits
        )
        yield Phase(
            1, math.ceil(inserts / size), inserts, EVENT_WINDOW_BATCHES, _one_by_one(desk, sync.name, courier)
        )
        return
    bulk = _one_by_one(desk, sync.name, _bulk(desk, compared))
    if creates_singly(sync):
        singly = _one_by_one(desk, sync.name, CreateCourier(desk.calls, sync.object.path))
        yield Phase(CREATE_BATCHES_FROM, math.ceil(inserts / CREATE_BATCH_ROWS), inserts, 1, singly)
        inserts = 0
    yield Phase(1, math.ceil((inserts + updates) / size), inserts + updates, WINDOW_BATCHES, bulk)


def _removal_phases(desk: Desk, compared: Compared) -> Iterator[Phase]:
    plan = compared.plan
    clears, deletes = plan.count(Operation.CLEAR), plan.count(Operation.DELETE)
    bulk = _one_by_one(desk, compared.sync.name, _bulk(desk, compared))
    yield Phase(CLEAR_BATCHES_FROM, math.ceil(clears / plan.batch_rows), clears, WINDOW_BATCHES, bulk)
    finder = Finder(desk.calls, compared.sync)
    courier = DeleteCourier(desk.calls, compared.sync.object.path, finder, _limits(desk))

    def delete(batches: Sequence[Batch]) -> list[BatchOutcome]:
        desk.enter_batch(compared.sync.name, None)
        return courier.deliver_all(batches)

    yield Phase(DELETE_BATCHES_FROM, deletes, deletes, DELETE_WINDOW, delete)


def _bulk(desk: Desk, compared: Compared) -> BulkCourier:
    match = compared.sync.match.field if compared.sync.match else None
    return BulkCourier(desk.calls, compared.sync.object.path, match, _limits(desk))


def _limits(desk: Desk) -> Limits:
    return Limits(desk.context.settings.batch_rows, desk.context.settings.batch_bytes)


class _OneBatch(Protocol):
    def deliver(self, batch: Batch) -> BatchOutcome: ...


def _one_by_one(desk: Desk, sync: str, courier: _OneBatch) -> _Courier:
    """One bulk call in flight for an object: parallel ones have produced duplicates (planhat-api §2)."""

    def deliver(batches: Sequence[Batch]) -> list[BatchOutcome]:
        outcomes: list[BatchOutcome] = []
        for batch in batches:
            if (outcomes and outcomes[-1].stop) or desk.stopping():
                outcomes.append(_unsent(batch, outcomes[-1].stop if outcomes else None))
                continue
            desk.enter_batch(sync, batch.number)
            outcomes.append(courier.deliver(batch))
        return outcomes

    return deliver


def _unsent(batch: Batch, stop: PlanhatDbtError | None) -> BatchOutcome:
    tally = Tally(batch)
    tally.hold(batch.rows, "not_sent", "not sent: " + (stop.message if stop else "the run was interrupted"))
    tally.stop = stop
    return tally.outcome()


class _Deliverer:
    def __init__(self, desk: Desk, compared: Compared, listener: Listener) -> None:
        self._desk = desk
        self._compared = compared
        self._listener = listener
        self._writer = PayloadWriter(compared.bound, desk.tables.dialect)
        self._delivery = Delivery(Counts())
        self._failed_calls = 0

    def run(self, phases: Iterator[Phase]) -> Delivery:
        for phase in phases:
            if not phase.rows:
                continue
            if self._delivery.stop or self._desk.stopping():
                self._hold_rest(Window(phase.first, phase.first + phase.batches - 1))
            else:
                self._run_phase(phase)
        return self._delivery

    def _run_phase(self, phase: Phase) -> None:
        last = phase.first + phase.batches - 1
        first = phase.first
        while first <= last:
            window = Window(first, min(first + phase.window - 1, last))
            self._run_window(window, phase.courier)
            first = window.last + 1
            if first <= last and (self._delivery.stop or self._desk.stopping()):
                self._hold_rest(Window(first, last))
                return

    def _run_window(self, window: Window, courier: _Courier) -> None:
        desk = self._desk
        with desk.context.warehouse.open() as session:
            batches = self._writer.batches(self._fetch(session, window.where))
            with session.transaction():
                desk.lease.renew(session)
                desk.journal.mark_sending(session, self._compared.sync.name, window)
        outcomes = courier(batches)
        outcomes = self._send_whole(outcomes, courier)
        self._record(window, outcomes)
        self._add_up(batches, outcomes)

    def _fetch(self, session: Session, where: str) -> Iterator[tuple[object, ...]]:
        plan = self._desk.tables.plan(self._compared.sync.name)
        query = f"select {', '.join(self._writer.select)} from {plan} p where {where}"
        return chain.from_iterable(session.stream(query, _FETCH))

    def _send_whole(self, outcomes: list[BatchOutcome], courier: _Courier) -> list[BatchOutcome]:
        """Send records that somebody deleted in Planhat once more, whole: a part must not stand alone (DESIGN §5)."""
        rows = [row for outcome in outcomes for row in outcome.again]
        if not rows:
            return outcomes
        with self._desk.context.warehouse.open() as session:
            where = f"p._row in ({', '.join(map(str, rows))})"
            batches = self._writer.batches(self._fetch(session, where), whole=True)
        sync = self._compared.sync
        if creates_singly(
            sync
        ):  # without a key, only the answer to a single create ties the new id to the row
            courier = _one_by_one(self._desk, sync.name, CreateCourier(self._desk.calls, sync.object.path))
        second = {outcome.batch: outcome for outcome in courier(batches)}
        return [_merged(o, second[o.batch]) if o.batch in second else o for o in outcomes]

    def _record(self, window: Window, outcomes: list[BatchOutcome]) -> None:
        desk, compared = self._desk, self._compared
        with desk.context.warehouse.open() as session:
            with session.transaction():
                desk.lease.renew(session)
                desk.journal.record(
                    session,
                    compared.bound,
                    window,
                    outcomes,
                    mapping_version=compared.mapping.version,
                    had_prior=compared.had_prior,
                )
            desk.log.write_requests(session, desk.take_requests())

    def _hold_rest(self, window: Window) -> None:
        """Enter what is left of the plan as held: planned, not sent, found again by the next run."""
        desk, name = self._desk, self._compared.sync.name
        reason = self._delivery.stop.message if self._delivery.stop else "the run was interrupted"
        with desk.context.warehouse.open() as session, session.transaction():
            desk.lease.renew(session)
            held = desk.journal.hold(session, name, window, f"not sent: {reason}")
        self._delivery.counts += Counts(held=held)

    def _add_up(self, batches: list[Batch], outcomes: list[BatchOutcome]) -> None:
        counted: Counter[str] = Counter()
        for batch in batches:
            counted.update(_COUNTED[Operation(r.operation)] for r in batch.rows)
            counted.update(_COUNTED[Operation(r.operation)] for r in batch.refused)
        for outcome in outcomes:
            for row in outcome.exceptions:
                counted[_COUNTED[Operation(row.operation)]] -= 1
                counted[row.status.value] += 1
        self._delivery.counts += Counts(**counted)
        self._listener.delivered(
            self._compared.sync, self._delivery.counts.total, self._compared.plan.rows_to_send
        )
        for outcome in outcomes:
            self._watch(outcome)

    def _watch(self, outcome: BatchOutcome) -> None:
        """Stop a sync whose calls fail again and again: the rest is for the next run (DESIGN §9)."""
        self._failed_calls = self._failed_calls + 1 if outcome.failed_call else 0
        if outcome.stop:
            self._delivery.stop = outcome.stop
            # The tracking host is another one: what it refuses says nothing of the main API.
            self._delivery.ends_run = isinstance(outcome.stop, CallError) and (
                not self._compared.sync.object.is_event or isinstance(outcome.stop, AccessDeniedError)
            )
        elif self._failed_calls >= self._desk.context.settings.breaker_failures and not self._delivery.stop:
            self._delivery.stop = FailedError(
                f"{self._failed_calls} calls in a row failed: {outcome.error}",
                hint="Run again when Planhat answers; nothing that it accepted is sent twice.",
            )


def _merged(first: BatchOutcome, second: BatchOutcome) -> BatchOutcome:
    # The second sending calls its rows inserts; in the plan they are updates.
    exceptions = [e._replace(operation=Operation.UPDATE.value) for e in second.exceptions]
    return replace(
        first,
        calls=first.calls + second.calls,
        http_status=second.http_status or first.http_status,
        created=first.created + second.created,
        updated=first.updated + second.updated,
        unchanged=first.unchanged + second.unchanged,
        answered_at=second.answered_at,
        ids=first.ids + second.ids,
        exceptions=(*first.exceptions, *exceptions),
        again=(),
        error=first.error or second.error,
        stop=first.stop or second.stop,
    )
