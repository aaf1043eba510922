"""The run log: one row per run, one per run and sync, one per HTTP call; and what is known of earlier ones."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from planhat_dbt.state.journal import utc_now

if TYPE_CHECKING:
    from planhat_dbt.planhat import CallRecord
    from planhat_dbt.result import Counts
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Session

_BODY_BOUND: Final = 2000


@dataclass(frozen=True, slots=True)
class RunRow:
    """What is known of a run when it starts."""

    run_id: str
    invocation_id: str
    target: str
    command: str
    version: str
    git_sha: str
    started_at: dt.datetime


@dataclass(frozen=True, slots=True)
class SyncRow:
    """What became of one sync in one run."""

    sync: str
    model: str
    object: str
    mode: str
    status: str
    reason: str
    rows_in_model: int | None
    counts: Counts
    seconds_compare: float
    seconds_deliver: float


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One HTTP call as it is kept: bounded, without secrets (the client took them out)."""

    sync: str
    batch: int | None
    method: str
    path: str
    status: int | None
    milliseconds: float
    request: str | None
    response: str | None

    @classmethod
    def of(cls, call: CallRecord, sync: str, batch: int | None) -> RequestRow:
        """Keep what is worth keeping of a call; the whole body would be megabytes."""
        answer = call.response[:_BODY_BOUND].decode("utf-8", "replace") or call.error
        return cls(
            sync,
            batch,
            call.method,
            call.path,
            call.status,
            call.milliseconds,
            _request(call),
            answer or None,
        )


class RunLog:
    """Writes the run log of one run."""

    def __init__(self, tables: StateTables, run_id: str) -> None:
        self._tables = tables
        self._run = run_id

    def start(self, session: Session, run: RunRow, syncs: int) -> None:
        """Enter the run; one that was `running` and is no more was interrupted."""
        runs, sync_runs = self._tables.runs, self._tables.sync_runs
        with session.transaction():
            session.execute(f"update {runs} set status = 'interrupted' where status = 'running'")
            session.execute(f"update {sync_runs} set status = 'interrupted' where status = 'running'")
            columns = [*asdict(run), "status", "syncs"]
            session.insert(runs, columns, [[*asdict(run).values(), "running", syncs]])

    def finish(self, session: Session, status: str, counts: Counts, calls: int, bytes_sent: int) -> None:
        """Close the run."""
        mark = self._tables.dialect.placeholder
        sums = ", ".join(f"{name} = {mark}" for name in asdict(counts))
        session.execute(
            f"update {self._tables.runs} set finished_at = {mark}, status = {mark}, {sums}, calls = {mark}, "
            f"bytes_sent = {mark} where run_id = {mark}",
            [utc_now(), status, *counts.values(), calls, bytes_sent, self._run],
        )

    def write_sync(self, session: Session, row: SyncRow) -> None:
        """Enter or replace the row of one sync."""
        mark = self._tables.dialect.placeholder
        values: dict[str, Any] = {
            name: getattr(row, name) for name in ("sync", "model", "object", "mode", "status")
        }
        values |= {"reason": row.reason or None, "rows_in_model": row.rows_in_model, **asdict(row.counts)}
        values |= {"seconds_compare": row.seconds_compare, "seconds_deliver": row.seconds_deliver}
        with session.transaction():
            session.execute(
                f"delete from {self._tables.sync_runs} where run_id = {mark} and sync = {mark}",
                [self._run, row.sync],
            )
            session.insert(self._tables.sync_runs, ["run_id", *values], [[self._run, *values.values()]])

    def write_requests(self, session: Session, requests: list[RequestRow]) -> None:
        """Append HTTP calls; bodies are bounded, secrets were taken out by the client."""
        if not requests:
            return
        names = list(asdict(requests[0]))
        session.insert(
            self._tables.requests, ["run_id", *names], [[self._run, *asdict(r).values()] for r in requests]
        )

    def prune(self, session: Session, changes_days: int, requests_days: int) -> None:
        """Forget changes, requests and batches of runs that are older than their retention, in the day's first run.

        Batches of unknown outcome are kept: a sync that did not run since has yet to learn of them.
        """
        tables, now = self._tables, utc_now()
        midnight = tables.moment(now.replace(hour=0, minute=0, second=0, microsecond=0))
        today = f"finished_at >= {midnight} and finished_at <= {tables.moment(now)}"
        this = tables.dialect.literal(self._run)
        if session.rows(f"select 1 from {tables.runs} where {today} and run_id <> {this} limit 1"):
            return
        settled = "state not in ('sending', 'unknown') and"
        kept = (
            (tables.changes, "", changes_days),
            (tables.requests, "", requests_days),
            (tables.batches, settled, requests_days),
        )
        for table, which, days in kept:
            session.execute(
                f"delete from {table} where {which} run_id in (select run_id from {tables.runs} "
                f"where started_at < {tables.moment(now - dt.timedelta(days=days))})"
            )


def _request(call: CallRecord) -> str | None:
    """The body as JSON of bounded size: the whole, or its size and how it begins."""
    body = call.request
    if not body:
        return None
    if len(body) <= _BODY_BOUND:
        return body.decode("utf-8", "replace")
    begins = body[:_BODY_BOUND].decode("utf-8", "replace")
    return orjson.dumps({"bytes": len(body), "begins": begins}).decode()
