"""Step one of a sync: bring its tables up to date, compare in the warehouse, count the plan, set rows aside."""

from __future__ import annotations

import datetime as dt
import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from planhat_dbt.binding import BindingError, BoundSync, bind
from planhat_dbt.compare import (
    CREATE_BATCH_ROWS,
    INDEXED,
    Comparison,
    create_empty_plan,
    create_plan,
    drop_plan,
    find_shared,
    find_suspects,
    in_need_of_lookup,
    plan_apart,
)
from planhat_dbt.declaration import missing_columns
from planhat_dbt.declaration.manner import manner_of
from planhat_dbt.declaration.types import CompanyRef, Fault, Sync
from planhat_dbt.errors import FailedError, UsageError
from planhat_dbt.parents import ParentCheck, ParentKey, parent_checks
from planhat_dbt.plan import (
    NOTED_CODES,
    READ_BACK_CODES,
    REJECTED_CODES,
    WAITING,
    Operation,
    SampleRow,
    SyncPlan,
)
from planhat_dbt.run.phases import EVENT_WINDOW_BATCHES
from planhat_dbt.settings import OnUnknown
from planhat_dbt.state.doubts import Doubts
from planhat_dbt.state.event_times import horizon, model_time
from planhat_dbt.state.layout import HAS_VALUES, existing_tables
from planhat_dbt.state.orphans import Orphan, find_orphans, orphan_of
from planhat_dbt.state.patience import is_due_later, run_number
from planhat_dbt.state.rekey import former_keys
from planhat_dbt.state.rename import is_renamed, rename
from planhat_dbt.state.snapshot import MappingRecord, ensure_snapshot, read_mapping, resynced
from planhat_dbt.warehouse.repeat import in_transaction

if TYPE_CHECKING:
    from planhat_dbt.run.context import Context
    from planhat_dbt.settings import ProjectSettings
    from planhat_dbt.state.journal import Journal
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Column, Session


_SUSPECTS: Final = "planhat_suspects"
_APART: Final = "planhat_apart"
_FEW: Final = 0.5
"""Part of a snapshot table's rows: where more may differ, to pick them out costs more than to look at all."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A sync whose columns and state tables are in order."""

    bound: BoundSync
    mapping: MappingRecord
    known_parents: frozenset[str]
    """All syncs that have a snapshot table."""
    resync: bool = False
    """Whether the mapping is one that sends all again; it is kept only when delivery begins."""
    notice: str = ""
    """What became of its state that is worth knowing."""
    left_behind: str = ""
    """The name under which its rows seem to have been sent before, which must not be sent twice."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A sync whose plan table stands."""

    bound: BoundSync
    mapping: MappingRecord
    comparison: Comparison
    plan: SyncPlan
    had_prior: bool
    """Whether the plan holds keys that the snapshot table already knows."""
    failing: bool
    """Whether rows of the sync stood in `failures` before."""
    sent_as: BoundSync
    """The sync as its rows are encoded: custom fields have the types of the tenant, once these are known."""

    @property
    def sync(self) -> Sync:
        """The declaration."""
        return self.bound.sync


def bind_all(
    session: Session, context: Context, syncs: list[Sync]
) -> tuple[dict[str, BoundSync], list[Fault]]:
    """Tie every sync to its built table; all that is missing or cannot fit is told at once.

    Raises:
        FailedError: A table or view cannot be read.
    """
    bound: dict[str, BoundSync] = {}
    faults: list[Fault] = []
    described: dict[str, tuple[Column, ...] | None] = {}
    for sync in syncs:
        relation = sync.model.relation.rendered
        if relation not in described:
            described[relation] = _columns(session, sync, context) if relation else None
        columns = described[relation]
        if columns is None:
            text = (
                f"{relation or 'it'} does not exist in target {context.target}: {_next_step(sync, context)}"
            )
            faults.append(Fault(sync.model.name, sync.model.path, "built table", text))
            continue
        missing = missing_columns(sync, tuple(c.name for c in columns))
        if missing:
            faults += missing
            continue
        try:
            bound[sync.name] = bind(sync, columns, context.warehouse.dialect)
        except BindingError as error:
            faults += error.faults
    return bound, faults


