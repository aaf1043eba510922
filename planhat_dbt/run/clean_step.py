"""Syncs that need no comparison: their model was not rebuilt since they were last clean (setting `skip_unbuilt`).

What a sync was clean of is one text: the build of its table as dbt's results name it, and a digest of all that decides
what is sent. Any difference, and anything that dbt's results do not tell, leads to a comparison.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import orjson

from planhat_dbt import __version__
from planhat_dbt.objects import ObjectType
from planhat_dbt.result import Status
from planhat_dbt.state.clean import clean_marks, forget_clean, note_clean
from planhat_dbt.state.journal import utc_now

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from planhat_dbt.run.context import Context
    from planhat_dbt.run.ledger import Entry
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Session

_BUILT: Final = "success"
"""A status `reused` says that this build wrote nothing, but not which one did."""
_CLEAN: Final = (Status.SUCCESS, Status.NOTHING_TO_DO)


def skip_unbuilt(
    session: Session,
    context: Context,
    tables: StateTables,
    entries: Sequence[Entry],
    *,
    all_compared: bool = False,
) -> None:
    """Settle the syncs that were clean of the very build that stands; all others lose their mark."""
    marks = clean_marks(session, tables)
    stale = []
    for entry in entries:
        mark = marks.get(entry.sync.name)
        if mark is None:
            continue
        if mark == _mark(context, entry) and _may_be_skipped(context, entry) and not all_compared:
            entry.status, entry.unbuilt = Status.NOTHING_TO_DO, True
            entry.reason = (
                f"not compared: {entry.sync.model.name} was not rebuilt since this sync was last clean"
            )
        else:
            stale.append(entry.sync.name)
    forget_clean(session, tables, stale)


def note_clean_syncs(
    session: Session,
    context: Context,
    tables: StateTables,
    entries: Sequence[Entry],
    disturbed: Container[str],
) -> None:
    """Mark the syncs that were compared and left nothing over; call at the end of a run, under its lease.

    Args:
        session: An open session.
        context: The run's.
        tables: The state tables.
        entries: The syncs of the run, each concluded.
        disturbed: Syncs of which records went with their parents after they had been compared, perhaps.
    """
    clean = [e for e in entries if e.compared and e.status in _CLEAN and not e.failing]
    found = {e.sync.name: _mark(context, e) for e in clean if e.sync.name not in disturbed}
    note_clean(session, tables, {sync: mark for sync, mark in found.items() if mark}, utc_now())


def _may_be_skipped(context: Context, entry: Entry) -> bool:
    resync = entry.ready is not None and entry.ready.resync
    return context.settings.skip_unbuilt and not context.chosen and not resync


def _mark(context: Context, entry: Entry) -> str:
    """What the sync is clean of after a clean run; empty: not known."""
    results = None if context.gate.older else context.gate.results
    node = context.manifest.nodes.get(entry.sync.model.unique_id)
    own = results.results.get(entry.sync.model.unique_id) if results else None
    if not results or not own or not node or not entry.ready:
        return ""
    if own.status != _BUILT or not node.is_table or not results.invocation_id:
        return ""
    mapping = entry.ready.mapping
    told = orjson.dumps([__version__, _plain(entry.sync), _plain(mapping)], option=orjson.OPT_SORT_KEYS)
    return f"{results.invocation_id} {hashlib.sha256(told).hexdigest()}"


def _plain(value: Any) -> Any:
    """A value as JSON that is the same in every process."""
    if isinstance(value, ObjectType):
        return value.name  # the rest comes with the version
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: _plain(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
