"""What a run learnt and could not write down: kept in a file, and entered by the next run before it compares."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from planhat_dbt.compare import DELETE_BATCHES_FROM
from planhat_dbt.declaration.manner import manner_of
from planhat_dbt.errors import FailedError
from planhat_dbt.outcome import RowOutcome, RowStatus
from planhat_dbt.parents import child_references
from planhat_dbt.state.clean import forget_clean
from planhat_dbt.state.journal import Journal
from planhat_dbt.state.layout import existing_tables
from planhat_dbt.state.points import forget_settled_points
from planhat_dbt.state.recovery import FOLDER, Learnt, Recovery, read_recoveries, unsent_rows, write_recovery
from planhat_dbt.state.snapshot import read_mapping
from planhat_dbt.state.unknown import enter_done

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from planhat_dbt.binding import BoundSync
    from planhat_dbt.declaration.types import Sync
    from planhat_dbt.deliver.payload import Batch
    from planhat_dbt.errors import PlanhatDbtError
    from planhat_dbt.parents import ChildReference
    from planhat_dbt.run.context import Context
    from planhat_dbt.run.desk import Desk
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.state.lease import Lease
    from planhat_dbt.warehouse.port import Session

Left = list[tuple["Path", Recovery, "Sync"]]
"""Recovery files whose plan no longer stands, with the sync that goes on with their state."""


def record_window(
    session: Session,
    journal: Journal,
    tables: StateTables,
    bound: BoundSync,
    learnt: Learnt,
    all_syncs: Sequence[Sync],
) -> None:
    """Write what became of a window; call inside a transaction that has renewed the lease."""
    if learnt.again:
        journal.forget_ids(session, bound.name, learnt.again)
    exceptions = journal.record(
        session,
        bound,
        learnt.window,
        learnt.outcomes,
        mapping_version=learnt.mapping_version,
        had_prior=learnt.had_prior,
        key_since=learnt.key_since,
    )
    if learnt.again or learnt.window.first >= DELETE_BATCHES_FROM:
        children = _children(session, tables, bound.sync, all_syncs)
        journal.forget_children(
            session, bound.name, learnt.window, children, learnt.again, exceptions=exceptions
        )
        forget_clean(session, tables, {child.sync for child in children})


def _children(
    session: Session, tables: StateTables, sync: Sync, all_syncs: Sequence[Sync]
) -> list[ChildReference]:
    """The syncs whose records go with this one's, as far as their snapshot tables know the reference."""
    found = child_references(sync, all_syncs)
    if not found:
        return []
    present = {
        n: {c.name.lower() for c in columns} for n, columns in existing_tables(session, tables).items()
    }
    return [c for c in found if c.state_column.lower() in present.get(f"snapshot__{c.sync}", ())]


def keep_learnt(
    desk: Desk, sync: Sync, learnt: Learnt, batches: Sequence[Batch], error: PlanhatDbtError
) -> FailedError:
    """Keep in a file what the warehouse could not take down.

    Returns:
        The error to end the sync with, which names the file.
    """
    unsent = [
        RowOutcome(r.row, r.key, r.operation, RowStatus.HELD, "not_sent", "not sent whole: the run broke off")
        for b in batches
        for r in b.rows
        if r.row in learnt.again
    ]
    recovery = Recovery(
        run_id=desk.journal.run_id,
        sync=sync.name,
        target=desk.context.target,
        schema=desk.context.settings.state_schema,
        learnt=unsent_rows(learnt, unsent),
        done=tuple(_done(learnt, batches)) if manner_of(sync).sent_once else (),
    )
    folder = desk.context.target_dir.parent / FOLDER
    sent = f"What Planhat answered to the calls of sync {sync.name}"
    try:
        path = write_recovery(folder, recovery)
    except OSError as fault:
        text = f"{sent} could not be written down, nor be kept in {folder} ({fault.strerror or fault})."
        hint = (
            "Mend that and run again: records are compared anew; events and creates without a key are held."
        )
    else:
        text = f"{sent} could not be written down; it is kept in {path}."
        hint = "Mend that and run the command again: the next run enters the file before anything else."
    return FailedError(f"{error.message.rstrip('.')}. {text}", hint=hint)


