"""The journal: what a run planned, sent and learnt, and the snapshot moved with it in one transaction.

`record` is the heart of the promise "nothing lost, nothing twice": the outcome of a window's batches, the snapshot
rows of exactly the accepted keys, the change log and the failures are committed together. All steps are set-based;
only what differs from "accepted" and the ids that answers named are handed in row by row.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Final

from planhat_dbt.plan import Operation
from planhat_dbt.state.event_times import TIME_COLUMN
from planhat_dbt.state.layout import SNAPSHOT_COLUMNS, TABLES
from planhat_dbt.state.patience import next_run, run_number, values_hash
from planhat_dbt.state.points import note_points
from planhat_dbt.warehouse.repeat import in_transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planhat_dbt.binding import BoundSync
    from planhat_dbt.outcome import BatchOutcome
    from planhat_dbt.parents import ChildReference
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Column, Session

_TRIAL: Final = "planhat_trial"
_IDS: Final = "planhat_ids"
_EXCEPTIONS: Final = "planhat_exceptions"
_MERGED: Final = "planhat_merged"
_CLOSED_COLUMNS: Final = (
    "batch", "bytes", "state", "http_status", "created", "updated", "unchanged", "attempts", "sent_at", "answered_at",
    "error",
)  # fmt: skip
"""What of a batch is known only when it was answered."""
_ONE_BY_ONE: Final = 10
"""So many batches are closed with a statement each; it costs less than handing them in as a table."""
_CLOSED: Final = "planhat_closed"
_CLOSING: Final = "planhat_closing"
_BEHIND: Final = "planhat_behind"


def utc_now() -> dt.datetime:
    """The present moment as our tables keep it: UTC, without zone."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive batches of one plan that are sent, and then recorded, together."""

    first: int
    last: int

    @property
    def where(self) -> str:
        """The condition on plan rows `p`."""
        return f"p._batch between {self.first} and {self.last}"


_CUT_OFF: Final = "the run ended before the answer"
"""What is noted of batches that a run left behind."""
ALL: Final = Window(1, 2**31 - 1)
"""Every batch of a plan."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What the outcomes of a window hold beside "accepted"; what they do not hold costs no join."""

    window: Window
    ids: bool
    exceptions: bool

    def rows(self, plan: str) -> str:
        """The plan rows `p` with their exceptions `x` and ids `i`."""
        text = f"{plan} p"
        if self.exceptions:
            text += f"\nleft join {_EXCEPTIONS} x on x._row = p._row"
        if self.ids:
            text += (
                "\nleft join (select _batch, _key, min(_id) as _id, "
                f"max(case when _created then 1 else 0 end) as _created from {_IDS} group by _batch, _key) i "
                "on i._batch = p._batch and i._key = p._key"
            )
        return text

    def accepted(self, plan: str) -> str:
        """The accepted rows, as `from … where …`."""
        refused = " and x._row is null" if self.exceptions else ""
        return f"from {self.rows(plan)}\nwhere {self.window.where}{refused}"

    @property
    def planhat_id(self) -> str:
        """The id of a row's record, as far as it is known."""
        return "coalesce(i._id, p._planhat_id)" if self.ids else "p._planhat_id"

    @property
    def created(self) -> str:
        """The condition that the answer said of a row that its record is new."""
        return "i._created = 1" if self.ids else "1 = 0"


