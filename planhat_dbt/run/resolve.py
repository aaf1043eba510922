"""Deciding on rows whose outcome was never learnt: send them again, or take them as done (DESIGN §9)."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from planhat_dbt.run.engine import Run
from planhat_dbt.state.journal import utc_now
from planhat_dbt.state.layout import SNAPSHOT_COLUMNS, StateTables

if TYPE_CHECKING:
    from planhat_dbt.declaration.types import Sync
    from planhat_dbt.run.context import Context, Listener
    from planhat_dbt.warehouse.port import Session


class Decision(StrEnum):
    """What to do with rows that may or may not have reached Planhat."""

    RESEND = "resend"
    DISCARD = "discard"


def resolve(context: Context, listener: Listener, decision: Decision) -> int:
    """Decide on all unknown rows of the one sync of this context; makes no call.

    Returns:
        The rows decided on.
    """
    (sync,) = context.syncs
    # A comparison first: it finds what a run that was killed left in doubt.
    Run(context, listener, "resolve").plan(samples=0)
    tables = StateTables(context.warehouse.dialect, context.warehouse.database, context.settings.state_schema)
    with context.warehouse.open() as session:
        where = f"sync = {tables.dialect.literal(sync.name)} and status = 'unknown'"
        count = int(session.rows(f"select count(*) from {tables.failures} where {where}")[0][0])
        with session.transaction():
            if decision is Decision.DISCARD:
                _take_as_done(session, tables, sync)
            session.execute(f"delete from {tables.failures} where {where}")
    return count


def _take_as_done(session: Session, tables: StateTables, sync: Sync) -> None:
    quote = tables.dialect.quote
    mapped = [quote(f.state_column) for f in sync.fields]
    columns = [name for name, _ in SNAPSHOT_COLUMNS]
    now = f"cast({tables.dialect.literal(utc_now().isoformat(sep=' '))} as {tables.dialect.timestamp})"
    values = ["p._key", "p._planhat_id", "'existing'", "'matched'", "1", now, now, "null"]
    values += [f"p.{c}" for c in mapped]
    session.execute(
        f"insert into {tables.snapshot(sync.name)} ({', '.join([*columns, *mapped])})\n"
        f"select {', '.join(values)} from {tables.plan(sync.name)} p where p._code = 'unknown'"
    )
