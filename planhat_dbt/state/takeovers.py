"""Removals of records that belong to another row of the sync by now.

Planhat finds the record of an item by any of its keys (planhat-api §5): a new row with the e-mail or `sourceId` of a
record takes it over, and has the same id as the row that left the model. To remove that one's record would remove the
other's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from planhat_dbt.plan import TAKEN_OVER, Operation
from planhat_dbt.state.journal import utc_now
from planhat_dbt.state.layout import HAS_VALUES

if TYPE_CHECKING:
    from planhat_dbt.state.journal import Journal
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Session

_TAKEN: Final = "planhat_taken"
_MESSAGE: Final = "another row of the sync has its record by now"


def find_taken_over(
    session: Session, tables: StateTables, sync: str, looked_up: tuple[str, str] | None = None
) -> dict[Operation, int]:
    """Find planned removals whose record another row has that stays, for `leave_taken_over`.

    Args:
        session: An open session.
        tables: The state tables.
        sync: The sync.
        looked_up: Object and key field, if `lookups` tells which records have the removals' keys now: a record that
            has its key no more is another row's.

    Returns:
        Operation → rows.
    """
    plan, snapshot = tables.plan(sync), tables.snapshot(sync)
    removals = f"from {plan} r where r._operation in ('{Operation.CLEAR.value}', '{Operation.DELETE.value}')"
    theirs = (
        f"select s._planhat_id from {snapshot} s where s.{HAS_VALUES} and s._planhat_id in (select r._planhat_id "
        f"{removals} and r._planhat_id is not null) and s._key not in (select r._key {removals})"
    )
    moved = f" or r._row not in ({_still_there(tables, plan, *looked_up)})" if looked_up else ""
    session.scratch(
        _TAKEN,
        f"select r._row, r._key, r._operation, r._planhat_id, r._batch {removals} "
        f"and (r._planhat_id in ({theirs}){moved})",
    )
    counted = session.rows(f"select _operation, count(*) from {_TAKEN} group by _operation")
    return {Operation(operation): int(rows) for operation, rows in counted}


def _still_there(tables: StateTables, plan: str, obj: str, key_field: str) -> str:
    literal = tables.dialect.literal
    return (
        f"select p._row from {plan} p join {tables.lookups} f on lower(f.key) = lower(p._key) "
        f"and f.planhat_id = p._planhat_id where f.object = {literal(obj)} and f.key_field = {literal(key_field)}"
    )


def leave_taken_over(session: Session, tables: StateTables, journal: Journal, sync: str) -> None:
    """Take what was found out of the plan: its row has no record any more; call inside a transaction."""
    dialect = tables.dialect
    run, name, moment = dialect.literal(journal.run_id), dialect.literal(sync), tables.moment(utc_now())
    session.execute(
        f"update {tables.snapshot(sync)} set _state = 'deleted', _planhat_id = null, _synced_at = {moment}, "
        f"_run_id = {run} where _key in (select _key from {_TAKEN})"
    )
    session.execute(
        f"insert into {tables.changes} (run_id, sync, key, operation, planhat_id, status, {dialect.quote('at')})\n"
        f"select {run}, {name}, _key, _operation, _planhat_id, '{TAKEN_OVER}', {moment} from {_TAKEN}"
    )
    session.execute(
        f"delete from {tables.failures} where sync = {name} and key in (select _key from {_TAKEN})"
    )
    session.execute(
        f"update {tables.plan(sync)} set _operation = null, _batch = null, _code = '{TAKEN_OVER}', "
        f"_message = {dialect.literal(_MESSAGE)} where _row in (select _row from {_TAKEN})"
    )
    journal.plan_batches_anew(session, sync, f"select _batch from {_TAKEN}")
