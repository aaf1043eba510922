"""How far back the events of a sync are looked at, and how keys that were sent are forgotten after that.

A key may be forgotten only if its event will never be looked at again. So the cut-off at which keys were forgotten is
kept in `meta` (`pruned:<sync>`) and never moves back, and a key stays while the model still has its event on this side
of the cut-off, whatever time was stored with it. What the cut-off means hangs on the column: with another one, or
none, the keys would be missed.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from planhat_dbt.errors import UsageError
from planhat_dbt.warehouse.port import ColumnKind

if TYPE_CHECKING:
    from collections.abc import Collection

    from planhat_dbt.binding import BoundSync
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Dialect, Session

TIME_COLUMN: Final = "_event_time"
"""The column of plan and snapshot table, where the sync names an event time: UTC, without zone."""
_PRUNED: Final = "planhat_pruned"


@dataclass(frozen=True, slots=True)
class Horizon:
    """From when on the events of a sync are looked at."""

    wanted: dt.datetime
    """As the lookback says."""
    cutoff: dt.datetime
    """Rows before it are not looked at: `wanted`, or later, where keys up to then are forgotten already."""


def model_key(bound: BoundSync, dialect: Dialect) -> str:
    """Write the key of model rows `m`; NULL where it is empty."""
    return f"nullif({dialect.key_text(f'm.{dialect.quote(bound.key.name)}', bound.key)}, '')"


def model_time(bound: BoundSync, dialect: Dialect) -> str | None:
    """Write the event time of model rows `m`; None: the sync names none."""
    if bound.event_time is None:
        return None
    return dialect.utc(f"m.{dialect.quote(bound.event_time.name)}", bound.event_time.kind)


def looked_at(time: str, horizon: Horizon, tables: StateTables) -> str:
    """Test whether a row is looked at; one without a time is, so that it is told."""
    return f"({time} is null or {time} >= {tables.moment(horizon.cutoff)})"


def horizon(session: Session, tables: StateTables, bound: BoundSync, now: dt.datetime) -> Horizon | None:
    """Say from when on events are looked at; None: from the beginning."""
    column, lookback = bound.event_time, bound.sync.lookback
    if column is None or lookback is None:
        return None
    wanted = now - lookback
    if column.kind is ColumnKind.DATE:  # a day counts as long as any moment of it does
        wanted = dt.datetime.combine(wanted.date(), dt.time())
    pruned = _read(session, tables, bound.name)
    return Horizon(wanted, max(wanted, pruned.before) if pruned else wanted)


def prune(session: Session, tables: StateTables, bound: BoundSync, horizon: Horizon) -> int:
    """Forget the keys of events before the cut-off, and keep the cut-off; call inside a transaction.

    Returns:
        How many keys were forgotten.
    """
    snapshot, cutoff = tables.snapshot(bound.name), tables.moment(horizon.cutoff)
    old = f"{TIME_COLUMN} < {cutoff}"
    if not session.rows(f"select 1 from {snapshot} where {old} limit 1"):
        return 0
    key, time = model_key(bound, tables.dialect), model_time(bound, tables.dialect)
    assert time is not None  # noqa: S101 - there is a horizon
    held = (
        f"select h._key from (select {key} as _key from {bound.sync.model.relation.rendered} m "
        f"where {looked_at(time, horizon, tables)}) h where h._key is not null"
    )
    session.scratch(_PRUNED, f"select _key from {snapshot} where {old} and _key not in ({held})")
    count = int(session.rows(f"select count(*) from {_PRUNED}")[0][0])
    if count:
        session.execute(f"delete from {snapshot} where _key in (select _key from {_PRUNED})")
        _write(session, tables, bound, horizon.cutoff)
    return count


def forgotten_before(session: Session, tables: StateTables, sync: str) -> tuple[dt.datetime, str] | None:
    """Say before which event time keys of a sync were forgotten, and by which column; None: none were."""
    pruned = _read(session, tables, sync)
    return (pruned.before, pruned.column) if pruned else None


def column_changes(tables: StateTables, bound: BoundSync, columns: Collection[str]) -> list[str]:
    """Write the statements that give the snapshot table its event times, or take them away.

    Keys sent before get the time that the model has for them; others have none, and are never forgotten.
    """
    snapshot, time = tables.snapshot(bound.name), model_time(bound, tables.dialect)
    if time is None:
        return [f"alter table {snapshot} drop column {TIME_COLUMN}"] if TIME_COLUMN in columns else []
    if TIME_COLUMN in columns:
        return []
    key, model = model_key(bound, tables.dialect), bound.sync.model.relation.rendered
    found = f"select {key} as _found, max({time}) as _time from {model} m group by {key}"
    return [
        f"alter table {snapshot} add column {TIME_COLUMN} {tables.dialect.timestamp}",
        tables.dialect.update_from(snapshot, f"{TIME_COLUMN} = t._time", f"({found}) t", "t._found = _key"),
    ]


def refuse_other_times(session: Session, tables: StateTables, bound: BoundSync) -> None:
    """Refuse to compare without the times by which keys were forgotten: their events would be sent again.

    Raises:
        UsageError: Keys were forgotten, and the event time is another column by now, or none.
    """
    pruned = _read(session, tables, bound.name)
    now = bound.event_time
    if pruned is None:
        return
    if now is not None and (now.name.casefold(), _is_zoned(bound)) == (
        pruned.column.casefold(),
        pruned.zoned,
    ):
        return
    setting = f"`pruned:{bound.name}` of {tables.schema}.meta"
    if now is None:
        change = f"without `event_time: {pruned.column}`"
        ways = f"Put `event_time` and `lookback` back. To send all that is not remembered, delete the row {setting}"
    else:
        change = f"by `{now.name}` ({now.type}) instead of `{pruned.column}`"
        ways = f"Give the column back. If the new one holds the same times, delete the row {setting}"
    raise UsageError(
        f"Sync {bound.name} has forgotten the keys of events before {pruned.before:%Y-%m-%d %H:%M} UTC "
        f"(`lookback`); {change}, some of these events would be sent again. Nothing was sent.",
        hint=f"{ways}, then run again.",
    )


@dataclass(frozen=True, slots=True)
class _Pruned:
    before: dt.datetime
    column: str
    zoned: bool
    """Whether the column knew its time zone: without one, the same moments would shift."""


def _is_zoned(bound: BoundSync) -> bool:
    return bound.event_time is not None and bound.event_time.kind is ColumnKind.TIMESTAMPTZ


def _read(session: Session, tables: StateTables, sync: str) -> _Pruned | None:
    mark = tables.dialect.placeholder
    found = session.rows(f"select value from {tables.meta} where setting = {mark}", [f"pruned:{sync}"])
    if not found:
        return None
    record = orjson.loads(found[0][0])
    return _Pruned(dt.datetime.fromisoformat(record["before"]), record["column"], record["zoned"])


def _write(session: Session, tables: StateTables, bound: BoundSync, before: dt.datetime) -> None:
    assert bound.event_time is not None  # noqa: S101 - nothing else is pruned
    mark, setting = tables.dialect.placeholder, f"pruned:{bound.name}"
    record = _Pruned(before, bound.event_time.name, _is_zoned(bound))
    session.execute(f"delete from {tables.meta} where setting = {mark}", [setting])
    session.execute(
        f"insert into {tables.meta} values ({mark}, {mark}, {tables.dialect.utc_now})",
        [setting, orjson.dumps(record).decode()],
    )
