"""Growing patience with rows that Planhat refuses: while nothing of them changes, they are tried ever more rarely.

A refused row comes up in every comparison. It is tried again by the next run, then after 2, 4, 8, 16 runs, and from
then on every 24th; at once if one of its values or its mapping changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from planhat_dbt.declaration.manner import manner_of
from planhat_dbt.declaration.types import Write

if TYPE_CHECKING:
    from planhat_dbt.binding import BoundSync
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Session

LONGEST: Final = 24
"""Runs between two tries at most: a day, for who runs every hour."""
_DOUBLINGS: Final = 5


def run_number(session: Session, tables: StateTables, sync: str) -> int:
    """Count the runs of a sync, the present one included."""
    found = session.rows(
        f"select count(*) from {tables.sync_runs} where sync = {tables.dialect.literal(sync)}"
    )
    return int(found[0][0]) + 1


def values_hash(tables: StateTables, bound: BoundSync, mapping_version: int, row: str) -> str:
    """Hash what a plan row would send: its values, its mapping, and whether it is removed.

    Args:
        tables: The state tables.
        bound: The sync.
        mapping_version: The version of the mapping in force.
        row: The alias of the plan row.
    """
    dialect = tables.dialect
    # A look-up may turn a create into an update, and that takes these values out of the row.
    steady = [
        f for f in bound.fields if f.mapping.write is Write.ALWAYS or not manner_of(bound.sync).finds_first
    ]
    parts = [
        f"'{mapping_version}'",
        f"case when {row}._operation in ('clear', 'delete') then '-' else '+' end",
    ]
    parts += [dialect.json(f"{row}.{dialect.quote(f.name)}", f.stored) for f in steady]
    return dialect.digest(" || ',' || ".join(parts))


def waiting(tables: StateTables, bound: BoundSync, mapping_version: int, number: int, row: str) -> str:
    """Write the join that finds the failure `w` for which a plan row still waits."""
    name = tables.dialect.literal(bound.name)
    return (
        f"left join (select * from {tables.failures} where sync = {name} and status = 'rejected' "
        f"and {is_due_later(number)}) w\n"
        f"    on w.key = {row}._key and w.values_hash = {values_hash(tables, bound, mapping_version, row)}"
    )


def is_due_later(number: int) -> str:
    """Test whether a failure waits in the `number`th run; longer than ever said, it does not: the runs were dropped."""
    return f"next_run > {number} and next_run <= {number + LONGEST}"


def next_run(number: int, attempts: str) -> str:
    """Say with which run a row is tried again that was refused in `attempts` tries, the last one in run `number`."""
    whens = " ".join(f"when {n + 1} then {2**n}" for n in range(_DOUBLINGS))
    return f"{number} + case {attempts} {whens} else {LONGEST} end"
