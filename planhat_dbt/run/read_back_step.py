"""The step between comparing and sending, for metrics: ask Planhat which points of unknown outcome it holds.

What it holds is done. What it lacks, long enough after it was sent, is in doubt no longer, so that the next comparison
sends it. All else stays in doubt, with the reason. Each company is asked, tied and written down by itself: a run that
ends in between has decided about some of them, and about the others nothing.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from planhat_dbt.compare import Search
from planhat_dbt.compare.searches import known_records
from planhat_dbt.deliver.points import DAY, Known, Point, PointReader, Series, Verdict, read_text, tie
from planhat_dbt.errors import FailedError
from planhat_dbt.objects import OBJECTS
from planhat_dbt.planhat import AccessDeniedError, CallError, StoppedError
from planhat_dbt.run.finder import Finder
from planhat_dbt.run.known_points import read_known
from planhat_dbt.state.doubts import Answer, Doubts, Fate

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator, Sequence

    from planhat_dbt.objects import ObjectType
    from planhat_dbt.run.compare_step import Compared
    from planhat_dbt.run.context import Listener
    from planhat_dbt.run.desk import Desk
    from planhat_dbt.state.doubts import Doubt

    _Records = dict[tuple[str, str], set[tuple[str, str | None]]]
    """(model, external id) → `_id` and the company's `_id` of each record that has it."""

_KEY: Final = "externalId"
_REFUSALS: Final = 3
"""So many refused lists in a row, and no more are asked for."""
_MODELS: Final = {"Company": "company", "EndUser": "enduser", "Asset": "asset", "Project": "project"}
_WHY: Final = {
    Verdict.ALIKE: "Planhat has such a point within a day of its time, which may be this one",
    Verdict.UNPROVEN: "Planhat's list lacks points of this dimension that are known to be there, so it proves nothing",
}
_TOO_EARLY: Final = "not in Planhat yet, where points may show late: asked for again by the next run"
_FORGOTTEN: Final = "Planhat has such a point, but it may be one whose key is forgotten (lookback)"
_TOO_LONG: Final = "its list in Planhat is too long for the calls allowed (read_back_calls)"


@dataclass(slots=True)
class ReadBack:
    """What came of it."""

    found: int = 0
    again: int = 0

    @property
    def noted(self) -> dict[str, int]:
        """As a plan notes it."""
        return {code: n for code, n in (("found", self.found), ("sent_again", self.again)) if n}


@dataclass(slots=True)
class _Group:
    """The points in doubt of one company."""

    company: str
    doubts: list[tuple[Doubt, Point]] = field(default_factory=list)

    @property
    def series(self) -> set[Series]:
        return {point.series for _, point in self.doubts}

    @property
    def days(self) -> tuple[int, int]:
        """The days to ask for: one more at either end, as days may be counted in another zone."""
        times = [point.at for _, point in self.doubts]
        return min(times) // DAY - 1, max(times) // DAY + 1


def read_back(desk: Desk, compared: Compared, listener: Listener, now: dt.datetime) -> ReadBack:
    """Ask Planhat for the rows of unknown outcome of one sync, and write down what it says.

    Args:
        desk: What the run shares.
        compared: A sync of metrics whose plan table stands.
        listener: Told why Planhat could not be asked, or not for all.
        now: The moment from which the age of a doubt counts, UTC.

    Raises:
        AccessDeniedError: The token was refused.
        StoppedError: The run is to end.
    """
    return _ReadBack(desk, compared, listener, now).run()


