"""A run from start to end: `plan` compares and shows, `sync` compares, guards, delivers and records.

Syncs go in dependency order, each compared after its parents were delivered; then removals, in reverse.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from uuid_utils import uuid7

from planhat_dbt import __version__
from planhat_dbt.declaration.error import DeclarationError
from planhat_dbt.declaration.manner import manner_of
from planhat_dbt.errors import FailedError, PlanhatDbtError, RefusedError
from planhat_dbt.gate import check_gate
from planhat_dbt.guards import check_plan
from planhat_dbt.planhat import AccessDeniedError, NotSentError, StoppedError
from planhat_dbt.result import Counts, RunResult, Status, SyncResult
from planhat_dbt.run.calls import CallBook
from planhat_dbt.run.clean_step import note_clean_syncs, skip_unbuilt
from planhat_dbt.run.collector import collected_rarely
from planhat_dbt.run.compare_step import (
    Compared,
    bind_all,
    compare,
    ensure_sync_tables,
    failing_rows,
    reads_back,
    recount,
    removal_keys,
    set_aside,
    take_along,
)
from planhat_dbt.run.context import Onward
from planhat_dbt.run.custom_step import wants_types, with_types
from planhat_dbt.run.deliver_step import (
    Delivery,
    deliver_changes,
    deliver_removals,
    hold_removals,
    leave_taken_over,
)
from planhat_dbt.run.desk import Desk
from planhat_dbt.run.heartbeat import Heartbeat
from planhat_dbt.run.ledger import Entry
from planhat_dbt.run.lookup_step import look_again, look_up, wants_another_look, wants_lookups
from planhat_dbt.run.read_back_step import read_back
from planhat_dbt.run.recovery_step import enter_kept, enter_left
from planhat_dbt.run.seal_step import check_rows, check_seal, forget_seal, seal_plans
from planhat_dbt.selection import why_none
from planhat_dbt.settings import OnUnknown
from planhat_dbt.state.event_times import prune
from planhat_dbt.state.journal import ALL, Journal, utc_now
from planhat_dbt.state.layout import StateTables, ensure_tables, existing_tables
from planhat_dbt.state.lease import Lease
from planhat_dbt.state.lookups import Lookups
from planhat_dbt.state.points import forget_settled_points
from planhat_dbt.state.runs import RunLog, RunRow
from planhat_dbt.state.snapshot import keep_mapping
from planhat_dbt.state.tenant import check_tenant
from planhat_dbt.state.unknown import forget_unknown, take_as_done

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator

    from planhat_dbt.planhat import ClientSettings, Endpoint
    from planhat_dbt.run.context import Context, Listener
    from planhat_dbt.seal import Seal
    from planhat_dbt.warehouse.port import Session

    _Step = Callable[[Desk, Compared, Listener], Delivery]

_SHORT_CALL: Final = 0.2
"""Seconds of a call after which others may have the warehouse's file: opening it anew takes a tenth of that."""
_NO_SUCH_TABLES: Final = "The built tables do not carry what the declarations name; nothing was sent."


