"""Guards: a plan that removes or changes more than its declaration allows is refused before any call (DESIGN §8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from planhat_dbt.declaration.types import Limit, Sync
    from planhat_dbt.plan import SyncPlan

ALWAYS_ALLOWED_REMOVALS: Final = 10
"""So many removals are below any share; a limit given as a count holds from the first row (DESIGN §15)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a plan is not delivered; the numbers, and the word that allows it once."""

    sync: str
    what: str
    """`removals` or `changes`."""
    rows: int
    of: int
    limit: str
    reason: str
    keys: tuple[str, ...] = ()
    """A few of the rows it is about."""
    condition: str = "If this is right"
    """When it may be allowed."""

    @property
    def allow_option(self) -> str:
        """The option that lets it through once."""
        return f"--allow-{self.what} {self.sync}"

    def __str__(self) -> str:
        keys = f" Among them: {', '.join(repr(k)[1:-1][:60] for k in self.keys)}." if self.keys else ""
        allow = f"{self.condition}, allow it once: planhat-dbt sync {self.allow_option}"
        return f"{self.reason}{keys} Nothing was sent. {allow}"


def check_plan(
    sync: Sync,
    plan: SyncPlan,
    *,
    allow_removals: bool = False,
    allow_changes: bool = False,
    left_behind: str = "",
) -> Refusal | None:
    """Measure a plan against the sync's limits; None if it may go out.

    Args:
        sync: The sync.
        plan: Its plan.
        allow_removals: Whether removals beyond the limit are allowed.
        allow_changes: Whether changes beyond the limit are allowed.
        left_behind: The name under which these rows seem to have been sent before.
    """
    if not allow_removals and (refusal := _removals(sync, plan)):
        return refusal
    if not allow_changes and (refusal := _sent_before(plan, left_behind) or _changes(sync, plan)):
        return refusal
    return None


def _sent_before(plan: SyncPlan, left_behind: str) -> Refusal | None:
    if not left_behind or not plan.changes:
        return None
    reason = (
        f"{plan.sync} has sent nothing yet. {left_behind}, which no declaration names any more, has fed {plan.object}: "
        f"if it was renamed, what it sent would be sent a second time (planned: {plan.changes:,}). "
        f"To go on with its state, add `previous_name: {left_behind}` to the declaration of {plan.sync}."
    )
    return Refusal(
        plan.sync,
        "changes",
        plan.changes,
        0,
        "nothing that was sent under another name",
        reason,
        condition="If Planhat has none of these rows",
    )


def _removals(sync: Sync, plan: SyncPlan) -> Refusal | None:
    rows, known = plan.removals, plan.rows_known
    if not rows:
        return None
    if plan.rows_in_model == 0:
        reason = f"The model {plan.model} is empty: all {rows:,} rows known to Planhat would be removed."
        return Refusal(plan.sync, "removals", rows, known, "an empty model removes nothing", reason)
    limit = sync.max_removals
    if limit.count is None and rows <= ALWAYS_ALLOWED_REMOVALS:
        return None
    if not _exceeds(limit, rows, known):
        return None
    reason = f"{_share(rows, known)} would be removed; the limit is max_removals: {limit}."
    return Refusal(plan.sync, "removals", rows, known, str(limit), reason)


def _changes(sync: Sync, plan: SyncPlan) -> Refusal | None:
    limit, known = sync.max_changes, plan.rows_known
    rows = plan.changes - plan.changes_to_look_up  # of these nobody knows yet how many will be sent
    first_load = known == 0
    if limit is None or first_load or not _exceeds(limit, rows, known):
        return None
    reason = f"{_share(rows, known)} would be inserted or updated; the limit is max_changes: {limit}."
    return Refusal(plan.sync, "changes", rows, known, str(limit), reason)


def _exceeds(limit: Limit, rows: int, known: int) -> bool:
    if limit.count is not None:
        return rows > limit.count
    return rows > (limit.share or 0.0) * known


def _share(rows: int, known: int) -> str:
    share = f"{rows / known:.1%}" if known else "all"
    return f"{rows:,} of {known:,} rows ({share})"
