"""What became of a batch and of each of its rows."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - part of the values
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, overload

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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


class FoundIds(Sequence[FoundId]):
    """Ids that answers named, kept in columns: an answer names thousands, and they go to the warehouse as columns."""

    __slots__ = ("blocks",)

    def __init__(self, *blocks: tuple[Sequence[str], Sequence[str], bool]) -> None:
        """Gather blocks of keys, of their ids, and whether these records were created."""
        self.blocks = tuple(block for block in blocks if block[0])

    @classmethod
    def of(cls, ids: Iterable[FoundId]) -> FoundIds:
        """Gather single ids."""
        found = list(ids)
        parts = ([i for i in found if i.created is created] for created in (True, False))
        return cls(*(([i.key for i in p], [i.planhat_id for i in p], p[0].created) for p in parts if p))

    def __len__(self) -> int:
        return sum(len(keys) for keys, _, _ in self.blocks)

    def __iter__(self) -> Iterator[FoundId]:
        for keys, ids, created in self.blocks:
            for key, planhat_id in zip(keys, ids, strict=True):
                yield FoundId(key, planhat_id, created)

    @overload
    def __getitem__(self, index: int) -> FoundId: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[FoundId]: ...
    def __getitem__(self, index: int | slice) -> FoundId | Sequence[FoundId]:
        return tuple(self)[index]

    def __add__(self, other: FoundIds) -> FoundIds:
        return FoundIds(*self.blocks, *other.blocks)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"FoundIds({len(self)})"


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
    ids: FoundIds = field(default_factory=FoundIds)
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
