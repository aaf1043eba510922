"""Finding records in Planhat in the fewest calls, and entering what was found into `lookups`.

The warehouse is open while keys are read and while what was found is entered, never while a call is under way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from planhat_dbt.compare.searches import REFERENCE
from planhat_dbt.deliver.search import FoundRecord, Searcher, WantedKey, Way, choose_way
from planhat_dbt.planhat import StoppedError
from planhat_dbt.state.lookups import list_size, note_list_size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from planhat_dbt.compare import Search
    from planhat_dbt.run.desk import Desk
    from planhat_dbt.warehouse.port import Session

_ROWS_AT_ONCE: Final = 20_000
"""Found records held before they are entered."""


class Finder:
    """Answers searches through the API; what this run knows already is not asked again."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._searcher = Searcher(desk.calls)

    def begin(self, sync: str) -> None:
        """Say for which sync the next searches are, and forget objects that have changed since they were found."""
        desk = self._desk
        desk.enter_batch(sync, None)
        with self._open() as session:
            desk.lookups.forget(session, desk.touched)
            desk.listed.difference_update([p for p in desk.listed if p[0] in desk.touched])
            desk.touched.clear()

    def _open(self) -> AbstractContextManager[Session]:
        return self._desk.context.warehouse.open()

    def search(self, search: Search) -> None:
        """Find the records that a search still wants.

        Raises:
            FailedError: Planhat refused a look-up, or gave no usable answer.
        """
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
            desk.log.write_requests(session, desk.take_requests(None))

    def _find(self, search: Search, count: int, rows: int | None, *, certain: bool) -> None:
        """Ask Planhat; `certain` says whether every key names the company in which it is meant."""
        obj, key_field = search.object, search.key_field
        if key_field == REFERENCE:
            one = self._wanted(search)[0].key if count == 1 else ""
            self._enter(search, self._searcher.company(one) if one else self._searcher.all_companies())
            if not one:
                self._desk.listed.add((obj.name, key_field))
            return
        certain = certain or search.any_company or not obj.needs_company(key_field) or key_field == "email"
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
