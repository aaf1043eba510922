"""Single-record calls: creates whose answer alone names the new id, updates of what has no bulk call, and deletes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import orjson

from planhat_dbt.deliver.courier import GONE, Calls, Limits, Tally, unsent
from planhat_dbt.outcome import FoundIds
from planhat_dbt.planhat import CallError, read_message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from planhat_dbt.deliver.breaker import Breaker
    from planhat_dbt.deliver.payload import Batch
    from planhat_dbt.deliver.written import SentRow
    from planhat_dbt.outcome import BatchOutcome


def _in_order(batch: Batch, send: Callable[[SentRow, Tally], None]) -> BatchOutcome:
    """Send the rows of a batch one by one, until a call makes further ones pointless."""
    tally = Tally(batch)
    for row in batch.rows:
        if tally.stop:
            tally.hold([row], "not_sent", "not sent: " + tally.stop.message)
        else:
            send(row, tally)
    return tally.outcome()


class CreateCourier:
    """Creates records without a key, one call each: repeated after doubt, there would be two."""

    def __init__(self, calls: Calls, path: str) -> None:
        self._calls = calls
        self._path = path

    def deliver(self, batch: Batch) -> BatchOutcome:
        """Post the rows of a batch in order."""
        return _in_order(batch, self._create)

    def _create(self, row: SentRow, tally: Tally) -> None:
        try:
            answer = self._calls.create(self._path, row.item)
            tally.calls += answer.attempts
            tally.http_status = answer.status
            if not answer.ok:
                tally.refuse(row, "refused", f"{answer.status}: {read_message(answer.body)}"[:500])
                return
            record = answer.json()
        except CallError as error:
            tally.calls += error.attempts
            tally.fail([row], error)
            return
        planhat_id = record.get("_id") if isinstance(record, dict) else None
        if not isinstance(planhat_id, str):
            tally.lose_sight([row], "the answer to this create names no _id")
            return
        tally.created += 1
        tally.ids += FoundIds(([row.key], [planhat_id], True))


class UpdateCourier:
    """Changes records one by one, by their Planhat id: custom fields have no bulk call (planhat-api §4)."""

    def __init__(self, calls: Calls, path: str, *, revives: bool) -> None:
        """Make a courier; `revives` says whether a record that is gone is to be made anew."""
        self._calls = calls
        self._path = path
        self._revives = revives

    def deliver(self, batch: Batch) -> BatchOutcome:
        """Send the rows of a batch in order."""
        return _in_order(batch, self._update)

    def _update(self, row: SentRow, tally: Tally) -> None:
        item = orjson.loads(row.item)
        planhat_id = item.pop("_id")  # in the body it may be refused (planhat-api §13 no. 23)
        try:
            answer = self._calls.update(self._path, planhat_id, orjson.dumps(item))
        except CallError as error:
            tally.calls += error.attempts
            tally.fail([row], error)
            return
        tally.calls += answer.attempts
        tally.http_status = answer.status
        if answer.ok:
            tally.updated += 1
        elif answer.status != 404:
            tally.refuse(row, "refused", f"{answer.status}: {read_message(answer.body)}"[:500])
        elif self._revives:
            tally.again.append(row.row)
        else:
            tally.hold([row], "no_match", GONE)


class DeleteCourier:
    """Deletes records by their Planhat id, several calls in flight; 404 means it is already gone."""

    def __init__(self, calls: Calls, path: str, limits: Limits, breaker: Breaker) -> None:
        self._calls = calls
        self._path = path
        self._limits = limits
        self._breaker = breaker

    def __call__(self, batches: Sequence[Batch]) -> list[BatchOutcome]:
        """Delete the records of many batches of one row each."""
        with ThreadPoolExecutor(max_workers=self._limits.at_once) as pool:
            return list(pool.map(self._deliver, batches))

    def _deliver(self, batch: Batch) -> BatchOutcome:
        if self._breaker.open:
            return unsent(batch, self._breaker.reason)
        tally = Tally(batch)
        for row in batch.rows:
            try:
                self._delete(row, tally)
            except CallError as error:
                tally.calls += error.attempts
                tally.fail([row], error)
        outcome = tally.outcome()
        self._breaker.note(outcome)
        return outcome

    def _delete(self, row: SentRow, tally: Tally) -> None:
        if not row.planhat_id:
            return  # look-ups found nothing of that key in Planhat: there is nothing left to delete
        answer = self._calls.delete(self._path, row.planhat_id)
        tally.calls += answer.attempts
        tally.http_status = answer.status
        if not (answer.ok or answer.status == 404):
            tally.refuse(row, "refused", f"{answer.status}: {read_message(answer.body)}"[:500])
