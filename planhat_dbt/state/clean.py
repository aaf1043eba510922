"""Of which build a sync was last clean: all rows compared, none left over (setting `skip_unbuilt`, decision 42)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Session

_WORD: Final = "clean:"


def clean_marks(session: Session, tables: StateTables) -> dict[str, str]:
    """Read them all: sync → what it was clean of."""
    found = session.rows(f"select setting, value from {tables.meta} where setting like '{_WORD}%'")
    return {setting.removeprefix(_WORD): value for setting, value in found}


def forget_clean(session: Session, tables: StateTables, syncs: Iterable[str]) -> None:
    """Take the marks of these syncs away: something of theirs has changed, or is about to."""
    names = ", ".join(tables.dialect.literal(f"{_WORD}{sync}") for sync in syncs)
    if names:
        session.execute(f"delete from {tables.meta} where setting in ({names})")


def note_clean(session: Session, tables: StateTables, marks: Mapping[str, str], now: dt.datetime) -> None:
    """Enter marks of syncs that have none."""
    rows = [[f"{_WORD}{sync}", value, now] for sync, value in marks.items()]
    if rows:
        session.insert(tables.meta, ["setting", "value", "updated_at"], rows)
