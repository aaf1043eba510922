"""The warehouse: can it be opened, do the tables stand, may we keep state, who holds the lease, whose state is it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from planhat_dbt.binding import BindingError, BoundSync, bind
from planhat_dbt.declaration import missing_columns
from planhat_dbt.errors import PlanhatDbtError
from planhat_dbt.report.wording import counted
from planhat_dbt.state.layout import StateTables, ensure_schema, existing_tables, refuse_newer
from planhat_dbt.state.lease import read_holder
from planhat_dbt.state.orphans import find_orphans
from planhat_dbt.state.rename import is_renamed, state_name
from planhat_dbt.state.snapshot import refuse_unfit_state
from planhat_dbt.state.tenant import refuse_foreign_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planhat_dbt.declaration.types import Fault, Sync
    from planhat_dbt.doctor.finding import Findings
    from planhat_dbt.planhat import Endpoint
    from planhat_dbt.warehouse.port import Column, Dialect, Session, Warehouse

_TRIAL: Final = "planhat_doctor"
"""A table that is made, written and taken back in one transaction."""


class _TakeBackError(Exception):
    """Ends the trial's transaction without a trace."""


def check_warehouse(
    found: Findings,
    warehouse: Warehouse,
    schema: str,
    syncs: Sequence[Sync],
    declared: Sequence[Sync] | None,
    endpoint: Endpoint | None,
) -> None:
    """Look at everything in the warehouse that a run depends on, in the order of a run; nothing is left behind.

    Args:
        found: Takes the findings.
        warehouse: The one of the target.
        schema: Where the state is.
        syncs: Those that the gate lets through.
        declared: All of the project; None: a declaration has a fault.
        endpoint: Whose state it should be; None: not known.
    """
    tables = StateTables(warehouse.dialect, warehouse.database, schema)
    try:
        with warehouse.open() as session:
            found.ok("warehouse", f"{warehouse.dialect.name}, database {warehouse.database}: opened")
            _check_rights(found, session, tables)
            present = found.attempt("state", lambda: _check_state(found, session, tables)) or {}
            bound = _check_models(found, session, syncs, tables.dialect)
            if not found.failed("state") and "meta" in present:
                found.attempt("mapping", lambda: _check_mappings(session, tables, bound, present))
                names = [b.name for b in bound if f"snapshot__{b.name}" in present]
                _check_tenant(found, session, tables, names, endpoint)
                if declared is not None:
                    found.attempt(
                        "former syncs", lambda: _check_former(found, session, tables, declared, present)
                    )
    except PlanhatDbtError as error:
        found.fail("warehouse", error.message, error.hint, error.exit_code)


def _check_models(
    found: Findings, session: Session, syncs: Sequence[Sync], dialect: Dialect
) -> list[BoundSync]:
    """See that the tables stand and carry what the declarations name; hands back the syncs of which they do."""
    relations = {s.model.relation.rendered: s.model.name for s in syncs}
    tables = {
        relation: found.attempt("models", lambda relation=relation: session.columns(relation) or ())  # type: ignore[misc]
        for relation in relations
    }
    lost = [model for relation, model in relations.items() if tables[relation] == ()]
    if lost:
        names = ", ".join(lost[:5]) + (", …" if len(lost) > 5 else "")
        text = f"{len(lost)} of {len(relations)} models have no table or view in this target: {names}"
        found.fail("models", text, f"Build them: dbt build --select {' '.join(lost[:5])}", 2)
    elif relations and not found.failed("models"):
        found.ok("models", f"{len(relations)} tables and views stand")
    built = [(s, columns) for s in syncs if (columns := tables[s.model.relation.rendered])]
    return _check_columns(found, built, dialect)


