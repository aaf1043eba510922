"""Reading `failures`: what stands in the way of which rows, grouped by reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt

    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Session

EXAMPLE_KEYS = 5
"""Keys named for each group."""


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Rows of one sync that fail for the same reason."""

    sync: str
    status: str
    """`rejected`, `held` or `unknown`."""
    code: str
    message: str
    rows: int
    keys: tuple[str, ...]
    """A few of them."""
    since: dt.datetime
    attempts: int
    """The most runs that any of them has failed in."""


def read_failures(session: Session, tables: StateTables, syncs: tuple[str, ...]) -> list[FailureGroup]:
    """Group the failures of some syncs by reason, the gravest first."""
    if not syncs:
        return []
    names = ", ".join(tables.dialect.literal(s) for s in syncs)
    groups = []
    for sync, status, code, message, rows, since, attempts in session.rows(
        f"select sync, status, code, message, count(*), min(first_seen_at), max(attempts) from {tables.failures} "
        f"where sync in ({names}) group by sync, status, code, message "
        "order by case status when 'unknown' then 0 when 'rejected' then 1 else 2 end, count(*) desc, sync, message"
    ):
        where = " and ".join(
            f"{column} = {tables.dialect.literal(value)}" if value is not None else f"{column} is null"
            for column, value in (("sync", sync), ("status", status), ("code", code), ("message", message))
        )
        keys = session.rows(
            f"select key from {tables.failures} where {where} order by key limit {EXAMPLE_KEYS}"
        )
        groups.append(
            FailureGroup(
                sync, status, code, message or "", int(rows), tuple(k for (k,) in keys), since, int(attempts)
            )
        )
    return groups
