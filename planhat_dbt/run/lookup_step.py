"""The step between comparing and sending: find in Planhat what a plan only knows by key, then settle the plan.

The warehouse is open while keys are read and while what was found is entered, never while a call is under way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from planhat_dbt.compare import (
    drop_plan,
    former_searches,
    people_searches,
    record_searches,
    settled_plan,
)
from planhat_dbt.compare.searches import REFERENCE
from planhat_dbt.declaration.manner import Creates, manner_of
from planhat_dbt.declaration.types import Lookup, Mode
from planhat_dbt.deliver.search import FoundRecord, Searcher, WantedKey, Way, choose_way
from planhat_dbt.plan import Operation
from planhat_dbt.planhat import StoppedError
from planhat_dbt.run.compare_step import recount
from planhat_dbt.state.lookups import list_size, note_list_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planhat_dbt.compare import Search
    from planhat_dbt.run.compare_step import Compared
    from planhat_dbt.run.desk import Desk
    from planhat_dbt.warehouse.port import Session

_ROWS_AT_ONCE: Final = 20_000
"""Found records held before they are entered."""
_SECOND_LOOK: Final = 1.0
"""Seconds until a key in doubt is looked up once more (planhat-api §13 no. 32)."""
_SETTLED: Final = "planhat_settled"


def wants_lookups(compared: Compared, single_insert_rows: int) -> bool:
    """Whether a plan must be settled before it can be delivered."""
    plan, sync = compared.plan, compared.sync
    people = any(isinstance(f.source, Lookup) for f in sync.fields)
    too_many = _creates_in_bulk(compared, single_insert_rows)
    return bool(plan.to_look_up or (people and plan.changes) or too_many)


def _creates_in_bulk(compared: Compared, single_insert_rows: int) -> bool:
    """Whether rows without a key are so many that they are created in bulk, though no id is learnt (DESIGN §5)."""
    sync = compared.sync
    keyless = not sync.object.is_event and sync.match is None and sync.mode is Mode.INSERT
    return keyless and sync.object.bulk and compared.plan.count(Operation.INSERT) > single_insert_rows


def look_up(desk: Desk, compared: Compared) -> Compared:
    """Look up what a plan needs, and settle it.

    Raises:
        CallError: A look-up failed; nothing was sent.
        FailedError: Planhat refused a look-up, or the warehouse a statement.
    """
    return _LookUp(desk, compared).run()


class _LookUp:
    def __init__(self, desk: Desk, compared: Compared) -> None:
        self._desk = desk
        self._compared = compared
        self._searcher = Searcher(desk.calls)
        in_bulk = _creates_in_bulk(compared, desk.context.settings.single_insert_rows)
        self._singly = manner_of(compared.sync).creates is Creates.SINGLY and not in_bulk

    def run(self) -> Compared:
        desk = self._desk
        desk.enter_batch(self._compared.sync.name, None)
        with self._open() as session:
            desk.lookups.forget(session, desk.touched)
            desk.listed.difference_update([p for p in desk.listed if p[0] in desk.touched])
            desk.touched.clear()
        comparison = self._compared.comparison
        for search in (
            *record_searches(desk.tables, comparison),
            *former_searches(desk.tables, comparison),
        ):
            self._search(search)
        if manner_of(self._compared.sync).finds_first:
            self._look_twice()
        people = people_searches(desk.tables, comparison)
        self._settle(people_asked=not people)
        for search in people:  # of those rows only that will be sent
            self._search(search)
        if people:
            self._settle(people_asked=True)
        with self._open() as session:
            with session.transaction():
                desk.lease.renew(session)
                desk.journal.note_existing(session, self._compared.bound, self._compared.mapping.version)
                if comparison.former:
                    desk.journal.bury_missing(session, self._compared.sync.name)
            return recount(session, desk.tables, self._compared, single_creates=self._singly)

    def _open(self) -> _Opened:
        return self._desk.context.warehouse.open()

    def _search(self, search: Search) -> None:
        desk, place = self._desk, (search.object.name, search.key_field)
        if place not in desk.listed:
            with self._open() as session:
                keys = session.rows(f"select count(*), count(company_id) from ({search.wanted}) w")
                count, in_company = map(int, keys[0])
                rows = list_size(session, desk.tables, search.object.path)
            if not count:
                return
            self._find(search, count, rows, certain=in_company == count)
        with self._open() as session:
            desk.lookups.mark_missing(session, search.object.name, search.key_field, search.wanted)
            desk.log.write_requests(session, desk.take_requests())

    def _find(self, search: Search, count: int, rows: int | None, *, certain: bool) -> None:
        """Ask Planhat; `certain` says whether every key names the company in which it is meant."""
        obj, key_field = search.object, search.key_field
        if key_field == REFERENCE:
            one = self._wanted(search)[0].key if count == 1 else ""
            self._enter(search, self._searcher.company(one) if one else self._searcher.all_companies())
            if not one:
                self._desk.listed.add((obj.name, key_field))
            return
        certain = certain or not obj.needs_company(key_field) or key_field == "email"
        way = choose_way(obj, key_field, count, certain=certain, rows=rows)
        if way is Way.LEAN_LIST:
            self._enter(search, self._searcher.lean_list(key_field))
            self._desk.listed.add((obj.name, key_field))
        elif way is Way.SINGLE_READS:
            self._enter(search, self._searcher.singly(obj, key_field, self._wanted(search)))
        elif way is Way.SCAN:
            self._enter(search, self._searcher.scan(obj, key_field))
            self._listed_all(search)
        else:
            self._try_scan(search)

    def _try_scan(self, search: Search) -> None:
        wanted = self._wanted(search)
        missing = set(wanted)
        self._enter(search, self._searcher.scan(search.object, search.key_field, missing))
        if self._searcher.complete:
            self._listed_all(search)
        elif missing:
            # The rest of the list may hold another person with an e-mail that was found.
            left = wanted if search.key_field == "email" else sorted(missing)
            self._enter(search, self._searcher.singly(search.object, search.key_field, left))

    def _listed_all(self, search: Search) -> None:
        """Remember that the list was read to its end: for this run, and its length for later ones."""
        self._desk.listed.add((search.object.name, search.key_field))
        with self._open() as session, session.transaction():
            self._desk.lease.renew(session)
            note_list_size(session, self._desk.tables, search.object.path, self._searcher.listed)

    def _wanted(self, search: Search) -> list[WantedKey]:
        with self._open() as session:
            return [WantedKey(*row) for row in session.rows(search.wanted)]

    def _enter(self, search: Search, found: Iterator[list[FoundRecord]]) -> None:
        held: list[FoundRecord] = []
        for part in found:
            if self._desk.stopping():
                raise StoppedError(
                    "the run was interrupted", hint="Run again; nothing of this sync was sent."
                )
            held += part
            if len(held) >= _ROWS_AT_ONCE:
                self._add(search, held)
                held = []
        if held:
            self._add(search, held)

    def _add(self, search: Search, found: list[FoundRecord]) -> None:
        desk = self._desk
        with self._open() as session, session.transaction():
            desk.lease.renew(session)
            desk.lookups.add(session, search.object.name, search.key_field, found)

    def _look_twice(self) -> None:
        """Look once more for keys that an earlier run may have created a moment ago: reads may lag behind writes."""
        desk, sync = self._desk, self._compared.sync
        if sync.match is None or manner_of(sync).creates is Creates.NEVER:
            return
        name = desk.tables.dialect.literal(sync.name)
        doubtful = f"select key from {desk.tables.failures} where sync = {name} and status = 'unknown'"
        with self._open() as session:
            missing = session.rows(
                f"select count(*) from {desk.tables.lookups} where object = "
                f"{desk.tables.dialect.literal(sync.object.name)} and key_field = '{sync.match.field}' "
                f"and planhat_id is null and key in ({doubtful})"
            )
            if not missing[0][0]:
                return
            desk.lookups.forget_missing(session, sync.object.name, sync.match.field, doubtful)
        desk.pause(_SECOND_LOOK)
        desk.listed.discard((sync.object.name, sync.match.field))
        for search in record_searches(desk.tables, self._compared.comparison):
            if search.key_field == sync.match.field:
                self._search(search)

    def _settle(self, *, people_asked: bool) -> None:
        desk, compared = self._desk, self._compared
        sync = compared.sync
        with self._open() as session:
            query = settled_plan(
                desk.tables, compared.comparison, single_creates=self._singly, people_asked=people_asked
            )
            session.scratch(_SETTLED, query)
            with session.transaction():
                desk.lease.renew(session)
                session.execute(drop_plan(desk.tables, sync.name))
                session.execute(f"create table {desk.tables.plan(sync.name)} as select * from {_SETTLED}")


if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    _Opened = AbstractContextManager[Session]
