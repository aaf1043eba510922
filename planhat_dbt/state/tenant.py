"""Whose state this is: a snapshot table made against one tenant says nothing of another (DESIGN §8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planhat_dbt.errors import RefusedError
from planhat_dbt.planhat.endpoint import Fingerprint
from planhat_dbt.state.journal import utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from planhat_dbt.planhat import Endpoint
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Session


def check_tenant(session: Session, tables: StateTables, endpoint: Endpoint, syncs: Sequence[str]) -> None:
    """Tie the state of each sync to the tenant it is first sent to, and hold it to that ever after.

    Raises:
        RefusedError: The state of a sync belongs to another tenant.
    """
    known, now = _known(session, tables), endpoint.fingerprint()
    contrary = [s for s in syncs if s in known and known[s].contradicts(now)]
    _refuse_contrary(session, tables, endpoint, known, sorted(contrary))
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
    _refuse_contrary(session, tables, endpoint, known, contrary)


def _refuse_contrary(
    session: Session,
    tables: StateTables,
    endpoint: Endpoint,
    known: Mapping[str, Fingerprint],
    contrary: Sequence[str],
) -> None:
    # Where nothing was ever accepted there is no state to protect: a wrong host at the first try is corrected freely.
    foreign = [s for s in contrary if session.rows(f"select 1 from {tables.snapshot(s)} limit 1")]
    if foreign:
        told = [known[s] for s in foreign]
        other, variables = _difference(told, endpoint.fingerprint(), endpoint.api_host)
        raise RefusedError(
            f"The state of {_listed(foreign)} was made against {other}. Nothing was sent.",
            hint=f"Check {variables}. To feed another tenant as well, use another dbt target or another "
            "`vars: planhat: schema`.",
        )


def _listed(syncs: Sequence[str]) -> str:
    more = len(syncs) - 3
    return ", ".join(syncs[:3]) + (f" and {more} more sync{'' if more == 1 else 's'}" if more > 0 else "")


def _difference(known: Sequence[Fingerprint], now: Fingerprint, host: str) -> tuple[str, str]:
    """Say what of a fingerprint is another one, as far as that is known, and which variables set it."""
    if all(k.host == now.host for k in known):
        other = f"another Planhat tenant than that of PLANHAT_TENANT_UUID, at the same host {host}"
        return other, "PLANHAT_TENANT_UUID"
    other, variables = f"another Planhat host than {host}", "PLANHAT_API_URL and PLANHAT_REGION"
    if any(k.tenant and now.tenant and k.tenant != now.tenant for k in known):
        return f"{other}, and another tenant", "PLANHAT_API_URL, PLANHAT_REGION and PLANHAT_TENANT_UUID"
    if all(k.tenant and k.tenant == now.tenant for k in known):
        return f"{other}, with the same tenant", variables
    return other, variables


def _known(session: Session, tables: StateTables) -> dict[str, Fingerprint]:
    rows = session.rows(f"select setting, value from {tables.meta} where setting like 'tenant:%'")
    return {setting.removeprefix("tenant:"): Fingerprint.parse(value) for setting, value in rows}