class _ReadBack:
    def __init__(self, desk: Desk, compared: Compared, listener: Listener, now: dt.datetime) -> None:
        settings = desk.context.settings
        self._desk = desk
        self._compared = compared
        self._listener = listener
        self._due = now - dt.timedelta(seconds=settings.read_back_after)
        self._doubts = Doubts(desk.tables, compared.bound)
        self._reader = PointReader(desk.calls, settings.read_back_calls)
        self._result = ReadBack()

    def run(self) -> ReadBack:
        desk = self._desk
        with desk.context.warehouse.open() as session:
            with session.transaction():
                desk.lease.renew(session)
                self._doubts.explain_others(session)
            doubts = self._doubts.read(session)
        if not doubts:
            return self._result
        try:
            records = self._find({d.model for d in doubts})
        except FailedError as error:
            _raise_if_ending(error)
            self._give_up(doubts, error)
            return self._result
        groups = self._group(doubts, records)
        known = read_known(desk, self._compared.sync, [pair for g in groups for pair in g.doubts])
        self._ask(groups, known)
        return self._result

    # -- the records that points belong to

    def _find(self, models: set[str]) -> _Records:
        finder = Finder(self._desk)
        finder.begin(self._compared.sync.name)
        records: _Records = {}
        for model in sorted(models & _MODELS.keys()):
            obj = OBJECTS[_MODELS[model]]
            wanted = self._wanted(model, obj)
            finder.search(Search(obj, _KEY, wanted, any_company=True))
            with self._desk.context.warehouse.open() as session:
                for key, planhat_id, company in session.rows(self._found(model, obj)):
                    own = planhat_id if obj.name == "company" else company
                    records.setdefault((model, key), set()).add((planhat_id, own))
        return records

    def _wanted(self, model: str, obj: ObjectType) -> str:
        tables = self._desk.tables
        return (
            f"select distinct c.external_id as key, cast(null as {tables.dialect.text}) as company_id "
            f"from ({self._doubts.chosen}) c where c.model = {tables.dialect.literal(model)} "
            f"and not exists ({known_records(tables, obj.name, _KEY)} and l.key = c.external_id "
            "and (l.planhat_id is not null or l.company_id is null))"
        )

    def _found(self, model: str, obj: ObjectType) -> str:
        tables = self._desk.tables
        return (
            f"select distinct l.key, l.planhat_id, l.company_id from {tables.lookups} l "
            f"join ({self._doubts.chosen}) c on c.external_id = l.key "
            f"where l.object = {tables.dialect.literal(obj.name)} and l.key_field = '{_KEY}' "
            f"and l.planhat_id is not null and c.model = {tables.dialect.literal(model)}"
        )

    def _group(self, doubts: Sequence[Doubt], records: _Records) -> list[_Group]:
        """Gather points by company, in their order; what became of the others is clear without a list."""
        groups: dict[str, _Group] = {}
        clear: list[Answer] = []
        for doubt in doubts:
            part = read_text(doubt.value, doubt.date)
            found = list(records.get(doubt.record, ()))
            parent, company = found[0] if len(found) == 1 else ("", None)
            if part is None or doubt.model not in _MODELS:
                clear.append(Answer(doubt.key, Fate.AGAIN))  # our own check stops it: it was never sent
            elif company is None:
                clear.append(Answer(doubt.key, Fate.HELD, _why_unclear(doubt.model, len(found))))
            else:
                point = Point(Series(parent, doubt.dimension), *part)
                groups.setdefault(company, _Group(company)).doubts.append((doubt, point))
        self._write(clear)
        return list(groups.values())

    # -- asking

    def _ask(self, groups: Sequence[_Group], known: Known) -> None:
        refusals = 0
        for number, group in enumerate(groups):
            if self._desk.stopping():
                raise StoppedError(
                    "the run was interrupted", hint="Run again; nothing of this sync was sent."
                )
            if not self._reader.left:
                self._tell_of_the_rest(groups[number:])
                return
            try:
                first, last = group.days
                shown = self._reader.read(group.company, group.series, first, last)
                refusals = 0
            except FailedError as error:
                _raise_if_ending(error)
                refusals += 1
                if isinstance(error, CallError) or refusals >= _REFUSALS:
                    self._give_up([d for g in groups[number:] for d, _ in g.doubts], error)
                    return
                self._write(_all_held(group, f"reading back failed: {error.message}"))
                continue
            if shown is None:
                self._write(_all_held(group, _TOO_LONG))
            else:
                self._write(self._answers(group, shown, known))

    def _answers(self, group: _Group, shown: Counter[Point], known: Known) -> Iterator[Answer]:
        verdicts = tie([(doubt.key, point) for doubt, point in group.doubts], shown, known)
        for doubt, point in group.doubts:
            verdict = verdicts[doubt.key]
            if verdict is Verdict.FOUND and point.at < known.forgotten:
                yield Answer(doubt.key, Fate.HELD, _FORGOTTEN)
            elif verdict is Verdict.FOUND:
                yield Answer(doubt.key, Fate.DONE, same=doubt.same)
            elif verdict is not Verdict.ABSENT:
                yield Answer(doubt.key, Fate.HELD, _WHY[verdict])
            elif doubt.sent_at > self._due:
                yield Answer(doubt.key, Fate.HELD, _TOO_EARLY)
            else:
                yield Answer(doubt.key, Fate.AGAIN)

    def _give_up(self, doubts: Sequence[Doubt], error: FailedError) -> None:
        self._write([Answer(d.key, Fate.HELD, f"reading back failed: {error.message}") for d in doubts])
        self._listener.notice(
            f"{self._compared.sync.name}: metric points of unknown outcome could not be read back, so they stay in "
            f"doubt. {error.message}"
        )

    def _tell_of_the_rest(self, groups: Sequence[_Group]) -> None:
        rows = sum(len(g.doubts) for g in groups)
        calls = self._desk.context.settings.read_back_calls
        self._listener.notice(
            f"{self._compared.sync.name}: {rows:,} metric points of unknown outcome were not asked for, as reading "
            f"back may take {calls:,} calls in a run (read_back_calls): later runs do."
        )

    def _write(self, answers: Iterable[Answer]) -> None:
        """Settle points, in one transaction; a run that ends before it has decided nothing about them."""
        desk, answers = self._desk, list(answers)
        if not answers:
            return
        with desk.context.warehouse.open() as session:
            with session.transaction():
                desk.lease.renew(session)
                version = self._compared.mapping.version
                self._doubts.settle(session, answers, desk.journal.run_id, version)
            desk.log.write_requests(session, desk.take_requests(None))
        self._result.found += sum(a.fate is Fate.DONE for a in answers)
        self._result.again += sum(a.fate is Fate.AGAIN for a in answers)


def _all_held(group: _Group, why: str) -> list[Answer]:
    return [Answer(doubt.key, Fate.HELD, why) for doubt, _ in group.doubts]


def _why_unclear(model: str, found: int) -> str:
    obj = OBJECTS[_MODELS[model]]
    if not found:
        return f"Planhat has no {obj.name} with this {_KEY}"
    if found > 1:
        return f"several {obj.plural} in Planhat have this {_KEY}"
    return f"Planhat does not say which company its {obj.name} belongs to"


def _raise_if_ending(error: FailedError) -> None:
    """Let pass what ends the run: a refused token, and a wish to stop."""
    if isinstance(error, StoppedError) or (isinstance(error, AccessDeniedError) and error.status == 401):
        raise error
