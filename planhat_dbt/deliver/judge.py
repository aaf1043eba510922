"""Who is meant by a bulk answer: from counts and keys to an outcome for every row (planhat-api §5.1, §13 no. 5-8).

The answer has no row index. It names the keys of records that were inserted or changed, counts those that were
already equal, and may or may not say which rows its errors are about; some rows vanish without a word. Whoever
cannot be told apart is handed back as `unsure`, to be sent again in smaller parts until one stands alone.
Pure: values in, values out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from planhat_dbt.deliver.written import operations_of
from planhat_dbt.outcome import FoundId, FoundIds
from planhat_dbt.plan import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from planhat_dbt.deliver.written import SentRow
    from planhat_dbt.planhat.response import BulkReport, RecordKeys, RowError

DROPPED: Final = (
    "Planhat answered without error but kept no record: as with endusers whose company it cannot find"
)
_WHILE_CREATING: Final = "createdErrors"


class Refusal(NamedTuple):
    """A row that Planhat refused."""

    row: SentRow
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one answer tells of the rows of one call. Rows that are not listed were accepted."""

    ids: FoundIds = field(default_factory=FoundIds)
    refused: tuple[Refusal, ...] = ()
    again: tuple[SentRow, ...] = ()
    """Updates of a record that no longer exists."""
    unsure: tuple[SentRow, ...] = ()
    words: Mapping[int, str] = field(default_factory=dict)
    """What Planhat said of rows in `again`, where it said anything: row → message."""


def judge(rows: Sequence[SentRow], report: BulkReport, match: str | None) -> Verdict:
    """Tell from an answer what became of each row.

    Args:
        rows: What was sent, each key once.
        report: The answer.
        match: The declared match key (`externalId`, `sourceId`, `_id`, `email`); None for keyless rows.
    """
    if not report.errors and report.answered == len(rows):
        updates = len(rows) - operations_of(rows)[Operation.INSERT]
        if updates == 0 or report.created == 0:
            return Verdict(_all_ids(report, match) or _found_ids(rows, report, match))
    return _Inquiry(rows, report, match).verdict(_found_ids(rows, report, match))


def _all_ids(report: BulkReport, match: str | None) -> FoundIds | None:
    """All ids of an answer that adds up, by columns; None if a record lacks its key or id."""
    blocks = []
    for named, created in ((report.inserts, True), (report.updates, False)):
        columns = named.columns(match or "")
        if columns is None:
            return None
        blocks.append((*columns, created))
    return FoundIds(*blocks)


def _found_ids(rows: Sequence[SentRow], report: BulkReport, match: str | None) -> FoundIds:
    """The ids an answer names of rows that were sent: another key would be another batch's, or nobody's."""
    place = _PLACES.get(match or "")
    if place is None:
        return FoundIds()
    sent = {r.key for r in rows}
    return FoundIds.of(
        FoundId(key, record.id, created)
        for keys, created in ((report.inserts, True), (report.updates, False))
        for record in keys
        if (key := record[place]) and record.id and key in sent
    )


_PLACES: Final = {"_id": 0, "externalId": 1, "sourceId": 2, "email": 3}
"""Match key → where `RecordKeys` has it."""


def _key_of(record: RecordKeys, match: str | None) -> str | None:
    place = _PLACES.get(match or "")
    return None if place is None else record[place]


class _Register:
    """The rows of a call, findable by what an answer may name of them."""

    def __init__(self, rows: Sequence[SentRow], match: str | None) -> None:
        self._match = match
        self._by_key = {r.key: r for r in rows}
        self._by_id = {r.planhat_id: r for r in rows if r.planhat_id}

    def find(self, record: RecordKeys) -> SentRow | None:
        key = _key_of(record, self._match)
        if key and (row := self._by_key.get(key)):
            return row
        return self._by_id.get(record.id) if record.id else None

    def all(self, records: Iterable[RecordKeys]) -> dict[int, SentRow]:
        """The rows that are named, each once."""
        return {row.row: row for record in records if (row := self.find(record))}