def _columns(session: Session, sync: Sync, context: Context) -> tuple[Column, ...] | None:
    relation = sync.model.relation.rendered
    try:
        return session.columns(relation)
    except FailedError as error:  # such as a view whose source has lost a column
        raise FailedError(
            f"Sync {sync.name}: {relation} cannot be read. {error.message}",
            hint=error.hint or f"Nothing was sent. To build it anew, {_next_step(sync, context)}.",
        ) from error


def _next_step(sync: Sync, context: Context) -> str:
    built_in, opened = sync.model.relation.database, context.warehouse.database
    if built_in and built_in.casefold() != opened.casefold():
        return (
            f"dbt built it in database {built_in}, and this target opens {opened}. Use the target and path that dbt "
            "was run with, or run dbt for this one"
        )
    return f"run `dbt build --select {sync.model.name}`"


def take_along(session: Session, context: Context, tables: StateTables, journal: Journal) -> list[Sync]:
    """Rename the state of renamed syncs: of all, since others refer to them, and since gated ones are resolved, too.

    Returns:
        The syncs whose state was renamed.

    Raises:
        UsageError: The state of a selected sync cannot be renamed; then none was.
    """
    named = [s for s in context.all_syncs if s.previous_name]
    if not named:
        return []
    present = existing_tables(session, tables)
    selected = {s.name for s in context.syncs}
    due = []
    for sync in named:
        try:
            if is_renamed(session, tables, sync, present):
                due.append(sync)
        except UsageError:
            if sync.name in selected:  # else it is told at its turn, and the others go on
                raise
    for sync in due:
        for name in (sync.previous_name, sync.name):
            if f"plan__{name}" in present:
                _settle(session, context, journal, sync, name, present)
    if due:
        rename(session, tables, due)
    return due


def _settle(
    session: Session,
    context: Context,
    journal: Journal,
    sync: Sync,
    name: str,
    present: dict[str, tuple[Column, ...]],
) -> None:
    """Close what a run left in flight of a sync whose state stands under a name."""
    settings = context.settings
    one_call = settings.connect_timeout + settings.read_timeout + settings.max_wait
    journal.settle(
        session,
        name,
        in_doubt=manner_of(sync).remembers_doubt,
        points=present[f"plan__{name}"] if sync.object.name == "metric" else (),
        window_lasts=dt.timedelta(seconds=2 * EVENT_WINDOW_BATCHES * one_call),
    )


def reads_back(sync: Sync, settings: ProjectSettings) -> bool:
    """Whether rows of unknown outcome are asked for in Planhat: it shows metric points alone (planhat-api §10)."""
    asked = settings.on_unknown is OnUnknown.HOLD and settings.read_back_calls > 0
    return sync.object.name == "metric" and asked


def ensure_sync_tables(
    session: Session,
    context: Context,
    tables: StateTables,
    journal: Journal,
    bound: dict[str, BoundSync],
) -> dict[str, Ready]:
    """Bring the tables of all syncs of a run up to date, and close what earlier runs left in flight.

    Raises:
        UsageError: A table is not ours, or belongs to another object or key; no call has been made.
    """
    present = existing_tables(session, tables)
    for sync in (b.sync for b in bound.values()):
        if f"plan__{sync.name}" in present:
            _settle(session, context, journal, sync, sync.name, present)
    known = {t.removeprefix("snapshot__") for t in present if t.startswith("snapshot__")} | set(bound)
    orphans = find_orphans(session, tables, context.all_syncs, present)
    models = [node.name for node in context.manifest.nodes.values()]
    ready = {}
    for name, b in bound.items():
        before, mapping = ensure_snapshot(session, tables, b, present)
        orphan = orphan_of(session, tables, b.sync, orphans, models)
        notice = _rekeyed(name, before, mapping) or _left_behind(name, orphan)
        held_back = orphan is not None and manner_of(b.sync).sent_once
        left_behind = orphan.name if orphan and held_back else ""
        resync = name in context.overrides.resync
        mapping = resynced(mapping) if resync else mapping
        ready[name] = Ready(b, mapping, frozenset(known), resync, "" if held_back else notice, left_behind)
    return ready


def _left_behind(sync: str, orphan: Orphan | None) -> str:
    if orphan is None:
        return ""
    return (
        f"{sync} has sent nothing yet. {orphan.name}, which no declaration names any more, has fed {orphan.object}: if "
        f"it was renamed, add `previous_name: {orphan.name}` to the declaration of {sync}, or all is sent again."
    )


