"""The step between comparing and sending: find in Planhat what a plan only knows by key, then settle the plan.

The warehouse is open while keys are read and while what was found is entered, never while a call is under way.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from planhat_dbt.compare import (
    former_searches,
    keys_may_move,
    people_searches,
    record_searches,
    removal_search,
    settled_plan,
)
from planhat_dbt.declaration.manner import Creates, manner_of
from planhat_dbt.declaration.types import Lookup, Mode
from planhat_dbt.plan import Operation
from planhat_dbt.run.compare_step import recount, replace_plan
from planhat_dbt.run.finder import Finder

if TYPE_CHECKING:
    from planhat_dbt.run.compare_step import Compared
    from planhat_dbt.run.desk import Desk
    from planhat_dbt.warehouse.port import Session

_SECOND_LOOK: Final = 1.0
"""Seconds until a key in doubt is looked up once more: reads may lag behind writes (planhat-api §13 no. 32)."""
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


def wants_another_look(compared: Compared) -> bool:
    """Whether what was sent may have given records of planned removals other keys."""
    return bool(compared.plan.changes) and keys_may_move(compared.comparison)


def look_again(desk: Desk, compared: Compared) -> None:
    """Look up once more which records have the keys of planned removals.

    Raises:
        CallError: A look-up failed; no removal was sent.
        FailedError: Planhat refused a look-up, or the warehouse a statement.
    """
    desk.pause(_SECOND_LOOK)
    finder = Finder(desk)
    finder.begin(compared.sync.name)
    finder.search(removal_search(desk.tables, compared.comparison))


class _LookUp:
    def __init__(self, desk: Desk, compared: Compared) -> None:
        self._desk = desk
        self._compared = compared
        self._finder = Finder(desk)
        in_bulk = _creates_in_bulk(compared, desk.context.settings.single_insert_rows)
        self._singly = manner_of(compared.sync).creates is Creates.SINGLY and not in_bulk

    def run(self) -> Compared:
        desk = self._desk
        self._finder.begin(self._compared.sync.name)
        comparison = self._compared.comparison
        for search in (
            *record_searches(desk.tables, comparison),
            *former_searches(desk.tables, comparison),
        ):
            self._finder.search(search)
        if manner_of(self._compared.sync).finds_first:
            self._look_twice()
        people = people_searches(desk.tables, comparison)
        self._settle(people_asked=not people)
        for search in people:  # of those rows only that will be sent
            self._finder.search(search)
        if people:
            self._settle(people_asked=True)

        def note() -> None:
            desk.journal.note_existing(session, self._compared.bound, self._compared.mapping.version)
            if comparison.former:
                desk.journal.bury_missing(session, self._compared.sync.name)

        with self._open() as session:
            desk.lease.write(session, note)
            return recount(session, desk.tables, self._compared, single_creates=self._singly)

    def _open(self) -> _Opened:
        return self._desk.context.warehouse.open()

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
                self._finder.search(search)

    def _settle(self, *, people_asked: bool) -> None:
        desk, compared = self._desk, self._compared
        with self._open() as session:
            query = settled_plan(
                desk.tables, compared.comparison, single_creates=self._singly, people_asked=people_asked
            )
            session.scratch(_SETTLED, query)
            settle = partial(replace_plan, session, desk.tables, compared.sync.name, _SETTLED)
            desk.lease.write(session, settle)


if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    _Opened = AbstractContextManager[Session]
