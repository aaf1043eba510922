"""Clears: emptying fields of records that exist, and of those only.

A clear must not bring a record back that somebody deleted in Planhat. So it carries the `_id` and never a key: an id
that is not known is looked up first, and a refusal is checked against the record itself. A record that is gone has
nothing left to clear.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import orjson

from planhat_dbt.deliver.find import Finder, IdNotKnownError
from planhat_dbt.outcome import FoundId, RowOutcome, RowStatus
from planhat_dbt.planhat import CallError

if TYPE_CHECKING:
    from planhat_dbt.deliver.bulk import BulkCourier
    from planhat_dbt.deliver.courier import Calls
    from planhat_dbt.deliver.payload import Batch, SentRow
    from planhat_dbt.outcome import BatchOutcome


class ClearCourier:
    """Delivers clears of one object in bulk calls."""

    def __init__(
        self, calls: Calls, bulk: BulkCourier, path: str, drop: tuple[str, ...], finder: Finder
    ) -> None:
        """Make a courier; `drop` names what a row carries only to be found: the key and the company on the wire."""
        self._calls = calls
        self._bulk = bulk
        self._path = path
        self._drop = drop
        self._finder = finder

    def deliver(self, batch: Batch) -> BatchOutcome:
        """Send a batch of clears."""
        rows: list[SentRow] = []
        apart: list[RowOutcome] = []
        found: list[FoundId] = []
        calls = 0
        for row in batch.rows:
            if row.planhat_id:
                rows.append(row)
                continue
            try:
                result = self._finder.find(row)
            except IdNotKnownError as error:
                calls += error.calls
                apart.append(_held(row, "no_id", str(error)))
            except CallError as error:
                calls += error.attempts
                apart.append(_held(row, "not_sent", error.message))
            else:
                calls += result.calls
                if result.planhat_id:
                    rows.append(self._with_id(row, result.planhat_id))
                    found.append(FoundId(row.key, result.planhat_id, created=False))
        outcome = self._bulk.deliver(replace(batch, rows=tuple(rows)))
        kept, more = self._without_gone(outcome, {r.row: r for r in rows})
        return replace(
            outcome,
            rows=len(batch.rows) + len(batch.refused),
            calls=outcome.calls + calls + more,
            ids=(*outcome.ids, *found),
            exceptions=(*apart, *kept),
        )

    def _with_id(self, row: SentRow, planhat_id: str) -> SentRow:
        item = {k: v for k, v in orjson.loads(row.item).items() if k not in self._drop}
        return row._replace(planhat_id=planhat_id, item=orjson.dumps({"_id": planhat_id, **item}))

    def _without_gone(self, outcome: BatchOutcome, rows: dict[int, SentRow]) -> tuple[list[RowOutcome], int]:
        kept: list[RowOutcome] = []
        calls = 0
        for exception in outcome.exceptions:
            sent = rows.get(exception.row)
            if exception.status is RowStatus.REJECTED and sent and sent.planhat_id and not outcome.stop:
                try:
                    answer = self._calls.get(self._path, sent.planhat_id)
                except CallError as error:
                    calls += error.attempts
                else:
                    calls += answer.attempts
                    if answer.status == 404:
                        continue
            kept.append(exception)
        return kept, calls


def _held(row: SentRow, code: str, message: str) -> RowOutcome:
    return RowOutcome(row.row, row.key, row.operation, RowStatus.HELD, code, message)
