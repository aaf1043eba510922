"""A renamed sync takes its state along: its snapshot table, its settings and what does not go through now.

What tells of the past (runs, sync_runs, changes, batches, requests) keeps the name under which it happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from planhat_dbt.errors import UsageError
from planhat_dbt.state.layout import check_sync_tables, existing_tables
from planhat_dbt.state.snapshot import read_mapping, refuse_foreign

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from planhat_dbt.declaration.types import Sync
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Column, Session


def state_name(sync: Sync, present: Container[str]) -> str:
    """The name under which the state of a sync stands: its own, or its previous one until it is renamed."""
    before = sync.previous_name
    if before and f"snapshot__{sync.name}" not in present and f"snapshot__{before}" in present:
        return before
    return sync.name


def is_renamed(
    session: Session, tables: StateTables, sync: Sync, present: dict[str, tuple[Column, ...]]
) -> bool:
    """Say whether the state of a sync still stands under its previous name, and may be renamed; changes nothing.

    Raises:
        UsageError: Both names have a snapshot table, one is not ours, or the state is of another object or match key.
    """
    old, new = sync.previous_name, sync.name
    if not old:
        return False
    if f"snapshot__{old}" not in present:
        return f"snapshot__{new}" in present and _is_half_renamed(session, tables, old, new)
    check_sync_tables(tables, old, present)
    check_sync_tables(tables, new, present)
    if f"snapshot__{new}" in present and not is_untouched(session, tables, new):
        raise UsageError(
            f"Sync {new} was renamed (`previous_name: {old}`), but {tables.schema} has a snapshot table of either "
            "name, and rows were sent under both. Nothing was sent or renamed.",
            hint=f"To go on with snapshot__{new}, take `previous_name` out of the declaration. To go on with "
            f"snapshot__{old}, drop snapshot__{new}: rows that were sent under the new name alone are sent again.",
        )
    before = read_mapping(session, tables, old)
    if before is None:
        raise UsageError(
            f"{tables.schema}.snapshot__{old} (`previous_name` of {new}) has no record of its mapping in "
            f"{tables.schema}.meta. Nothing was renamed.",
            hint=f"Restore the row `mapping:{old}` of meta; or take `previous_name` out to send all again.",
        )
    refuse_foreign(
        sync,
        before,
        f"Sync {old} (`previous_name` of {new})",
        "Take `previous_name` out to start afresh under the new name; the records already in Planhat stay.",
    )
    return True


def rename(session: Session, tables: StateTables, syncs: Sequence[Sync]) -> None:
    """Give the state of syncs their present names, all or none; `is_renamed` has said that each of them may.

    Batches in flight were settled before: what is in doubt is told by the plan table, which goes here.
    """
    names = [(sync.previous_name, sync.name) for sync in syncs]
    present = existing_tables(session, tables)
    with (
        session.transaction()
    ):  # tables first: some engines commit what came before, and `_is_half_renamed` goes on
        for old, new in names:
            if f"snapshot__{old}" in present:
                _rename_tables(session, tables, old, new)
        for old, new in names:
            _rename_settings(session, tables, old, new)
            _rename_failures(session, tables, old, new)
            _rename_previous_keys(session, tables, old, new)
            _rename_points(session, tables, old, new)


def _rename_tables(session: Session, tables: StateTables, old: str, new: str) -> None:
    for table in (tables.plan(old), tables.plan(new), tables.snapshot(new)):
        session.execute(f"drop table if exists {table}")
    path = (tables.database, tables.schema)
    session.execute(tables.dialect.rename_table(path, f"snapshot__{old}", f"snapshot__{new}"))


def _is_half_renamed(session: Session, tables: StateTables, old: str, new: str) -> bool:
    """Whether a run ended between the tables and the rows of a renaming, where a table is renamed at once."""
    has_new, has_old = (read_mapping(session, tables, sync) is not None for sync in (new, old))
    return has_old and not has_new


def is_untouched(session: Session, tables: StateTables, sync: str) -> bool:
    """Whether a sync was only planned so far: most notice in the plan that a `previous_name` is missing."""
    name = tables.dialect.literal(sync)
    return not any(
        session.rows(f"select 1 from {rows} limit 1")
        for rows in (
            tables.snapshot(sync),
            f"{tables.batches} where sync = {name}",
            f"{tables.failures} where sync = {name} and status = 'unknown'",
        )
    )


def _rename_settings(session: Session, tables: StateTables, old: str, new: str) -> None:
    """Move the rows `<word>:<sync>` of `meta`; what stands there under the new name has lost its table."""
    mark, meta = tables.dialect.placeholder, tables.meta
    settings = [setting for (setting,) in session.rows(f"select setting from {meta}")]
    for setting in settings:
        word, colon, name = setting.partition(":")
        if colon and name == new:
            session.execute(f"delete from {meta} where setting = {mark}", [setting])
    for setting in settings:
        word, colon, name = setting.partition(":")
        if colon and name == old:
            session.execute(
                f"update {meta} set setting = {mark} where setting = {mark}", [f"{word}:{new}", setting]
            )


def _rename_failures(session: Session, tables: StateTables, old: str, new: str) -> None:
    """Move the rows of `failures`; a doubt that was left under the new name stays, since it protects from sending."""
    failures = tables.failures
    was, now = tables.dialect.literal(old), tables.dialect.literal(new)
    session.execute(f"delete from {failures} where sync = {now} and status <> 'unknown'")
    session.execute(
        f"delete from {failures} where sync = {was} and key in (select key from {failures} where sync = {now})"
    )
    # Runs are counted under the name they had: those of the new name begin at one.
    session.execute(f"update {failures} set sync = {now}, next_run = null where sync = {was}")


def _rename_points(session: Session, tables: StateTables, old: str, new: str) -> None:
    """Move the points in doubt; one that was left under the new name stays with its doubt."""
    noted = tables.in_doubt
    was, now = tables.dialect.literal(old), tables.dialect.literal(new)
    session.execute(
        f"delete from {noted} where sync = {was} and key in (select key from {noted} where sync = {now})"
    )
    session.execute(f"update {noted} set sync = {now} where sync = {was}")


def _rename_previous_keys(session: Session, tables: StateTables, old: str, new: str) -> None:
    """Move the keys that rows were known by before; what stands there under the new name has lost its table."""
    was, now = tables.dialect.literal(old), tables.dialect.literal(new)
    session.execute(f"delete from {tables.previous_keys} where sync = {now}")
    session.execute(f"update {tables.previous_keys} set sync = {now} where sync = {was}")
