"""What all deliveries share: the calls they may make, and the outcome of a batch as it is put together."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

from planhat_dbt.deliver.written import array_bytes
from planhat_dbt.outcome import BatchOutcome, FoundIds, RowOutcome, RowStatus
from planhat_dbt.planhat import AccessDeniedError, NotSentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from planhat_dbt.deliver.payload import Batch
    from planhat_dbt.deliver.written import SentRow
    from planhat_dbt.errors import PlanhatDbtError
    from planhat_dbt.planhat import Answer, CallError


GONE: Final = "its record is no longer in Planhat; it is looked up again by the next run"


class Calls(Protocol):
    """The part of the Planhat client that deliveries use."""

    def bulk(self, path: str, body: bytes, *, repeatable: bool) -> Answer:
        """`PUT path` with an array."""

    def create(self, path: str, body: bytes) -> Answer:
        """`POST path` with one record."""

    def update(self, path: str, key: str, body: bytes) -> Answer:
        """`PUT path/key` with the changed fields of one record."""

    def get(self, path: str, key: str) -> Answer:
        """`GET path/key`."""

    def delete(self, path: str, id: str) -> Answer:  # noqa: A002 - the API's word
        """`DELETE path/id`."""

    def list(
        self,
        path: str,
        params: dict[str, str | int],
        *,
        limit: int,
        enough: Callable[[], bool] | None = None,
    ) -> Iterator[list[dict[str, object]]]:
        """`GET path`, page by page, until `enough` says so."""

    def lean_companies(self) -> Sequence[dict[str, object]]:
        """`GET /leancompanies`: all companies with their keys."""

    def track(self, kind: Literal["metrics", "activities"], body: bytes) -> Answer:
        """`POST` to the tracking host."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one call may carry, and how long a batch may be split."""

    rows: int = 5000
    bytes: int = 8 * 1024 * 1024
    split_calls: int = 200
    """Calls that may be spent on telling the rows of one batch apart."""
    read_after: int = 50
    """Records that may be read for one batch to tell whether a refused update's record is gone."""
    at_once: int = 8
    """Single-record calls in flight."""


def parts(rows: Sequence[SentRow], limits: Limits) -> list[Sequence[SentRow]]:
    """Split rows into bodies within both limits, in order; a row too large on its own travels alone."""
    if len(rows) <= limits.rows and array_bytes(rows) <= limits.bytes:
        return [rows] if rows else []
    result: list[list[SentRow]] = []
    size = 0
    for row in rows:
        length = len(row.item) + 1
        if not result or len(result[-1]) >= limits.rows or size + length > limits.bytes:
            result.append([])
            size = 1
        result[-1].append(row)
        size += length
    return list(result)


def unsent(batch: Batch, reason: str) -> BatchOutcome:
    """The outcome of a batch that was not sent at all."""
    tally = Tally(batch)
    tally.hold(batch.rows, "not_sent", f"not sent: {reason}")
    return tally.outcome()


class Tally:
    """The outcome of one batch, gathered call by call."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._sent_at = dt.datetime.now(dt.UTC).replace(tzinfo=None)
        self.calls = 0
        self.http_status: int | None = None
        self.created = self.updated = self.unchanged = 0
        self.ids = FoundIds()
        self.exceptions = [
            RowOutcome(r.row, r.key, r.operation, RowStatus.REJECTED, "bad_value", r.message)
            for r in batch.refused
        ]
        self.again: list[int] = []
        self.error = ""
        self.stop: PlanhatDbtError | None = None

    def refuse(self, row: SentRow, code: str, message: str) -> None:
        """Planhat refused this row."""
        self.exceptions.append(RowOutcome(row.row, row.key, row.operation, RowStatus.REJECTED, code, message))

    def hold(self, rows: Iterable[SentRow], code: str, message: str) -> None:
        """These rows were surely not applied; the next run tries again."""
        self.exceptions += [
            RowOutcome(r.row, r.key, r.operation, RowStatus.HELD, code, message) for r in rows
        ]
        self.error = self.error or message

    def lose_sight(self, rows: Iterable[SentRow], message: str) -> None:
        """These rows were sent, and what became of them is not known."""
        self.exceptions += [
            RowOutcome(r.row, r.key, r.operation, RowStatus.UNKNOWN, "unknown_outcome", message) for r in rows
        ]
        self.error = self.error or message

    def fail(self, rows: Iterable[SentRow], error: CallError) -> None:
        """A call brought no usable answer; without a host or a right, further ones are pointless."""
        if error.maybe_applied:
            self.lose_sight(rows, error.message)
        else:
            self.hold(rows, "not_sent", error.message)
        self.http_status = error.status or self.http_status
        unreachable = isinstance(error, NotSentError) and error.status is None
        if unreachable or isinstance(error, AccessDeniedError):
            self.stop = error

    def outcome(self) -> BatchOutcome:
        """Close the books: every row of the batch is accounted for exactly once."""
        rows = len(self._batch.rows) + len(self._batch.refused)
        seen = [e.row for e in self.exceptions] + self.again
        if len(seen) != len(set(seen)) or len(seen) > rows:
            raise AssertionError(f"batch {self._batch.number}: a row has two outcomes")
        return BatchOutcome(
            batch=self._batch.number,
            rows=rows,
            bytes=self._batch.bytes,
            calls=self.calls,
            http_status=self.http_status,
            created=self.created,
            updated=self.updated,
            unchanged=self.unchanged,
            sent_at=self._sent_at,
            answered_at=dt.datetime.now(dt.UTC).replace(tzinfo=None),
            ids=self.ids,
            exceptions=tuple(self.exceptions),
            again=tuple(self.again),
            error=self.error or (self.exceptions[0].message if self.exceptions else ""),
            stop=self.stop,
        )
