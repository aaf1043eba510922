"""A run from start to end: `plan` compares and shows, `sync` compares, guards, delivers and records.

Syncs go in dependency order, each compared after its parents were delivered; then removals, in reverse.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from uuid_utils import uuid7

from planhat_dbt import __version__
from planhat_dbt.declaration.error import DeclarationError
from planhat_dbt.errors import FailedError, PlanhatDbtError, RefusedError
from planhat_dbt.gate import check_gate
from planhat_dbt.guards import check_plan
from planhat_dbt.result import Counts, RunResult, Status, SyncResult
from planhat_dbt.run.calls import CallBook
from planhat_dbt.run.compare_step import Compared, Ready, bind_all, compare, ensure_sync_tables, failing_rows
from planhat_dbt.run.deliver_step import Delivery, Desk, deliver_changes, deliver_removals
from planhat_dbt.state.journal import Journal, utc_now
from planhat_dbt.state.layout import StateTables, ensure_tables, existing_tables
from planhat_dbt.state.lease import Lease
from planhat_dbt.state.runs import RunLog, RunRow, SyncRow
from planhat_dbt.state.tenant import check_tenant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from planhat_dbt.declaration.types import Sync
    from planhat_dbt.guards import Refusal
    from planhat_dbt.planhat import ClientSettings, Endpoint
    from planhat_dbt.run.context import Context, Listener
    from planhat_dbt.warehouse.port import Session

    _Step = Callable[[Desk, Compared, Listener], Delivery]

_NO_SUCH_TABLES: Final = "The built tables do not carry what the declarations name; nothing was sent."


@dataclass(slots=True)
class _Progress:
    """What is known of one sync while the run goes on."""

    sync: Sync
    ready: Ready | None = None
    compared: Compared | None = None
    status: Status | None = None
    reason: str = ""
    refusal: Refusal | None = None
    counts: Counts = field(default_factory=Counts)
    seconds_compare: float = 0.0
    seconds_deliver: float = 0.0
    failing: int = 0


class Run:
    """One invocation over one context."""

    def __init__(self, context: Context, listener: Listener, command: str) -> None:
        self._context = context
        self._listener = listener
        self._command = command
        self._run_id = str(uuid7())
        self._tables = StateTables(
            context.warehouse.dialect, context.warehouse.database, context.settings.state_schema
        )
        self._journal = Journal(self._tables, self._run_id)
        self._log = RunLog(self._tables, self._run_id)
        self._lease = Lease(self._tables, self._run_id, command, context.settings.lease_seconds)
        self._book = CallBook()
        self._started = utc_now()
        self.stop = threading.Event()
        """Set it to end the run after the batch in flight."""

    def plan(self, samples: int = 3) -> tuple[SyncResult, ...]:
        """Compare every selected sync and count; nothing is sent.

        Args:
            samples: Rows of each operation to read for show.

        Raises:
            DeclarationError: The built tables do not fit the declarations.
            RefusedError: Another run is under way.
        """
        with self._context.warehouse.open() as session:
            progress = self._prepare(session)
            try:
                planned: set[str] = set()
                for item in progress:
                    if item.status is None:
                        self._compare(session, item, frozenset(planned), samples)
                        planned.add(item.sync.name)
            finally:
                self._lease.give_back(session)
        return tuple(self._result(item) for item in progress)

    def sync(self, endpoint: Endpoint, client_settings: ClientSettings) -> RunResult:
        """Compare, guard, deliver and record every selected sync.

        Raises:
            DeclarationError: The built tables do not fit the declarations; no call was made.
            RefusedError: Another run is under way, or the state belongs to another tenant; no call was made.
        """
        with self._context.warehouse.open() as session:
            progress = self._prepare(session)
            with self._giving_back_on_error():
                check_tenant(session, self._tables, endpoint, [p.sync.name for p in progress if p.ready])
                self._log.start(session, self._run_row(), len(progress))
        stopped_by: PlanhatDbtError | None = None
        try:
            stopped_by = self._deliver_all(progress, endpoint, client_settings)
        finally:
            result = self._close(progress, stopped_by)
        return result

    def _prepare(self, session: Session) -> list[_Progress]:
        """Check all that can be checked before the first comparison."""
        context = self._context
        if context.gate.refusal:
            raise RefusedError(
                f"Refused: {context.gate.refusal}.",
                hint="Run `dbt build` without that flag, then this again.",
            )
        if context.gate.notice:
            self._listener.notice(context.gate.notice)
        ensure_tables(session, self._tables, existing_tables(session, self._tables))
        self._lease.take(session)
        with self._giving_back_on_error(session):
            progress = [_Progress(sync) for sync in context.syncs]
            for item in progress:
                reason = check_gate(item.sync, context.manifest, context.gate)
                if reason:
                    item.status, item.reason = Status.GATED, reason
            open_items = [p for p in progress if p.status is None]
            bound, faults = bind_all(session, context, [p.sync for p in open_items])
            if faults:
                raise DeclarationError(_NO_SUCH_TABLES, tuple(faults))
            ready = ensure_sync_tables(session, context, self._tables, self._journal, bound)
            for item in open_items:
                item.ready = ready[item.sync.name]
        return progress

    @contextmanager
    def _giving_back_on_error(self, session: Session | None = None) -> Iterator[None]:
        try:
            yield
        except BaseException:
            if session is not None:
                self._lease.give_back(session)
            else:
                with self._context.warehouse.open() as own:
                    self._lease.give_back(own)
            raise

    def _compare(
        self,
        session: Session,
        item: _Progress,
        planned_parents: frozenset[str] = frozenset(),
        samples: int = 0,
    ) -> None:
        context = self._context
        assert item.ready is not None  # noqa: S101 - gated syncs do not come here
        self._listener.comparing(item.sync)
        compared = compare(
            session,
            context,
            self._tables,
            self._journal,
            item.ready,
            planned_parents=planned_parents,
            samples=samples,
        )
        item.compared, item.seconds_compare = compared, compared.plan.seconds
        refusal = check_plan(
            item.sync,
            compared.plan,
            allow_removals=item.sync.name in context.overrides.removals,
            allow_changes=item.sync.name in context.overrides.changes,
        )
        if refusal:
            item.status, item.reason = Status.REFUSED, str(refusal)
            item.refusal = refusal
        self._listener.planned(compared.plan)

    def _deliver_all(
        self, progress: list[_Progress], endpoint: Endpoint, client_settings: ClientSettings
    ) -> PlanhatDbtError | None:
        from planhat_dbt.planhat import PlanhatClient  # noqa: PLC0415 - httpx, only when calls may be made

        stopped_by: PlanhatDbtError | None = None
        with PlanhatClient(endpoint, client_settings, self._book.note, stop=self.stop) as client:
            desk = Desk(
                self._context,
                self._tables,
                self._journal,
                self._log,
                self._lease,
                client,
                self._book.take,
                self._book.enter,
                self.stop.is_set,
            )
            for item in progress:
                if stopped_by or self.stop.is_set():
                    self._skip(item, stopped_by)
                elif item.status is None:
                    stopped_by = self._guarded(item, self._changes, desk)
            for item in reversed(progress):
                if item.compared and item.status is None and not (stopped_by or self.stop.is_set()):
                    stopped_by = self._guarded(item, self._removals, desk)
        return stopped_by

    def _guarded(
        self, item: _Progress, step: Callable[[Desk, _Progress], PlanhatDbtError | None], desk: Desk
    ) -> PlanhatDbtError | None:
        """Let a failure of the warehouse end one sync, not the run; a lost lease ends the run."""
        try:
            return step(desk, item)
        except FailedError as error:
            item.status, item.reason = Status.FAILED, error.message
            return error if self._context.overrides.fail_fast else None
        except RefusedError as error:
            item.status, item.reason = Status.REFUSED, error.message
            return error

    def _skip(self, item: _Progress, stopped_by: PlanhatDbtError | None) -> None:
        if item.status is None:
            item.status = Status.FAILED if stopped_by else Status.INTERRUPTED
            item.reason = (
                f"not run: {stopped_by.message}" if stopped_by else "not run: the run was interrupted"
            )

    def _changes(self, desk: Desk, item: _Progress) -> PlanhatDbtError | None:
        with self._context.warehouse.open() as session:
            with session.transaction():
                self._lease.renew(session)
            self._compare(session, item)
            assert item.compared is not None  # noqa: S101
            item.counts += Counts(
                held=item.compared.plan.held,
                rejected=item.compared.plan.rejected,
                unknown=item.compared.plan.unknown,
            )
            if item.status is None and item.compared.plan.rows_to_send:
                with session.transaction():
                    self._journal.plan_batches(session, item.sync.name)
        if item.status is not None or not item.compared.plan.changes:
            return None
        return self._take_in(item, deliver_changes, desk)

    def _removals(self, desk: Desk, item: _Progress) -> PlanhatDbtError | None:
        assert item.compared is not None  # noqa: S101
        if not item.compared.plan.removals:
            return None
        return self._take_in(item, deliver_removals, desk)

    def _take_in(self, item: _Progress, step: _Step, desk: Desk) -> PlanhatDbtError | None:
        assert item.compared is not None  # noqa: S101
        started = time.monotonic()
        delivery = step(desk, item.compared, self._listener)
        item.seconds_deliver += time.monotonic() - started
        item.counts += delivery.counts
        if delivery.stop:
            item.status, item.reason = Status.FAILED, delivery.stop.message
            if delivery.ends_run or self._context.overrides.fail_fast:
                return delivery.stop
        return None

    def _close(self, progress: list[_Progress], stopped_by: PlanhatDbtError | None) -> RunResult:
        """Write the log, give the lease back, and tell what came of it all."""
        with self._context.warehouse.open() as session:
            for item in progress:
                item.failing = failing_rows(session, self._tables, item.sync.name)
                self._balance(item)
                item.status = item.status or self._final_status(item)
                self._log.write_sync(session, self._sync_row(item))
            self._log.write_requests(session, self._book.take())
            result = RunResult(
                run_id=self._run_id,
                invocation_id=self._context.invocation_id,
                target=self._context.target,
                command=self._command,
                started_at=self._started,
                finished_at=utc_now(),
                results=tuple(self._result(item) for item in progress),
                calls=self._book.calls,
                bytes_sent=self._book.bytes_sent,
                interrupted=self.stop.is_set(),
                stopped_by=stopped_by,
            )
            self._log.finish(
                session, result.status.value, result.totals, self._book.calls, self._book.bytes_sent
            )
            settings = self._context.settings
            self._log.prune(session, settings.changes_retention_days, settings.requests_retention_days)
            self._lease.give_back(session)
        for one in result.results:
            self._listener.finished(one)
        return result

    def _balance(self, item: _Progress) -> None:
        """Rows that were planned are accounted for, each once; anything else is a fault of ours and said loudly."""
        if not item.compared or item.status is not None:
            return
        planned = item.compared.plan.rows_to_send + sum(item.compared.plan.set_aside.values())
        if item.counts.total != planned:
            item.status = Status.FAILED
            item.reason = (
                f"{planned:,} rows were planned, but {item.counts.total:,} are accounted for. This is a fault of "
                "planhat_dbt: please report it. The state is safe; the next run compares anew."
            )

    def _final_status(self, item: _Progress) -> Status:
        if not item.compared:
            return Status.INTERRUPTED if self.stop.is_set() else Status.FAILED
        if item.counts.held or item.counts.rejected or item.counts.unknown:
            return Status.PARTIAL
        return Status.SUCCESS if item.counts.sent else Status.NOTHING_TO_DO

    def _result(self, item: _Progress) -> SyncResult:
        return SyncResult(
            sync=item.sync.name,
            model=item.sync.model.name,
            object=item.sync.object.name,
            mode=item.sync.mode.value,
            status=item.status or Status.SUCCESS,
            reason=item.reason,
            plan=item.compared.plan if item.compared else None,
            refusal=item.refusal,
            counts=item.counts,
            calls=self._book.of(item.sync.name),
            seconds_compare=item.seconds_compare,
            seconds_deliver=item.seconds_deliver,
            failing=item.failing,
        )

    def _sync_row(self, item: _Progress) -> SyncRow:
        return SyncRow(
            sync=item.sync.name,
            model=item.sync.model.name,
            object=item.sync.object.name,
            mode=item.sync.mode.value,
            status=(item.status or Status.SUCCESS).value,
            reason=item.reason,
            rows_in_model=item.compared.plan.rows_in_model if item.compared else None,
            counts=item.counts,
            seconds_compare=item.seconds_compare,
            seconds_deliver=item.seconds_deliver,
        )

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
