"""The snapshot table of a sync: what Planhat last accepted, and since when each field has been told.

A mapping changes while rows stand: a field comes, goes, or is fed otherwise. Each row remembers the mapping version
it was last sent under (`_mapping`), each field the version since which it is sent as it is now (`since`). A row is
behind in a field if its version is older: then, and only then, that field is sent although no value changed. So a
changed mapping survives a crash half-way and needs no full resync.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from planhat_dbt.errors import UsageError
from planhat_dbt.objects import FieldType
from planhat_dbt.state.clean import forget_clean
from planhat_dbt.state.event_times import TIME_COLUMN, column_changes, refuse_other_times
from planhat_dbt.state.layout import SNAPSHOT_COLUMNS, StateTables, check_sync_tables
from planhat_dbt.state.rekey import (
    forget_previous_keys,
    may_rekey,
    prepare_rekeying,
    rekeyed_mapping,
    rekeying_hint,
    tend_previous_keys,
)
from planhat_dbt.warehouse.port import ColumnKind
from planhat_dbt.warehouse.repeat import in_transaction

if TYPE_CHECKING:
    from planhat_dbt.binding import BoundField, BoundSync
    from planhat_dbt.declaration.types import Sync
    from planhat_dbt.warehouse.port import Column, Dialect, Session

_NUMBERS: Final = (ColumnKind.INTEGER, ColumnKind.DECIMAL, ColumnKind.FLOAT)
_INSTANTS: Final = (ColumnKind.TIMESTAMP, ColumnKind.TIMESTAMPTZ)


@dataclass(frozen=True, slots=True)
class FieldRecord:
    """What is remembered of one mapped field."""

    column: str
    type: str
    fingerprint: str
    since: int


@dataclass(frozen=True, slots=True)
class MappingRecord:
    """What is remembered of a sync's mapping, kept in `meta` as JSON."""

    version: int
    object: str
    match: str
    fields: dict[str, FieldRecord]
    key: str = ""
    """The model column that carried the key; empty: a version wrote it that did not remember it."""
    key_since: int = 1
    """The mapping version since which rows are sent under the present match key."""

    def since(self, target: str) -> int:
        """Say from which mapping version on a field has been sent as it is now."""
        return self.fields[target].since


def ensure_snapshot(
    session: Session,
    tables: StateTables,
    bound: BoundSync,
    present: dict[str, tuple[Column, ...]],
) -> tuple[MappingRecord | None, MappingRecord]:
    """Create the snapshot table, or bring it to the present mapping; say since when each field is told.

    Returns:
        The mapping of before, if there was one, and the present one.

    Raises:
        UsageError: The table is not ours, or belongs to another object or match key, or keys were forgotten by an
            event time that is no longer there.
    """
    before = _fitting_mapping(session, tables, bound, present)
    if before is None:
        after = _fresh(bound)
        with session.transaction():  # the table last: without its mapping it would not be taken for ours
            forget_previous_keys(session, tables, bound.name)
            forget_clean(session, tables, [bound.name])
            _write(session, tables, bound.name, after)
            _create(session, tables, bound)
        return None, after
    narrow = _too_narrow(session, tables, bound, before)
    columns = {
        c.name.lower() for c in present[f"snapshot__{bound.name}"]
    }  # an engine may keep names in small letters
    now, rekeying = before, []
    if before.match != _match(bound.sync):
        now, rekeying = rekeyed_mapping(bound, before), prepare_rekeying(session, tables, bound)
    after, statements = _migrate(tables, bound, now, columns, narrow=narrow)
    statements += column_changes(tables, bound, columns)
    if after != before or statements:

        def change() -> None:
            for statement in (*statements, *rekeying):  # tables first: some engines commit what came before
                session.execute(statement)
            _write(session, tables, bound.name, after)

        in_transaction(session, change)
    tend_previous_keys(session, tables, bound)
    return before, after


def refuse_unfit_state(
    session: Session, tables: StateTables, bound: BoundSync, present: dict[str, tuple[Column, ...]]
) -> None:
    """Refuse what `ensure_snapshot` would refuse; changes nothing.

    Raises:
        UsageError: As there.
    """
    before = _fitting_mapping(session, tables, bound, present)
    if before and before.match != _match(bound.sync):
        prepare_rekeying(session, tables, bound)


def _fitting_mapping(
    session: Session, tables: StateTables, bound: BoundSync, present: dict[str, tuple[Column, ...]]
) -> MappingRecord | None:
    """Read the mapping of a snapshot table that the declaration can go on with; None: there is no table."""
    check_sync_tables(tables, bound.name, present)
    if f"snapshot__{bound.name}" not in present:
        return None
    before = read_mapping(session, tables, bound.name)
    if before is None:
        raise UsageError(
            f"{tables.schema}.snapshot__{bound.name} has no record of its mapping in {tables.schema}.meta.",
            hint=f"Restore the row `mapping:{bound.name}` of meta; or drop the snapshot table to send all again.",
        )
    refuse_foreign(
        bound.sync,
        before,
        f"Sync {bound.name}",
        "Give the sync a new name (`name: …`) to start afresh; the records already in Planhat stay.",
    )
    refuse_other_times(session, tables, bound)
    return before


def resynced(record: MappingRecord) -> MappingRecord:
    """A mapping under which every row is behind in every field; in force once `keep_mapping` has written it."""
    version = record.version + 1
    fields = {target: replace(field, since=version) for target, field in record.fields.items()}
    return replace(record, version=version, fields=fields)


def keep_mapping(session: Session, tables: StateTables, sync: str, record: MappingRecord) -> None:
    """Write a mapping down; call inside a transaction."""
    _write(session, tables, sync, record)


