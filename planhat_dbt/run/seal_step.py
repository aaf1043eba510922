"""Applying a sealed plan: before the first call every plan must come out as it was sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planhat_dbt import __version__
from planhat_dbt.errors import RefusedError
from planhat_dbt.result import Status
from planhat_dbt.seal import Seal, SealedSync, differences
from planhat_dbt.state.journal import utc_now
from planhat_dbt.state.sealing import count_strays, digest_plan, drop_rows, keep_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planhat_dbt.run.context import Context
    from planhat_dbt.run.ledger import Entry
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Session

_TOLD = 5


def seal_plans(session: Session, tables: StateTables, context: Context, entries: Sequence[Entry]) -> Seal:
    """Seal plans that have just been made."""
    return Seal(
        made_at=utc_now().isoformat(sep=" ", timespec="seconds") + " UTC",
        version=__version__,
        target=context.target,
        syncs=tuple(_sealed(session, tables, entry) for entry in entries),
        resync=tuple(sorted(context.overrides.resync)),
        retry_rejected=context.overrides.retry_rejected,
    )


def check_seal(session: Session, tables: StateTables, entries: Sequence[Entry], seal: Seal) -> None:
    """Compare plans that have just been made with the sealed ones, and keep their rows for the time of the run.

    Raises:
        RefusedError: One of them moved.
    """
    now = {entry.sync.name: _sealed(session, tables, entry) for entry in entries}
    moved = [(s.sync, text) for s in seal.syncs if (text := differences(s, now[s.sync]))]
    if moved:
        told = "; ".join(f"{sync}: {text}" for sync, text in moved[:_TOLD])
        more = f"; and {len(moved) - _TOLD} more syncs" if len(moved) > _TOLD else ""
        raise RefusedError(
            f"The plan sealed at {seal.made_at} is not the plan of now. {told}{more}. Nothing was sent.",
            hint="The models, the mapping or the state moved since. Look at the plan of now and seal it: "
            "planhat-dbt plan --out FILE",
        )
    for entry in entries:
        if entry.compared:
            keep_rows(session, tables, entry.compared.bound, entry.compared.mapping.version)


def check_rows(session: Session, tables: StateTables, entry: Entry) -> None:
    """Refuse a sync whose model moved while the run was under way."""
    if entry.compared is None or entry.status is not None:
        return
    compared = entry.compared
    strays = count_strays(session, tables, compared.bound, compared.mapping.version)
    if strays:
        entry.status = Status.REFUSED
        entry.reason = (
            f"{strays:,} of its rows are not in the sealed plan: the model changed while the run was under way. "
            "Nothing of it was sent."
        )


def forget_seal(session: Session, tables: StateTables, entries: Sequence[Entry]) -> None:
    """Drop what was kept of sealed plans."""
    for entry in entries:
        drop_rows(session, tables, entry.sync.name)


def _sealed(session: Session, tables: StateTables, entry: Entry) -> SealedSync:
    name, compared = entry.sync.name, entry.compared
    if compared is None:
        return SealedSync(name, (entry.status or Status.FAILED).value, {}, "")
    operations = {o.value: n for o, n in compared.plan.operations.items()}
    digest = digest_plan(session, tables, compared.bound, compared.mapping.version)
    return SealedSync(name, (entry.status or Status.SUCCESS).value, operations, digest)