class Run:
    """One invocation over one context."""

    def __init__(
        self,
        context: Context,
        listener: Listener,
        command: str,
        *,
        clock: Callable[[], dt.datetime] = utc_now,
        run_id: str = "",
    ) -> None:
        self._context = context
        self._listener = listener
        self._command = command
        self._clock = clock
        self._run_id = run_id or str(uuid7())
        self._tables = StateTables(
            context.warehouse.dialect, context.warehouse.database, context.settings.state_schema
        )
        self._journal = Journal(self._tables, self._run_id)
        self._log = RunLog(self._tables, self._run_id)
        self._lease = Lease(self._tables, self._run_id, command, context.settings.lease_seconds)
        self._book = CallBook()
        self._started = utc_now()
        self._sealed = False
        self.stop = threading.Event()
        """Set it to end the run after the batch in flight."""

    def plan(self, samples: int = 3, on_seal: Callable[[Seal], None] | None = None) -> tuple[SyncResult, ...]:
        """Compare every selected sync and count; nothing is sent.

        Args:
            samples: Rows of each operation to read for show.
            on_seal: Given the plan, sealed.

        Raises:
            DeclarationError: The built tables do not fit the declarations.
            RefusedError: Another run is under way.
        """
        with self._context.warehouse.open() as session, self._leased(session):
            entries = self._prepare(session, all_compared=on_seal is not None)
            self._plan_all(session, entries, samples)
            if on_seal:
                on_seal(seal_plans(session, self._tables, self._context, entries))
        return tuple(entry.result(0) for entry in entries)

    def _plan_all(self, session: Session, entries: list[Entry], samples: int = 0) -> None:
        planned: set[str] = set()
        for entry in entries:
            if entry.status is None:
                self._compare(session, entry, frozenset(planned), samples)
                planned.add(entry.sync.name)

    def resolve(self, decision: OnUnknown, keys: tuple[str, ...] = ()) -> int:
        """Decide on the rows of unknown outcome of the selected syncs; makes no call.

        Args:
            decision: Send them again, or take them as done.
            keys: Only these rows; none named: all.

        Returns:
            The rows decided on.
        """
        with self._context.warehouse.open() as session, self._leased(session):
            self._prepare(session)
            return sum(
                self._decide(session, s.name, decision, keys)
                for s in self._context.syncs
                if manner_of(s).sent_once
            )

    def sync(
        self, endpoint: Endpoint, client_settings: ClientSettings, seal: Seal | None = None
    ) -> RunResult:
        """Compare, guard, deliver and record every selected sync; with a seal, nothing but what it holds.

        Raises:
            DeclarationError: The built tables do not fit the declarations; no call was made.
            RefusedError: Another run is under way, the state belongs to another tenant, or the plan is not as it
                was sealed; no call was made.
        """
        self._sealed = seal is not None
        with self._context.warehouse.kept(), collected_rarely():
            return self._sync(endpoint, client_settings, seal)

    def _sync(self, endpoint: Endpoint, client_settings: ClientSettings, seal: Seal | None) -> RunResult:
        with self._context.warehouse.open() as session, self._leased(session, only_on_error=True):
            entries = self._prepare(session, all_compared=seal is not None)
            check_tenant(session, self._tables, endpoint, [e.sync.name for e in entries if e.ready])
            if seal:
                self._check_seal(session, entries, seal)
            self._log.start(session, self._run_row(), len(entries))
        stopped_by: PlanhatDbtError | None = None
        try:
            stopped_by = self._deliver_all(entries, endpoint, client_settings)
        finally:
            result = self._close(entries, stopped_by)
        return result

    def _pause(self, seconds: float) -> None:
        self._context.warehouse.release()
        self.stop.wait(seconds)

    def _check_seal(self, session: Session, entries: list[Entry], seal: Seal) -> None:
        """Plan as `plan` does, and see that it comes out as sealed; each sync is compared again at its turn."""
        self._plan_all(session, entries)
        check_seal(session, self._tables, entries, seal)
        for entry in entries:
            if entry.status is Status.REFUSED:
                entry.status, entry.reason, entry.refusal = None, "", None
            entry.compared = None

    @contextmanager
    def _leased(self, session: Session, *, only_on_error: bool = False) -> Iterator[None]:
        """Hold the lease; for a sync, until `_close` gives it back."""
        if self._context.gate.refusal:
            raise RefusedError(
                f"Refused: {self._context.gate.refusal}.",
                hint=self._context.gate.hint,
            )
        ensure_tables(session, self._tables, existing_tables(session, self._tables))
        self._lease.take(session)
        try:
            session.finish()
            yield
        except BaseException:
            self._lease.give_back(session)
            raise
        if not only_on_error:
            self._lease.give_back(session)

    def _prepare(self, session: Session, *, all_compared: bool = False) -> list[Entry]:
        """Check all that can be checked before the first comparison."""
        context = self._context
        self._tell_circumstances()
        entries = [Entry(sync) for sync in context.syncs]
        for entry in entries:
            closed = check_gate(entry.sync, context.manifest, context.gate)
            if closed:
                entry.status, entry.reason = Status.GATED, closed.reason
                entry.not_due = closed.not_due and not context.chosen
        ungated = [e for e in entries if e.status is None]
        bound, faults = bind_all(session, context, [e.sync for e in ungated])
        if faults:
            raise DeclarationError(_NO_SUCH_TABLES, tuple(faults))
        told, left = enter_kept(session, context, self._tables, self._lease, bound)
        for sync in take_along(session, context, self._tables, self._journal):
            self._listener.notice(
                f"{sync.name} goes on with the state of {sync.previous_name}, its previous name."
            )
        ready = ensure_sync_tables(session, context, self._tables, self._journal, bound)
        for text in (*told, *enter_left(session, self._tables, self._lease, left)):
            self._listener.notice(text)
        for entry in ungated:
            entry.ready = ready[entry.sync.name]
            if entry.ready.notice:
                self._listener.notice(entry.ready.notice)
            if manner_of(entry.sync).sent_once:
                self._decide(session, entry.sync.name, context.settings.on_unknown)
        skip_unbuilt(session, context, self._tables, ungated, all_compared=all_compared)
        return entries

    def _tell_circumstances(self) -> None:
        if self._context.gate.notice:
            self._listener.notice(self._context.gate.notice)
        if not self._context.syncs:
            self._listener.notice(why_none(self._context.all_syncs))

    def _decide(self, session: Session, sync: str, decision: OnUnknown, keys: tuple[str, ...] = ()) -> int:
        if decision is OnUnknown.HOLD:
            return 0
        with session.transaction():
            if decision is OnUnknown.DISCARD:
                take_as_done(session, self._tables, sync, keys)
            count = forget_unknown(session, self._tables, sync, keys)
            forget_settled_points(session, self._tables, sync)
            return count

    def _compare(
        self,
        session: Session,
        entry: Entry,
        planned_parents: frozenset[str] | None = None,
        samples: int = 0,
    ) -> Compared:
        context = self._context
        assert entry.ready is not None  # noqa: S101 - gated syncs do not come here
        self._listener.comparing(entry.ready.bound)
        compared = compare(
            session,
            context,
            self._tables,
            entry.ready,
            now=self._clock(),
            planned_parents=planned_parents,
            samples=samples,
        )
        entry.compared, entry.seconds_compare = compared, compared.plan.seconds
        self._guard(session, entry, compared)
        self._listener.planned(compared.plan)
        return compared

    def _guard(self, session: Session, entry: Entry, compared: Compared) -> None:
        refusal = check_plan(
            entry.sync,
            compared.plan,
            allow_removals=entry.sync.name in self._context.overrides.removals,
            allow_changes=entry.sync.name in self._context.overrides.changes,
            left_behind=entry.ready.left_behind if entry.ready else "",
        )
        if refusal:
            keys = removal_keys(session, self._tables, entry.sync.name, removals=refusal.what == "removals")
            entry.refusal = replace(refusal, keys=keys)
            entry.status, entry.reason = Status.REFUSED, str(entry.refusal)

    def _deliver_all(
        self, entries: list[Entry], endpoint: Endpoint, client_settings: ClientSettings
    ) -> PlanhatDbtError | None:
        from planhat_dbt.planhat import PlanhatClient  # noqa: PLC0415 - httpx, only when calls may be made

        stopped_by: PlanhatDbtError | None = None
        release = partial(self._context.warehouse.release, after=_SHORT_CALL)
        settings = self._context.settings
        times = (settings.lease_seconds, settings.duckdb_lock_wait)
        with (
            Heartbeat(self._context.warehouse, self._lease, *times, self.stop) as heartbeat,
            PlanhatClient(
                endpoint,
                client_settings,
                self._book.note,
                before_call=release,
                on_retry=self._listener.notice,
                stop=self.stop,
            ) as client,
        ):
            desk = Desk(
                self._context,
                self._tables,
                self._journal,
                self._log,
                self._lease,
                client,
                self._book.take,
                self._book.put_back,
                self._book.enter,
                lambda: self.stop.is_set() or not heartbeat.holds(),
                self._pause,
                release,
                Lookups(self._tables, self._run_id),
            )
            for entry in entries:
                if entry.sync.name in self._journal.disturbed:
                    entry.wake()
                if stopped_by or self.stop.is_set():
                    self._skip(entry, stopped_by)
                elif entry.status is None:
                    stopped_by = self._guarded(entry, self._changes, desk)
            for entry in reversed(entries):
                if not entry.removals_left:
                    continue
                if stopped_by or self.stop.is_set() or entry.status is not None:
                    self._guarded(entry, self._leave_removals, desk)
                else:
                    stopped_by = self._guarded(entry, self._removals, desk)
        return stopped_by

    def _guarded(
        self, entry: Entry, step: Callable[[Desk, Entry], PlanhatDbtError | None], desk: Desk
    ) -> PlanhatDbtError | None:
        """Let a failure of the warehouse end one sync, not the run; a lost lease ends the run."""
        try:
            return step(desk, entry)
        except FailedError as error:
            entry.status, entry.reason = Status.FAILED, error.told
            return error if self._context.overrides.fail_fast else None
        except RefusedError as error:
            entry.status, entry.reason = Status.FAILED, error.message
            return error

    def _skip(self, entry: Entry, stopped_by: PlanhatDbtError | None) -> None:
        if entry.status is None:
            entry.status = Status.FAILED if stopped_by else Status.INTERRUPTED
            entry.reason = f"not run: {stopped_by.message if stopped_by else 'the run was interrupted'}"

    def _changes(self, desk: Desk, entry: Entry) -> PlanhatDbtError | None:
        with self._context.warehouse.open() as session:
            with session.transaction():
                self._lease.renew(session)
            compared = self._compare(session, entry)
            if self._sealed:
                check_rows(session, self._tables, entry)
        stopped_by = self._get_ready(desk, entry) if entry.status is None else None
        compared = entry.compared or compared
        with self._context.warehouse.open() as session:
            if stopped_by or entry.status is Status.FAILED:  # look-ups may have settled a part of the plan
                single_creates = compared.plan.single_calls
                compared = entry.compared = recount(
                    session, self._tables, compared, single_creates=single_creates
                )
            plan = compared.plan
            entry.counts += Counts(held=plan.held, rejected=plan.rejected, unknown=plan.unknown)
            set_aside(session, self._tables, self._journal, compared)
            if stopped_by or entry.status is Status.FAILED:
                self._hold_all(session, entry)
            elif entry.status is None and (horizon := compared.comparison.horizon):
                # What follows sends nothing that is before the cut-off.
                self._lease.write(session, partial(prune, session, self._tables, compared.bound, horizon))
            if entry.status is None and plan.rows_to_send:
                self._journal.try_scratch(session)
                self._lease.write(session, partial(self._plan_batches, session, entry, compared))
        if entry.status is not None or not plan.changes:
            return stopped_by
        desk.touched.add(entry.sync.object.name)
        if entry.sync.object.name == "custom_field":
            desk.custom.forget()
        return self._take_in(entry, deliver_changes, desk, self._listener)

    def _plan_batches(self, session: Session, entry: Entry, compared: Compared) -> None:
        self._journal.plan_batches(session, entry.sync.name)
        if entry.ready and entry.ready.resync:
            keep_mapping(session, self._tables, entry.sync.name, compared.mapping)

    def _get_ready(self, desk: Desk, entry: Entry) -> PlanhatDbtError | None:
        """Ask Planhat what a plan needs; what stops this stops the sync, or the run if Planhat cannot be asked."""

        def ask() -> None:
            self._read_back(desk, entry)
            self._look_up(desk, entry)
            if entry.status is None and entry.compared and wants_types(entry.compared):
                entry.compared = with_types(desk, entry.compared, self._listener)

        return self._ask(entry, ask)

    def _ask(self, entry: Entry, ask: Callable[[], None]) -> PlanhatDbtError | None:
        started = time.monotonic()
        try:
            ask()
        except StoppedError as error:
            entry.status, entry.reason = Status.INTERRUPTED, error.message
            return error
        except FailedError as error:
            entry.status, entry.reason = Status.FAILED, error.told
            unreachable = isinstance(error, NotSentError) and error.status is None
            ends_run = unreachable or isinstance(error, AccessDeniedError)
            return error if ends_run or self._context.overrides.fail_fast else None
        finally:
            entry.seconds_deliver += time.monotonic() - started
        return None

    def _read_back(self, desk: Desk, entry: Entry) -> None:
        """Ask Planhat for rows of unknown outcome, and compare again if that decided about any."""
        compared = entry.compared
        if not compared or not compared.plan.unknown or not reads_back(entry.sync, self._context.settings):
            return
        came = read_back(desk, compared, self._listener, self._clock())
        if came.noted:
            with self._context.warehouse.open() as session:
                compared = self._compare(session, entry)
        plan = replace(compared.plan, to_read_back=0, noted={**compared.plan.noted, **came.noted})
        entry.compared = replace(compared, plan=plan)

    def _look_up(self, desk: Desk, entry: Entry) -> None:
        """Settle a plan whose records must be found first."""
        compared = entry.compared
        if compared and wants_lookups(compared, self._context.settings.single_insert_rows):
            entry.compared = look_up(desk, compared)
            with self._context.warehouse.open() as session:
                self._guard(session, entry, entry.compared)

    def _hold_all(self, session: Session, entry: Entry) -> None:
        """Enter every row of a plan that will not be delivered as held; the next run finds them again."""
        text = f"not sent: {entry.reason}"
        hold = partial(self._journal.hold, session, entry.sync.name, ALL, text)
        entry.counts += Counts(held=self._lease.write(session, hold))
        entry.removals_begun = True

    def _removals(self, desk: Desk, entry: Entry) -> PlanhatDbtError | None:
        assert entry.compared is not None  # noqa: S101 - `removals_left` looked
        compared, plan = entry.compared, entry.compared.plan
        looks_again = wants_another_look(compared)
        stopped_by = self._ask(entry, partial(look_again, desk, compared)) if looks_again else None
        entry.removals_begun = True
        if entry.status is not None:
            self._leave_removals(desk, entry)
            return stopped_by
        taken_over = leave_taken_over(desk, compared, looked_up=looks_again)
        onward = Onward(self._listener, plan.changes, sum(taken_over.values()))
        stopped_by = self._take_in(entry, deliver_removals, desk, onward)
        if taken_over:
            entry.compared = replace(entry.compared, plan=plan.without(taken_over))
        return stopped_by

    def _leave_removals(self, desk: Desk, entry: Entry) -> PlanhatDbtError | None:
        assert entry.compared is not None  # noqa: S101 - `removals_left` looked
        entry.counts += hold_removals(desk, entry.compared, entry.reason or "the run did not get there")
        return None

    def _take_in(self, entry: Entry, step: _Step, desk: Desk, listener: Listener) -> PlanhatDbtError | None:
        assert entry.compared is not None  # noqa: S101 - only compared syncs are delivered
        started = time.monotonic()
        delivery = step(desk, entry.compared, listener)
        entry.seconds_deliver += time.monotonic() - started
        entry.counts += delivery.counts
        if delivery.stop:
            entry.status, entry.reason = Status.FAILED, delivery.stop.message
            if delivery.ends_run or self._context.overrides.fail_fast:
                return delivery.stop
        return None

    def _close(self, entries: list[Entry], stopped_by: PlanhatDbtError | None) -> RunResult:
        """Write the log, give the lease back, and tell what came of it all."""
        with self._context.warehouse.open() as session:
            for entry in entries:
                entry.failing = failing_rows(session, self._tables, entry.sync.name)
                entry.balance(partial(self._journal.rows_in_doubt, session, entry.sync.name))
                entry.conclude(interrupted=self.stop.is_set())
                self._log.write_sync(session, entry.row())
            self._note_clean(session, entries)
            self._log.write_requests(session, self._book.take())
            result = RunResult(
                run_id=self._run_id,
                invocation_id=self._context.invocation_id,
                target=self._context.target,
                command=self._command,
                started_at=self._started,
                finished_at=utc_now(),
                results=tuple(entry.result(self._book.of(entry.sync.name)) for entry in entries),
                calls=self._book.calls,
                bytes_sent=self._book.bytes_sent,
                interrupted=self.stop.is_set(),
                stopped_by=stopped_by,
            )
            calls, sent = self._book.calls, self._book.bytes_sent
            self._log.finish(session, result.status.value, result.totals, calls, sent)
            settings = self._context.settings
            self._log.prune(session, settings.changes_retention_days, settings.requests_retention_days)
            if self._sealed:
                forget_seal(session, self._tables, entries)
            self._lease.give_back(session)
        for one in result.results:
            self._listener.finished(one)
        return result

    def _note_clean(self, session: Session, entries: list[Entry]) -> None:
        if not self._context.settings.skip_unbuilt:
            return
        with suppress(RefusedError), session.transaction():  # another run took over: its word counts
            self._lease.check(session)
            note_clean_syncs(session, self._context, self._tables, entries, self._journal.disturbed)

    def _run_row(self) -> RunRow:
        return RunRow(
            run_id=self._run_id,
            invocation_id=self._context.invocation_id,
            target=self._context.target,
            command=self._command,
            version=__version__,
            git_sha=self._context.git_sha,
            started_at=self._started,
        )
