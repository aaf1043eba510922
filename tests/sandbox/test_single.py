"""Single-record calls: create, read, update, delete, cascade, custom fields (planhat-api §3.2, §4, §6, §13)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from planhat_dbt.sandbox import Sandbox
from planhat_dbt.sandbox.resources import RESOURCES

from .conftest import Api
from .test_bulk import MINIMUM

SINGLE = sorted(path for path, resource in RESOURCES.items() if "C" in resource.verbs and path in MINIMUM)
# Planhat-api §4, column "path keys": update / get.
PREFIXES = {
    "assets": ("extid srcid", "extid srcid"),
    "campaigns": ("extid srcid", "extid srcid"),
    "churn": ("srcid", ""),
    "companies": ("extid srcid", "extid srcid"),
    "conversations": ("extid srcid", "extid"),
    "customfields": ("", ""),
    "endusers": ("extid srcid", "extid srcid"),
    "invoices": ("extid srcid", "extid srcid"),
    "issues": ("srcid", "srcid"),
    "licenses": ("extid srcid", "extid srcid"),
    "nps": ("srcid", "srcid"),
    "objectives": ("extid srcid", "extid srcid"),
    "opportunities": ("extid", "extid srcid"),
    "projects": ("extid srcid", "extid srcid"),
    "sales": ("extid srcid", "extid srcid"),
    "tasks": ("srcid", "srcid"),
    "users": ("extid", "extid"),
    "workspaces": ("extid srcid", "extid srcid"),
}
FIELD: dict[str, Any] = {"name": "Region", "parent": "company", "type": "list"}


@pytest.mark.parametrize("path", SINGLE)
def test_create_read_update_delete(api: Api, sandbox: Sandbox, path: str) -> None:
    api.company()
    before = len(sandbox.tenant.records(path))
    created = api.http.post(f"/{path}", json=MINIMUM[path])
    assert created.status_code == 200
    record = created.json()
    assert record["updatedAt"].endswith("Z")
    url = f"/{path}/{record['_id']}"
    assert api.get(url) == record
    updated = api.http.put(url, json={"custom": {"Colour": "red"}})
    assert updated.json()["custom"] == {"Colour": "red"}
    deleted = api.http.delete(url)
    assert deleted.status_code == 200
    expected = updated.json() if path == "conversations" else {"n": 1, "ok": 1, "deletedCount": 1}
    assert deleted.json() == expected
    assert len(sandbox.tenant.records(path)) == before
    assert [api.http.request(m, url, json={}).status_code for m in ("GET", "PUT", "DELETE")] == [
        404,
        404,
        404,
    ]


@pytest.mark.parametrize("prefix", ["extid", "srcid"])
@pytest.mark.parametrize("path", sorted(PREFIXES))
def test_prefixes_in_paths(api: Api, sandbox: Sandbox, path: str, prefix: str) -> None:
    api.company("parent")
    resource = RESOURCES[path]
    row = (MINIMUM | {"customfields": FIELD})[path] | {resource.external_key: "a/b c", "sourceId": "a/b c"}
    row |= (
        {resource.company_field: "extid-parent"}
        if resource.company_prefixes and resource.company_field
        else {}
    )
    sandbox.tenant.seed(path, [row])
    update, get = PREFIXES[path]
    url = f"/{path}/{prefix}-a%2Fb%20c"
    assert api.http.get(url).status_code == (200 if prefix in get else 400)
    assert api.http.put(url, json={}).status_code == (200 if prefix in update else 400)
    assert api.http.get(f"/{path}/{prefix}-other").status_code == (404 if prefix in get else 400)
    assert api.http.delete(url).status_code == 400


@pytest.mark.parametrize("path_id", ["acme", "123", "ABCDEF0123456789abcdef01", "ext-acme"])
def test_a_malformed_id_is_a_400_in_plain_text(api: Api, path_id: str) -> None:
    response = api.http.get(f"/companies/{path_id}")
    assert (response.status_code, response.headers["content-type"]) == (400, "text/plain; charset=utf-8")


@pytest.mark.parametrize("key", ["externalId", "sourceId"])
def test_post_refuses_an_existing_key_or_makes_a_second_record(api: Api, sandbox: Sandbox, key: str) -> None:
    row = {"name": "A", key: "k"}
    assert api.http.post("/companies", json=row).status_code == 200
    refused = api.http.post("/companies", json=row)
    assert (refused.status_code, refused.text) == (400, f"{key} duplicated")
    sandbox.rules = replace(sandbox.rules, post_duplicates="create")
    assert api.http.post("/companies", json=row).status_code == 200
    assert len(sandbox.tenant.records("companies")) == 2


def test_refusals_can_be_objects(api: Api, sandbox: Sandbox) -> None:
    sandbox.rules = replace(sandbox.rules, error_body="object", error_items="object")
    response = api.http.post("/companies", json={"phase": "x"})
    assert response.status_code == 400
    assert response.json() == {"error": {"item": {"phase": "x"}, "error": "name is required"}}


def test_an_update_may_not_take_the_key_of_another(api: Api) -> None:
    api.company("a")
    other = api.company("b")
    response = api.http.put(f"/companies/{other}", json={"externalId": "a"})
    assert (response.status_code, response.text) == (400, "externalId duplicated")
    assert api.http.put(f"/companies/{other}", json={"externalId": "b"}).status_code == 200


def test_an_enduser_may_not_move_to_a_company_that_has_its_external_id(api: Api, sandbox: Sandbox) -> None:
    api.company("c-1")
    api.company("c-2")
    rows = [{"externalId": "u", "companyId": f"extid-c-{n}"} for n in (1, 2)]
    first, _ = sandbox.tenant.seed("endusers", rows)
    response = api.http.put(f"/endusers/{first}", json={"companyId": "extid-c-2"})
    assert (response.status_code, "duplicated" in response.text) == (400, True)


def test_an_external_id_that_two_companies_share_cannot_be_updated_by_path(
    api: Api, sandbox: Sandbox
) -> None:
    for number in (1, 2):
        api.company(f"c-{number}")
        sandbox.tenant.seed("endusers", [{"externalId": "u", "companyId": f"extid-c-{number}"}])
    assert api.http.put("/endusers/extid-u", json={"phone": "1"}).status_code == 400


def test_updated_at_moves_even_if_nothing_changed(api: Api, sandbox: Sandbox) -> None:
    company = api.company()
    sandbox.tenant.edit("companies", company, updatedAt="2020-01-01T00:00:00.000Z")
    assert api.http.put(f"/companies/{company}", json={"name": "Company c-1"}).json()["updatedAt"] > "2026"


@pytest.mark.parametrize(("strict", "status"), [(True, 400), (False, 200)])
def test_an_id_in_the_body_of_an_update(api: Api, sandbox: Sandbox, strict: bool, status: int) -> None:
    company = api.company()
    sandbox.rules = replace(sandbox.rules, strict_updates=strict)
    body = {"_id": company, "name": "B"}
    assert api.http.put(f"/companies/{company}", json=body).status_code == status


@pytest.mark.parametrize(("allowed", "status"), [(False, 405), (True, 200)])
def test_patch(api: Api, sandbox: Sandbox, allowed: bool, status: int) -> None:
    sandbox.rules = replace(sandbox.rules, patch=allowed)
    assert api.http.patch(f"/companies/{api.company()}", json={"name": "B"}).status_code == status


def test_delete_may_answer_nothing(api: Api, sandbox: Sandbox) -> None:
    sandbox.rules = replace(sandbox.rules, delete_body="empty")
    response = api.http.delete(f"/companies/{api.company()}")
    assert (response.status_code, response.content) == (200, b"")


def test_deleting_a_company_takes_its_children_along(api: Api, sandbox: Sandbox) -> None:
    gone, stays = api.company("c-1"), api.company("c-2")
    for path in sorted(path for path in MINIMUM if RESOURCES[path].company_field):
        field = RESOURCES[path].company_field
        sandbox.tenant.seed(path, [MINIMUM[path] | {field: company} for company in (gone, stays)])
    sandbox.tenant.seed("issues", [{"title": "Bug", "companyIds": [gone, stays]}])
    assert api.http.delete(f"/companies/{gone}").status_code == 200
    for path, resource in RESOURCES.items():
        if resource.company_field:
            assert [record[resource.company_field] for record in sandbox.tenant.records(path)] == [stays], (
                path
            )
    assert sandbox.tenant.record("issues")["companyIds"] == [stays]
    assert api.bulk("/companies", {"name": "Again", "externalId": "c-1"})["created"] == 1


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("POST", "/tickets", 405),
        ("GET", "/tickets/" + "a" * 24, 405),
        ("PUT", "/tickets/" + "a" * 24, 405),
        ("DELETE", "/companies", 405),
        ("POST", "/companies/" + "a" * 24, 405),
        ("GET", "/notes", 404),
        ("GET", "/metrics", 404),
        ("GET", "/companies/a/b", 404),
    ],
)
def test_verbs_and_paths_that_do_not_exist(api: Api, method: str, url: str, status: int) -> None:
    assert api.http.request(method, url, json={}).status_code == status


def test_an_empty_id_falls_through_to_the_list(api: Api, sandbox: Sandbox) -> None:
    company = api.company()
    assert [record["_id"] for record in api.get("/companies/")] == [company]
    assert [violation.rule for violation in sandbox.violations] == ["empty_id"]


def test_a_single_enduser_without_a_company_is_refused(api: Api) -> None:
    response = api.http.post("/endusers", json={"email": "a@nowhere.test"})
    assert (response.status_code, response.text) == (400, "companyId is required")


@pytest.mark.parametrize(
    ("verb", "method", "url"),
    [("read", "GET", "/{id}"), ("read", "GET", ""), ("update", "PUT", "/{id}"), ("delete", "DELETE", "/{id}"),
     ("create", "POST", "")],
)  # fmt: skip
def test_missing_rights_are_a_403(api: Api, sandbox: Sandbox, verb: str, method: str, url: str) -> None:
    company = api.company()
    sandbox.rules = replace(sandbox.rules, denied=(f"companies:{verb}",))
    response = api.http.request(method, "/companies" + url.format(id=company), json={"name": "B"})
    assert (response.status_code, response.text.startswith("No permission")) == (403, True)
    assert sandbox.tenant.record("companies")["name"] == "Company c-1"


def test_custom_field_definitions(api: Api, sandbox: Sandbox) -> None:
    created = api.http.post("/customfields", json=FIELD | {"listValues": ["EMEA"]}).json()
    assert (created["isHidden"], created["listValues"]) == (False, ["EMEA"])
    assert api.http.post("/customfields", json=FIELD).status_code == 400
    assert api.http.post("/customfields", json=FIELD | {"parent": "enduser"}).status_code == 200
    assert api.http.post("/customfields", json=FIELD | {"name": "X", "type": "matrix"}).status_code == 400
    api.http.put(f"/customfields/{created['_id']}", json={"type": "number"})
    assert api.bulk("/companies", {"name": "A", "custom": {"Region": "EMEA"}}, status=400)["createdErrors"]
    api.http.delete(f"/customfields/{created['_id']}")
    assert api.counters("/companies", {"name": "A", "custom": {"Region": "EMEA"}}) == (1, 0, 0)
    assert [field["parent"] for field in sandbox.tenant.records("customfields")] == ["enduser"]
