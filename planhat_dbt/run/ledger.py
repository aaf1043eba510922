"""What is known of each sync while a run goes on, and what is made of it at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from planhat_dbt.result import Counts, Status, SyncResult
from planhat_dbt.state.runs import SyncRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from planhat_dbt.declaration.types import Sync
    from planhat_dbt.guards import Refusal
    from planhat_dbt.run.compare_step import Compared, Ready


@dataclass(slots=True)
class Entry:
    """One sync of the run."""

    sync: Sync
    ready: Ready | None = None
    compared: Compared | None = None
    status: Status | None = None
    """How it ended; None while nothing has gone wrong."""
    reason: str = ""
    refusal: Refusal | None = None
    not_due: bool = False
    """Gated because another dbt run builds its model: nothing is wrong."""
    unbuilt: bool = False
    """Not compared: its model was not rebuilt since the sync was last clean."""
    counts: Counts = field(default_factory=Counts)
    removals_begun: bool = False
    seconds_compare: float = 0.0
    seconds_deliver: float = 0.0
    failing: int = 0

    @property
    def removals_left(self) -> bool:
        """Whether planned removals were not even begun, though the plan was let through."""
        refused = self.status is Status.REFUSED
        return bool(self.compared and self.compared.plan.removals and not self.removals_begun and not refused)

    def wake(self) -> None:
        """Let a sync run after all that needed no comparison."""
        if self.unbuilt:
            self.status, self.reason, self.unbuilt = None, "", False

    def balance(self, in_doubt: Callable[[], int]) -> None:
        """Account for every planned row, once (DESIGN §9).

        A sync that was cut off (a failing warehouse, a lost lease) may have sent rows whose outcome could not be
        written: they are unknown, and what it did not come to is held. Anything else that does not add up is a fault
        of ours, and said loudly.

        Args:
            in_doubt: Counts the rows of batches that were begun, and of which nothing was written down.
        """
        if not self.compared or self.status is Status.REFUSED:
            return
        plan = self.compared.plan
        planned = plan.rows_to_send + sum(plan.set_aside.values())
        missing = planned - self.counts.total
        if missing > 0 and self.status in (Status.FAILED, Status.INTERRUPTED):
            unknown = min(in_doubt(), missing)
            self.counts += Counts(held=missing - unknown, unknown=unknown)
        elif missing:
            self.status = Status.FAILED
            self.reason = (
                f"{planned:,} rows were planned, but {self.counts.total:,} are accounted for. This is a fault of "
                "planhat_dbt: please report it. The state is safe; the next run compares anew."
            )

    def conclude(self, *, interrupted: bool) -> None:
        """Give the sync its final word."""
        if self.status is not None:
            return
        if interrupted and (not self.compared or self.counts.held > self.compared.plan.held):
            self.status = Status.INTERRUPTED
        elif not self.compared:
            self.status = Status.FAILED
        elif self.counts.held or self.counts.rejected or self.counts.unknown:
            self.status = Status.PARTIAL
        else:
            self.status = Status.SUCCESS if self.counts.sent else Status.NOTHING_TO_DO

    def result(self, calls: int) -> SyncResult:
        """The sync as a value."""
        return SyncResult(
            sync=self.sync.name,
            model=self.sync.model.name,
            object=self.sync.object.name,
            mode=self.sync.mode.value,
            status=self.status or Status.SUCCESS,
            reason=self.reason,
            plan=self.compared.plan if self.compared else None,
            refusal=self.refusal,
            not_due=self.not_due,
            counts=self.counts,
            calls=calls,
            seconds_compare=self.seconds_compare,
            seconds_deliver=self.seconds_deliver,
            failing=self.failing,
        )

    def row(self) -> SyncRow:
        """The sync as a row of the run log."""
        return SyncRow(
            sync=self.sync.name,
            model=self.sync.model.name,
            object=self.sync.object.name,
            mode=self.sync.mode.value,
            status=(self.status or Status.SUCCESS).value,
            reason=self.reason,
            rows_in_model=self.compared.plan.rows_in_model if self.compared else None,
            counts=self.counts,
            seconds_compare=self.seconds_compare,
            seconds_deliver=self.seconds_deliver,
        )
