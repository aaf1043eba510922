"""What the steps of a run share: where it reads and writes, and through which client it calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from planhat_dbt.deliver.courier import Calls, Limits
from planhat_dbt.run.custom_step import Known

if TYPE_CHECKING:
    from collections.abc import Callable

    from planhat_dbt.run.context import Context
    from planhat_dbt.state.journal import Journal
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.state.lease import Lease
    from planhat_dbt.state.lookups import Lookups
    from planhat_dbt.state.runs import RequestRow, RunLog


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything a delivery needs besides the plan itself."""

    context: Context
    tables: StateTables
    journal: Journal
    log: RunLog
    lease: Lease
    calls: Calls
    take_requests: Callable[[int | None], list[RequestRow]]
    """Hands over the calls not written down yet: up to a batch, or all (None)."""
    put_back_requests: Callable[[list[RequestRow]], None]
    """Takes them back where they could not be written."""
    enter_batch: Callable[[str, int | None], None]
    """Says which batch the next calls belong to."""
    stopping: Callable[[], bool]
    """Whether the run has been asked to end."""
    pause: Callable[[float], object]
    """Waits so many seconds, less if the run is asked to end."""
    give_back: Callable[[], object]
    """Lets others have the warehouse's file, if what is waited for takes its time."""
    lookups: Lookups
    listed: set[tuple[str, str]] = field(default_factory=set)
    """Objects whose list was read to its end in this run, and by which key."""
    touched: set[str] = field(default_factory=set)
    """Objects that syncs of this run have changed since they were last looked up."""
    custom: Known = field(default_factory=Known)
    """What this run knows of the tenant's custom fields."""

    @property
    def limits(self) -> Limits:
        """How much one call may carry."""
        return Limits(self.context.settings.batch_rows, self.context.settings.batch_bytes)
