"""The sandbox as `cruds` sees it: a Planhat client by others, on urllib3, with bulk calls and tracking calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cruds.interfaces.planhat import Planhat, logic
from cruds.interfaces.planhat.exception import PlanhatUpsertError
from urllib3.exceptions import HTTPError

from planhat_dbt.sandbox import Fault, FaultKind, Rules, Sandbox

from .test_bulk import MINIMUM

# The client's name of a model → the path of it.
MODELS = {
    "asset": "assets",
    "campaign": "campaigns",
    "churn": "churn",
    "company": "companies",
    "conversation": "conversations",
    "enduser": "endusers",
    "invoice": "invoices",
    "issue": "issues",
    "license": "licenses",
    "note": "conversations",
    "nps": "nps",
    "objective": "objectives",
    "opportunity": "opportunities",
    "project": "projects",
    "sale": "sales",
    "task": "tasks",
    "ticket": "tickets",
    "user": "users",
    "workspace": "workspaces",
}


@pytest.fixture
def connect(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    monkeypatch.setattr(logic, "PLANHAT_API_HOST", sandbox.url)
    monkeypatch.setattr(logic, "PLANHAT_ANALYTICS_HOST", sandbox.url)
    clients: list[Any] = []

    def connect(token: Any = sandbox.token, *, retries: int = 0) -> Any:
        options = {"retries": retries, "backoff_factor": 0, "timeout": 10}
        client = Planhat(api_token=token, tenant_token=sandbox.tenant_uuid, **options)
        client._delay = 0  # It waits at least 0.3 seconds between two pages or chunks.
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.client.manager.clear()
        client.client_analytics.manager.clear()


@pytest.fixture
def planhat(connect: Callable[..., Any]) -> Any:
    return connect()


def company(sandbox: Sandbox, key: str = "c-1", **more: Any) -> str:
    return sandbox.tenant.seed("companies", [{"name": f"Company {key}", "externalId": key, **more}])[0]


# -- single calls


def test_a_record_is_created_read_by_all_its_keys_and_deleted(planhat: Any, sandbox: Sandbox) -> None:
    row = {"name": "Birkfelt", "externalId": "c-1", "sourceId": "sf 1", "custom": {"Plan Tier": "gold"}}
    created = planhat.company.create(row)
    assert created.items() >= (row | {"status": "prospect"}).items()
    assert sandbox.tenant.record("companies").items() >= (row | {"_id": created["_id"]}).items()
    for key in (created["_id"], "extid-c-1", "srcid-sf 1"):
        assert planhat.company.get_by_id(key) == created
    assert planhat.company.delete(created["_id"]) == {"n": 1, "ok": 1, "deletedCount": 1}
    assert sandbox.tenant.records("companies") == []
    assert not sandbox.violations


@pytest.mark.parametrize("key", ["_id", "extid-c-1"])
def test_an_update_needs_the_rule_patch(planhat: Any, sandbox: Sandbox, key: str) -> None:
    # This client updates single records with PATCH, which is not documented.
    record_id = company(sandbox, custom={"Seats": 3})
    path_id, change = key.replace("_id", record_id), {"phase": "Live", "custom": {"Plan": "gold"}}
    with pytest.raises(HTTPError, match="status code 405"):
        planhat.company.update(path_id, change)
    assert "phase" not in sandbox.tenant.record("companies")
    sandbox.rules = Rules(patch=True)
    updated = planhat.company.update(path_id, change)
    stored = sandbox.tenant.record("companies")
    for record in (updated, stored):
        assert (record["_id"], record["name"], record["phase"]) == (record_id, "Company c-1", "Live")
        assert record["custom"] == {"Seats": 3, "Plan": "gold"}
    assert updated["updatedAt"] == stored["updatedAt"]


def test_what_a_delete_answers(planhat: Any, sandbox: Sandbox) -> None:
    parent = company(sandbox)
    note = sandbox.tenant.seed("conversations", [{"companyId": parent, "type": "note", "subject": "Hello"}])[
        0
    ]
    assert planhat.note.delete(note)["subject"] == "Hello"
    sandbox.tenant.seed("assets", [{"name": "A", "companyId": parent}])
    sandbox.rules = Rules(delete_body="empty")
    assert planhat.company.delete(parent) == b""
    assert (sandbox.tenant.records("companies"), sandbox.tenant.records("assets")) == ([], [])


def test_custom_fields_are_defined_listed_renamed_and_dropped(planhat: Any, sandbox: Sandbox) -> None:
    field = {"name": "Region", "parent": "company", "type": "list", "listValues": ["North", "South"]}
    created = planhat.custom_field.create(field)
    assert created.items() >= (field | {"isHidden": False, "isMandatory": False}).items()
    with pytest.raises(HTTPError, match="400 Message: parent,name duplicated"):
        planhat.custom_field.create(field)
    assert list(planhat.custom_field.get_list(select=None)) == [[created]]
    sandbox.rules = Rules(patch=True)
    planhat.custom_field.update(created["_id"], {"name": "Area"})
    assert sandbox.tenant.record("customfields")["name"] == "Area"
    planhat.custom_field.delete(created["_id"])
    assert sandbox.tenant.records("customfields") == []


# -- bulk calls


def test_a_bulk_upsert_in_chunks_creates_updates_and_leaves_alone(planhat: Any, sandbox: Sandbox) -> None:
    same, changed = company(sandbox, "same"), company(sandbox, "changed")
    rows = [
        {"externalId": "new-1", "name": "One"},
        {"externalId": "same", "name": "Company same"},
        {"externalId": "changed", "name": "Changed"},
        {"externalId": "new-2", "name": "Two", "sourceId": "s-2"},
        {"externalId": "new-3", "name": "Three"},
    ]
    answer = planhat.company.bulk_upsert(rows, chunk_size=2, raise_on_error=True)
    assert (answer["created"], answer["updated"], answer["nonupdates"]) == (3, 1, 1)
    stored = {record["externalId"]: record for record in sandbox.tenant.records("companies")}
    assert {key: record["name"] for key, record in stored.items()} == {
        row["externalId"]: row["name"] for row in rows
    }
    ids = {key: record["_id"] for key, record in stored.items()}
    assert (ids["same"], ids["changed"]) == (same, changed)
    assert answer["upsertedIds"] == [ids["new-1"], ids["new-2"], ids["new-3"]]
    assert answer["insertsKeys"][1] == {"_id": ids["new-2"], "externalId": "new-2", "sourceId": "s-2"}
    assert (answer["modified"], answer["updatesKeys"]) == (
        [changed],
        [{"_id": changed, "externalId": "changed"}],
    )
    assert [call.rows for call in sandbox.log.of("PUT", "/companies")] == [2, 2, 1]
    assert not sandbox.violations


@pytest.mark.parametrize("model", sorted(MODELS))
def test_every_model_is_upserted_listed_and_deleted(planhat: Any, sandbox: Sandbox, model: str) -> None:
    company(sandbox)
    path, api = MODELS[model], getattr(planhat, model)
    row = MINIMUM[path] | ({"type": "note"} if model == "note" else {})
    before = len(sandbox.tenant.records(path))
    answer = api.bulk_upsert([row], raise_on_error=True)
    assert (answer["created"], answer["updated"], answer["nonupdates"]) == (1, 0, 0)
    record_id = answer["upsertedIds"][0]
    assert sandbox.tenant.record(path, _id=record_id)
    listed = [record["_id"] for page in api.get_list(select=None, limit=10) for record in page]
    assert listed == sorted((record["_id"] for record in sandbox.tenant.records(path)), reverse=True)
    assert record_id in listed
    api.delete(record_id)
    assert len(sandbox.tenant.records(path)) == before


@pytest.mark.parametrize("items", ["string", "object", "object_without_ids"])
def test_a_206_is_a_success_to_it_unless_it_looks_into_the_error_lists(
    planhat: Any, sandbox: Sandbox, items: str
) -> None:
    sandbox.rules = Rules(error_items=items)
    rows = [{"externalId": "good", "name": "Good"}, {"externalId": "bad"}]
    answer = planhat.company.bulk_upsert(rows)
    assert (answer["created"], len(answer["createdErrors"]), answer["updatedErrors"]) == (1, 1, [])
    assert isinstance(answer["createdErrors"][0], str) == (items == "string")
    assert [record["name"] for record in sandbox.tenant.records("companies")] == ["Good"]
    with pytest.raises(PlanhatUpsertError) as caught:
        planhat.bulk_upsert_response_check()
    assert caught.value.errors == {"createdErrors": answer["createdErrors"]}


@pytest.mark.parametrize(
    ("rules", "kind", "stored"),
    [
        (Rules(partial_status="400"), "createdErrors", ["Good"]),
        (Rules(denied=("companies:create",)), "permissionErrors", []),
    ],
)
def test_a_400_and_a_403_of_a_bulk_call_carry_the_error_lists(
    planhat: Any, sandbox: Sandbox, rules: Rules, kind: str, stored: list[str]
) -> None:
    sandbox.rules = rules
    rows = [{"externalId": "good", "name": "Good"}, {"externalId": "bad"}]
    with pytest.raises(PlanhatUpsertError) as caught:
        planhat.company.bulk_upsert(rows)
    assert kind in caught.value.errors
    assert [record["name"] for record in sandbox.tenant.records("companies")] == stored


def test_references_to_companies_in_a_bulk_row(planhat: Any, sandbox: Sandbox) -> None:
    parent = company(sandbox, sourceId="s-1", domains=["birkfelt.test"])
    rows = [
        {"externalId": "1", "companyId": parent},
        {"externalId": "2", "companyId": "extid-c-1"},
        {"externalId": "3", "companyId": "srcid-s-1"},
        {"email": "ada@birkfelt.test"},
        {"email": "nobody@elsewhere.test"},
    ]
    answer = planhat.enduser.bulk_upsert(rows, raise_on_error=True)
    # The last one belongs nowhere and is dropped without a word.
    assert (answer["created"], answer["nonupdates"]) == (4, 0)
    assert [record["companyId"] for record in sandbox.tenant.records("endusers")] == [parent] * 4


# -- lists


@pytest.mark.parametrize(("count", "sizes"), [(5, [2, 2, 1]), (4, [2, 2, 0]), (0, [0])])
def test_a_list_is_read_page_by_page(planhat: Any, sandbox: Sandbox, count: int, sizes: list[int]) -> None:
    ids = sandbox.tenant.seed("companies", [{"name": f"C{number}"} for number in range(count)])
    pages = list(planhat.company.get_list(limit=2))
    assert [len(page) for page in pages] == sizes
    assert [record["_id"] for page in pages for record in page] == sorted(ids, reverse=True)
    queries = [call.query for call in sandbox.log.of("GET", "/companies")]
    assert [query["offset"] for query in queries] == [str(2 * page) for page in range(len(sizes))]


def test_a_list_brings_the_selected_fields_and_the_id(planhat: Any, sandbox: Sandbox) -> None:
    parent = company(sandbox)
    asset = sandbox.tenant.seed("assets", [{"name": "A", "companyId": parent, "status": "Active"}])[0]
    assert list(planhat.asset.get_list()) == [[{"_id": asset, "name": "A", "companyId": parent}]]
    assert list(planhat.asset.get_list(select="status")) == [[{"_id": asset, "status": "Active"}]]
    assert list(planhat.asset.get_list(select=None)) == [[planhat.asset.get_by_id(asset)]]


def test_a_list_takes_filters_and_hides_the_archived(planhat: Any, sandbox: Sandbox) -> None:
    one, two = company(sandbox), company(sandbox, "c-2")
    sandbox.tenant.seed(
        "endusers",
        [
            {"email": "a@x.test", "companyId": one},
            {"email": "b@x.test", "companyId": two},
            {"email": "c@x.test", "companyId": one, "archived": True},
        ],
    )

    def emails(**filters: Any) -> list[str]:
        pages = planhat.enduser.get_list(select="email", sort="email", **filters)
        return [record["email"] for page in pages for record in page]

    assert emails() == ["a@x.test", "b@x.test"]
    assert emails(companyId=one) == ["a@x.test"]
    assert emails(companyId=f"{one},{two}", archived="true") == ["a@x.test", "b@x.test", "c@x.test"]
    assert emails(email="b@x.test") == ["b@x.test"]


def test_lean_companies_by_key_and_status(planhat: Any, sandbox: Sandbox) -> None:
    one = company(sandbox, sourceId="s-1", status="customer", phase="Live")
    two = company(sandbox, "c-2", status="lost")
    lean = [
        {"_id": one, "name": "Company c-1", "externalId": "c-1", "sourceId": "s-1"},
        {"_id": two, "name": "Company c-2", "externalId": "c-2"},
    ]
    assert planhat.company.get_lean_list() == lean
    assert planhat.company.get_lean_list(external_id="c-2") == lean[1:]
    assert planhat.company.get_lean_list(source_id="s-1") == lean[:1]
    assert planhat.company.get_lean_list(status=["lost", "coming"]) == lean[1:]
    assert planhat.company.get_lean_list(external_id="none") == []


# -- tracking calls


def test_metrics_are_sent_and_read_back(planhat: Any, sandbox: Sandbox) -> None:
    parent = company(sandbox)
    company(sandbox, "c-2")
    rows = [
        {"dimensionId": "logins", "value": day, "externalId": "c-1", "date": f"2026-01-{day:02}"}
        for day in range(1, 6)
    ]
    other = {"dimensionId": "logins", "value": 9, "externalId": "c-2", "date": "2026-01-03"}
    answer = planhat.metrics.bulk_insert_metrics([*rows, other], raise_on_error=True)
    assert answer == {"processed": 6, "errors": []}
    assert [point["value"] for point in sandbox.tenant.metrics] == [1, 2, 3, 4, 5, 9]
    pages = list(
        planhat.metrics.get_dimension_data(
            "2026-01-02", "2026-01-04", company_id=parent, dimension_id="logins", limit=2
        )
    )
    assert [[point["value"] for point in page] for page in pages] == [[2, 3], [4]]
    assert (
        pages[0][0].items()
        >= {
            "dimensionId": "logins",
            "time": "2026-01-02T00:00:00.000Z",
            "model": "Company",
            "parentId": parent,
            "companyId": parent,
            "companyName": "Company c-1",
        }.items()
    )
    assert {call.path for call in sandbox.log.of("POST")} == {"/dimensiondata/{tenant}"}


def test_a_bad_metric_is_named_in_the_answer_and_a_lost_one_is_not(planhat: Any, sandbox: Sandbox) -> None:
    company(sandbox)
    bad, lost = {"value": 1, "externalId": "c-1"}, {"dimensionId": "d", "value": 1, "externalId": "none"}
    answer = planhat.metrics.bulk_insert_metrics([bad, lost])
    error = {"item": bad, "error": "dimensionId must be specified"}
    assert answer == {"processed": 2, "errors": [error]}
    with pytest.raises(PlanhatUpsertError) as caught:
        planhat.bulk_upsert_response_check(answer)
    assert caught.value.errors == {"errors": [error]}
    assert sandbox.tenant.metrics == []
    assert [failed["item"] for failed in sandbox.tenant.failed_metrics] == [bad, lost]


# This client sends the tenant's UUID as a Basic user along.
@pytest.mark.parametrize("strict", [False, True])
def test_user_activities_by_both_doors(planhat: Any, sandbox: Sandbox, strict: bool) -> None:
    sandbox.rules = Rules(strict_tracking_auth=strict)
    parent = company(sandbox, domains=["birkfelt.test"])
    person = sandbox.tenant.seed("endusers", [{"externalId": "u-1", "companyId": parent}])[0]
    single = {"externalId": "u-1", "action": "Logged in", "weight": 2, "info": {"page": "home"}}
    assert planhat.user_activity.create_activity(single) == {}
    bulk = [
        {"euExtId": "u-1", "action": "Exported", "count": 3},
        {"email": "ada@birkfelt.test", "name": "Ada Berg", "action": "Logged in"},
        {"email": "nobody@elsewhere.test", "action": "Logged in"},
    ]
    assert planhat.user_activity.create_activity(bulk, bulk=True) == {"processed": 3, "errors": []}
    ada = sandbox.tenant.record("endusers", email="ada@birkfelt.test")
    assert (ada["companyId"], ada["firstName"]) == (parent, "Ada")
    assert [
        (event["door"], event["euId"], event["action"], event["weight"], event["count"])
        for event in sandbox.tenant.activities
    ] == [
        ("single", person, "Logged in", 2, 1),
        ("bulk", person, "Exported", 1, 3),
        ("bulk", ada["_id"], "Logged in", 1, 1),
    ]
    assert [failed["item"] for failed in sandbox.tenant.failed_activities] == bulk[2:]


def test_segment_calls_need_the_tenant_as_user(planhat: Any, sandbox: Sandbox) -> None:
    parent = company(sandbox)
    traits = {"email": "ada@birkfelt.test", "name": "Ada Berg", "companyId": "c-1"}
    planhat.user_activity.segment({"type": "identify", "userId": "u-1", "traits": traits})
    planhat.user_activity.segment({"type": "track", "userId": "u-1", "event": "Exported"})
    person = sandbox.tenant.record("endusers", externalId="u-1", email="ada@birkfelt.test")
    assert person["companyId"] == parent
    assert [(event["euId"], event["action"]) for event in sandbox.tenant.activities] == [
        (person["_id"], "Exported")
    ]
    planhat.tenant_token = "5a0d0b0c-0000-4000-8000-00000000000f"
    with pytest.raises(HTTPError, match="status code 401"):
        planhat.user_activity.segment({"type": "track", "userId": "u-1", "event": "Exported"})


# -- errors


def test_errors_of_single_calls(planhat: Any, sandbox: Sandbox) -> None:
    missing = "f" * 24
    for call, message in (
        (lambda: planhat.company.get_by_id(missing), "404 Message: Not Found"),
        (lambda: planhat.company.get_by_id("extid-none"), "404 Message: Not Found"),
        (lambda: planhat.company.delete(missing), "404 Message: Not Found"),
        (lambda: planhat.company.get_by_id("c-1"), "400 Message: Cast to ObjectId failed"),
        (lambda: planhat.company.delete("extid-c-1"), "400 Message: Cast to ObjectId failed"),
        (lambda: planhat.company.create({"externalId": "c-1"}), "400 Message: .*name"),
        (lambda: planhat.asset.create({"name": "A", "companyId": "extid-none"}), "400 .*company not found"),
        (lambda: list(planhat.company.get_list(sort="_id", limit=1, offset="x")), "400 Message: offset"),
    ):
        with pytest.raises(HTTPError, match=message):
            call()
    assert all(not sandbox.tenant.records(path) for path in ("companies", "assets"))


def test_a_wrong_token_is_a_401_on_the_main_api(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    stranger = connect("wrong")
    for call in (
        stranger.company.get_lean_list,
        lambda: stranger.company.bulk_upsert([{"name": "A"}]),
        lambda: list(stranger.metrics.get_dimension_data(0, 1)),
    ):
        with pytest.raises(HTTPError, match="401 Message: Unauthorized"):
            call()
    assert sandbox.tenant.records("companies") == []


def test_the_token_may_be_a_basic_user(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    company(sandbox)
    assert len(connect((sandbox.token, "")).company.get_lean_list()) == 1


def test_the_quota_is_a_429(planhat: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.quota, "limit", 1)
    sandbox.quota.restart()
    assert planhat.company.get_lean_list() == []
    with pytest.raises(HTTPError, match="429 Message: Too many requests"):
        planhat.company.get_lean_list()


@pytest.mark.parametrize(
    ("kind", "first_was_applied"),
    [
        (FaultKind.STATUS, False),
        (FaultKind.RESET_BEFORE, False),
        (FaultKind.STATUS_AFTER, True),
        (FaultKind.RESET_AFTER, True),
    ],
)
def test_its_retry_of_a_bulk_call_makes_no_second_record(
    connect: Callable[..., Any], sandbox: Sandbox, kind: FaultKind, first_was_applied: bool
) -> None:
    planhat = connect(retries=2)
    sandbox.faults.add(Fault(kind=kind, method="PUT", path="/companies"))
    answer = planhat.company.bulk_upsert([{"externalId": "c-1", "name": "One"}])
    assert (answer["created"], answer["nonupdates"]) == ((0, 1) if first_was_applied else (1, 0))
    assert len(sandbox.tenant.records("companies")) == 1
    assert sandbox.log.counts["PUT /companies"] == 2


def test_its_retry_of_metrics_counts_twice(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    planhat = connect(retries=2)
    company(sandbox)
    sandbox.faults.add(Fault(kind=FaultKind.STATUS_AFTER, path="/dimensiondata"))
    planhat.metrics.bulk_insert_metrics([{"dimensionId": "d", "value": 1, "externalId": "c-1"}])
    assert [point["value"] for point in sandbox.tenant.metrics] == [1, 1]
