"""What became of a batch and of each of its rows."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - part of the values
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from planhat_dbt.errors import PlanhatDbtError


class RowStatus(StrEnum):
    """How a row that was planned ended."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    HELD = "held"
    UNKNOWN = "unknown"


class BatchState(StrEnum):
    """How a batch stands in the journal (DESIGN §6)."""

    PLANNED = "planned"
    SENDING = "sending"
    ACCEPTED = "accepted"
    PARTIAL = "partial"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class RowOutcome(NamedTuple):
    """A row that was not accepted, and why."""

    row: int
    key: str
    operation: str
    status: RowStatus
    code: str
    message: str


class FoundId(NamedTuple):
    """The Planhat id of a row, as an answer named it."""

    key: str
    planhat_id: str
    created: bool


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """One batch of the plan after its call or calls. Rows that are not listed were accepted."""

    batch: int
    rows: int
    bytes: int = 0
    calls: int = 0
    http_status: int | None = None
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    sent_at: dt.datetime | None = None
    answered_at: dt.datetime | None = None
    ids: tuple[FoundId, ...] = ()
    exceptions: tuple[RowOutcome, ...] = ()
    again: tuple[int, ...] = ()
    """Rows whose record is gone: to be sent whole in the same run."""
    error: str = ""
    stop: PlanhatDbtError | None = field(default=None, compare=False)
    """Why nothing more of this sync, or of this run, can be sent."""

    @property
    def accepted(self) -> int:
        """Rows that Planhat now holds as we sent them."""
        return self.rows - len(self.exceptions) - len(self.again)

    @property
    def failed_call(self) -> bool:
        """Whether a call brought no usable answer (the breaker counts these)."""
        return any(e.code in ("not_sent", "unknown_outcome") for e in self.exceptions)

    @property
    def state(self) -> BatchState:
        """The journal's word for it."""
        statuses = {e.status for e in self.exceptions}
        if RowStatus.UNKNOWN in statuses:
            return BatchState.UNKNOWN
        if not self.exceptions:
            return BatchState.ACCEPTED
        if self.accepted:
            return BatchState.PARTIAL
        if statuses == {RowStatus.HELD}:
            return BatchState.PLANNED
        return BatchState.REJECTED
