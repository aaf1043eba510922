"""Reading `failures`: what stands in the way of which rows, grouped by reason."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt

    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Session


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
    waits: int | None = None
    """Runs of the sync that pass before the first of them is tried again; None: what is not refused does not wait."""


def read_failures(
    session: Session, tables: StateTables, syncs: tuple[str, ...], *, keys: int, reasons: int = 50
) -> list[FailureGroup]:
    """Group the failures of some syncs by reason, the gravest first.

    Args:
        session: An open session.
        tables: The state tables.
        syncs: Their names.
        keys: Keys to name for each reason.
        reasons: Reasons to tell for each sync and code, the most frequent first.
    """
    if not syncs:
        return []
    names = ", ".join(tables.dialect.literal(s) for s in syncs)
    reason = "sync, status, code, message"
    found = session.rows(
        "select f.sync, status, code, message, key, nth, total, since, most, due - coalesce(r.runs, 0) - 1 from (\n"
        "  select g.*, dense_rank() over (partition by sync, status, code order by total desc, message) as place\n"
        "  from (\n"
        f"    select sync, status, code, coalesce(message, '') as message, key,\n"
        f"      row_number() over (partition by {reason} order by key) as nth,\n"
        f"      count(*) over (partition by {reason}) as total,\n"
        f"      min(first_seen_at) over (partition by {reason}) as since,\n"
        f"      max(attempts) over (partition by {reason}) as most,\n"
        f"      min(next_run) over (partition by {reason}) as due\n"
        f"    from {tables.failures} where sync in ({names})\n"
        "  ) g\n"
        f") f left join (select sync, count(*) as runs from {tables.sync_runs} group by sync) r on r.sync = f.sync\n"
        f"where nth <= {int(keys)} and place <= {int(reasons)}\n"
        "order by case status when 'unknown' then 0 when 'rejected' then 1 else 2 end, total desc,\n"
        "  f.sync, code, message, nth"
    )
    groups = []
    for (sync, status, code, message), rows in groupby(found, key=itemgetter(0, 1, 2, 3)):
        members = list(rows)
        *_, total, since, most, due = members[0]
        waits = None if due is None else max(0, int(due))
        named = tuple(m[4] for m in members)
        groups.append(FailureGroup(sync, status, code, message, int(total), named, since, int(most), waits))
    return groups
