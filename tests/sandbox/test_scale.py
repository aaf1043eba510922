"""It keeps up with big loads: bulk calls, look-ups and pages stay quick when many records are stored."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from planhat_dbt.sandbox import Sandbox
from planhat_dbt.sandbox.bulk import upsert
from planhat_dbt.sandbox.legality import bulk_faults
from planhat_dbt.sandbox.reads import list_records
from planhat_dbt.sandbox.resources import RESOURCES
from planhat_dbt.sandbox.tenant import Tenant

from .conftest import Api

COMPANIES = RESOURCES["companies"]


def batch(number: int) -> list[dict[str, Any]]:
    return [
        {
            "name": f"Company {number}-{row}",
            "externalId": f"ext-{number}-{row}",
            "phase": "Onboarding",
            "status": "customer",
            "country": "SE",
            "tags": ["a", "b"],
            "custom": {"Plan Tier": "gold", "Seats": row},
        }
        for row in range(5_000)
    ]


@pytest.mark.thorough
def test_twenty_full_batches_arrive_and_repeat_as_unchanged(api: Api, sandbox: Sandbox) -> None:
    started = time.perf_counter()
    for number in range(20):
        assert api.counters("/companies", *batch(number)) == (5_000, 0, 0)
    assert api.counters("/companies", *batch(7)) == (0, 0, 5_000)
    # Far from the pace it has on an idle machine, near enough to catch anything that grows with what is stored.
    assert time.perf_counter() - started < 30
    assert len(sandbox.tenant.collections["companies"]) == 100_000


@pytest.mark.thorough
def test_the_cost_of_a_batch_does_not_grow_with_what_is_stored() -> None:
    tenant = Tenant()
    content = [orjson.dumps(batch(number)) for number in range(20)]
    seconds = []
    for body in content:
        started = time.process_time()
        rows = orjson.loads(body)
        assert list(bulk_faults(tenant, COMPANIES, rows)) == []
        assert orjson.dumps(upsert(tenant, COMPANIES, rows).body())
        seconds.append(time.process_time() - started)
    assert sorted(seconds[10:])[5] < 3 * sorted(seconds[:10])[5]


@pytest.mark.thorough
def test_all_pages_of_a_big_list_are_read_in_one_pass() -> None:
    tenant = Tenant()
    for number in range(20):
        upsert(tenant, COMPANIES, batch(number))
    started = time.process_time()
    ids: list[str] = []
    for offset in range(0, 100_000, 1_000):
        query = {"sort": "_id", "limit": "1000", "offset": str(offset), "select": "externalId"}
        ids += [record["_id"] for record in list_records(tenant, COMPANIES, query)]
    assert ids == sorted(tenant.collections["companies"].records)
    assert time.process_time() - started < 10


def test_a_call_on_a_connection_in_use_is_answered_at_once(api: Api) -> None:
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        api.get("/companies")
        seconds.append(time.perf_counter() - started)
    # Nagle's algorithm would hold each answer back for 40 ms, all but the first.
    assert sorted(seconds)[10] < 0.03