def read_mapping(session: Session, tables: StateTables, sync: str) -> MappingRecord | None:
    """Read what is remembered of a sync's mapping; None: nothing."""
    found = session.rows(
        f"select value from {tables.meta} where setting = {tables.dialect.placeholder}", [f"mapping:{sync}"]
    )
    if not found:
        return None
    data: dict[str, Any] = orjson.loads(found[0][0])
    fields = {target: FieldRecord(**record) for target, record in data.pop("fields").items()}
    return MappingRecord(fields=fields, **data)


def refuse_foreign(sync: Sync, before: MappingRecord, who: str, hint: str) -> None:
    """Refuse state that was built for another object or match key than the declaration's.

    Raises:
        UsageError: It was; the message begins with `who`.
    """
    now = (sync.object.name, _match(sync))
    if (before.object, before.match) == now or may_rekey(sync, before):
        return
    was = f"{before.object} matched on {before.match or 'its key'}"
    raise UsageError(
        f"{who} has fed {was}; its declaration now says {now[0]} matched on {now[1] or 'its key'}. "
        "What was sent under one key cannot be compared under another.",
        hint=rekeying_hint(sync, before) + hint,
    )


def _match(sync: Sync) -> str:
    return sync.match.field if sync.match else ""


def _fresh(bound: BoundSync) -> MappingRecord:
    fields = {f.mapping.target: FieldRecord(f.name, f.stored_type, f.fingerprint, 1) for f in bound.fields}
    return MappingRecord(1, bound.sync.object.name, _match(bound.sync), fields, key=bound.key.name)


def _create(session: Session, tables: StateTables, bound: BoundSync) -> None:
    quote = tables.dialect.quote
    mapped = "".join(f", {quote(f.name)} {f.stored_type}" for f in bound.fields)
    own = (*SNAPSHOT_COLUMNS, *([(TIME_COLUMN, "timestamp")] if bound.event_time else []))
    session.execute(f"create table {tables.snapshot(bound.name)} ({tables.definition(own)}{mapped})")
    session.index(tables.snapshot(bound.name), "_key")


def _migrate(
    tables: StateTables,
    bound: BoundSync,
    before: MappingRecord,
    columns: set[str],
    *,
    narrow: frozenset[str],
) -> tuple[MappingRecord, list[str]]:
    version = before.version + 1
    table, quote = tables.snapshot(bound.name), tables.dialect.quote
    statements: list[str] = []
    fields: dict[str, FieldRecord] = {}
    for field in bound.fields:
        old = before.fields.get(field.mapping.target)
        since, change = _compare_field(field, old, version, tables.dialect)
        if field.name in narrow:
            since, change = version, "replace"
        if change == "retype":
            assert old is not None  # noqa: S101 - there is something to convert
            value = tables.dialect.converted(quote(field.name), old.type, field.stored_type)
            statements += tables.dialect.retyped(table, quote(field.name), field.stored_type, value)
        elif change == "replace":
            if field.name.lower() in columns:
                statements.append(f"alter table {table} drop column {quote(field.name)}")
            statements.append(f"alter table {table} add column {quote(field.name)} {field.stored_type}")
        fields[field.mapping.target] = FieldRecord(field.name, field.stored_type, field.fingerprint, since)
    kept = {f.column for f in fields.values()}
    told = {f.column for f in before.fields.values()} - kept
    gone = sorted(name for name in told if name.lower() in columns)
    statements += [f"alter table {table} drop column {quote(name)}" for name in gone]
    if fields == before.fields:
        return replace(before, key=bound.key.name), []
    return replace(before, version=version, fields=fields, key=bound.key.name), statements


def _too_narrow(
    session: Session, tables: StateTables, bound: BoundSync, before: MappingRecord
) -> frozenset[str]:
    """Columns whose new type cannot hold what Planhat was told: cut to it, a difference would go unseen."""
    found = []
    dialect = tables.dialect
    for field in bound.fields:
        old = before.fields.get(field.mapping.target)
        if old is not None and _compare_field(field, old, 0, dialect)[1] == "retype":
            fits = dialect.fits(dialect.quote(field.name), old.type, field.stored_type)
            if session.rows(f"select 1 from {tables.snapshot(bound.name)} where not ({fits}) limit 1"):
                found.append(field.name)
    return frozenset(found)


def _compare_field(
    field: BoundField, old: FieldRecord | None, version: int, dialect: Dialect
) -> tuple[int, str]:
    if old is None or old.column != field.name:
        return version, "replace"
    if old.fingerprint == field.fingerprint and old.type == field.stored_type:
        return old.since, ""
    # Values that stay what they are: no row is sent because a number became wider.
    if _sent_alike(field, old) and dialect.alike(old.type, field.stored_type):
        return old.since, "retype"
    return version, "replace"


def _sent_alike(field: BoundField, old: FieldRecord) -> bool:
    """Whether equal values make equal JSON, read from the old kind of column or from the new."""
    if old.fingerprint == field.fingerprint:
        return True
    kinds = {old.fingerprint, field.fingerprint}
    instants = {f"column:{kind}" for kind in _INSTANTS}
    if field.mapping.field.type is not FieldType.TEXT:  # there, and there only, a day has a text of its own
        instants.add(f"column:{ColumnKind.DATE}")
    return kinds <= {f"column:{kind}" for kind in _NUMBERS} or kinds <= instants


def _write(session: Session, tables: StateTables, sync: str, record: MappingRecord) -> None:
    mark = tables.dialect.placeholder
    session.execute(f"delete from {tables.meta} where setting = {mark}", [f"mapping:{sync}"])
    session.execute(
        f"insert into {tables.meta} values ({mark}, {mark}, {tables.dialect.utc_now})",
        [f"mapping:{sync}", orjson.dumps(record).decode()],
    )
