"""Metrics and user activities: sent once, checked before, never repeated after doubt (planhat-api §10)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Literal

import orjson

from planhat_dbt.deliver.courier import Calls, Limits, Tally, parts
from planhat_dbt.deliver.written import json_array
from planhat_dbt.errors import FailedError
from planhat_dbt.planhat import (
    CallError,
    UnreadableAnswerError,
    read_message,
    read_metrics,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from planhat_dbt.deliver.payload import Batch
    from planhat_dbt.deliver.written import SentRow
    from planhat_dbt.outcome import BatchOutcome
    from planhat_dbt.planhat import Answer, EventError


_AT_FAULT: Final = frozenset((400, 413, 422))
"""Statuses that speak of the body: nothing of it was received, and a part of it may be."""


class EventCourier:
    """Delivers events of one kind."""

    def __init__(self, calls: Calls, kind: Literal["metrics", "activities"], limits: Limits) -> None:
        self._calls = calls
        self._kind: Literal["metrics", "activities"] = kind
        self._limits = limits

    def deliver(self, batch: Batch) -> BatchOutcome:
        """Send a batch; what is not surely refused or surely unsent counts as received."""
        tally = Tally(batch)
        queue = deque(parts(batch.rows, self._limits))
        splits = 0
        while queue:
            rows = queue.popleft()
            if tally.stop:
                tally.hold(rows, "not_sent", "not sent: " + tally.stop.message)
                continue
            try:
                answer = self._calls.track(self._kind, json_array(rows))
            except CallError as error:
                tally.calls += error.attempts
                tally.fail(rows, error)
                continue
            tally.calls += answer.attempts
            tally.http_status = answer.status
            if answer.ok:
                self._read(rows, answer, tally)
            elif answer.status in _AT_FAULT and len(rows) > 1 and splits < self._limits.split_calls:
                splits += 1
                middle = len(rows) // 2
                queue.extendleft((rows[middle:], rows[:middle]))
            elif answer.status in _AT_FAULT and len(rows) == 1:
                message = f"{answer.status}: {read_message(answer.body)}"
                tally.refuse(rows[0], "refused", message[:500])
            else:
                self._refused(rows, answer, tally)
        return tally.outcome()

    def _read(self, rows: Sequence[SentRow], answer: Answer, tally: Tally) -> None:
        try:
            report = read_metrics(answer.body)
        except UnreadableAnswerError:
            if self._kind == "metrics":
                tally.lose_sight(rows, "the answer to these metrics could not be read")
                return
            tally.created += len(rows)  # activities: the body is not documented, 2xx is all there is
            return
        refused, nameless = _tie(rows, report.errors)
        missing = len(rows) - len(report.errors) - report.processed if report.processed is not None else 0
        text = ""
        if nameless:
            text = f"{len(nameless)} of these events were refused without a word which: {nameless[0].message}"
        elif missing > 0:
            # `processed` counts what came in, errors included or not (planhat-api §13 no. 28).
            text = f"Planhat's answer counts {report.processed} of {len(rows)} events, and does not say which"
        if text:
            named = {r.row for r, _ in refused}
            tally.lose_sight([r for r in rows if r.row not in named], text)
        else:
            tally.created += len(rows) - len(refused)
        for row, message in refused:
            tally.refuse(row, "refused", message)

    def _refused(self, rows: Sequence[SentRow], answer: Answer, tally: Tally) -> None:
        message = f"the tracking host answered {answer.status}: {read_message(answer.body)}"[:500]
        tally.hold(rows, "not_sent", message)
        tally.stop = FailedError(
            message,
            hint="Check PLANHAT_TENANT_UUID and PLANHAT_TRACKING_URL, then run again: nothing was received.",
        )


def _tie(
    rows: Sequence[SentRow], errors: tuple[EventError, ...]
) -> tuple[list[tuple[SentRow, str]], list[EventError]]:
    """Find the row of each refused event by its content, which the answer repeats, perhaps with more fields."""
    if not errors:
        return [], []
    by_content: dict[bytes, list[SentRow]] = {}
    shapes: set[frozenset[str]] = set()
    for row in rows:
        item = orjson.loads(row.item)
        shapes.add(frozenset(item))
        by_content.setdefault(_content(item), []).append(row)
    widest_first = sorted(shapes, key=lambda shape: (-len(shape), sorted(shape)))
    refused: list[tuple[SentRow, str]] = []
    nameless = []
    for error in errors:
        contents = (_content(part) for part in _parts(error.item, widest_first))
        candidates = next((found for content in contents if (found := by_content.get(content))), None)
        if candidates:
            refused.append((candidates.pop(), error.message))
        else:
            nameless.append(error)
    return refused, nameless


def _parts(item: object, shapes: list[frozenset[str]]) -> Iterator[dict[str, object]]:
    """The fields of an item that a row of each shape would have."""
    if isinstance(item, dict):
        for shape in shapes:
            if shape <= item.keys():
                yield {name: item[name] for name in shape}


def _content(item: object) -> bytes:
    return orjson.dumps(_plain(item), option=orjson.OPT_SORT_KEYS)


def _plain(value: object) -> object:
    """A value whose numbers are doubles, as they are on the other side: 1.0 comes back as 1."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