def _check_columns(
    found: Findings, built: Sequence[tuple[Sync, Sequence[Column]]], dialect: Dialect
) -> list[BoundSync]:
    bound: list[BoundSync] = []
    faults: list[Fault] = []
    for sync, columns in built:
        missing = missing_columns(sync, [c.name for c in columns])
        try:
            if not missing:
                bound.append(bind(sync, columns, dialect))
        except BindingError as error:
            missing = error.faults
        faults += missing
    if faults:
        place = faults[0].path.removeprefix("config.meta.planhat.")
        first = f"{faults[0].model}, {place}: {faults[0].message}"
        told = "1 column does" if len(faults) == 1 else f"{len(faults):,} columns do"
        text = f"{told} not fit the declarations{':' if len(faults) == 1 else ', the first:'} {first}"
        found.fail("columns", text, "Correct the model or the declaration.", 2)
    return bound


def _check_mappings(
    session: Session,
    tables: StateTables,
    syncs: Sequence[BoundSync],
    present: dict[str, tuple[Column, ...]],
) -> None:
    """See that each sync can go on with its state; the first that cannot is told."""
    for bound in syncs:
        is_renamed(session, tables, bound.sync, present)
        if state_name(bound.sync, present) == bound.name:
            refuse_unfit_state(session, tables, bound, present)


def _check_rights(found: Findings, session: Session, tables: StateTables) -> None:
    name = tables.name(_TRIAL)
    trial = session.transaction() if session.takes_back else nullcontext()
    try:
        with trial:
            _try_rights(session, tables, name)
            raise _TakeBackError  # noqa: TRY301 - it is how the transaction is ended
    except _TakeBackError:
        session.execute(f"drop table if exists {name}")  # some engines do not take back a table
        found.ok("rights", f"tables can be made and written in schema {tables.schema}")
    except PlanhatDbtError as error:
        found.fail("rights", error.message, error.hint, error.exit_code)


def _try_rights(session: Session, tables: StateTables, name: str) -> None:
    dialect = tables.dialect
    ensure_schema(session, tables)
    if not session.takes_back:  # that of a trial which was refused half-way
        session.execute(f"drop table if exists {name}")
    session.execute(f"create table {name} (a {dialect.integer})")
    session.load(_TRIAL, {"a": dialect.integer}, [[1]])
    session.insert(name, ["a"], [[1]])
    session.execute(f"delete from {name} where a = 1")


def _check_state(found: Findings, session: Session, tables: StateTables) -> dict[str, tuple[Column, ...]]:
    present = existing_tables(session, tables)
    if "meta" not in present:
        found.ok("state", f"schema {tables.schema} has no state tables yet: the first run makes them")
        return present
    refuse_newer(session, tables)
    syncs = [t for t in present if t.startswith("snapshot__")]
    found.ok("state", f"schema {tables.schema} holds the state of {counted(len(syncs), 'sync')}")
    holder = read_holder(session, tables)
    if holder and holder.alive:
        found.fail("lease", f"a run is under way: {holder}", "Wait until it has ended, or stop it.", 3)
    elif holder:
        found.ok("lease", f"free: {holder} has ended without giving it back, and the next run takes it")
    else:
        found.ok("lease", "free")
    return present


def _check_tenant(
    found: Findings, session: Session, tables: StateTables, syncs: Sequence[str], endpoint: Endpoint | None
) -> None:
    if endpoint and syncs:
        found.attempt("tenant", lambda: refuse_foreign_state(session, tables, endpoint, syncs))
        if not found.has("tenant"):
            found.ok("tenant", f"the state belongs to {endpoint.api_host}")


def _check_former(
    found: Findings,
    session: Session,
    tables: StateTables,
    declared: Sequence[Sync],
    present: dict[str, tuple[Column, ...]],
) -> None:
    left = find_orphans(session, tables, declared, present)
    if not left:
        return
    names = ", ".join(f"{o.name} ({o.object})" for o in left[:5]) + (", …" if len(left) > 5 else "")
    first, schema = left[0].name, tables.schema
    found.warn(
        "former syncs",
        f"schema {schema} holds the state of {counted(len(left), 'sync')} that the project does not declare: {names}",
        f"If {first} was renamed, add `previous_name: {first}` to its declaration. If it is gone for good: drop table "
        f"{schema}.snapshot__{first}; delete from {schema}.meta where setting = 'mapping:{first}'",
    )
