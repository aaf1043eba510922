"""Runs against the sandbox where Planhat is not as it was left (DESIGN §5, §9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from core.workbench import Bench
from planhat_dbt.planhat import AccessDeniedError
from planhat_dbt.result import Status
from planhat_dbt.sandbox import Fault, FaultKind, Rules, Sandbox
from planhat_dbt.state.journal import Journal
from planhat_dbt.warehouse.error import WarehouseError

COMPANIES = """
c:
  object: company
  match: {externalId: id}
  on_removed: ON_REMOVED
  max_removals: 100%
  fields: {name: name, phase: phase, city: {column: city, write: on_insert}}
"""


@pytest.fixture
def shop(bench: Bench, sandbox: Sandbox) -> Callable[..., Bench]:
    def start(on_removed: str = "keep", rows: str = "('a', 'A', 'p', 'X'), ('b', 'B', 'p', 'X')") -> Bench:
        bench.declare(COMPANIES.replace("ON_REMOVED", on_removed))
        write(bench, rows)
        return bench

    return start


def write(bench: Bench, rows: str) -> None:
    bench.table("c", f"select * from (values {rows}) t(id, name, phase, city)")


def held(sandbox: Sandbox, key: str, path: str = "companies") -> dict[str, Any]:
    return sandbox.tenant.record(path, externalId=key)


@pytest.mark.parametrize("known", [True, False], ids=["by id", "by key"])
@pytest.mark.parametrize("items", ["string", "object", "object_without_ids"])
def test_a_record_somebody_deleted_is_made_anew_whole(shop, sandbox, known, items):
    sandbox.rules = Rules(error_items=items)
    bench = shop()
    if not known:  # Planhat had both already and names no unchanged row
        rows = [{"externalId": k, "name": k.upper(), "phase": "p", "city": "X"} for k in "ab"]
        sandbox.tenant.seed("companies", rows)
    bench.sync(sandbox)
    assert (bench.snapshot("c")["a"]["_planhat_id"] is not None) == known
    sandbox.tenant.remove("companies", held(sandbox, "a")["_id"])
    write(bench, "('a', 'A2', 'p', 'Y'), ('b', 'B2', 'p', 'Y')")
    before = sandbox.log.total
    result = bench.result(sandbox)
    assert (result.counts.updated, result.counts.total) == (2, 2)
    a = held(sandbox, "a")
    assert (a["name"], a["phase"], a["city"]) == ("A2", "p", "X"), "whole, and as it was first made"
    assert held(sandbox, "b")["city"] == "X", "people own what is written on insert only"
    assert bench.snapshot("c")["a"]["_planhat_id"] == a["_id"]
    assert sandbox.log.total - before <= 3
    assert bench.sync(sandbox).calls == 0


def test_a_person_matched_by_email_whose_record_is_gone_is_made_anew_whole(bench, sandbox):
    company = sandbox.tenant.seed("companies", [{"name": "C", "externalId": "c"}])[0]
    bench.declare("""
p:
  object: enduser
  match: {email: mail}
  fields: {companyId: {company: co}, firstName: f, lastName: l}
""")
    bench.table("p", "select 'a@b' as mail, 'c' as co, 'Ann' as f, 'Lee' as l")
    bench.sync(sandbox)
    sandbox.tenant.remove("endusers", sandbox.tenant.record("endusers", email="a@b")["_id"])
    bench.table("p", "select 'a@b' as mail, 'c' as co, 'Anna' as f, 'Lee' as l")
    assert bench.result(sandbox).counts.updated == 1
    person = sandbox.tenant.record("endusers", email="a@b")
    assert (person["firstName"], person["lastName"], person["companyId"]) == ("Anna", "Lee", company)


def test_a_deleted_record_that_is_to_be_deleted_is_done(shop, sandbox):
    bench = shop("delete")
    bench.sync(sandbox)
    sandbox.tenant.remove("companies", held(sandbox, "a")["_id"])
    write(bench, "('b', 'B', 'p', 'X')")
    assert bench.result(sandbox).counts.deleted == 1
    assert bench.snapshot("c")["a"]["_state"] == "deleted"
    assert bench.sync(sandbox).calls == 0


def test_bad_rows_are_named_and_the_others_go_out(shop, sandbox):
    sandbox.rules = Rules(error_items="string")
    bench = shop()
    bench.table(
        "c",
        "select i::varchar as id, 'n' as name, 'p' as phase, 'x' as city, "
        "case when i in (7, 500, 1999) then 9 else 3 end as score from range(2000) t(i)",
    )
    bench.declare(
        COMPANIES.replace("ON_REMOVED", "keep").replace("phase: phase", "phase: phase, csmScore: score")
    )
    result = bench.result(sandbox)
    assert (result.counts.inserted, result.counts.rejected) == (1997, 3)
    assert set(bench.failures()) == {"7", "500", "1999"}
    assert result.failing == 3
    assert result.calls == 1, "whoever is not named is refused: all others are"


def test_a_token_that_stops_working_ends_the_run_and_nothing_is_sent_twice(shop, sandbox):
    bench = shop()
    sandbox.faults.add(Fault.token_revoked())
    found = bench.sync(sandbox)
    assert isinstance(found.stopped_by, AccessDeniedError)
    assert (found.status, found.exit_code, found.totals.held) == (Status.FAILED, 1, 2)
    sandbox.faults.clear()
    assert bench.result(sandbox).counts.inserted == 2


def test_a_fault_in_the_middle_leaves_the_rest_for_the_next_run(tmp_path, sandbox):
    bench = Bench(tmp_path, settings={"batch_rows": 2})
    bench.declare(COMPANIES.replace("ON_REMOVED", "keep"))
    write(bench, ", ".join(f"('{i}', 'n', 'p', 'x')" for i in range(20)))
    sandbox.faults.add(Fault(kind=FaultKind.STATUS, path="/companies", status=503, skip=2, count=None))
    one = bench.result(sandbox)
    assert (one.status, one.counts.inserted) == (Status.FAILED, 4)
    assert one.counts.total == 20
    sandbox.faults.clear()
    assert bench.result(sandbox).counts.sent == 16
    assert len(sandbox.tenant.records("companies")) == 20
    assert not sandbox.violations


def test_calls_whose_window_could_not_be_recorded_are_in_the_log(bench, sandbox, monkeypatch):
    bench.settings = bench.settings.model_copy(update={"batch_rows": 2})
    bench.declare(COMPANIES.replace("ON_REMOVED", "keep"))
    write(bench, ", ".join(f"('{i}', 'A', 'p', 'X')" for i in range(10)))
    windows, record = [], Journal.record

    def failing(self: Journal, *given: Any, **more: Any) -> bool:
        windows.append(given)
        if len(windows) > 1:
            raise WarehouseError("the disk is full")
        return record(self, *given, **more)

    monkeypatch.setattr(Journal, "record", failing)
    result = bench.result(sandbox)
    assert result.status is Status.FAILED
    assert len(windows) > 1
    logged = bench.one("select count(*) as n from planhat_sync.requests where method = 'PUT'")
    assert logged == sum(call.method == "PUT" for call in sandbox.log.calls)
    counts = result.counts
    assert counts.total == 10
    unrecorded = bench.one("select sum(\"rows\") as n from planhat_sync.batches where state = 'sending'")
    assert counts.unknown == unrecorded
