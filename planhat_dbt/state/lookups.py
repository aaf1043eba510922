"""What look-ups found: Planhat's ids by key, kept in `lookups` for the rest of a run, and for people to read.

A row without an id says: asked, and not found. The table speaks of one run at a time; what a sync has changed since
is forgotten, and asked again by the syncs after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Session

_FOUND = "planhat_found"


class Lookups:
    """Writes and reads the look-ups of one run."""

    def __init__(self, tables: StateTables, run_id: str) -> None:
        self._tables = tables
        self._run = run_id

    def forget(self, session: Session, objects: Iterable[str]) -> None:
        """Forget objects that have changed since they were looked up, and whatever other runs left."""
        literal = self._tables.dialect.literal
        names = ", ".join(literal(o) for o in objects)
        stale = f"run_id <> {literal(self._run)}" + (f" or object in ({names})" if names else "")
        session.execute(f"delete from {self._tables.lookups} where {stale}")

    def add(
        self,
        session: Session,
        obj: str,
        key_field: str,
        found: Sequence[tuple[str, str, str | None]],
    ) -> None:
        """Enter records: key, `_id`, and the company's `_id`."""
        text, literal = self._tables.dialect.text, self._tables.dialect.literal
        session.load(
            _FOUND,
            {"key": text, "planhat_id": text, "company_id": text},
            [[f[0] for f in found], [f[1] for f in found], [f[2] for f in found]],
        )
        session.execute(
            f"insert into {self._tables.lookups} (object, key_field, key, planhat_id, company_id, run_id)\n"
            f"select {literal(obj)}, {literal(key_field)}, key, planhat_id, company_id, {literal(self._run)} "
            f"from {_FOUND}"
        )

    def mark_missing(self, session: Session, obj: str, key_field: str, wanted: str) -> None:
        """Enter keys that were asked and not found; `wanted` is the query that still wants them."""
        literal = self._tables.dialect.literal
        session.execute(
            f"insert into {self._tables.lookups} (object, key_field, key, company_id, run_id)\n"
            f"select {literal(obj)}, {literal(key_field)}, w.key, w.company_id, {literal(self._run)} from ({wanted}) w"
        )

    def forget_missing(self, session: Session, obj: str, key_field: str, keys: str) -> None:
        """Want keys again that were not found; `keys` is a query of them."""
        literal = self._tables.dialect.literal
        session.execute(
            f"delete from {self._tables.lookups} where object = {literal(obj)} "
            f"and key_field = {literal(key_field)} and planhat_id is null and key in ({keys})"
        )


def list_size(session: Session, tables: StateTables, path: str) -> int | None:
    """Recall how many records a list had when it was last read to its end."""
    found = session.rows(
        f"select value from {tables.meta} where setting = {tables.dialect.literal(f'size:{path}')}"
    )
    return int(found[0][0]) if found else None


def note_list_size(session: Session, tables: StateTables, path: str, rows: int) -> None:
    """Remember how many records a list has; call inside a transaction."""
    setting = tables.dialect.literal(f"size:{path}")
    session.execute(f"delete from {tables.meta} where setting = {setting}")
    session.execute(f"insert into {tables.meta} values ({setting}, '{rows}', {tables.dialect.utc_now})")