def _rekeyed(sync: str, before: MappingRecord | None, now: MappingRecord) -> str:
    if before is None or before.match == now.match:
        return ""
    return f"{sync} is matched on {now.match} from now on; its state stood under {before.match} and was re-keyed."


def compare(
    session: Session,
    context: Context,
    tables: StateTables,
    ready: Ready,
    *,
    now: dt.datetime,
    planned_parents: frozenset[str] | None = None,
    samples: int = 0,
) -> Compared:
    """Write the plan table of one sync and count it.

    Args:
        session: An open session.
        context: The run's context.
        tables: The state tables.
        ready: The sync.
        now: The moment from which a lookback counts, UTC.
        planned_parents: For a plan that is only shown: syncs whose planned inserts count as sent.
        samples: Rows of each operation to read for show.
    """
    started = time.monotonic()
    bound, mapping = ready.bound, ready.mapping
    sync = bound.sync
    checks = parent_checks(sync, context.all_syncs)
    failing = _failing(session, tables, sync.name)
    may_wait = failing.get("rejected", 0) > 0 and not context.overrides.retry_rejected
    number = run_number(session, tables, sync.name) if may_wait else 1
    comparison = Comparison(
        bound=bound,
        mapping=mapping,
        checks=checks,
        batch_rows=context.settings.batch_rows if sync.object.bulk else CREATE_BATCH_ROWS,
        has_unknown=manner_of(sync).sent_once and failing.get("unknown", 0) > 0,
        run_number=number,
        has_waiting=may_wait and _any_waits(session, tables, sync.name, number),
        known_parents=ready.known_parents,
        planned_parents=planned_parents or frozenset(),
        untold=_untold(session, tables, checks),
        rekeyed_parents=_rekeyed_parents(session, tables, checks),
        former=former_keys(session, tables, sync.name),
        horizon=horizon(session, tables, bound, now),
    )
    session.execute(drop_plan(tables, sync.name))
    session.execute(_plan_statement(session, tables, comparison))
    session.index(tables.plan(sync.name), *INDEXED)
    plan, had_prior = _count(session, tables, comparison, single_creates=comparison.single_creates)
    if plan.count(Operation.UPDATE) > 1 and session.rows(find_shared(tables, sync.name)):
        _set_apart(session, tables, comparison)
        plan, had_prior = _count(session, tables, comparison, single_creates=comparison.single_creates)
    if plan.unknown and reads_back(sync, context.settings):
        plan = replace(plan, to_read_back=Doubts(tables, bound).count(session))
    if samples:
        plan = replace(plan, samples=_samples(session, tables, bound, plan, samples))
    plan = replace(plan, seconds=time.monotonic() - started)
    return Compared(bound, mapping, comparison, plan, had_prior, failing=bool(failing), sent_as=bound)


def _set_apart(session: Session, tables: StateTables, comparison: Comparison) -> None:
    """Leave one update of each record in the plan."""
    session.scratch(_APART, plan_apart(tables, comparison))
    replace_plan(session, tables, comparison.bound.name, _APART)


def replace_plan(session: Session, tables: StateTables, sync: str, scratch: str) -> None:
    """Put what a scratch table holds in the place of a plan."""
    session.execute(drop_plan(tables, sync))
    session.execute(f"create table {tables.plan(sync)} as select * from {scratch}")
    session.index(tables.plan(sync), *INDEXED)


def _plan_statement(session: Session, tables: StateTables, comparison: Comparison) -> str:
    """Write the statement that makes the plan, once it is known which rows may differ at all."""
    snapshot = tables.snapshot(comparison.bound.name)
    query = find_suspects(tables, comparison)
    if query is None or not (held := _size(session, snapshot)):
        return create_plan(tables, comparison)
    session.scratch(_SUSPECTS, query)
    found = _size(session, _SUSPECTS)
    if not found:
        return create_empty_plan(tables, comparison.bound)
    if found <= held * _FEW:
        return create_plan(tables, comparison, among=_SUSPECTS)
    session.scratch(_SUSPECTS, "select 1 as _nothing where 1 = 0")  # the full comparison wants the memory
    return create_plan(tables, comparison)


def _size(session: Session, table: str) -> int:
    return int(session.rows(f"select count(*) from {table}")[0][0])


