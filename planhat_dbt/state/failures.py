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
    """What was said of the first of them."""
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
    per_reason = "partition by sync, status, code"
    found = session.rows(
        "select sync, status, code, message, key, nth, total, since, most from (\n"
        "  select sync, status, code, message, key,\n"
        f"    row_number() over ({per_reason} order by key) as nth, count(*) over ({per_reason}) as total,\n"
        f"    min(first_seen_at) over ({per_reason}) as since, max(attempts) over ({per_reason}) as most\n"
        f"  from {tables.failures} where sync in ({names})\n"
        f") f where nth <= {EXAMPLE_KEYS}\n"
        "order by case status when 'unknown' then 0 when 'rejected' then 1 else 2 end, total desc, sync, code, nth"
    )
    groups = []
    for (sync, status, code), rows in groupby(found, key=itemgetter(0, 1, 2)):
        members = list(rows)
        *_, message, _, _, total, since, most = members[0]
        keys = tuple(m[4] for m in members)
        groups.append(FailureGroup(sync, status, code, message or "", int(total), keys, since, int(most)))
    return groups
