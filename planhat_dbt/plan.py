"""The plan as a value: how many rows of what will travel, and what is set aside and why. Nothing here acts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Operation(StrEnum):
    """What is done to a record."""

    INSERT = "insert"
    UPDATE = "update"
    CLEAR = "clear"
    DELETE = "delete"


REJECTED_CODES: Final = frozenset(("null_key", "duplicate_key", "bad_value", "missing_required"))
"""Reasons of ours to refuse a row before sending; the row must change."""

TAKEN_OVER: Final = "taken_over"
"""Code of a removal that is not sent: another row of the sync has the record by now."""

NOTED_CODES: Final = frozenset(("existing", "changed_after_insert", TAKEN_OVER))
"""Rows that are left alone: told, and nothing else to be done; no part of the plan's sums."""

WAITING: Final = "waiting"
"""Code of a row that Planhat refused and of which nothing has changed since: it is tried again later."""

READ_BACK_CODES: Final = frozenset(("found", "sent_again"))
"""What became of rows of unknown outcome that Planhat was asked for: told, and no part of the plan's sums."""

HELD_CODES: Final = frozenset(
    ("parent_missing", "lookup_missing", "no_match", "no_id", "same_record", "not_sent")
)
"""Reasons to wait; the next run tries again."""


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One planned row, to be shown."""

    operation: Operation
    key: str
    changes: Mapping[str, tuple[Any, Any]]
    """Field → (old, new); for an insert the old values are None."""


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """The plan of one sync, counted."""

    sync: str
    model: str
    object: str
    mode: str
    rows_in_model: int
    rows_known: int
    """Rows that Planhat is known to hold: those a removal is measured against."""
    operations: Mapping[Operation, int]
    set_aside: Mapping[str, int]
    """Code → rows that are in the plan but not sent."""
    batch_rows: int
    single_calls: bool = False
    """Whether inserts travel one by one, because only then the answer names the new id."""
    to_look_up: int = 0
    """Rows whose record must be found in Planhat before they can be sent; the calls for it come on top."""
    changes_to_look_up: int = 0
    """Those among them that are no removals: how many will really be sent is not known yet."""
    to_read_back: int = 0
    """Rows of unknown outcome that Planhat is asked for before anything is sent; the calls for it come on top."""
    noted: Mapping[str, int] = field(default_factory=dict)
    """Code → rows left alone, events that are too old to be looked at, rows read back."""
    samples: tuple[SampleRow, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    def without(self, taken_over: Mapping[Operation, int]) -> SyncPlan:
        """The plan without removals whose records other rows have by now: they are noted."""
        operations = {o: n - taken_over.get(o, 0) for o, n in self.operations.items()}
        noted = {**self.noted, TAKEN_OVER: sum(taken_over.values())}
        return replace(self, operations=operations, noted=noted)

    def count(self, operation: Operation) -> int:
        """How many rows have this operation."""
        return self.operations.get(operation, 0)

    @property
    def changes(self) -> int:
        """Inserts and updates."""
        return self.count(Operation.INSERT) + self.count(Operation.UPDATE)

    @property
    def removals(self) -> int:
        """Clears and deletes."""
        return self.count(Operation.CLEAR) + self.count(Operation.DELETE)

    @property
    def rows_to_send(self) -> int:
        """All rows with an operation."""
        return self.changes + self.removals

    @property
    def rejected(self) -> int:
        """Rows that our own checks refuse, and rows that Planhat refused and that wait for their next try."""
        return self.waiting + sum(n for code, n in self.set_aside.items() if code in REJECTED_CODES)

    @property
    def waiting(self) -> int:
        """Rows that an earlier run found refused, and that are not tried in this one."""
        return self.set_aside.get(WAITING, 0)

    @property
    def held(self) -> int:
        """Rows that wait for something."""
        return sum(n for code, n in self.set_aside.items() if code in HELD_CODES)

    @property
    def unknown(self) -> int:
        """Rows sent by an earlier run whose outcome was never learnt."""
        return self.set_aside.get("unknown", 0)

    @property
    def calls(self) -> int:
        """The fewest API calls that deliver this plan; more only if bytes or failures force it."""
        if self.single_calls:
            sends = self.count(Operation.INSERT) + _ceil(self.count(Operation.UPDATE), self.batch_rows)
        else:
            sends = _ceil(self.changes, self.batch_rows)
        clears = _ceil(self.count(Operation.CLEAR), self.batch_rows)
        return sends + clears + self.count(Operation.DELETE)


def _ceil(rows: int, size: int) -> int:
    return math.ceil(rows / size)
