"""Rows whose outcome was never learnt: taken as done, or forgotten so that they are sent again (DESIGN §9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planhat_dbt.state.journal import utc_now

if TYPE_CHECKING:
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Session


def forget_unknown(session: Session, tables: StateTables, sync: str, keys: tuple[str, ...] = ()) -> int:
    """Take the doubt off unknown rows of a sync, all or those named; call inside a transaction.

    Returns:
        How many they are.
    """
    where = _where(tables, sync, keys)
    count = int(session.rows(f"select count(*) from {tables.failures} where {where}")[0][0])
    session.execute(f"delete from {tables.failures} where {where}")
    return count


def take_as_done(session: Session, tables: StateTables, sync: str, keys: tuple[str, ...] = ()) -> None:
    """Enter unknown rows into the snapshot table as `existing`. Call inside a transaction.

    Only the keys are known for certain: the row may have left the model, or the model may hold other values by now.
    """
    snapshot, where = tables.snapshot(sync), _where(tables, sync, keys)
    doubtful = f"select distinct key from {tables.failures} where {where}"
    now = f"cast({tables.dialect.literal(utc_now().isoformat(sep=' '))} as {tables.dialect.timestamp})"
    session.execute(f"delete from {snapshot} where _key in ({doubtful})")
    session.execute(
        f"insert into {snapshot} (_key, _state, _origin, _mapping, _first_synced_at, _synced_at)\n"
        f"select key, 'existing', 'matched', 1, {now}, {now} from ({doubtful}) k"
    )


def _where(tables: StateTables, sync: str, keys: tuple[str, ...]) -> str:
    literal = tables.dialect.literal
    only = f" and key in ({', '.join(map(literal, keys))})" if keys else ""
    return f"sync = {literal(sync)} and status = 'unknown' and operation = 'insert'{only}"
