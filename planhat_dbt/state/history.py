"""Reading the run log: the last run of each sync, and the run under way."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from planhat_dbt.state.layout import HAS_VALUES
from planhat_dbt.state.lease import Holder, read_holder

if TYPE_CHECKING:
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Session


@dataclass(frozen=True, slots=True)
class LastRun:
    """How a sync fared last, and what Planhat holds of it."""

    sync: str
    run_id: str
    started_at: dt.datetime
    status: str
    reason: str
    sent: int
    held: int
    rejected: int
    unknown: int


def last_runs(session: Session, tables: StateTables) -> dict[str, LastRun]:
    """Read the newest entry of every sync, by its name."""
    found = session.rows(
        "select sync, run_id, started_at, status, reason, sent, held, rejected, unknown from (\n"
        "  select s.sync, s.run_id, r.started_at, s.status, s.reason, s.held, s.rejected, s.unknown,\n"
        "    s.inserted + s.updated + s.cleared + s.deleted as sent,\n"
        "    row_number() over (partition by s.sync order by r.started_at desc, s.run_id desc) as newest\n"
        f"  from {tables.sync_runs} s join {tables.runs} r on r.run_id = s.run_id\n"
        ") n where newest = 1"
    )
    return {
        row[0]: LastRun(row[0], row[1], row[2], row[3], row[4] or "", *map(int, row[5:])) for row in found
    }


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run of which no end is written."""

    command: str
    started_at: dt.datetime
    holder: Holder | None
    """Who makes it; None: it is made no more, it was killed."""


def open_run(session: Session, tables: StateTables) -> OpenRun | None:
    """Find the run that is under way, or the last one if it never came to its end; None: all is at rest."""
    holder = read_holder(session, tables)
    if holder and holder.alive:
        return OpenRun(holder.command, dt.datetime.fromisoformat(holder.since), holder)
    newest = session.rows(
        f"select command, started_at, status from {tables.runs} order by started_at desc limit 1"
    )
    killed = [OpenRun(command, started, None) for command, started, status in newest if status == "running"]
    return killed[0] if killed else None


def rows_held_by_planhat(session: Session, tables: StateTables, sync: str) -> int:
    """Count the rows of a sync that Planhat is known to hold."""
    found = session.rows(f"select count(*) from {tables.snapshot(sync)} where {HAS_VALUES}")
    return int(found[0][0])
