"""Steps two and three of a sync: read a window of the plan, mark it, send it, record it; and so on to the end.

Calls go out from a thread of their own, one window at a time. Meanwhile the next window is read and the last one
recorded; then the warehouse is given back until the answer comes.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NoReturn

from planhat_dbt.declaration.manner import Creates, manner_of
from planhat_dbt.deliver.breaker import Breaker
from planhat_dbt.deliver.payload import Batch, PayloadWriter, row_number
from planhat_dbt.deliver.written import operations_of
from planhat_dbt.errors import PlanhatDbtError, RefusedError
from planhat_dbt.plan import Operation
from planhat_dbt.planhat import AccessDeniedError, CallError
from planhat_dbt.result import Counts
from planhat_dbt.run.phases import Phase, change_phases, creates, removal_phases
from planhat_dbt.run.recovery_step import keep_learnt, record_window
from planhat_dbt.state import takeovers
from planhat_dbt.state.journal import Window
from planhat_dbt.state.recovery import Learnt
from planhat_dbt.warehouse.repeat import in_transaction, until_it_fits

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from planhat_dbt.deliver.written import SentRow, WrittenForm
    from planhat_dbt.outcome import BatchOutcome
    from planhat_dbt.run.compare_step import Compared
    from planhat_dbt.run.context import Listener
    from planhat_dbt.run.desk import Desk
    from planhat_dbt.run.phases import Courier
    from planhat_dbt.warehouse.port import Row, Session

WINDOW_BYTES: Final = 16 * 1024 * 1024
"""Encoded rows of a window; it ends early where rows are wide. Two are held at a time."""
_FETCH: Final = 2000
_NAMED: Final = 500
"""Rows that a statement names one by one: to look through a long list costs more than to fetch what lies between."""

_COUNTED: Final = {
    Operation.INSERT: "inserted",
    Operation.UPDATE: "updated",
    Operation.CLEAR: "cleared",
    Operation.DELETE: "deleted",
}


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A window that is read and encoded."""

    window: Window
    batches: list[Batch]


