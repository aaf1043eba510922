"""Whose state this is: a snapshot table made against one tenant says nothing of another (DESIGN §8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planhat_dbt.errors import RefusedError
from planhat_dbt.planhat.endpoint import Fingerprint
from planhat_dbt.state.journal import utc_now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planhat_dbt.planhat import Endpoint
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Session


def check_tenant(session: Session, tables: StateTables, endpoint: Endpoint, syncs: Sequence[str]) -> None:
    """Tie the state of each sync to the tenant it is first sent to, and hold it to that ever after.

    Raises:
        RefusedError: The state of a sync belongs to another tenant.
    """
    known, now = _known(session, tables), endpoint.fingerprint()
    contrary = {s for s in syncs if s in known and known[s].contradicts(now)}
    refuse_foreign_state(session, tables, endpoint, sorted(contrary))
    learnt = [s for s in syncs if s not in known or s in contrary or (now.tenant and not known[s].tenant)]
    if learnt:
        names = ", ".join(tables.dialect.literal(f"tenant:{s}") for s in learnt)
        with session.transaction():
            session.execute(f"delete from {tables.meta} where setting in ({names})")
            rows = [[f"tenant:{s}", str(now), utc_now()] for s in learnt]
            session.insert(tables.meta, ["setting", "value", "updated_at"], rows)


def refuse_foreign_state(
    session: Session, tables: StateTables, endpoint: Endpoint, syncs: Sequence[str]
) -> None:
    """Refuse if the state of one of these syncs, whose snapshot tables stand, belongs to another tenant.

    Raises:
        RefusedError: It does.
    """
    known, now = _known(session, tables), endpoint.fingerprint()
    contrary = [s for s in syncs if s in known and known[s].contradicts(now)]
    # Where nothing was ever accepted there is no state to protect: a wrong host at the first try is corrected freely.
    foreign = [s for s in contrary if session.rows(f"select 1 from {tables.snapshot(s)} limit 1")]
    if foreign:
        more = f" and {len(foreign) - 3} more syncs" if len(foreign) > 3 else ""
        raise RefusedError(
            f"The state of {', '.join(foreign[:3])}{more} was made against another Planhat tenant or host than "
            f"{endpoint.api_host} with this tenant. Nothing was sent.",
            hint="Check PLANHAT_API_URL, PLANHAT_REGION and PLANHAT_TENANT_UUID. To feed another tenant as well, use "
            "another dbt target or another `vars: planhat: schema`.",
        )


def _known(session: Session, tables: StateTables) -> dict[str, Fingerprint]:
    rows = session.rows(f"select setting, value from {tables.meta} where setting like 'tenant:%'")
    return {setting.removeprefix("tenant:"): Fingerprint.parse(value) for setting, value in rows}
