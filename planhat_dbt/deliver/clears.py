"""Clears: emptying fields of records that exist, and of those only.

A clear must not bring a record back that somebody deleted in Planhat. So it carries the `_id` and never a key, and a
refusal is checked against the record itself. A record that is gone, or that look-ups did not find, has nothing left
to clear.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from planhat_dbt.outcome import RowOutcome, RowStatus
from planhat_dbt.planhat import CallError

if TYPE_CHECKING:
    from planhat_dbt.deliver.courier import Calls
    from planhat_dbt.deliver.payload import Batch
    from planhat_dbt.deliver.written import SentRow
    from planhat_dbt.outcome import BatchOutcome


class _Updates(Protocol):
    def deliver(self, batch: Batch) -> BatchOutcome: ...


class ClearCourier:
    """Delivers clears of one object."""

    def __init__(self, calls: Calls, updates: _Updates, path: str) -> None:
        """Make a courier; `updates` delivers rows that carry an `_id`."""
        self._calls = calls
        self._updates = updates
        self._path = path

    def deliver(self, batch: Batch) -> BatchOutcome:
        """Send a batch of clears."""
        rows = tuple(r for r in batch.rows if r.planhat_id)
        outcome = self._updates.deliver(replace(batch, rows=rows))
        kept, calls = self._without_gone(outcome, {r.row: r for r in rows})
        return replace(
            outcome,
            rows=len(batch.rows) + len(batch.refused),
            calls=outcome.calls + calls,
            exceptions=tuple(kept),
        )

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