class Journal:
    """Writes the journal of one run."""

    def __init__(self, tables: StateTables, run_id: str) -> None:
        self._tables = tables
        self._run = run_id
        self._literal = tables.dialect.literal
        self._rows = tables.dialect.quote("rows")  # a reserved word on some engines
        self.disturbed: set[str] = set()
        """Syncs of which records went with their parents in this run, perhaps."""

    @property
    def run_id(self) -> str:
        """The run whose journal this is."""
        return self._run

    def settle(
        self,
        session: Session,
        sync: str,
        *,
        in_doubt: bool,
        points: Sequence[Column] = (),
        window_lasts: dt.timedelta = dt.timedelta(),
    ) -> int:
        """Close batches that an earlier run left in flight; call before its plan table is replaced.

        Rows that may be sent twice are simply found again by the comparison. Of those that must not (`in_doubt`) the
        outcome is unknown: metric points are noted to be read back, activities and keyless creates are held until
        somebody decides, keys that can be found are looked up.

        Args:
            session: An open session.
            sync: The sync.
            in_doubt: Whether its rows must not be sent again by themselves.
            points: For metrics: the columns of its plan table.
            window_lasts: How long after a window was marked its last call may have been sent.

        Returns:
            The rows that are now unknown.
        """
        name = self._literal(sync)
        left = session.rows(
            f"select run_id, batch, sent_at from {self._tables.batches} where sync = {name} and state = 'sending'"
        )
        if not left:
            return 0
        numbers = ", ".join(str(batch) for _, batch, _ in left)
        marked = [at for *_, at in left if at]
        sent_at = min(utc_now(), max(marked) + window_lasts) if marked else utc_now()
        theirs = f"from {self._tables.plan(sync)} p where p._batch in ({numbers}) and p._operation = 'insert'"

        def doubt() -> int:
            lost = 0
            if in_doubt:
                lost = self.merge_failures(
                    session,
                    sync,
                    "select p._key as key, p._operation as operation, 'unknown' as status, "
                    "'unknown_outcome' as code, "
                    f"'sent by a run that ended before it learnt the outcome' as message {theirs}",
                )
            if points:
                note_points(session, self._tables, sync, points, theirs, sent_at)
            self._distrust(session, sync, f"p._batch in ({numbers})")
            session.execute(
                f"update {self._tables.batches} set state = 'unknown', error = '{_CUT_OFF}' "
                f"where sync = {name} and state = 'sending'"
            )
            return lost

        return in_transaction(session, doubt)

    def try_scratch(self, session: Session) -> None:
        """Make a scratch table, as `record` does with an answer: a right that lacks is told before the first call."""
        session.scratch(_TRIAL, "select 1 as _one")

    def plan_batches(self, session: Session, sync: str, which: str = "_batch is not null") -> None:
        """Enter the batches of a plan as `planned`: all, or those of a condition."""
        session.execute(
            f"insert into {self._tables.batches} (run_id, sync, batch, operation, {self._rows}, state)\n"
            f"select {self._literal(self._run)}, {self._literal(sync)}, _batch,\n"
            "  case when min(_operation) = max(_operation) then min(_operation) else 'upsert' end,\n"
            "  count(*), 'planned'\n"
            f"from {self._tables.plan(sync)} where {which} group by _batch"
        )

    def plan_batches_anew(self, session: Session, sync: str, numbers: str) -> None:
        """Enter batches again whose rows were taken out of the plan; `numbers` is a query; inside a transaction."""
        session.execute(f"delete from {self._tables.batches} where {self._of(sync)} and batch in ({numbers})")
        self.plan_batches(session, sync, f"_batch in ({numbers})")

    def mark_sending(self, session: Session, sync: str, window: Window) -> None:
        """Say before the first call that these batches may reach Planhat from now on."""
        self._mark(session, sync, window, f"state = 'sending', sent_at = {self._tables.moment(utc_now())}")

    def mark_planned(self, session: Session, sync: str, window: Window) -> None:
        """Take `mark_sending` back: nothing was sent, nor will be."""
        self._mark(session, sync, window, "state = 'planned', sent_at = null")

    def _mark(self, session: Session, sync: str, window: Window, what: str) -> None:
        session.execute(
            f"update {self._tables.batches} set {what} where {self._of(sync)} "
            f"and batch between {window.first} and {window.last}"
        )

    def record(
        self,
        session: Session,
        bound: BoundSync,
        window: Window,
        outcomes: Sequence[BatchOutcome],
        *,
        mapping_version: int,
        had_prior: bool,
        key_since: int = 1,
    ) -> bool:
        """Write what became of a window; call inside a transaction.

        Args:
            session: An open session.
            bound: The sync.
            window: The batches sent.
            outcomes: One outcome for each of them.
            mapping_version: The mapping under which the rows were sent.
            had_prior: Whether the plan holds keys that the snapshot table already knows.
            key_since: The mapping version since which Planhat is told the present key; clears do not tell it.

        Returns:
            Whether there are rows that were not accepted; they stand in a scratch table until the session ends.
        """
        now, sync = utc_now(), bound.name
        told = self._load(session, window, outcomes)
        version = self._version(session, sync, window, mapping_version, key_since)
        self._move_snapshot(session, bound, told, version, now, had_prior=had_prior)
        self._log_changes(session, sync, told, now)
        self._forget_failures(session, sync, told)
        if told.exceptions:
            self._note_exceptions(session, bound, window, mapping_version, now)
        self._close_batches(session, sync, outcomes)
        return told.exceptions

    def forget_children(
        self,
        session: Session,
        sync: str,
        window: Window,
        children: Sequence[ChildReference],
        again: Sequence[int],
        *,
        exceptions: bool,
    ) -> None:
        """Mark what Planhat took along with a parent as deleted; call inside the transaction of `record`.

        Args:
            session: An open session.
            sync: The parent's sync.
            window: Its batches; accepted deletes in them count.
            children: Where its children refer to it.
            again: Plan rows of parents that were found deleted in Planhat, and were made anew.
            exceptions: What `record` returned.
        """
        rows = ", ".join(map(str, again)) or "-1"
        accepted = _Told(window, ids=False, exceptions=exceptions).accepted(self._tables.plan(sync))
        gone = f"{accepted} and (p._operation = 'delete' or p._row in ({rows}))"
        dialect = self._tables.dialect
        for child in children:
            self.disturbed.add(child.sync)
            column = dialect.quote(child.state_column)
            key = f"p.{child.parent_column}"
            if not child.parent_column.startswith("_"):
                key = f"cast(p.{dialect.quote(child.parent_column)} as {dialect.text})"
            session.execute(
                f"update {self._tables.snapshot(child.sync)} set _state = 'deleted', _planhat_id = null "
                f"where _state <> 'deleted' and {column} in (select {key} {gone})"
            )

    def make_inserts(self, session: Session, sync: str, rows: Sequence[int]) -> None:
        """Turn planned updates of records that are gone into creates; call inside a transaction."""
        session.execute(
            f"update {self._tables.plan(sync)} set _operation = 'insert', _planhat_id = null "
            f"where _row in ({', '.join(map(str, rows))})"
        )

    def forget_ids(self, session: Session, sync: str, rows: Sequence[int]) -> None:
        """Forget the ids of records that turned out to be gone, before `record`; call inside its transaction.

        Sent whole, by key, such a row may have met another record: one that the answer names only if it changed.
        """
        session.execute(
            f"update {self._tables.plan(sync)} set _planhat_id = null where _row in ({', '.join(map(str, rows))})"
        )

    def note_existing(self, session: Session, bound: BoundSync, version: int) -> None:
        """Enter rows of a settled plan that Planhat has already, as mode insert finds them; inside a transaction."""
        plan, snapshot = self._tables.plan(bound.name), self._tables.snapshot(bound.name)
        sync, run = self._literal(bound.name), self._literal(self._run)
        existing = f"from {plan} p where p._code = 'existing'"
        moment = self._tables.moment(utc_now())
        session.execute(f"delete from {snapshot} where _key in (select p._key {existing})")
        session.execute(
            f"insert into {snapshot} (_key, _planhat_id, _state, _origin, _mapping, _first_synced_at, _synced_at, "
            f"_run_id)\nselect p._key, p._planhat_id, 'existing', 'matched', {int(version)}, {moment}, {moment}, {run} "
            f"{existing}"
        )
        session.execute(
            f"insert into {self._tables.changes} (run_id, sync, key, operation, planhat_id, status, "
            f"{self._tables.dialect.quote('at')})\n"
            f"select {run}, {sync}, p._key, 'insert', p._planhat_id, 'existing', {moment} {existing}"
        )
        session.execute(
            f"delete from {self._tables.failures} where sync = {sync} and key in (select p._key {existing})"
        )

    def bury_missing(self, session: Session, sync: str) -> None:
        """Forget rows of a settled plan that Planhat does not have by the key of before: the present one counts now."""
        name = self._literal(sync)
        session.execute(
            f"update {self._tables.snapshot(sync)} set _state = 'deleted' where _planhat_id is null and _key in ("
            f"select p._key from {self._tables.plan(sync)} p where p._code = 'no_match') "
            f"and _key in (select key from {self._tables.previous_keys} where sync = {name})"
        )

    def rows_in_doubt(self, session: Session, sync: str) -> int:
        """Count the rows of this run's batches that may have been sent, and of which nothing was written down."""
        ((rows,),) = session.rows(
            f"select coalesce(sum({self._tables.dialect.quote('rows')}), 0) from {self._tables.batches} "
            f"where {self._of(sync)} and (state = 'sending' or state = 'unknown' and error = '{_CUT_OFF}')"
        )
        return int(rows)

    def hold(self, session: Session, sync: str, window: Window, message: str) -> int:
        """Enter the rows of batches that will not be sent in this run as held; returns how many they are."""
        return self.merge_failures(
            session,
            sync,
            "select p._key as key, p._operation as operation, 'held' as status, 'not_sent' as code, "
            f"{self._literal(message)} as message from {self._tables.plan(sync)} p where {window.where}",
        )

    def merge_failures(self, session: Session, sync: str, query: str, *, number: int | None = None) -> int:
        """Enter failures (key, operation, status, code, message), keeping what is known of their past.

        With the `number` of the run the query has `values_hash`, too, and rows that have one wait for a later run.
        """
        failures, name = self._tables.failures, self._literal(sync)
        now = self._tables.dialect.utc_now
        attempts, waits, hashed = "coalesce(f.attempts, 0) + 1", "null", "null"
        if number is not None:
            hashed = "n.values_hash"
            # Failures of other kinds were no refusals: patience with a row begins with the first of these.
            anew = "n.values_hash is not null and (f.values_hash is null or n.values_hash <> f.values_hash)"
            attempts = f"case when {anew} then 1 else coalesce(f.attempts, 0) + 1 end"
            waits = f"case when n.values_hash is not null then {next_run(number, attempts)} end"
        dialect = self._tables.dialect
        session.scratch(
            _MERGED,
            f"select n.key, n.operation, n.status, n.code, n.message,\n"
            f"  coalesce(f.first_seen_at, {now}) as first_seen_at, {attempts} as attempts,\n"
            f"  cast({waits} as {dialect.integer}) as next_run, cast({hashed} as {dialect.text}) as values_hash\n"
            f"from ({query}) n left join (select * from {failures} where sync = {name}) f on f.key = n.key",
        )
        count = int(session.rows(f"select count(*) from {_MERGED}")[0][0])
        if count:
            session.execute(
                f"delete from {failures} where sync = {name} and key in (select key from {_MERGED})"
            )
            session.execute(
                f"insert into {failures} (sync, key, operation, status, code, message, first_seen_at, last_seen_at, "
                f"attempts, next_run, values_hash)\nselect {name}, key, operation, status, code, message, "
                f"first_seen_at, {now}, attempts, next_run, values_hash "
                f"from {_MERGED}"
            )
        return count

    def _of(self, sync: str) -> str:
        return f"run_id = {self._literal(self._run)} and sync = {self._literal(sync)}"

    def _note_exceptions(
        self, session: Session, bound: BoundSync, window: Window, mapping_version: int, now: dt.datetime
    ) -> None:
        """Write what follows from rows that were not accepted."""
        sync = bound.name
        self._bury_gone(session, sync, window)
        lost = (
            f"{window.where} and p._row in (select x._row from {_EXCEPTIONS} x where x._status = 'unknown')"
        )
        self._distrust(session, sync, lost)
        self._note_failures(session, sync, window, values_hash(self._tables, bound, mapping_version, "p"))
        if bound.sync.object.name == "metric":
            rows = f"from {self._tables.plan(sync)} p where {lost}"
            note_points(session, self._tables, sync, [f.stored for f in bound.fields], rows, now)

    def _load(self, session: Session, window: Window, outcomes: Sequence[BatchOutcome]) -> _Told:
        """Hand in what the outcomes name: ids, and rows that were not accepted."""
        dialect = self._tables.dialect
        blocks = [(o.batch, *block) for o in outcomes for block in o.ids.blocks]
        if blocks:
            session.load(
                _IDS,
                {
                    "_batch": dialect.integer,
                    "_key": dialect.text,
                    "_id": dialect.text,
                    "_created": dialect.boolean,
                },
                [
                    [number for batch, keys, _, _ in blocks for number in repeat(batch, len(keys))],
                    [key for _, keys, _, _ in blocks for key in keys],
                    [planhat_id for _, _, ids, _ in blocks for planhat_id in ids],
                    [flag for _, keys, _, created in blocks for flag in repeat(created, len(keys))],
                ],
            )
        bad = [e for o in outcomes for e in o.exceptions]
        if bad:
            session.load(
                _EXCEPTIONS,
                {
                    "_row": dialect.bigint,
                    "_status": dialect.text,
                    "_code": dialect.text,
                    "_message": dialect.text,
                },
                [
                    [e.row for e in bad],
                    [e.status.value for e in bad],
                    [e.code for e in bad],
                    [e.message for e in bad],
                ],
            )
        return _Told(window, ids=bool(blocks), exceptions=bool(bad))

    def _version(self, session: Session, sync: str, window: Window, version: int, key_since: int) -> str:
        """The mapping under which plan rows `p` were sent; one that is behind in its key stays so when cleared."""
        if key_since == 1:
            return str(version)
        cleared = f"p._operation = '{Operation.CLEAR.value}'"
        session.scratch(
            _BEHIND,
            f"select _key from {self._tables.snapshot(sync)} where coalesce(_mapping, 0) < {key_since} and _key in "
            f"(select p._key from {self._tables.plan(sync)} p where {window.where} and {cleared})",
        )
        behind = f"{cleared} and p._key in (select _key from {_BEHIND})"
        return f"case when {behind} then {key_since - 1} else {version} end"

    def _move_snapshot(
        self,
        session: Session,
        bound: BoundSync,
        told: _Told,
        version: str,
        now: dt.datetime,
        *,
        had_prior: bool,
    ) -> None:
        snapshot, quote = self._tables.snapshot(bound.name), self._tables.dialect.quote
        accepted = told.accepted(self._tables.plan(bound.name))
        if had_prior:
            session.execute(
                f"delete from {snapshot} where _key in (select p._key {accepted} and p._prior is not null)"
            )
        more = [quote(f.name) for f in bound.fields] + ([TIME_COLUMN] if bound.event_time else [])
        columns = [name for name, _ in SNAPSHOT_COLUMNS] + more
        moment = self._tables.moment(now)
        clear, delete = Operation.CLEAR.value, Operation.DELETE.value
        values = [
            "p._key",
            told.planhat_id,
            f"case p._operation when '{clear}' then 'cleared' when '{delete}' then 'deleted' else 'synced' end",
            f"case when {told.created} then 'created' else coalesce(p._origin, 'matched') end",
            version,
            f"coalesce(p._first_synced_at, {moment})",
            moment,
            self._literal(self._run),
            *(f"p.{name}" for name in more),
        ]
        session.execute(
            f"insert into {snapshot} ({', '.join(columns)})\nselect {', '.join(values)}\n{accepted}"
        )

    def _distrust(self, session: Session, sync: str, where: str) -> None:
        """Doubt what Planhat holds of rows whose update by key may have made a part of a record: tell all next time.

        By `_id` an update makes nothing; by key it does, if somebody deleted the record meanwhile. Once made, the part
        reads as any other record, so nothing but the whole row mends it.
        """
        session.execute(
            f"update {self._tables.snapshot(sync)} set _state = 'existing' where _state in ('synced', 'cleared') "
            f"and _key in (select p._key from {self._tables.plan(sync)} p where {where} "
            "and p._operation = 'update' and p._planhat_id is null)"
        )

    def _bury_gone(self, session: Session, sync: str, window: Window) -> None:
        """Forget the id of records that turned out to be gone, so that the next run looks their keys up again."""
        session.execute(
            f"update {self._tables.snapshot(sync)} set _state = 'deleted', _planhat_id = null where _key in ("
            f"select p._key from {self._tables.plan(sync)} p join {_EXCEPTIONS} x on x._row = p._row "
            f"where {window.where} and x._code = 'no_match')"
        )

    def _log_changes(self, session: Session, sync: str, told: _Told, now: dt.datetime) -> None:
        moment = self._tables.moment(now)
        status = "coalesce(x._status, 'accepted')" if told.exceptions else "'accepted'"
        session.execute(
            f"insert into {self._tables.changes}\n"
            f"select {self._literal(self._run)}, {self._literal(sync)}, p._key, p._operation, "
            f"{told.planhat_id}, p._changes, {status}, p._batch, {moment}\n"
            f"from {told.rows(self._tables.plan(sync))}\nwhere {told.window.where}"
        )

    def _forget_failures(self, session: Session, sync: str, told: _Told) -> None:
        """Forget what failed before and was accepted now."""
        theirs = f"{self._tables.failures} where sync = {self._literal(sync)}"
        if session.rows(f"select 1 from {theirs} limit 1"):
            accepted = told.accepted(self._tables.plan(sync))
            session.execute(f"delete from {theirs} and key in (select p._key {accepted})")

    def _note_failures(self, session: Session, sync: str, window: Window, hashed: str) -> None:
        self.merge_failures(
            session,
            sync,
            "select p._key as key, p._operation as operation, x._status as status, x._code as code, "
            f"x._message as message, case when x._status = 'rejected' then {hashed} end as values_hash "
            f"from {self._tables.plan(sync)} p join {_EXCEPTIONS} x on x._row = p._row where {window.where}",
            number=run_number(session, self._tables, sync),
        )

    def _close_batches(self, session: Session, sync: str, outcomes: Sequence[BatchOutcome]) -> None:
        if len(outcomes) > _ONE_BY_ONE:
            self._close_many(session, sync, outcomes)
            return
        mark = self._tables.dialect.placeholder
        changed = ", ".join(f"{name} = {mark}" for name in _CLOSED_COLUMNS[1:])
        for outcome in outcomes:
            number, *values = _closed(outcome)
            session.execute(
                f"update {self._tables.batches} set {changed} where {self._of(sync)} and batch = {number}",
                values,
            )

    def _close_many(self, session: Session, sync: str, outcomes: Sequence[BatchOutcome]) -> None:
        batches = self._tables.batches
        types = dict(TABLES["batches"])
        kinds = {name: self._tables.type(types[name]) for name in _CLOSED_COLUMNS}
        session.load(_CLOSED, kinds, list(zip(*map(_closed, outcomes), strict=True)))
        names = _CLOSED_COLUMNS[1:]
        theirs = f"b.run_id = {self._literal(self._run)} and b.sync = {self._literal(sync)}"
        closed = ", ".join(f"c.{name}" for name in names)
        session.scratch(
            _CLOSING,
            f"select b.run_id, b.sync, b.batch, b.operation, b.{self._rows}, {closed} "
            f"from {batches} b join {_CLOSED} c on c.batch = b.batch where {theirs}",
        )
        session.execute(
            f"delete from {batches} where {self._of(sync)} and batch in (select batch from {_CLOSED})"
        )
        session.execute(
            f"insert into {batches} (run_id, sync, batch, operation, {self._rows}, {', '.join(names)}) "
            f"select * from {_CLOSING}"
        )


def _closed(outcome: BatchOutcome) -> tuple[object, ...]:
    """What is written of a batch, in the order of `_CLOSED_COLUMNS`."""
    o = outcome
    counts = (o.http_status, o.created, o.updated, o.unchanged, o.calls)
    return (o.batch, o.bytes, o.state.value, *counts, o.sent_at, o.answered_at, o.error or None)
