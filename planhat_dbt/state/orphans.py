"""State under names that no declaration has any more: of syncs that were taken out, or renamed without a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from planhat_dbt.state.rename import is_untouched
from planhat_dbt.state.snapshot import read_mapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from planhat_dbt.declaration.types import Sync
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Column, Session


@dataclass(frozen=True, slots=True)
class Orphan:
    """The state of a sync that is not declared."""

    name: str
    object: str
    model: str
    """The model of its last run; empty: not known."""
    last_run: str
    """The id of that run; ids of later runs are greater."""


def find_orphans(
    session: Session, tables: StateTables, declared: Iterable[Sync], present: dict[str, tuple[Column, ...]]
) -> list[Orphan]:
    """Find state of which something was sent, and which no sync of the project names; the latest first."""
    named = {name for sync in declared for name in (sync.name, sync.previous_name)}
    stands = {table.removeprefix("snapshot__") for table in present if table.startswith("snapshot__")}
    found = []
    for name in sorted(stands - named):
        mapping = read_mapping(session, tables, name)
        if mapping and not is_untouched(session, tables, name):
            last_run, model = _last_run(session, tables, name)
            found.append(Orphan(name, mapping.object, model, last_run))
    return sorted(found, key=lambda orphan: orphan.last_run, reverse=True)


def orphan_of(
    session: Session, tables: StateTables, sync: Sync, orphans: Sequence[Orphan], models: Iterable[str]
) -> Orphan | None:
    """Say whose state a sync that has sent nothing may have meant to go on with: of its model, or of one that is gone.

    Args:
        session: An open session.
        tables: The state tables; those of the sync stand.
        sync: The sync.
        orphans: What `find_orphans` found.
        models: All models of the project.
    """
    others = {*models} - {sync.model.name}
    alike = [o for o in orphans if o.object == sync.object.name and o.model not in others]
    if not alike or not is_untouched(session, tables, sync.name):
        return None
    return next((o for o in alike if o.model in ("", sync.model.name)), alike[0])


def _last_run(session: Session, tables: StateTables, sync: str) -> tuple[str, str]:
    name = tables.dialect.literal(sync)
    found = session.rows(
        f"select run_id, model from {tables.sync_runs} where sync = {name} order by run_id desc limit 1"
    )
    return (found[0][0], found[0][1] or "") if found else ("", "")