def _done(learnt: Learnt, batches: Sequence[Batch]) -> list[tuple[str, str | None]]:
    ids = {i.key: i.planhat_id for o in learnt.outcomes for i in o.ids}
    other = {row for o in learnt.outcomes for row in (*o.again, *(e.row for e in o.exceptions))}
    return [(r.key, ids.get(r.key)) for b in batches for r in b.rows if r.row not in other]


def enter_kept(
    session: Session,
    context: Context,
    tables: StateTables,
    lease: Lease,
    bound: Mapping[str, BoundSync],
) -> tuple[list[str], Left]:
    """Enter recovery files whose plan still stands; call before the plan is replaced, and before syncs are renamed.

    Returns:
        What is worth telling, and the files whose plan does not stand.

    Raises:
        FailedError: A file cannot be read.
    """
    told: list[str] = []
    left: Left = []
    for path, recovery in read_recoveries(context.target_dir.parent / FOLDER):
        if (recovery.target, recovery.schema) != (context.target, context.settings.state_schema):
            continue
        if not any(recovery.sync in (s.name, s.previous_name) for s in context.all_syncs):
            told.append(
                f"{path} is of sync {recovery.sync}, which the project no longer has: remove the file."
            )
            continue
        found = next((b for b in bound.values() if recovery.sync in (b.name, b.sync.previous_name)), None)
        if found is None:
            continue  # its sync is not in this run
        as_then = replace(found, sync=replace(found.sync, name=recovery.sync))
        if not _stands(session, tables, as_then, recovery):
            left.append((path, recovery, found.sync))
            continue
        journal = Journal(tables, recovery.run_id)
        record = partial(record_window, session, journal, tables, as_then, recovery.learnt, context.all_syncs)
        lease.write(session, record)
        path.unlink()
        told.append(f"{recovery.sync}: entered what run {recovery.run_id} had sent and could not write down.")
    return told, left


def enter_left(session: Session, tables: StateTables, lease: Lease, left: Left) -> list[str]:
    """Enter what must not be sent twice of files whose plan no longer stands; the rest is compared anew.

    Returns:
        What is worth telling.
    """
    told = []
    for path, recovery, sync in left:
        lease.write(session, partial(_enter_done, session, tables, sync.name, recovery))
        path.unlink()
        rest = (
            f"{len(recovery.done):,} rows are taken as done"
            if recovery.done
            else "its rows are compared anew"
        )
        told.append(f"{sync.name}: the plan of run {recovery.run_id} is gone or changed; {rest}.")
    return told


def _enter_done(session: Session, tables: StateTables, sync: str, recovery: Recovery) -> None:
    enter_done(session, tables, sync, recovery.done)
    forget_settled_points(session, tables, sync)


def _stands(session: Session, tables: StateTables, bound: BoundSync, recovery: Recovery) -> bool:
    """Whether the plan that was sent is still there, and its rows mean what they meant."""
    present = existing_tables(session, tables)
    if not {f"plan__{bound.name}", f"snapshot__{bound.name}"} <= present.keys():
        return False
    mapping = read_mapping(session, tables, bound.name)
    if mapping is None or mapping.version != recovery.learnt.mapping_version:
        return False
    now = {f.mapping.target: (f.name, f.stored_type, f.fingerprint) for f in bound.fields}
    if now != {target: (f.column, f.type, f.fingerprint) for target, f in mapping.fields.items()}:
        return False
    literal, window = tables.dialect.literal, recovery.learnt.window
    ((sending,),) = session.rows(
        f"select count(*) from {tables.batches} where run_id = {literal(recovery.run_id)} "
        f"and sync = {literal(recovery.sync)} and state = 'sending' "
        f"and batch between {window.first} and {window.last}"
    )
    return int(sending) == len(recovery.learnt.outcomes)