def _untold(session: Session, tables: StateTables, checks: tuple[ParentCheck, ...]) -> frozenset[ParentKey]:
    """Mapped keys of parents whose snapshot tables have no column for them."""
    mapped = {parent for check in checks for parent in check.parents if parent.state_column}
    present = {
        sync: {c.name.lower() for c in session.columns(tables.snapshot(sync)) or ()}
        for sync in sorted({parent.sync for parent in mapped})
    }
    return frozenset(p for p in mapped if p.state_column.lower() not in present[p.sync])


def _rekeyed_parents(
    session: Session, tables: StateTables, checks: tuple[ParentCheck, ...]
) -> dict[str, int]:
    """Parents that Planhat may not know by their present key yet."""
    parents = {parent.sync for check in checks for parent in check.parents}
    mappings = {parent: read_mapping(session, tables, parent) for parent in sorted(parents)}
    return {parent: m.key_since for parent, m in mappings.items() if m and m.key_since > 1}


def recount(session: Session, tables: StateTables, compared: Compared, *, single_creates: bool) -> Compared:
    """Count a plan again that was settled."""
    plan, had_prior = _count(session, tables, compared.comparison, single_creates=single_creates)
    before = (
        compared.plan
    )  # what was known then is what a limit measures against, and what makes a first load
    read_back = {code: n for code, n in before.noted.items() if code in READ_BACK_CODES}
    plan = replace(
        plan,
        to_look_up=0,
        changes_to_look_up=0,
        rows_known=before.rows_known,
        noted={**plan.noted, **read_back},
        seconds=before.seconds,
    )
    return replace(compared, plan=plan, had_prior=had_prior)


def failing_rows(session: Session, tables: StateTables, sync: str) -> int:
    """Count the rejected and unknown rows that stand in `failures` (they set the exit code)."""
    failing = _failing(session, tables, sync)
    return failing.get("rejected", 0) + failing.get("unknown", 0)


def removal_keys(session: Session, tables: StateTables, sync: str, *, removals: bool) -> tuple[str, ...]:
    """Name ten of the rows that a guard is about."""
    operations = "'clear', 'delete'" if removals else "'insert', 'update'"
    found = session.rows(
        f"select _key from {tables.plan(sync)} where _operation in ({operations}) order by _key limit 10"
    )
    return tuple(key for (key,) in found)


def _failing(session: Session, tables: StateTables, sync: str) -> dict[str, int]:
    found = session.rows(
        f"select status, count(*) from {tables.failures} where sync = {tables.dialect.literal(sync)} group by status"
    )
    return {status: int(count) for status, count in found}


def _any_waits(session: Session, tables: StateTables, sync: str, number: int) -> bool:
    found = session.rows(
        f"select count(*) from {tables.failures} where sync = {tables.dialect.literal(sync)} "
        f"and status = 'rejected' and {is_due_later(number)}"
    )
    return bool(found[0][0])


def set_aside(session: Session, tables: StateTables, journal: Journal, compared: Compared) -> None:
    """Enter rows that are not sent into `failures`, and forget failures whose row is fine or gone."""
    sync = compared.sync
    plan, name = tables.plan(sync.name), tables.dialect.literal(sync.name)
    enters = not compared.plan.set_aside.keys() <= {"unknown", WAITING}
    if not (enters or compared.failing):
        return
    # What must not be sent twice stays in doubt until somebody decides; all else was just compared again.
    once = manner_of(sync).sent_once
    kept = " and not (status = 'unknown' and operation = 'insert')" if once else ""
    rejected = _listed(tables, REJECTED_CODES)
    noted = _listed(tables, NOTED_CODES)

    def enter() -> None:
        if compared.failing:
            session.execute(
                f"delete from {tables.failures} where sync = {name}{kept} "
                f"and not exists (select 1 from (select _key, _code from {plan}) p where coalesce(p._key, '') = key "
                f"and coalesce(p._code, '') not in ({noted}))"
            )
        if enters:
            journal.merge_failures(
                session,
                sync.name,
                f"select coalesce(_key, '') as key, 'set_aside' as operation,\n  case when min(_code) in ({rejected}) "
                "then 'rejected' else 'held' end as status, min(_code) as code,\n"
                "  case when count(*) > 1 then min(_message) || ' (' || cast(count(*) as "
                f"{tables.dialect.text}) || ' rows)' else min(_message) end as message\n"
                f"from {plan} where _code is not null and _code not in ('unknown', '{WAITING}', {noted}) "
                "group by coalesce(_key, '')",
            )

    in_transaction(session, enter)


