"""Rows whose outcome was never learnt: taken as done, or forgotten so that they are sent again (DESIGN §9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from planhat_dbt.state.journal import utc_now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Session

_DONE: Final = "planhat_done"


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


def enter_done(
    session: Session, tables: StateTables, sync: str, done: Sequence[tuple[str, str | None]]
) -> None:
    """Enter keys that Planhat surely has into the snapshot table, as `existing`, and take the doubt off them.

    Args:
        session: An open session; call inside a transaction.
        tables: The state tables.
        sync: Its snapshot table stands.
        done: Keys, and the ids of their records where they are known.
    """
    dialect, snapshot = tables.dialect, tables.snapshot(sync)
    session.load(
        _DONE, {"_key": dialect.text, "_id": dialect.text}, [[k for k, _ in done], [i for _, i in done]]
    )
    now = f"cast({dialect.literal(utc_now().isoformat(sep=' '))} as {dialect.timestamp})"
    session.execute(
        f"insert into {snapshot} (_key, _planhat_id, _state, _origin, _mapping, _first_synced_at, _synced_at)\n"
        f"select d._key, d._id, 'existing', 'matched', 1, {now}, {now} from {_DONE} d "
        f"where not exists (select 1 from {snapshot} s where s._key = d._key)"
    )
    session.execute(
        f"delete from {tables.failures} where sync = {dialect.literal(sync)} and status = 'unknown' "
        f"and key in (select _key from {_DONE})"
    )


def _where(tables: StateTables, sync: str, keys: tuple[str, ...]) -> str:
    literal = tables.dialect.literal
    only = f" and key in ({', '.join(map(literal, keys))})" if keys else ""
    return f"sync = {literal(sync)} and status = 'unknown' and operation = 'insert'{only}"
