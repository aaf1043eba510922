"""Whose state it is: what differs is told as far as it is known."""

from __future__ import annotations

import pytest

from core.workbench import Bench
from planhat_dbt.errors import RefusedError
from planhat_dbt.planhat import Endpoint
from planhat_dbt.state.layout import ensure_tables, existing_tables
from planhat_dbt.state.tenant import check_tenant

HOST, OTHER_HOST = "https://api.planhat.com", "https://api-us1.planhat.com"


def endpoint(url: str, tenant: str = "") -> Endpoint:
    return Endpoint.from_env(
        {"PLANHAT_API_URL": url, "PLANHAT_API_TOKEN": "t", "PLANHAT_TENANT_UUID": tenant}
    )


@pytest.mark.parametrize(
    ("before", "now", "told", "check"),
    [
        ((HOST, "a"), (HOST, "b"), "another Planhat tenant than that of PLANHAT_TENANT_UUID, at the same host",
         "Check PLANHAT_TENANT_UUID."),
        ((OTHER_HOST, ""), (HOST, "b"), "another Planhat host than api.planhat.com.", "Check PLANHAT_API_URL and"),
        ((OTHER_HOST, "b"), (HOST, "b"), "host than api.planhat.com, with the same tenant", "PLANHAT_REGION."),
        ((OTHER_HOST, "a"), (HOST, "b"), "host than api.planhat.com, and another tenant", "PLANHAT_TENANT_UUID."),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("syncs", "named"), [(1, "s0 was"), (3, "s0, s1, s2 was"), (4, "and 1 more sync was"),
                                              (5, "and 2 more syncs was")])  # fmt: skip
def test_what_differs_is_told(bench: Bench, before, now, told, check, syncs, named):
    names = [f"s{i}" for i in range(syncs)]
    with bench.session() as session:
        ensure_tables(session, bench.tables, existing_tables(session, bench.tables))
        for name in names:
            session.execute(f"create table {bench.tables.snapshot(name)} as select 1 as _key")
        check_tenant(session, bench.tables, endpoint(*before), names)
        with pytest.raises(RefusedError) as caught:
            check_tenant(session, bench.tables, endpoint(*now), names)
    assert told in caught.value.message
    assert named in caught.value.message
    assert check in caught.value.hint
