"""Finding the Planhat id of a key, where no answer has named it yet.

Outside companies a key is unique only within its company (planhat-api §3.1), so a record found by key is taken
only if it belongs to the company that the row refers to. A wrong id here would delete somebody else's record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import orjson

from planhat_dbt.errors import PlanhatDbtError
from planhat_dbt.objects import OBJECTS, Scope

if TYPE_CHECKING:
    from planhat_dbt.declaration.types import Sync
    from planhat_dbt.deliver.courier import Calls
    from planhat_dbt.deliver.payload import SentRow


class Found(NamedTuple):
    """A search and its result; no id means: no such record."""

    planhat_id: str | None
    calls: int


class IdNotKnownError(PlanhatDbtError):
    """The id of a key cannot be found for certain."""

    def __init__(self, message: str, calls: int = 0) -> None:
        super().__init__(message)
        self.calls = calls


class Finder:
    """Finds records of one sync's object by the match key."""

    def __init__(self, calls: Calls, sync: Sync) -> None:
        self._calls = calls
        self._object = sync.object
        self._match = sync.match.field if sync.match else None
        self._companies: dict[str, str | None] = {}

    def find(self, row: SentRow) -> Found:
        """Look a row's record up.

        Raises:
            IdNotKnownError: The object cannot be asked by this key, or the record found may be another company's.
            CallError: A call failed.
        """
        if self._match == "_id":
            return Found(row.key, 0)
        prefix = self._object.path_keys.get(self._match or "")
        if prefix is not None:
            return self._by_path(row, prefix)
        if self._match == "email":
            return self._by_email(row)
        raise IdNotKnownError(f"{self._object.plural} cannot be looked up by {self._match or 'our key'}")

    def _by_path(self, row: SentRow, prefix: str) -> Found:
        answer = self._calls.get(self._object.path, prefix + row.key)
        if answer.status == 404:
            return Found(None, answer.attempts)
        record = answer.json() if answer.ok else None
        if not isinstance(record, dict) or not isinstance(record.get("_id"), str):
            raise IdNotKnownError(f"the look-up was answered with {answer.status}", answer.attempts)
        calls = answer.attempts + self._check_company(row, record)
        return Found(str(record["_id"]), calls)

    def _by_email(self, row: SentRow) -> Found:
        filters: dict[str, str | int] = {
            **self._object.list_filters,
            "email": row.key,
            "select": "email,companyId",
        }
        pages = self._calls.list(self._object.path, filters, limit=self._object.page_size)
        found = [r for page in pages for r in page if r.get("email") == row.key]
        if len(found) > 1:
            raise IdNotKnownError(f"{len(found)} {self._object.plural} have this e-mail", 1)
        if not found:
            return Found(None, 1)
        return Found(str(found[0]["_id"]), 1 + self._check_company(row, found[0]))

    def _check_company(self, row: SentRow, record: dict[str, object]) -> int:
        """Compare the record's company with the row's reference; returns the calls it took."""
        if self._object.key_scope is not Scope.COMPANY or self._match == "sourceId":
            return 0
        field = self._object.fields.get(self._object.company_field)
        reference = orjson.loads(row.item).get(field.json_name) if field else None
        if not isinstance(reference, str):
            return 0
        wanted, calls = self._company_id(reference)
        if field and wanted != record.get(field.json_name):
            raise IdNotKnownError(
                f"the {self._object.name} with this key belongs to another company than {reference}", calls
            )
        return calls

    def _company_id(self, reference: str) -> tuple[str | None, int]:
        if not reference.startswith(("extid-", "srcid-")):
            return reference, 0
        if reference in self._companies:
            return self._companies[reference], 0
        answer = self._calls.get(OBJECTS["company"].path, reference)
        record = answer.json() if answer.ok else None
        found = record.get("_id") if isinstance(record, dict) else None
        self._companies[reference] = str(found) if found else None
        return self._companies[reference], answer.attempts
