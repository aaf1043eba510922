"""Metric points as text, whatever types their columns have: to be noted, and to be told from one another.

Numbers and times are written as they are sent, so that reading them needs no column: a number as JSON has it, a time
as ISO 8601.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from planhat_dbt.objects import OBJECTS
from planhat_dbt.values import conversion
from planhat_dbt.warehouse.port import ColumnKind, WireForm

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator

    from planhat_dbt.objects import Field
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Column, Dialect, Session

POINT_COLUMNS: Final = ("model", "external_id", "dimension_id", "value", "date")
"""What makes a point, in the words of `in_doubt`."""
_FETCH: Final = 2000
_TIMES: Final = (ColumnKind.DATE, ColumnKind.TIMESTAMP, ColumnKind.TIMESTAMPTZ)
_TARGETS: Final = ("model", "externalId", "dimensionId", "value", "date")
"""The same, as fields; plan and snapshot tables name their columns so."""


def point_texts(dialect: Dialect, alias: str, columns: Iterable[Column]) -> tuple[str, ...]:
    """Write the parts of a point of plan or snapshot rows; NULL where the sync does not map a field."""
    found = {c.name.lower(): c for c in columns}  # some engines keep names in small letters
    fields = OBJECTS["metric"].fields
    model, *rest = (_text(dialect, alias, found.get(t.lower()), fields[t]) for t in _TARGETS)
    return (f"coalesce({model}, 'Company')", *rest)


def _text(dialect: Dialect, alias: str, column: Column | None, field: Field) -> str:
    how = conversion(column.kind, field) if column else None
    if column is None or how is None:
        return f"cast(null as {dialect.text})"
    value = f"{alias}.{dialect.quote(column.name)}"
    if how.form is WireForm.NATIVE and column.kind is ColumnKind.FLOAT:
        value = f"cast({value} as {dialect.double})"  # a short float is sent with the digits of the double it becomes
    return f"cast({dialect.wire(value, column, how.form)} as {dialect.text})"


def note_points(
    session: Session,
    tables: StateTables,
    sync: str,
    columns: Iterable[Column],
    rows: str,
    sent_at: dt.datetime,
) -> None:
    """Note points whose outcome is not known; call inside the transaction that says so in `failures`.

    Args:
        session: An open session.
        tables: The state tables.
        sync: A sync of metrics.
        columns: The columns of its plan table.
        rows: The rows, as `from … where …`, the plan table as `p`.
        sent_at: When they had been sent at the latest, UTC.
    """
    name = tables.dialect.literal(sync)
    texts = ", ".join(point_texts(tables.dialect, "p", columns))
    session.execute(f"delete from {tables.in_doubt} where sync = {name} and key in (select p._key {rows})")
    session.execute(
        f"insert into {tables.in_doubt} (sync, key, {', '.join(POINT_COLUMNS)}, sent_at)\n"
        f"select {name}, p._key, {texts}, {tables.moment(sent_at)} {rows}"
    )


def known_points(
    session: Session,
    tables: StateTables,
    sync: str,
    columns: Iterable[Column],
    like: str,
    between: tuple[dt.datetime, dt.datetime],
) -> Iterator[list[tuple[str, ...]]]:
    """Read points that a sync is known to have brought to Planhat, as in `POINT_COLUMNS`.

    Args:
        session: An open session.
        tables: The state tables.
        sync: A sync of metrics.
        columns: The columns of its snapshot table.
        like: Only points of the records and dimensions that this sync has points in doubt of.
        between: Only points of these days, UTC; where a column of texts has the times, of all days.
    """
    literal, parts, columns = tables.dialect.literal, POINT_COLUMNS[:3], tuple(columns)
    series = f"select distinct {', '.join(parts)} from {tables.in_doubt} where sync = {literal(like)}"
    named = zip(point_texts(tables.dialect, "s", columns), POINT_COLUMNS, strict=True)
    by_key = f"select _key from {tables.snapshot(sync)} where _state = 'existing'"
    points = (
        f"select {', '.join(f'{text} as {name}' for text, name in named)} from {tables.snapshot(sync)} s "
        f"where {_of_days(tables, columns, between)}\n"
        f"union all select {', '.join(POINT_COLUMNS)} from {tables.in_doubt} "
        f"where sync = {literal(sync)} and key in ({by_key})"
    )
    same = " and ".join(f"t.{c} = k.{c}" for c in parts)
    chosen = ", ".join(f"t.{c}" for c in POINT_COLUMNS)
    query = f"select {chosen} from ({points}) t join ({series}) k on {same} where t.date is not null"
    yield from session.stream(query, _FETCH)


def _of_days(tables: StateTables, columns: Iterable[Column], between: tuple[dt.datetime, dt.datetime]) -> str:
    """Test whether a snapshot row is of some days."""
    date = next((c for c in columns if c.name == "date" and c.kind in _TIMES), None)
    if date is None:
        return "1 = 1"
    first, last = map(tables.moment, between)
    at = tables.dialect.utc(f"s.{tables.dialect.quote(date.name)}", date.kind)
    return f"{at} between {first} and {last}"


def forget_settled_points(session: Session, tables: StateTables, sync: str) -> None:
    """Forget points that are neither in doubt nor known by their key alone; call inside a transaction."""
    name, noted = tables.dialect.literal(sync), tables.in_doubt
    if not session.rows(f"select 1 from {noted} where sync = {name} limit 1"):
        return
    doubted = f"select key from {tables.failures} where sync = {name} and status = 'unknown'"
    by_key = f"select _key from {tables.snapshot(sync)} where _state = 'existing'"
    session.execute(
        f"delete from {noted} where sync = {name} and key not in ({doubted}) and key not in ({by_key})"
    )
