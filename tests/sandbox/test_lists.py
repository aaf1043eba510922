"""Lists: pages, order, selection, filters, what they hide, the lean company list (planhat-api §4, §7, §12)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from planhat_dbt.sandbox import Sandbox

from .conftest import Api


def seed(sandbox: Sandbox, count: int) -> list[str]:
    return sandbox.tenant.seed(
        "companies", [{"name": f"C{i:04}", "externalId": str(i)} for i in range(count)]
    )


@pytest.mark.parametrize(
    ("path", "default", "most"),
    [
        ("companies", 100, 5_000),
        ("endusers", 100, 2_000),
        ("conversations", 30, 2_000),
        ("tasks", 500, 10_000),
    ],
)
def test_pages_have_a_default_and_a_silent_maximum(
    api: Api, sandbox: Sandbox, path: str, default: int, most: int
) -> None:
    sandbox.tenant.seed(path, [{"sourceId": str(i)} for i in range(most + 1)])
    assert len(api.get(f"/{path}")) == default
    assert len(api.get(f"/{path}", limit=most * 2)) == most
    assert len(api.get(f"/{path}", limit=7)) == 7


def test_pages_by_id_cover_all_records_once_even_while_records_come_and_go(
    api: Api, sandbox: Sandbox
) -> None:
    ids = seed(sandbox, 25)
    pages = [api.get("/companies", sort="_id", limit=10, offset=offset) for offset in (0, 10, 20, 30)]
    assert [len(page) for page in pages] == [10, 10, 5, 0]
    assert [record["_id"] for page in pages for record in page] == sorted(ids)
    sandbox.tenant.remove("companies", ids[0])
    seen = [record["_id"] for record in api.get("/companies", sort="_id", limit=10)]
    assert seen == sorted(ids)[1:11]
    assert [record["_id"] for record in api.get("/companies", sort="-_id", limit=2)] == sorted(ids)[:-3:-1]


def test_without_sort_the_order_is_not_that_of_ids(api: Api, sandbox: Sandbox) -> None:
    ids = seed(sandbox, 3)
    assert [record["_id"] for record in api.get("/companies")] != sorted(ids)


@pytest.mark.parametrize(("sort", "order"), [("h", [None, 1, 2, 10]), ("-h", [10, 2, 1, None])])
def test_sort_by_a_property(api: Api, sandbox: Sandbox, sort: str, order: list[int | None]) -> None:
    rows: list[dict[str, Any]] = [
        {"name": "A", "h": 10},
        {"name": "B"},
        {"name": "C", "h": 1},
        {"name": "D", "h": 2},
    ]
    sandbox.tenant.seed("companies", rows)
    assert [record.get("h") for record in api.get("/companies", sort=sort, select="h")] == order


def test_select_always_brings_the_id(api: Api) -> None:
    company = api.company(phase="x", custom={"Plan Tier": "gold", "Seats": 3})
    assert api.get("/companies", select="phase,custom.Plan Tier,nonsense") == [
        {"_id": company, "phase": "x", "custom": {"Plan Tier": "gold"}}
    ]


@pytest.mark.parametrize("select", ["phase,name", "phase, name", " phase ,name,"])
def test_select_takes_blanks_around_its_commas(api: Api, select: str) -> None:
    company = api.company(phase="x")
    assert api.get("/companies", select=select) == [{"_id": company, "phase": "x", "name": "Company c-1"}]


def test_a_company_list_without_select_is_reduced(api: Api) -> None:
    company = api.company(custom={"Plan": "gold"}, country="SE")
    assert api.get("/companies")[0].keys().isdisjoint({"custom", "country"})
    assert api.get(f"/companies/{company}")["country"] == "SE"


def test_owners_and_roles_are_ids_on_a_record_and_objects_in_a_list(api: Api, sandbox: Sandbox) -> None:
    owner = sandbox.tenant.seed("users", [{"nickName": "mia", "email": "m@x.test", "roles": ["a" * 24]}])[0]
    company = api.company(owner=owner)
    assert api.get(f"/companies/{company}")["owner"] == owner
    assert api.get("/companies")[0]["owner"] == {"_id": owner, "nickName": "mia"}
    assert api.get(f"/users/{owner}")["roles"] == ["a" * 24]
    assert api.get("/users")[0]["roles"][0]["_id"] == "a" * 24


def test_company_filter_and_company_name(api: Api, sandbox: Sandbox) -> None:
    companies = [api.company(f"c-{n}") for n in range(3)]
    sandbox.tenant.seed(
        "invoices", [{"extId": f"i-{n}", "cId": company} for n, company in enumerate(companies)]
    )
    sandbox.tenant.seed("issues", [{"title": "x", "companyIds": companies[:2]}, {"title": "y"}])
    found = api.get("/invoices", companyId=",".join(companies[:2]), sort="_id")
    assert [(record["extId"], record["cName"]) for record in found] == [
        ("i-0", "Company c-0"),
        ("i-1", "Company c-1"),
    ]
    assert [record["title"] for record in api.get("/issues", companyId=companies[1])] == ["x"]
    assert len(api.get("/companies", companyId=companies[1])) == 3


@pytest.mark.parametrize(
    ("path", "flag"), [("endusers", "archived"), ("tasks", "isArchived")]
)  # fmt: skip
def test_archived_records_are_hidden_unless_asked_for(
    api: Api, sandbox: Sandbox, path: str, flag: str
) -> None:
    sandbox.tenant.seed(path, [{"sourceId": "here"}, {"sourceId": "gone", flag: True}])
    names = lambda **query: sorted(record["sourceId"] for record in api.get(f"/{path}", **query))  # noqa: E731
    assert names() == ["here"]
    assert names(**{flag: "true"}) == ["gone", "here"]
    sandbox.rules = replace(sandbox.rules, archived_filter="only")
    assert names(**{flag: "true"}) == ["gone"]


def test_old_nps_answers_are_hidden(api: Api, sandbox: Sandbox) -> None:
    ages = (10, 359, 361, 800)
    moments = [(datetime.now(UTC) - timedelta(days=age)).isoformat() for age in ages]
    sandbox.tenant.seed(
        "nps", [{"email": "a@b.test", "score": n, "dateAnswered": m} for n, m in enumerate(moments)]
    )
    assert len(api.get("/nps")) == 2
    assert len(api.get("/nps", npsExpiryDay=700)) == 3
    assert len(api.get("/nps", npsExpiryDay=100_000)) == 4


@pytest.mark.parametrize(
    ("path", "rows", "query", "found"),
    [
        ("endusers", [{"email": "a@b.test"}, {"email": "c@b.test"}], {"email": "c@b.test"}, [1]),
        ("users", [{"email": "a@b.test"}, {"email": "c@b.test"}], {"email": "a@b.test"}, [0]),
        ("tickets", [{"status": "open"}, {"status": "closed"}], {"status": "closed"}, [1]),
        ("tickets", [{"title": "Login broken"}, {"title": "Slow"}], {"search": "login"}, [0]),
        ("churn", [{"churnDate": "2026-01-01"}, {"churnDate": "2026-06-01"}], {"from": "2026-02-01"}, [1]),
        ("churn", [{"churnDate": "2026-01-01"}, {"churnDate": "2026-06-01"}], {"to": "2026-02-01"}, [0]),
        ("tasks", [{"endusers": [{"id": "e" * 24}]}, {"action": "x"}], {"enduserIds": "e" * 24}, [0]),
    ],
)
def test_filters_of_single_models(
    api: Api, sandbox: Sandbox, path: str, rows: list[Any], query: dict[str, str], found: list[int]
) -> None:
    ids = sandbox.tenant.seed(path, rows)
    assert [record["_id"] for record in api.get(f"/{path}", **query)] == [ids[index] for index in found]


def test_enduser_by_its_id(api: Api, sandbox: Sandbox) -> None:
    ids = sandbox.tenant.seed("endusers", [{"email": "a@b.test"}, {"email": "c@b.test"}])
    assert [record["email"] for record in api.get("/endusers", euId=ids[1])] == ["c@b.test"]


@pytest.mark.parametrize("query", [{"limit": "all"}, {"offset": "-1"}])
def test_bad_paging_is_refused(api: Api, query: dict[str, str]) -> None:
    assert api.http.get("/companies", params=query).status_code == 400


def test_lean_companies_are_not_paged_and_leave_out_missing_keys(api: Api, sandbox: Sandbox) -> None:
    seed(sandbox, 6_000)
    sandbox.tenant.seed("companies", [{"name": "Lead", "sourceId": "crm-1", "status": "canceled"}])
    everything = api.get("/leancompanies")
    assert len(everything) == 6_001
    lead = {
        "_id": sandbox.tenant.record("companies", sourceId="crm-1")["_id"],
        "name": "Lead",
        "sourceId": "crm-1",
    }
    assert api.get("/leancompanies", sourceId="crm-1") == [lead]
    assert api.get("/leancompanies", status="canceled,lost") == [lead]
    assert [record["name"] for record in api.get("/leancompanies", externalId="17")] == ["C0017"]
    assert api.get("/leancompanies", externalId="none") == []


def test_reads_can_lag_behind_writes(api: Api, sandbox: Sandbox) -> None:
    sandbox.rules = replace(sandbox.rules, read_delay=0.2)
    api.bulk("/companies", {"name": "A", "externalId": "a"})
    assert (api.get("/companies"), api.get("/leancompanies")) == ([], [])
    assert api.http.get("/companies/extid-a").status_code == 404
    assert api.counters("/companies", {"externalId": "a", "name": "A"}) == (0, 0, 1)
    deadline = datetime.now(UTC) + timedelta(seconds=5)
    while not api.get("/companies") and datetime.now(UTC) < deadline:
        pass
    assert api.http.get("/companies/extid-a").status_code == 200


def test_a_list_read_twice_shows_what_changed_between(api: Api, sandbox: Sandbox) -> None:
    company = api.company()
    assert api.get("/companies", sort="_id")[0]["name"] == "Company c-1"
    sandbox.tenant.edit("companies", company, name="Renamed")
    assert api.get("/companies", sort="_id")[0]["name"] == "Renamed"
