"""Rows of one plan that update the same record: of these one travels, the others wait for the next run.

They have one id where Planhat took a row for the record of another (planhat-api §5). What it does with a key that
stands twice in one call is not known (planhat-api §13.7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from planhat_dbt.compare.numbering import columns_but, numbered, phase

if TYPE_CHECKING:
    from planhat_dbt.compare.comparison import Comparison
    from planhat_dbt.state.layout import StateTables

_UPDATES: Final = "_operation = 'update' and _planhat_id is not null"
_MESSAGE: Final = (
    "another row of this run updates the same record in Planhat: two rows of the model mean one record"
)


def find_shared(tables: StateTables, sync: str) -> str:
    """Write the query that has a row where several updates of a plan have one id."""
    return (
        f"select _planhat_id from {tables.plan(sync)} where {_UPDATES} "
        "group by _planhat_id having count(*) > 1 limit 1"
    )


def plan_apart(tables: StateTables, comparison: Comparison) -> str:
    """Write the query that gives the plan anew, with one update for each record."""
    dialect, bound = tables.dialect, comparison.bound
    plan = tables.plan(bound.name)
    rest = columns_but(dialect, bound, "_row", "_batch", "_operation", "_code", "_message")
    columns = [
        "case when t._first < p._row then null else p._operation end as _operation",
        "case when t._first < p._row then 'same_record' else p._code end as _code",
        f"case when t._first < p._row then {dialect.literal(_MESSAGE)} else p._message end as _message",
        *(f"p.{name}" for name in rest),
    ]
    single = comparison.single_creates
    return (
        f"with shared as (\n  select _planhat_id as _id, min(_row) as _first from {plan} where {_UPDATES} "
        "group by _planhat_id having count(*) > 1\n),\n"
        "apart as (\n  select " + ",\n    ".join(columns) + f"\n  from {plan} p\n"
        "  left join shared t on t._id = p._planhat_id and p._operation = 'update'\n),\n"
        f"phased as (\n  select {phase(single_creates=single)}, a.* from apart a\n)\n"
        + numbered(dialect, comparison, "phased", single_creates=single)
    )
