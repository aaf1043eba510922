"""Planhat: is there a token, does Planhat know it, do the clocks agree."""

from __future__ import annotations

import datetime as dt
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from planhat_dbt.planhat import ClientSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from planhat_dbt.declaration.types import Sync
    from planhat_dbt.doctor.finding import Findings
    from planhat_dbt.planhat import Answer, Endpoint

_NOBODY: Final = "extid-planhat-dbt-doctor"
"""A company that nobody has: the answer says that the token is known, and costs a single read."""
_SKEW: Final = 30
"""Seconds that clocks may differ."""
_IMPATIENT: Final = ClientSettings(read_timeout=15, connect_timeout=5, max_tries=2, max_wait=5)


def check_tenant_uuid(found: Findings, endpoint: Endpoint | None, syncs: Sequence[Sync]) -> None:
    """See that the tenant is known, if one of the syncs needs it."""
    if endpoint and any(s.object.is_event for s in syncs):
        found.attempt("tenant uuid", endpoint.require_tenant)


def check_planhat(found: Findings, endpoint: Endpoint | None, *, offline: bool) -> None:
    """Make one call that reads, and look at its answer."""
    if offline:
        found.skip("planhat", "not asked (--offline)")
        return
    if endpoint is None:
        found.skip("planhat", "not asked: the environment does not say where it is or who we are, see above")
        return
    answer = found.attempt("planhat", lambda: _ask(endpoint))
    if answer is None:
        return
    if answer.status in (200, 404):
        found.ok("planhat", f"{endpoint.api_host} knows the token, answered in {answer.milliseconds} ms")
    else:
        text = f"{endpoint.api_host} answered {answer.status} to a read of one company"
        found.warn("planhat", text, "Check the rights of the token's Service Account.")
    _check_clock(found, answer.headers)


def _ask(endpoint: Endpoint) -> Answer:
    from planhat_dbt.planhat import PlanhatClient  # noqa: PLC0415 - httpx, only when a call is made

    with PlanhatClient(endpoint, _IMPATIENT) as client:
        return client.get("/companies", _NOBODY)


def _check_clock(found: Findings, headers: Mapping[str, str]) -> None:
    try:
        theirs = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        found.skip("clock", "Planhat's answer has no date")
        return
    theirs = theirs if theirs.tzinfo else theirs.replace(tzinfo=dt.UTC)  # `-0000` is UTC of an unknown zone
    ahead = round((dt.datetime.now(dt.UTC) - theirs).total_seconds())
    if abs(ahead) > _SKEW:
        which = "ahead of" if ahead > 0 else "behind"
        text = f"this machine's clock is {abs(ahead):,} s {which} Planhat's"
        found.warn("clock", text, "Set it: lookbacks, leases and read-back of metrics count on it.")
    else:
        found.ok("clock", "agrees with Planhat's")
