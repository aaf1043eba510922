"""Rows whose outcome was never learnt: taken as done, or forgotten so that they are sent again (DESIGN §9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planhat_dbt.state.journal import utc_now

if TYPE_CHECKING:
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Session


def forget_unknown(session: Session, tables: StateTables, sync: str) -> int:
    """Take the doubt off all unknown rows of a sync; returns how many they are. Call inside a transaction."""
    where = _where(tables, sync)
    count = int(session.rows(f"select count(*) from {tables.failures} where {where}")[0][0])
    session.execute(f"delete from {tables.failures} where {where}")
    return count


def take_as_done(session: Session, tables: StateTables, sync: str) -> None:
    """Enter unknown rows into the snapshot table as `existing`. Call inside a transaction.

    Only the keys are known for certain: the row may have left the model, or the model may hold other values by now.
    """
    snapshot, where = tables.snapshot(sync), _where(tables, sync)
    keys = f"select distinct key from {tables.failures} where {where}"
    now = f"cast({tables.dialect.literal(utc_now().isoformat(sep=' '))} as {tables.dialect.timestamp})"
    session.execute(f"delete from {snapshot} where _key in ({keys})")
    session.execute(
        f"insert into {snapshot} (_key, _state, _origin, _mapping, _first_synced_at, _synced_at)\n"
        f"select key, 'existing', 'matched', 1, {now}, {now} from ({keys}) k"
    )


def _where(tables: StateTables, sync: str) -> str:
    return f"sync = {tables.dialect.literal(sync)} and status = 'unknown' and operation = 'insert'"