def _listed(tables: StateTables, codes: frozenset[str]) -> str:
    return ", ".join(tables.dialect.literal(c) for c in sorted(codes))


def _count(
    session: Session,
    tables: StateTables,
    comparison: Comparison,
    *,
    single_creates: bool,
) -> tuple[SyncPlan, bool]:
    sync = comparison.bound.sync
    operations: dict[Operation, int] = {}
    aside: dict[str, int] = {}
    noted: dict[str, int] = {}
    prior = to_find = changes_to_find = 0
    for operation, code, rows, known, in_need in session.rows(
        f"select p._operation, p._code, count(*), count(p._prior), "
        f"sum(case when {in_need_of_lookup(comparison)} then 1 else 0 end) "
        f"from {tables.plan(sync.name)} p group by p._operation, p._code"
    ):
        if operation:
            operations[Operation(operation)] = operations.get(Operation(operation), 0) + int(rows)
            prior += int(known)
            to_find += int(in_need)
            changes_to_find += int(in_need) if operation in ("insert", "update") else 0
        else:
            kind = noted if code in NOTED_CODES else aside
            kind[code] = kind.get(code, 0) + int(rows)
    in_model, before, forgotten = _rows_in_model(session, tables, comparison)
    noted |= {code: n for code, n in (("before_lookback", before), ("forgotten", forgotten)) if n}
    in_planhat = session.rows(f"select count(*) from {tables.snapshot(sync.name)} where {HAS_VALUES}")[0][0]
    counted = SyncPlan(
        sync=sync.name,
        model=sync.model.name,
        object=sync.object.name,
        mode=sync.mode.value,
        rows_in_model=int(in_model),
        rows_known=int(in_planhat),
        operations=operations,
        set_aside=aside,
        batch_rows=comparison.batch_rows,
        single_calls=single_creates,
        to_look_up=to_find,
        changes_to_look_up=changes_to_find,
        noted=noted,
    )
    return counted, prior > 0


def _rows_in_model(session: Session, tables: StateTables, comparison: Comparison) -> tuple[int, int, int]:
    """Count the model's rows; those before the lookback; those within it of which the keys are forgotten already."""
    bound = comparison.bound
    older = "0, 0"
    time = model_time(bound, tables.dialect)
    if time and comparison.horizon:
        wanted, cutoff = tables.moment(comparison.horizon.wanted), tables.moment(comparison.horizon.cutoff)
        older = (
            f"sum(case when {time} < {wanted} then 1 else 0 end), "
            f"sum(case when {time} >= {wanted} and {time} < {cutoff} then 1 else 0 end)"
        )
    ((rows, before, forgotten),) = session.rows(
        f"select count(*), {older} from {bound.sync.model.relation.rendered} m"
    )
    return int(rows), int(before or 0), int(forgotten or 0)


def _samples(
    session: Session, tables: StateTables, bound: BoundSync, plan: SyncPlan, rows: int
) -> tuple[SampleRow, ...]:
    dialect = tables.dialect
    values = [dialect.json(f"p.{dialect.quote(f.name)}", f.stored) for f in bound.fields]
    samples = []
    for operation in Operation:
        if not plan.count(operation):
            continue
        for key, changes, *new in session.rows(
            f"select p._key, p._changes, {', '.join(values)} from {tables.plan(bound.name)} p "
            f"where p._operation = '{operation.value}' order by p._row limit {rows}"
        ):
            samples.append(SampleRow(operation, key, _shown(bound, operation, changes, new)))
    return tuple(samples)


def _shown(
    bound: BoundSync, operation: Operation, changes: str | None, new: list[str]
) -> dict[str, tuple[object, object]]:
    if changes is not None:
        read = _read_json(changes)
        return {field: (old, now) for field, (old, now) in read.items()} if isinstance(read, dict) else {}
    if operation is not Operation.INSERT:
        return {}
    return {
        f.mapping.target: (None, _read_json(text))
        for f, text in zip(bound.fields, new, strict=True)
        if text != "null" and not isinstance(f.mapping.source, CompanyRef)
    }


def _read_json(text: str) -> Any:
    """Read what the warehouse wrote as JSON; it may hold NaN, which rejects the row when it is sent."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)
