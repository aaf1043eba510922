"""Rows and batches of a plan, numbered in one pass that needs no sort."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from planhat_dbt.declaration.types import OnRemoved
from planhat_dbt.state.event_times import TIME_COLUMN

if TYPE_CHECKING:
    from planhat_dbt.binding import BoundSync
    from planhat_dbt.compare.comparison import Comparison
    from planhat_dbt.warehouse.port import Dialect

CREATE_BATCHES_FROM: Final = 500_001
"""Creates that travel one by one are numbered from here, in small batches."""
CREATE_BATCH_ROWS: Final = 20
"""So many creates at most are in doubt after a crash."""
CLEAR_BATCHES_FROM: Final = 1_000_001
"""Batches of clears are numbered from here, so that one pass numbers all."""
DELETE_BATCHES_FROM: Final = 2_000_001
"""Deletes, one call each, are numbered from here."""

PLAN_COLUMNS: Final = {
    "_row": "bigint",
    "_batch": "integer",
    "_operation": "text",
    "_code": "text",
    "_message": "text",
    "_key": "text",
    "_planhat_id": "text",
    "_prior": "text",
    "_origin": "text",
    "_first_synced_at": "timestamp",
    "_changed": "text",
    "_changes": "text",
}
"""The columns of every `plan__<sync>` before its mapped columns, and their types."""

INDEXED: Final = ("_batch", "_row")
"""The columns by which rows of a plan table are found."""


def columns_but(dialect: Dialect, bound: BoundSync, *left_out: str) -> list[str]:
    """The columns of a sync's plan in their order, without some of our own."""
    own = [c for c in PLAN_COLUMNS if c not in left_out]
    time = [TIME_COLUMN] if bound.event_time else []
    return [*own, *time, *(dialect.quote(f.name) for f in bound.fields)]


def phase(*, single_creates: bool) -> str:
    """The way a row travels, as a number: 1 bulk, 2 clears, 3 deletes, 4 single creates, 0 not at all."""
    inserts = 4 if single_creates else 1
    return (
        f"case _operation when 'insert' then {inserts} when 'update' then 1 when 'clear' then 2 "
        "when 'delete' then 3 else 0 end as _phase"
    )


def numbered(dialect: Dialect, comparison: Comparison, source: str, *, single_creates: bool) -> str:
    """Select the columns of a plan from `source`, which has them all but the numbers, and `_phase`."""
    bound, order = comparison.bound, dialect.numbering
    window = f"over ({order} rows between unbounded preceding and current row)"

    def nth(way: int) -> str:
        return f"(sum(case when _phase = {way} then 1 else 0 end) {window})"

    # Each window costs a pass over all rows: there is one for each way that a row of this sync may travel.
    numbers = {1: f"floor(({nth(1)} - 1) / {comparison.batch_rows}) + 1"}
    if bound.sync.on_removed is OnRemoved.CLEAR:
        numbers[2] = f"floor(({nth(2)} - 1) / {comparison.batch_rows}) + {CLEAR_BATCHES_FROM}"
    if bound.sync.on_removed is OnRemoved.DELETE:
        numbers[3] = f"{nth(3)} - 1 + {DELETE_BATCHES_FROM}"
    if single_creates:
        numbers[4] = f"floor(({nth(4)} - 1) / {CREATE_BATCH_ROWS}) + {CREATE_BATCHES_FROM}"
    whens = "".join(f"\n    when {way} then {number}" for way, number in numbers.items())
    batch = f"cast(case _phase{whens}\n  end as {dialect.integer}) as _batch"
    rest = columns_but(dialect, bound, "_row", "_batch")
    return (
        f"select cast(row_number() over ({order}) as {dialect.bigint}) as _row,\n  {batch},\n  "
        + ",\n  ".join(rest)
        + f"\nfrom {source}"
    )
