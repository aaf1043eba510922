"""What a run did, as values: for the screen, for `planhat_results.json`, and for the exit code (DESIGN §10, §15)."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - part of the values
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from planhat_dbt.errors import PlanhatDbtError
    from planhat_dbt.guards import Refusal
    from planhat_dbt.plan import SyncPlan


class Status(StrEnum):
    """How a sync or a run ended."""

    SUCCESS = "success"
    NOTHING_TO_DO = "nothing_to_do"
    PARTIAL = "partial"
    FAILED = "failed"
    GATED = "gated"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by what became of them; together they are the rows of the plan (DESIGN §15)."""

    inserted: int = 0
    updated: int = 0
    cleared: int = 0
    deleted: int = 0
    held: int = 0
    rejected: int = 0
    unknown: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(self.values(), other.values(), strict=True)))

    def values(self) -> tuple[int, ...]:
        """In the order of the columns."""
        return tuple(asdict(self).values())

    @property
    def sent(self) -> int:
        """Rows that Planhat accepted."""
        return self.inserted + self.updated + self.cleared + self.deleted

    @property
    def total(self) -> int:
        """All rows of the plan."""
        return sum(self.values())


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What became of one sync."""

    sync: str
    model: str
    object: str
    mode: str
    status: Status
    reason: str = ""
    plan: SyncPlan | None = None
    refusal: Refusal | None = None
    not_due: bool = False
    """Gated because another dbt run builds its model; does not change the exit code."""
    counts: Counts = field(default_factory=Counts)
    calls: int = 0
    seconds_compare: float = 0.0
    seconds_deliver: float = 0.0
    failing: int = 0
    """Rejected and unknown rows that stand in `failures` after the run."""

    @property
    def failing_before(self) -> int:
        """Those of them that earlier runs left, where no count of this run tells of any."""
        return 0 if self.counts.rejected or self.counts.unknown else self.failing


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run did."""

    run_id: str
    invocation_id: str
    target: str
    command: str
    started_at: dt.datetime
    finished_at: dt.datetime
    results: tuple[SyncResult, ...]
    calls: int = 0
    bytes_sent: int = 0
    interrupted: bool = False
    stopped_by: PlanhatDbtError | None = field(default=None, compare=False)
    """What ended the run before its end."""

    @property
    def totals(self) -> Counts:
        """Rows of all syncs."""
        return sum((r.counts for r in self.results), Counts())

    @property
    def status(self) -> Status:
        """The run in one word."""
        found = {r.status for r in self.results}
        if self.interrupted:
            return Status.INTERRUPTED
        if self.stopped_by or found == {Status.FAILED}:
            return Status.FAILED
        if found & {Status.FAILED, Status.PARTIAL}:
            return Status.PARTIAL
        for word in (Status.REFUSED, Status.GATED, Status.SUCCESS):
            if word in found:
                return word
        return Status.NOTHING_TO_DO

    @property
    def exit_code(self) -> int:
        """1 where rows or syncs failed, else 3 where a guard or the gate said no, else 0."""
        if self.stopped_by or any(r.status is Status.FAILED or r.failing for r in self.results):
            return self.stopped_by.exit_code if self.stopped_by else 1
        if any(r.status in (Status.REFUSED, Status.GATED) and not r.not_due for r in self.results):
            return 3
        return 0