class _Inquiry:
    """One answer that needs a closer look: something failed, is missing, or was created that should not be."""

    def __init__(self, rows: Sequence[SentRow], report: BulkReport, match: str | None) -> None:
        self._rows = rows
        self._report = report
        register = _Register(rows, match)
        self._created = register.all(report.inserts)
        self._done = self._created | register.all(report.updates)
        self._named: dict[int, tuple[SentRow, RowError]] = {}
        self._nameless: list[RowError] = []
        for error in report.errors:
            row = register.find(error.keys)
            if row is None:
                self._nameless.append(error)
            else:
                self._named.setdefault(row.row, (row, error))

    def verdict(self, ids: FoundIds) -> Verdict:
        suspects = self._suspects()
        again = {n: r for n, r in self._created.items() if r.operation != Operation.INSERT} | suspects
        refused, retried = _refusals([pair for n, pair in self._named.items() if n not in again])
        again |= {r.row: r for r in retried}
        rest = [r for r in self._rows if not (r.row in self._done or r.row in self._named or r.row in again)]
        more, retried, unsure = self._remaining(rest, guessed=bool(suspects))
        again |= {r.row: r for r in retried}
        words = {number: error.message for number, (_, error) in self._named.items()}
        if self._nameless:
            words |= {r.row: _joint(self._nameless).message for r in retried}
        return Verdict(ids, (*refused, *more), tuple(again.values()), tuple(unsure), words)

    def _suspects(self) -> dict[int, SentRow]:
        """Updates that may have made a new record: more were created than there are inserts to account for them.

        To ask again would not show which: what was created once reads as unchanged from then on. Sent whole, none
        of them can stay a part of a record.
        """
        still_open = [r for r in self._rows if not (r.row in self._done or r.row in self._named)]
        inserts = sum(1 for r in still_open if r.operation == Operation.INSERT)
        if self._report.created - len(self._created) <= inserts:
            return {}
        return {r.row: r for r in still_open if r.operation != Operation.INSERT}

    def _remaining(
        self, rest: list[SentRow], *, guessed: bool
    ) -> tuple[list[Refusal], list[SentRow], list[SentRow]]:
        """Judge the rows that nothing names: refused, to be sent whole, unsure. The others passed."""
        report, nameless = self._report, self._nameless
        if guessed:
            adds_up = not nameless and report.answered == len(self._rows)
            return [], [], [] if adds_up else rest
        unnamed_changes = report.created + report.updated - len(self._done)
        if unnamed_changes < 0:  # more is named than counted: nothing can be told from the counts
            return [], [], rest
        if not nameless and len(rest) == report.unchanged + unnamed_changes:
            return [], [], []
        if report.unchanged or unnamed_changes:
            return [], [], rest
        if not nameless:
            return [Refusal(r, "dropped", DROPPED) for r in rest], [], []
        if len(nameless) >= len(rest) and _are_alike(nameless, rest):
            refused, retried = _refusals([(r, _joint(nameless)) for r in rest])
            return refused, retried, []
        return [], [], rest


def _is_permission(error: RowError) -> bool:
    return "permission" in error.kind.lower()


def _are_alike(errors: list[RowError], rows: list[SentRow]) -> bool:
    """Whether it makes no difference which of the rows each error is about."""
    by_key = any(r.operation == Operation.UPDATE and not r.planhat_id for r in rows)
    mixed = len(rows) > 1 and by_key and len({e.kind == _WHILE_CREATING for e in errors}) > 1
    return len({_is_permission(e) for e in errors}) == 1 and not mixed


def _refusals(pairs: Iterable[tuple[SentRow, RowError]]) -> tuple[list[Refusal], list[SentRow]]:
    """Split refused rows into those refused for good and updates whose record may be gone.

    By `_id` any refusal may mean that; by key, one that says Planhat was about to create the record.
    """
    refused: list[Refusal] = []
    again: list[SentRow] = []
    for row, error in pairs:
        permission = _is_permission(error)
        missing = bool(row.planhat_id) or error.kind == _WHILE_CREATING
        if row.operation == Operation.UPDATE and missing and not permission:
            again.append(row)
        else:
            refused.append(Refusal(row, "permission" if permission else "refused", error.message))
    return refused, again


def _joint(errors: list[RowError]) -> RowError:
    """One error that stands for several which do not say whose they are."""
    first = errors[0]
    messages = list(dict.fromkeys(e.message for e in errors))
    if len(messages) == 1:
        return first
    text = f"one of {len(messages)} reasons: " + "; ".join(messages[:5])
    return type(first)(first.kind, text[:500], first.keys, first.raw)
