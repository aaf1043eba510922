"""A changed match key: the state is brought under the new one, and what Planhat knows by the old one is remembered.

The model still carries the old key in a column (`previous_match`), so old and new meet in a join. A row whose Planhat
id is known is from then on changed by its id, and told its new key once. What has no id is known to Planhat by the old
key alone: `previous_keys` keeps it until the id is found. The same table keeps rows that left the model under the old
key, until they come back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from planhat_dbt.errors import UsageError
from planhat_dbt.state.layout import EXISTS

if TYPE_CHECKING:
    from planhat_dbt.binding import BoundSync
    from planhat_dbt.declaration.types import Sync
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.state.snapshot import MappingRecord
    from planhat_dbt.warehouse.port import Column, Session

_MODEL: Final = "planhat_model_keys"
_MOVED: Final = "planhat_moved_keys"
_ENTRIES: Final = "planhat_previous_keys"
_EXAMPLES: Final = 5


@dataclass(frozen=True, slots=True)
class FormerKeys:
    """What of a sync Planhat knows by a key of before."""

    rows: str
    """A query: key, key_field, previous_key."""
    fields: tuple[str, ...]
    """The key fields in it."""


def may_rekey(sync: Sync, before: MappingRecord) -> bool:
    """Say whether state that was built under another match key may be brought under the present one."""
    previous = sync.previous_match
    return previous is not None and (before.object, before.match) == (sync.object.name, previous.field)


def rekeying_hint(sync: Sync, before: MappingRecord) -> str:
    """Say how to go on with the state; empty where that cannot be done."""
    if sync.match is None or not before.match or before.object != sync.object.name:
        return ""
    return (
        f"To go on with its state, add `previous_match: {{{before.match}: <column that still carries it>}}` "
        "to the declaration. "
    )


def rekeyed_mapping(bound: BoundSync, before: MappingRecord) -> MappingRecord:
    """The mapping under the new key; rows that were sent under an older one are behind in the key."""
    match = bound.sync.match
    assert match is not None  # noqa: S101 - `may_rekey` looked
    version = before.version + 1
    return replace(
        before,
        version=version,
        match=match.field,
        key=bound.key.name,
        key_since=1 if match.field == "_id" else version,  # an `_id` is not written
    )


def prepare_rekeying(session: Session, tables: StateTables, bound: BoundSync) -> list[str]:
    """Check that the state of a sync can be brought under its new key, and write the statements that do it.

    Raises:
        UsageError: A row would be lost or taken for another; nothing was changed.
    """
    steps = _Steps(session, tables, bound)
    away = f"e.key is not null and not e.rekeyed and e.key_field <> {steps.old_literal}"
    steps.pair(f"not ({away})")
    steps.refuse_doubt()
    steps.refuse_unpaired()
    steps.check(f"not coalesce({steps.at_home}, false)")
    return steps.statements(steps.entries_of_all(), first=True)


def tend_previous_keys(session: Session, tables: StateTables, bound: BoundSync) -> None:
    """Forget keys of before that are no longer needed, and re-key rows that came back; at the start of every run.

    Raises:
        UsageError: A row that left under its old key would be taken for another one.
    """
    entries, snapshot = tables.previous_keys, tables.snapshot(bound.name)
    name = tables.dialect.literal(bound.name)
    if not session.rows(f"select 1 from {entries} where sync = {name} limit 1"):
        return
    live = f"select 1 from (select _key, _planhat_id from {snapshot} where {EXISTS}) s where s._key = key"
    for needless in (f"not exists ({live})", f"rekeyed and not exists ({live} and s._planhat_id is null)"):
        session.execute(f"delete from {entries} where sync = {name} and {needless}")
    if not session.rows(f"select 1 from {entries} where sync = {name} and not rekeyed limit 1"):
        return
    steps = _Steps(session, tables, bound)
    steps.pair(f"e.key is not null and not e.rekeyed and e.key_field = {steps.old_literal}")
    steps.check("e.key is not null and not e.rekeyed")
    if session.rows(f"select 1 from {_MOVED} limit 1"):
        statements = steps.statements(steps.entries_of_returned(), first=False)
        with session.transaction():
            for statement in statements:
                session.execute(statement)


def forget_previous_keys(session: Session, tables: StateTables, sync: str) -> None:
    """Forget what a snapshot table left that is no more."""
    session.execute(f"delete from {tables.previous_keys} where sync = {tables.dialect.literal(sync)}")


def former_keys(session: Session, tables: StateTables, sync: str) -> FormerKeys | None:
    """What of a sync is known to Planhat by a key of before; None: nothing."""
    rows = (
        f"select key, key_field, previous_key from {tables.previous_keys} "
        f"where sync = {tables.dialect.literal(sync)}"
    )
    found = session.rows(f"select distinct key_field from ({rows}) e order by key_field")
    return FormerKeys(rows, tuple(field for (field,) in found)) if found else None


class _Steps:
    """Old and new keys of one sync, paired in scratch tables, and what is made of them."""

    def __init__(self, session: Session, tables: StateTables, bound: BoundSync) -> None:
        self._session = session
        self._tables = tables
        self._bound = bound
        self._sync = bound.sync
        self._snapshot = tables.snapshot(bound.name)
        self._name = tables.dialect.literal(bound.name)
        self.new_field = bound.sync.match.field if bound.sync.match else ""
        self.old_field = bound.sync.previous_match.field if bound.sync.previous_match else ""
        self.old_literal = tables.dialect.literal(self.old_field)
        self.at_home = f"(not e.rekeyed and e.key_field = {tables.dialect.literal(self.new_field)})"
        """Which entries `e` are of rows that left under the key that now is the match key again."""

    # -- pairs

    def pair(self, eligible: str) -> None:
        """Pair the live snapshot rows `s` (with their entry `e`) that are eligible with the model's keys."""
        old, new = self._key(self._bound.previous_key), self._key(self._bound.key)
        self._session.scratch(
            _MODEL,
            "select k.old_key, k.new_key, count(*) over (partition by k.old_key) as olds, "
            "count(*) over (partition by k.new_key) as news "
            f"from (select {old} as old_key, {new} as new_key from {self._sync.model.relation.rendered} m) k",
        )
        self._session.scratch(
            _MOVED,
            "select s._key as old_key, min(k.new_key) as new_key, max(k.olds) as olds, max(k.news) as news, "
            f"min(s._planhat_id) as planhat_id\nfrom {self._live()} join {_MODEL} k on k.old_key = s._key "
            f"where s.{EXISTS} and {eligible} group by s._key",
        )

    def _key(self, column: Column | None) -> str:
        dialect = self._tables.dialect
        if column is None:
            return f"cast(null as {dialect.text})"
        return f"nullif({dialect.key_text(f'm.{dialect.quote(column.name)}', column)}, '')"

    def _live(self) -> str:
        return (
            f"{self._snapshot} s left join (select * from {self._tables.previous_keys} "
            f"where sync = {self._name}) e on e.key = s._key"
        )

    # -- refusals

    def refuse_doubt(self) -> None:
        """Refuse while rows sent under the old key may be in Planhat unknown to us: they would be there twice."""
        names = ", ".join(
            self._tables.dialect.literal(n) for n in (self._sync.name, self._sync.previous_name) if n
        )
        batches, done = self._tables.batches, self._tables.name("sync_runs")
        unsettled = (
            f"select 1 from {batches} b where b.sync in ({names}) and b.state in ('sending', 'unknown') "
            "and b.operation in ('insert', 'upsert') and b.run_id >= coalesce((select max(r.run_id) from "
            f"{done} r where r.sync in ({names}) and r.status in ('success', 'nothing_to_do', 'partial')), '')"
        )
        doubtful = (
            f"select 1 from {self._tables.failures} where sync in ({names}) and status = 'unknown' "
            "and operation = 'insert'"
        )
        if not self._session.rows(f"{unsettled} union all {doubtful} limit 1"):
            return
        unsent = (
            f"select distinct k.old_key from {_MODEL} k where k.old_key is not null and k.old_key not in "
            f"(select _key from {self._snapshot} where {EXISTS})"
        )
        self._refuse(
            unsent,
            "of the model may have been created under the old key by a run that did not learn the outcome",
            "Put `match` back as it was, run `planhat-dbt sync` once, then change it.",
        )

    def refuse_unpaired(self) -> None:
        """Refuse a column that carries none of the keys: all rows would be created again."""
        live = int(self._session.rows(f"select count(*) from {self._snapshot} where {EXISTS}")[0][0])
        if live and not self._session.rows(f"select 1 from {_MOVED} limit 1"):
            column = self._bound.previous_key.name if self._bound.previous_key else ""
            raise UsageError(
                f"Sync {self._sync.name}: its state cannot be re-keyed: none of its {live} keys "
                f"({self.old_field}) stands in column {column} of the model. Nothing was sent or changed.",
                hint="Name the column that carries the old key under `previous_match`.",
            )

    def check(self, foreign: str) -> None:
        """Refuse what would lose a row or take it for another.

        Args:
            foreign: Which snapshot rows `s` (entry `e`), unless paired, do not stand under a key of the new field.
        """
        for condition, what in (
            ("olds > 1", f"stand in several rows of the model ({self.old_field})"),
            ("new_key is null", f"have no new key ({self.new_field} is NULL or empty)"),
            ("news > 1", f"share their new key ({self.new_field}) with another row of the model"),
            *self._wrong_ids(),
        ):
            self._refuse(f"select old_key from {_MOVED} where {condition}", what)
        staying = f"s.{EXISTS} and s._key not in (select old_key from {_MOVED})"
        self._refuse(
            f"select s._key from {self._live()} where {staying} and (s._key in (select new_key from {_MOVED}) "
            f"or (({foreign}) and s._key in (select new_key from {_MODEL} where new_key is not null)))",
            "left the model and would be taken for other rows, whose new key is the same",
            "Give the sync a new name (`name: …`) to start afresh; or make the new keys differ from the old ones, for "
            "example by a prefix.",
        )

    def _wrong_ids(self) -> list[tuple[str, str]]:
        if self.new_field != "_id":
            return []
        return [("planhat_id is not null and planhat_id <> new_key", "have another `_id` in Planhat")]

    def _refuse(self, query: str, what: str, hint: str = "") -> None:
        (count,) = self._session.rows(f"select count(*) from ({query}) q")[0]
        if not count:
            return
        found = self._session.rows(f"select * from ({query}) q order by 1 limit {_EXAMPLES}")
        keys = ", ".join(key for (key,) in found) + (", …" if count > _EXAMPLES else "")
        rows = "1 row" if count == 1 else f"{count:,} rows"
        raise UsageError(
            f"Sync {self._sync.name}: its state cannot be re-keyed: {rows} {what}: {keys}. "
            "Nothing was sent or changed.",
            hint=hint or "Correct the model, or name another column under `match` or `previous_match`.",
        )

    # -- statements

    def entries_of_all(self) -> str:
        """What is remembered of keys of before, when all rows were re-keyed.

        Every row without an id that is behind in its key has an entry, also one that left under the present key
        while there was another.
        """
        id_is_key = "_id" in (self.old_field, self.new_field)  # nothing has to be found by another
        moved = "1 = 0" if id_is_key else "f.planhat_id is null"
        returned = f"coalesce({self.at_home}, false)"
        return (
            f"select f.new_key as key, coalesce(e.key_field, {self.old_literal}) as key_field, "
            "coalesce(e.previous_key, f.old_key) as previous_key, f.old_key is not null as rekeyed\n"
            f"from {_MOVED} f left join (select * from {self._tables.previous_keys} where sync = {self._name}) e "
            f"on e.key = f.old_key where {moved}\n"
            f"union all\nselect s._key, coalesce(e.key_field, {self.old_literal}), coalesce(e.previous_key, s._key), "
            f"{returned}\nfrom {self._live()} where s.{EXISTS} and s._key not in (select old_key from {_MOVED}) "
            f"and not ({returned} and s._planhat_id is not null)"
        )

    def entries_of_returned(self) -> str:
        """What is remembered of keys of before, when rows came back."""
        moved = "f.planhat_id is null" if self.new_field != "_id" else "1 = 0"
        return (
            "select coalesce(f.new_key, e.key) as key, e.key_field, e.previous_key, "
            "(e.rekeyed or f.old_key is not null) as rekeyed\n"
            f"from {self._tables.previous_keys} e left join {_MOVED} f on f.old_key = e.key "
            f"where e.sync = {self._name} and (f.old_key is null or {moved})"
        )

    def statements(self, entries: str, *, first: bool) -> list[str]:
        """Move failures, entries and snapshot rows; to be run in one transaction.

        Args:
            entries: The query of what is remembered of keys of before.
            first: Whether the key just changed; else rows came back that no mapping version knows to be behind.
        """
        self._session.scratch(_ENTRIES, entries)
        previous = self._tables.previous_keys
        return [
            f"delete from {self._snapshot} where _state = 'deleted' and _key in (select new_key from {_MOVED})",
            *self._failures(first=first),
            f"delete from {previous} where sync = {self._name}",
            f"insert into {previous} select {self._name}, key, key_field, previous_key, rekeyed from {_ENTRIES}",
            self._move(first=first),
        ]

    def _failures(self, *, first: bool) -> list[str]:
        failures = self._tables.failures
        pairs = f"select old_key, new_key from {_MOVED}"
        if first:  # also of rows that Planhat never had
            pairs = (
                f"select old_key, new_key from {_MODEL} where olds = 1 and news = 1 and new_key is not null"
            )
        moved = f"select old_key from ({pairs}) k where k.old_key is not null"
        taken = f"select k.new_key from ({pairs}) k where k.old_key is not null"
        theirs = f"where sync = {self._name} and key"
        return [
            f"delete from {failures} {theirs} not in ({moved}) and key in ({taken})",
            self._tables.dialect.update_from(
                failures, "key = k.new_key", f"({pairs}) k", f"k.old_key = key and sync = {self._name}"
            ),
        ]

    def _move(self, *, first: bool) -> str:
        columns = ["_key = f.new_key"]
        if self.old_field == "_id":
            columns.append("_planhat_id = coalesce(_planhat_id, _key)")
        if self.new_field == "_id":  # who it was said to be is asked first; then all is told
            columns.append("_state = case when _planhat_id is null then 'deleted' else _state end")
        if not first:
            columns.append("_mapping = 0")
        moved = f"(select old_key, new_key from {_MOVED}) f"
        condition = f"{EXISTS} and f.old_key = _key"
        return self._tables.dialect.update_from(self._snapshot, ", ".join(columns), moved, condition)
