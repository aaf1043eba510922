"""Bulk upserts: full calls, an outcome for every row, and parts ever smaller where rows cannot be told apart."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from planhat_dbt.declaration.manner import Creates
from planhat_dbt.deliver.courier import GONE, Calls, Limits, Tally, parts
from planhat_dbt.deliver.judge import Verdict, judge
from planhat_dbt.deliver.written import json_array
from planhat_dbt.plan import Operation
from planhat_dbt.planhat import CallError, UnreadableAnswerError, read_bulk, read_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planhat_dbt.deliver.payload import Batch
    from planhat_dbt.deliver.written import SentRow
    from planhat_dbt.outcome import BatchOutcome
    from planhat_dbt.planhat import Answer


class BulkCourier:
    """Delivers keyed rows of one object; sending any of them twice leaves the same record."""

    def __init__(
        self,
        calls: Calls,
        path: str,
        match: str | None,
        limits: Limits,
        *,
        creates: Creates = Creates.IN_BULK,
    ) -> None:
        """Make a courier.

        Args:
            calls: The client.
            path: The object's path.
            match: The key by which the answer names records.
            limits: How much one call may carry.
            creates: How new records come into being: what is not created here in bulk is asked after before it is
                taken for gone.
        """
        self._calls = calls
        self._path = path
        self._match = match
        self._limits = limits
        self._creates = creates
        self._asked_after = 0

    def deliver(self, batch: Batch) -> BatchOutcome:
        """Send a batch in as few calls as its size and its outcome allow."""
        tally = Tally(batch)
        queue = deque(parts(batch.rows, self._limits))
        splits = self._asked_after = 0
        while queue:
            rows = queue.popleft()
            if splits > self._limits.split_calls:
                tally.hold(
                    rows, "not_sent", f"the rows of this batch could not be told apart in {splits} calls"
                )
                continue
            verdict = self._send(rows, tally)
            if verdict is None:
                if tally.stop:
                    for left in queue:
                        tally.hold(left, "not_sent", "not sent: " + tally.stop.message)
                    break
                continue
            self._note(verdict, tally)
            if tally.stop:
                for left in (*([list(verdict.unsure)] if verdict.unsure else []), *queue):
                    tally.hold(left, "not_sent", "not sent: " + tally.stop.message)
                break
            if verdict.unsure and len(rows) == 1:
                tally.refuse(rows[0], "unclear", "Planhat's answer to this row alone does not add up")
            elif verdict.unsure:
                queue.extendleft(reversed(_smaller(verdict.unsure, rows)))
                splits += 1
        return tally.outcome()

    def _send(self, rows: Sequence[SentRow], tally: Tally) -> Verdict | None:
        """Make one call; None if it brought no usable answer."""
        try:
            answer = self._calls.bulk(self._path, json_array(rows), repeatable=True)
            tally.calls += answer.attempts
            tally.http_status = answer.status
            return self._judge(rows, answer, tally)
        except CallError as error:
            tally.calls += error.attempts
            tally.fail(rows, error)
            return None

    def _judge(self, rows: Sequence[SentRow], answer: Answer, tally: Tally) -> Verdict:
        try:
            report = read_bulk(answer)
        except UnreadableAnswerError:
            if answer.ok:
                raise
            # Refused as a whole: which row is at fault shows when it stands alone (planhat-api §13 no. 6).
            if len(rows) > 1:
                return Verdict(unsure=tuple(rows))
            tally.refuse(rows[0], "refused", f"{answer.status}: {read_message(answer.body)}"[:500])
            return Verdict()
        tally.created += report.created
        tally.updated += report.updated
        tally.unchanged += report.unchanged
        verdict = judge(rows, report, self._match)
        return _after_doubt(rows, verdict) if answer.repeated else verdict

    def _note(self, verdict: Verdict, tally: Tally) -> None:
        tally.ids += verdict.ids
        for refusal in verdict.refused:
            tally.refuse(refusal.row, refusal.code, refusal.message)
        made = {i.key: i.planhat_id for i in verdict.ids if i.created} if verdict.again else {}
        for row in verdict.again:
            if self._creates is Creates.IN_BULK and (row.key in made or not row.new_key):
                tally.again.append(row.row)
            elif row.key in made and row.planhat_id != made[row.key]:
                # We sent an update by `_id`, and something new came of it: never meant, never seen, but told.
                tally.hold([row], "no_match", f"Planhat made a new record ({made[row.key]}) of this update")
            else:
                self._ask_after(row, verdict.words.get(row.row, ""), tally)

    def _ask_after(self, row: SentRow, said: str, tally: Tally) -> None:
        """Tell an update that Planhat refused from one whose record is gone: only the latter may be made anew."""
        message = f"Planhat refused this update: {said}" if said else "Planhat refused this update"
        if tally.stop or self._asked_after >= self._limits.read_after:
            tally.refuse(row, "refused", message[:500])
            return
        self._asked_after += 1
        try:
            answer = self._calls.get(self._path, row.planhat_id or row.key)
        except CallError as error:
            tally.calls += error.attempts
            tally.fail([row], error)
            return
        tally.calls += answer.attempts
        if answer.status != 404:
            tally.refuse(row, "refused", message[:500])
        elif self._creates is Creates.NEVER:
            tally.hold([row], "no_match", GONE)
        else:
            tally.again.append(row.row)


def _after_doubt(rows: Sequence[SentRow], verdict: Verdict) -> Verdict:
    """Send whole what went by key alone: an earlier try may have made a part of a record, now updated."""
    told = {r.row for r in (*verdict.again, *verdict.unsure)} | {r.row.row for r in verdict.refused}
    suspects = [r for r in rows if r.operation == Operation.UPDATE and not r.planhat_id and r.row not in told]
    return replace(verdict, again=(*verdict.again, *suspects))


def _smaller(unsure: tuple[SentRow, ...], sent: Sequence[SentRow]) -> list[list[SentRow]]:
    """Halve what is unsure; rows that could not be told apart all at once are already a smaller call."""
    rows = list(unsure)
    if len(rows) < len(sent) and len(rows) <= 2:
        return [[r] for r in rows]
    middle = (len(rows) + 1) // 2
    return [part for part in (rows[:middle], rows[middle:]) if part]