@dataclass(slots=True)
class _Flight:
    """A window whose calls are under way, until it is recorded."""

    loaded: _Loaded
    calls: Future[list[BatchOutcome]]
    outcomes: list[BatchOutcome] = field(default_factory=list)
    again: tuple[int, ...] = ()
    """Plan rows whose record was gone, and that are sent whole."""
    landed: bool = False

    @property
    def window(self) -> Window:
        """Its batches' numbers."""
        return self.loaded.window

    @property
    def batches(self) -> list[Batch]:
        """Its batches."""
        return self.loaded.batches


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of one half of a sync."""

    counts: Counts
    stop: PlanhatDbtError | None = None
    """Why it went no further."""
    ends_run: bool = False
    """Whether what stopped it would stop every other sync as well."""


def deliver_changes(desk: Desk, compared: Compared, listener: Listener) -> Delivery:
    """Send inserts and updates of one sync."""
    breaker = _breaker(desk)
    only_inserts = not compared.plan.count(Operation.UPDATE)
    deliverer = _Deliverer(desk, compared, listener, breaker, only_inserts=only_inserts)
    return deliverer.run(change_phases(desk, compared, breaker))


def deliver_removals(desk: Desk, compared: Compared, listener: Listener) -> Delivery:
    """Send clears and deletes of one sync."""
    breaker = _breaker(desk)
    return _Deliverer(desk, compared, listener, breaker).run(removal_phases(desk, compared, breaker))


def leave_taken_over(desk: Desk, compared: Compared, *, looked_up: bool) -> dict[Operation, int]:
    """Take removals out of the plan whose records other rows have by now; their batches stay, with fewer rows or none.

    Args:
        desk: What the run shares.
        compared: The sync.
        looked_up: Whether the removals' records were looked up again after the changes (`look_again`).

    Returns:
        Operation → rows.
    """
    sync, tables = compared.sync.name, desk.tables
    with desk.context.warehouse.open() as session:
        match = compared.sync.match
        place = (compared.sync.object.name, match.field) if looked_up and match else None
        found = takeovers.find_taken_over(session, tables, sync, place)
        if found:
            leave = partial(takeovers.leave_taken_over, session, tables, desk.journal, sync)
            desk.lease.write(session, leave)
    return found


def hold_removals(desk: Desk, compared: Compared, reason: str) -> Counts:
    """Enter planned removals that are not even begun as held; the next run finds them again."""

    def hold() -> int:
        phases = removal_phases(desk, compared, _breaker(desk))
        return sum(
            desk.journal.hold(session, compared.sync.name, phase.span, f"not sent: {reason}")
            for phase in phases
        )

    with desk.context.warehouse.open() as session:
        return Counts(held=desk.lease.write(session, hold))


def _breaker(desk: Desk) -> Breaker:
    return Breaker(desk.context.settings.breaker_failures, desk.stopping)


class _Deliverer:
    def __init__(
        self,
        desk: Desk,
        compared: Compared,
        listener: Listener,
        breaker: Breaker,
        *,
        only_inserts: bool = False,
    ) -> None:
        self._desk = desk
        self._compared = compared
        self._listener = listener
        self._breaker = breaker
        self._writer = PayloadWriter(compared.sent_as, desk.tables.dialect, only_inserts=only_inserts)
        self._counts = Counts()
        self._largest = WINDOW_BYTES
        """The bytes of the largest batch so far; the first is read alone to see how many fit into a window."""

    def run(self, phases: Iterable[Phase]) -> Delivery:
        for phase in phases:
            left = self._run_phase(phase)
            if left.first <= left.last:
                self._hold(left)
        stop = self._breaker.error
        # The tracking host is another one: what it refuses says nothing of the main API.
        ends_run = isinstance(stop, AccessDeniedError) or (
            isinstance(stop, CallError) and not self._compared.sync.object.is_event
        )
        return Delivery(self._counts, stop, ends_run)

    def _run_phase(self, phase: Phase) -> Window:
        """Send a span window by window: one is read and the one before recorded while calls are under way.

        Returns:
            What is left of it.
        """
        left, size = phase.span, phase.window
        flights: deque[_Flight] = deque()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="planhat-dbt-calls") as sender:
            try:
                while flights or self._goes_on(left):
                    loaded = self._load(left, size, phase) if self._goes_on(left) else None
                    self._write(flights, loaded)
                    self._land(flights, phase)
                    if loaded and self._sets_out(loaded):
                        flights.append(_Flight(loaded, sender.submit(phase.courier, loaded.batches)))
                        left = Window(loaded.window.last + 1, left.last)
                        size = min(2 * size, phase.largest)
                    if not phase.overlaps:
                        self._land(flights, phase)
                        self._write(flights)
            except PlanhatDbtError as error:
                self._rescue(flights, error)
        return left

    def _goes_on(self, left: Window) -> bool:
        return left.first <= left.last and not self._breaker.open

    def _load(self, left: Window, size: int, phase: Phase) -> _Loaded:
        with self._desk.context.warehouse.open() as session:
            return until_it_fits(lambda: self._read(session, left, size, phase))

    def _write(self, flights: deque[_Flight], loaded: _Loaded | None = None) -> None:
        """Record what has landed, and say that the window just read may reach Planhat from now on: one commit."""
        landed = flights[0] if flights and flights[0].landed else None
        if landed is None and loaded is None:
            return
        desk = self._desk
        requests = desk.take_requests(landed.window.last) if landed else []

        def write() -> None:
            if landed:
                desk.lease.renew(session)
                self._record(session, landed)
                desk.log.write_requests(session, requests)
            else:
                desk.lease.check(session)
            if loaded:
                desk.journal.mark_sending(session, self._compared.sync.name, loaded.window)

        try:
            with desk.context.warehouse.open() as session:
                in_transaction(session, write)
        except BaseException:
            desk.put_back_requests(requests)
            raise
        if landed:
            self._add_up(landed.batches, landed.outcomes)
            flights.popleft()

    def _sets_out(self, loaded: _Loaded) -> bool:
        """Whether a window that is marked may still be sent; if not, take the mark back."""
        if not self._breaker.open:
            return True
        desk = self._desk
        with desk.context.warehouse.open() as session, session.transaction():
            desk.lease.check(session)
            desk.journal.mark_planned(session, self._compared.sync.name, loaded.window)
        return False

    def _land(self, flights: deque[_Flight], phase: Phase) -> None:
        """Wait for the outcome of the first window under way."""
        if not flights or flights[0].landed:
            return
        flight = flights[0]
        self._wait(flight)
        self._send_whole(flight, phase.courier)

    def _wait(self, flight: _Flight) -> None:
        if not flight.calls.done():
            self._desk.give_back()  # nobody needs the warehouse until the answer comes
        flight.outcomes = flight.calls.result()
        flight.again = tuple(row for outcome in flight.outcomes for row in outcome.again)
        flight.landed = True

    def _rescue(self, flights: deque[_Flight], error: PlanhatDbtError) -> NoReturn:
        """Keep in files what was sent and cannot be written down."""
        for flight in flights:
            if not flight.landed:
                self._wait(flight)
        if isinstance(error, RefusedError) or not flights:
            raise error  # refused: another run took over, and compares what this one sent
        told: PlanhatDbtError = error
        for flight in flights:
            told = keep_learnt(self._desk, self._compared.sync, self._learnt(flight), flight.batches, error)
            self._listener.notice(told.message)  # at once: the end of the run may not be written, either
        raise told from error

    def _learnt(self, flight: _Flight) -> Learnt:
        mapping = self._compared.mapping
        return Learnt(
            window=flight.window,
            outcomes=tuple(flight.outcomes),
            again=flight.again,
            mapping_version=mapping.version,
            had_prior=self._compared.had_prior,
            key_since=mapping.key_since,
        )

    def _read(self, session: Session, left: Window, most: int, phase: Phase) -> _Loaded:
        """Encode as many of the next batches as a window may hold, at least one."""
        last = min(left.first + most - 1, left.last)
        batches: list[Batch] = []
        number, size = left.first, 0
        while number <= last and (not batches or size < WINDOW_BYTES):
            fitting = (WINDOW_BYTES - size) // self._largest
            part = Window(number, min(number + max(phase.read, fitting) - 1, last))
            read = self._encoded(session, part)
            sizes = [b.bytes for b in read]
            self._largest = (
                max(sizes, default=1) if self._largest == WINDOW_BYTES else max(self._largest, *sizes)
            )
            size += sum(sizes)
            batches += read
            number = part.last + 1
        return _Loaded(Window(left.first, number - 1), batches)

    def _encoded(self, session: Session, part: Window) -> list[Batch]:
        """Encode a span: in the warehouse what is plain, here what is not."""
        written = self._writer.written
        if written is None:
            return self._writer.batches(self._fetch(session, part.where))
        found: defaultdict[int, list[Row]] = defaultdict(list)
        for number, rows in groupby(self._stream(session, written.select, part.where), itemgetter(0)):
            found[number] += rows
        odd = {
            written.row_number(row) for rows in found.values() for row in rows if not written.is_plain(row)
        }
        rest: dict[int, Batch] = {}
        if odd:
            where = f"{part.where} and {_named(odd)}"
            fetched = (row for row in self._fetch(session, where) if row_number(row) in odd)
            rest = {b.number: b for b in self._writer.batches(fetched)}
        return [_batch(written, number, found[number], rest.get(number)) for number in sorted(found)]

    def _fetch(self, session: Session, where: str) -> Iterator[Row]:
        return self._stream(session, self._writer.select, where)

    def _stream(self, session: Session, select: Sequence[str], where: str) -> Iterator[Row]:
        tables = self._desk.tables
        joins = self._writer.joins(tables.lookups)
        source = f"{tables.plan(self._compared.sync.name)} p{joins}"
        return chain.from_iterable(
            session.stream(f"select {', '.join(select)} from {source} where {where}", _FETCH)
        )

    def _send_whole(self, flight: _Flight, courier: Courier) -> None:
        """Send records that somebody deleted in Planhat once more, whole: a part must not stand alone (DESIGN §5)."""
        if not flight.again:
            return
        again = set(flight.again)
        with self._desk.context.warehouse.open() as session:
            where = f"{flight.window.where} and {_named(flight.again)}"

            def read() -> list[Batch]:
                rows = (row for row in self._fetch(session, where) if row_number(row) in again)
                return self._writer.batches(rows, whole=True)

            batches = until_it_fits(read)
            if manner_of(self._compared.sync).creates is Creates.SINGLY:
                courier = creates(self._desk, self._compared, self._breaker)
                # From here on they are creates, also for whoever finds us crashed.
                sync, journal = self._compared.sync.name, self._desk.journal
                self._desk.lease.write(session, partial(journal.make_inserts, session, sync, flight.again))
        second = {outcome.batch: outcome for outcome in courier(batches)}
        flight.outcomes = [_merged(o, second[o.batch]) if o.batch in second else o for o in flight.outcomes]

    def _record(self, session: Session, flight: _Flight) -> None:
        desk, bound = self._desk, self._compared.bound
        record_window(session, desk.journal, desk.tables, bound, self._learnt(flight), desk.context.all_syncs)

    def _hold(self, window: Window) -> None:
        """Enter what is left of a phase as held: planned, not sent, found again by the next run."""
        desk = self._desk
        text = f"not sent: {self._breaker.reason}"
        with desk.context.warehouse.open() as session:
            hold = partial(desk.journal.hold, session, self._compared.sync.name, window, text)
            self._counts += Counts(held=desk.lease.write(session, hold))

    def _add_up(self, batches: list[Batch], outcomes: list[BatchOutcome]) -> None:
        operations: Counter[str] = Counter([r.operation for b in batches for r in b.refused])
        for batch in batches:
            operations.update(operations_of(batch.rows))
        counted = Counter({_COUNTED[Operation(o)]: rows for o, rows in operations.items()})
        exceptions = [e for o in outcomes for e in o.exceptions]
        # What was sent whole in the end counts as what was planned.
        wanted = {e.row for e in exceptions}
        concerned = {o.batch for o in outcomes if o.exceptions}
        planned = {
            r.row: r.operation for b in batches if b.number in concerned for r in b.rows if r.row in wanted
        }
        planned |= {r.row: r.operation for b in batches for r in b.refused}
        for exception in exceptions:
            counted[_COUNTED[Operation(planned[exception.row])]] -= 1
            counted[exception.status.value] += 1
        self._counts += Counts(**counted)
        self._listener.delivered(self._compared.sync, self._counts.total, self._compared.plan.rows_to_send)


def _batch(form: WrittenForm, number: int, rows: list[Row], rest: Batch | None) -> Batch:
    """A batch of rows that the warehouse wrote, and of the rest, which it could not."""
    plain = rows if rest is None else [row for row in rows if form.is_plain(row)]
    written: Sequence[SentRow] = form.rows(plain) if plain else ()
    return Batch(number, written) if rest is None else Batch(number, (*written, *rest.rows), rest.refused)


def _named(rows: Collection[int]) -> str:
    """A condition that holds for these plan rows `p`, and where they are many, for all between them."""
    if len(rows) <= _NAMED:
        return f"p._row in ({', '.join(map(str, rows))})"
    return f"p._row between {min(rows)} and {max(rows)}"


def _merged(first: BatchOutcome, second: BatchOutcome) -> BatchOutcome:
    return replace(
        first,
        calls=first.calls + second.calls,
        http_status=second.http_status or first.http_status,
        created=first.created + second.created,
        updated=first.updated + second.updated,
        unchanged=first.unchanged + second.unchanged,
        answered_at=second.answered_at,
        ids=first.ids + second.ids,
        exceptions=(*first.exceptions, *second.exceptions),
        again=(),
        error=first.error or second.error,
        stop=first.stop or second.stop,
    )
