"""The metric points of one sync whose outcome is unknown: which are to be asked for, and what is made of the answers.

They stand in `failures`, and as they were sent in `in_doubt` (`points` writes it). A point is noted when its outcome
is lost, since the model may hold other values by the time Planhat is asked. Its row stays as long as the point is in
doubt; and while the snapshot table knows its key alone (`existing`), as nothing else tells that it is there.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from planhat_dbt.state.event_times import TIME_COLUMN
from planhat_dbt.state.journal import utc_now
from planhat_dbt.state.layout import SNAPSHOT_COLUMNS
from planhat_dbt.state.points import POINT_COLUMNS, forget_settled_points, point_texts

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from planhat_dbt.binding import BoundSync
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Session

MOST_ROWS: Final = 20_000
"""Points asked for in one run: what two crashes leave behind."""
_ASKED: Final = "planhat_asked"
_UNKNOWN: Final = "sent, outcome not learnt; "


class Doubt(NamedTuple):
    """One point in doubt, as it was sent."""

    key: str
    model: str
    external_id: str
    dimension: str
    value: str
    date: str
    sent_at: dt.datetime
    """When it had been sent at the latest, UTC."""
    same: bool
    """Whether its row in the model still says the same, and is the only one of its key."""

    @property
    def record(self) -> tuple[str, str]:
        """Which record it belongs to: model and external id."""
        return self.model, self.external_id


class Fate(StrEnum):
    """What is made of a point that was asked for."""

    DONE = "done"
    """It is in Planhat."""
    AGAIN = "again"
    """It is not: in doubt no longer, so the next comparison sends it."""
    HELD = "held"
    """Nothing can be said yet."""


class Answer(NamedTuple):
    """What became of one point."""

    key: str
    fate: Fate
    why: str = ""
    """Why it is held."""
    same: bool = False
    """As `Doubt` has it."""


class Doubts:
    """Reads and settles the points of one sync; its plan table stands."""

    def __init__(self, tables: StateTables, bound: BoundSync) -> None:
        self._tables = tables
        self._bound = bound
        self._name = tables.dialect.literal(bound.name)
        self._plan = tables.plan(bound.name)

    def count(self, session: Session) -> int:
        """Count the points that can be asked for."""
        return int(session.rows(f"select count(*) from ({self.chosen}) c")[0][0])

    @property
    def chosen(self) -> str:
        """A query of the points to ask for: those not asked for yet, then those whose last turn is longest ago."""
        columns = ", ".join(f"d.{c}" for c in ("key", *POINT_COLUMNS, "sent_at", "asked_at"))
        stored = [f.stored for f in self._bound.fields]
        pairs = zip(POINT_COLUMNS, point_texts(self._tables.dialect, "p", stored), strict=True)
        same = " and ".join(f"d.{noted} = {now}" for noted, now in pairs)
        return (
            f"select {columns}, count(*) as rows_of_key, min(case when {same} then 1 else 0 end) as same\n"
            f"from {self._tables.in_doubt} d join {self._plan} p on p._key = d.key\n"
            f"where d.sync = {self._name} and d.date is not null and p._code = 'unknown'\n"
            f"group by {columns}\n"
            "order by case when d.asked_at is null then 0 else 1 end, d.asked_at, d.sent_at, d.key\n"
            f"limit {MOST_ROWS}"
        )

    def read(self, session: Session) -> list[Doubt]:
        """Read them."""
        found = session.rows(
            f"select key, {', '.join(POINT_COLUMNS)}, sent_at, rows_of_key = 1 and same = 1 from ({self.chosen}) c\n"
            "order by case when asked_at is null then 0 else 1 end, asked_at, sent_at, key"
        )
        return [Doubt(*row) for row in found]

    def explain_others(self, session: Session) -> None:
        """Say of every row why it is not asked for; those that are get their own words. Inside a transaction."""
        noted = f"select key, date from {self._tables.in_doubt} where sync = {self._name}"
        session.scratch(
            _ASKED,
            f"select distinct p._key as key, '{Fate.HELD}' as fate, 0 as same, case\n"
            f"  when n.key is null then {self._told('what was sent is not known, so it cannot be read back')}\n"
            f"  when n.date is null then {self._told('without a date it cannot be told from other points')}\n"
            f"  else {self._told('Planhat was not asked for it in this run, a later one does')} end as why\n"
            f"from {self._plan} p left join ({noted}) n on n.key = p._key where p._code = 'unknown'",
        )
        self._tell(session)

    def settle(self, session: Session, answers: Sequence[Answer], run_id: str, mapping_version: int) -> None:
        """Write down what became of points; call inside a transaction.

        Args:
            session: An open session.
            answers: One for each.
            run_id: The run that asked.
            mapping_version: The mapping of the plan.
        """
        text = self._tables.dialect.text
        session.load(
            _ASKED,
            {"key": text, "fate": text, "same": self._tables.dialect.integer, "why": text},
            [
                [a.key for a in answers],
                [a.fate.value for a in answers],
                [int(a.same) for a in answers],
                [_UNKNOWN + a.why for a in answers],
            ],
        )
        now = self._tables.moment(utc_now())
        run = self._tables.dialect.literal(run_id)
        self._take_as_done(session, run, mapping_version, now)
        self._tell(session)
        settled = f"select key from {_ASKED} where fate <> '{Fate.HELD}'"
        failures = self._tables.failures
        session.execute(f"delete from {failures} where sync = {self._name} and key in ({settled})")
        session.execute(
            f"update {self._tables.in_doubt} set asked_at = {now} where sync = {self._name} "
            f"and key in (select key from {_ASKED})"
        )
        forget_settled_points(session, self._tables, self._bound.name)

    def _take_as_done(self, session: Session, run: str, version: int, now: str) -> None:
        """Enter points that are in Planhat: with their values where the model still has them, else by key alone."""
        snapshot, quote = self._tables.snapshot(self._bound.name), self._tables.dialect.quote
        done = f"select key from {_ASKED} where fate = '{Fate.DONE}'"
        session.execute(f"delete from {snapshot} where _key in ({done})")
        own = ", ".join(name for name, _ in SNAPSHOT_COLUMNS)
        more = [quote(f.name) for f in self._bound.fields] + ([TIME_COLUMN] if self._bound.event_time else [])
        named = "".join(f", {name}" for name in more)
        values = f"null, '{{}}', 'matched', {int(version)}, {now}, {now}, {run}"
        session.execute(
            f"insert into {snapshot} ({own}{named})\n"
            f"select p._key, {values.format('synced')}{''.join(f', p.{name}' for name in more)} from {self._plan} p "
            f"where p._code = 'unknown' and p._key in ({done} and same = 1)"
        )
        session.execute(
            f"insert into {snapshot} ({own}) select key, {values.format('existing')} from ({done} and same = 0) k"
        )
        session.execute(
            f"insert into {self._tables.changes} (run_id, sync, key, operation, status, {quote('at')})\n"
            f"select {run}, {self._name}, key, 'insert', 'found', {now} from ({done}) k"
        )

    def _tell(self, session: Session) -> None:
        failures = self._tables.failures
        held = f"(select key as asked, why from {_ASKED} where fate = '{Fate.HELD}') a"
        theirs = f"a.asked = key and sync = {self._name} and status = 'unknown'"
        session.execute(self._tables.dialect.update_from(failures, "message = a.why", held, theirs))

    def _told(self, why: str) -> str:
        return self._tables.dialect.literal(_UNKNOWN + why)
