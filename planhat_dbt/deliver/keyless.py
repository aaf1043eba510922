"""Creates without a key in bulk: above `single_insert_rows`, for mode insert only (DESIGN §5).

Nothing ties the answer to rows but its counts. So a call is made once, and a batch whose counts do not add up is in
doubt as a whole: it is told, and never sent again by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from planhat_dbt.deliver.courier import Calls, Limits, Tally, parts
from planhat_dbt.deliver.written import json_array
from planhat_dbt.planhat import CallError, UnreadableAnswerError, read_bulk, read_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planhat_dbt.deliver.payload import Batch
    from planhat_dbt.deliver.written import SentRow
    from planhat_dbt.outcome import BatchOutcome
    from planhat_dbt.planhat import Answer, BulkReport


class KeylessCourier:
    """Delivers new records that carry no key."""

    def __init__(self, calls: Calls, path: str, limits: Limits) -> None:
        self._calls = calls
        self._path = path
        self._limits = limits

    def deliver(self, batch: Batch) -> BatchOutcome:
        """Send a batch, each row once."""
        tally = Tally(batch)
        for rows in parts(batch.rows, self._limits):
            if tally.stop:
                tally.hold(rows, "not_sent", "not sent: " + tally.stop.message)
                continue
            try:
                answer = self._calls.bulk(self._path, json_array(rows), repeatable=False)
                tally.calls += answer.attempts
                tally.http_status = answer.status
                self._read(rows, answer, tally)
            except UnreadableAnswerError as error:
                tally.lose_sight(rows, error.message)
            except CallError as error:
                tally.calls += error.attempts
                tally.fail(rows, error)
        return tally.outcome()

    def _read(self, rows: Sequence[SentRow], answer: Answer, tally: Tally) -> None:
        try:
            report = read_bulk(answer)
        except UnreadableAnswerError:
            if answer.ok:
                raise
            for row in rows:  # refused as a whole, and not as a bulk answer: nothing was created
                tally.refuse(row, "refused", f"{answer.status}: {read_message(answer.body)}"[:500])
            return
        tally.created += report.created
        refused = _refused(rows, report)
        if refused is None:
            text = (
                f"{report.created} of {len(rows)} records were created and {len(report.errors)} refused, "
                "without a word which"
            )
            tally.lose_sight(rows, text)
            return
        for row, message in refused:
            tally.refuse(row, "refused", message)


def _refused(rows: Sequence[SentRow], report: BulkReport) -> list[tuple[SentRow, str]] | None:
    """The rows that were refused; None if that cannot be told."""
    if report.updated or report.unchanged or report.created + len(report.errors) != len(rows):
        return None
    if not report.created:
        messages = [e.message for e in report.errors]
        return list(zip(rows, messages, strict=True))
    by_content: dict[bytes, list[SentRow]] = {}
    if report.errors:
        for row in rows:
            by_content.setdefault(_content(orjson.loads(row.item)), []).append(row)
    found = []
    for error in report.errors:
        item = error.raw.get("item") if isinstance(error.raw, dict) else None
        alike = by_content.get(_content(item)) if isinstance(item, dict) else None
        if not alike:
            return None
        found.append((alike.pop(), error.message))
    return found


def _content(item: object) -> bytes:
    return orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
