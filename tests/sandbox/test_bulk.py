"""Bulk upsert: matching, counters, statuses, error shapes, duplicates (planhat-api §4, §5, §13.5 to §13.9)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from planhat_dbt.sandbox import Sandbox
from planhat_dbt.sandbox.resources import RESOURCES

from .conftest import Api

MINIMUM: dict[str, dict[str, Any]] = {
    "assets": {"name": "A", "companyId": "extid-c-1"},
    "campaigns": {"name": "A", "companyId": "extid-c-1"},
    "churn": {"companyId": "extid-c-1", "value": 5},
    "companies": {"name": "A"},
    "conversations": {"companyId": "extid-c-1", "type": "call"},
    "endusers": {"companyId": "extid-c-1", "email": "a@b.test"},
    "invoices": {"cId": "extid-c-1", "currency": "EUR", "invoiceDate": 20_000},
    "issues": {"title": "A"},
    "licenses": {"companyId": "extid-c-1", "_currency": "EUR", "value": 5},
    "nps": {"email": "a@b.test", "score": 9},
    "objectives": {"name": "A", "companyId": "extid-c-1"},
    "opportunities": {"companyId": "extid-c-1"},
    "projects": {"name": "A", "companyId": "extid-c-1"},
    "sales": {"companyId": "extid-c-1", "_currency": "EUR", "value": 5},
    "tasks": {"companyId": "extid-c-1", "mainType": "task"},
    "tickets": {"email": "a@b.test", "companyExternalId": "c-1", "sourceId": "t-0"},
    "users": {"nickName": "A", "email": "a@b.test", "firstName": "A", "lastName": "B"},
    "workspaces": {"name": "A", "companyId": "extid-c-1"},
}

BULK_KEYS = {
    "assets": ["sourceId", "externalId"],
    "campaigns": ["sourceId", "externalId"],
    "churn": ["sourceId"],
    "companies": ["sourceId", "externalId"],
    "conversations": ["externalId"],
    "endusers": ["sourceId", "externalId", "email"],
    "invoices": ["sourceId", "extId"],
    "issues": ["sourceId"],
    "licenses": ["sourceId", "externalId"],
    "nps": ["sourceId"],
    "objectives": ["sourceId", "externalId"],
    "opportunities": ["externalId"],
    "projects": ["sourceId", "externalId"],
    "sales": ["sourceId", "externalId"],
    "tasks": ["sourceId"],
    "tickets": ["sourceId"],
    "users": ["externalId", "email"],
    "workspaces": ["sourceId", "externalId"],
}


def test_every_bulk_resource_is_covered() -> None:
    assert set(MINIMUM) == set(BULK_KEYS) == {path for path, r in RESOURCES.items() if "B" in r.verbs}


@pytest.mark.parametrize(("path", "key"), [(path, key) for path, keys in BULK_KEYS.items() for key in keys])
def test_a_known_key_updates_and_an_unknown_one_inserts(api: Api, path: str, key: str) -> None:
    api.company()
    first = MINIMUM[path] | {key: "k1@b.test"}
    change = "description" if "description" in RESOURCES[path].specs else "custom"
    value: Any = "new" if change == "description" else {"Colour": "new"}
    assert api.counters(f"/{path}", first) == (1, 0, 0)
    assert api.counters(f"/{path}", first | {change: value}) == (0, 1, 0)
    assert api.counters(f"/{path}", first | {change: value}) == (0, 0, 1)
    other = {name: text for name, text in first.items() if name != "email"}
    other |= {"email": "other@b.test"} if "email" in first and key != "email" else {}
    other |= {"sourceId": "t-9"} if path == "tickets" else {}
    assert api.counters(f"/{path}", other | {key: "k2@b.test"}) == (1, 0, 0)


@pytest.mark.parametrize("path", sorted(MINIMUM))
def test_a_known_id_updates_before_any_other_key(api: Api, path: str) -> None:
    api.company()
    record_id = api.bulk(f"/{path}", MINIMUM[path])["upsertedIds"][0]
    body = api.bulk(f"/{path}", {"_id": record_id, "custom": {"Colour": "red"}})
    assert (body["updated"], body["modified"]) == (1, [record_id])


@pytest.mark.parametrize(
    ("path", "key"),
    [("opportunities", "sourceId"), ("conversations", "sourceId"), ("assets", "serialNumber")],
)
def test_a_field_that_is_no_bulk_key_never_matches(api: Api, path: str, key: str) -> None:
    api.company()
    row = MINIMUM[path] | {key: "k1"}
    assert api.counters(f"/{path}", row) == (1, 0, 0)
    body = api.put(f"/{path}", [row]).json()
    assert body["updated"] == body["nonupdates"] == 0


def test_notes_match_on_id_only_and_so_multiply(api: Api, sandbox: Sandbox) -> None:
    api.company()
    note = {"companyId": "extid-c-1", "type": "note", "externalId": "n-1", "subject": "Hello"}
    assert api.counters("/conversations", note) == (1, 0, 0)
    assert api.counters("/conversations", note) == (1, 0, 0)
    note_id = sandbox.tenant.records("notes")[0]["_id"]
    assert api.counters("/conversations", {"_id": note_id, "type": "note", "subject": "Bye"}) == (0, 1, 0)


def test_source_id_wins_over_external_id_and_a_key_of_another_record_is_refused(
    api: Api, sandbox: Sandbox
) -> None:
    api.bulk("/companies", {"name": "A", "sourceId": "s"}, {"name": "B", "externalId": "e"})
    body = api.bulk("/companies", {"sourceId": "s", "externalId": "e", "name": "C"}, status=400)
    assert body["updatedErrors"] == ["sourceId,externalId duplicated"]
    assert [record["name"] for record in sandbox.tenant.records("companies")] == ["A", "B"]


def test_the_answer_names_inserts_and_updates_but_not_unchanged_rows(api: Api) -> None:
    api.bulk(
        "/companies", {"name": "A", "externalId": "a"}, {"name": "B", "externalId": "b", "sourceId": "sb"}
    )
    body = api.bulk(
        "/companies",
        {"externalId": "a", "name": "A"},
        {"externalId": "b", "name": "B2"},
        {"externalId": "c", "name": "C"},
    )
    assert (body["created"], body["updated"], body["nonupdates"]) == (1, 1, 1)
    assert body["insertsKeys"] == [{"_id": body["upsertedIds"][0], "externalId": "c"}]
    assert body["updatesKeys"] == [{"_id": body["modified"][0], "externalId": "b", "sourceId": "sb"}]
    errors = [body[name] for name in body if name.endswith("Errors")]
    assert errors == [[], [], [], []]


@pytest.mark.parametrize(
    ("rows", "status", "counts"),
    [
        ([], 200, (0, 0)),
        ([{"name": "A"}], 200, (1, 0)),
        ([{"name": "A"}, {"externalId": "x"}], 206, (1, 1)),
        ([{"externalId": "x"}], 400, (0, 1)),
        (["text", {"name": "A"}], 206, (1, 1)),
    ],
)
def test_status_tells_all_some_or_none(
    api: Api, rows: list[Any], status: int, counts: tuple[int, int]
) -> None:
    response = api.put("/companies", rows)
    assert response.status_code == status
    body = response.json()
    assert (body["created"], len(body["createdErrors"])) == counts


def test_partial_failure_can_be_a_400_with_written_rows(api: Api, sandbox: Sandbox) -> None:
    sandbox.rules = replace(sandbox.rules, partial_status="400")
    body = api.bulk("/companies", {"name": "A"}, {"externalId": "x"}, status=400)
    assert body["created"] == 1 == len(sandbox.tenant.records("companies"))


@pytest.mark.parametrize(
    ("shape", "item"),
    [
        ("string", "name is required"),
        ("object", {"item": {"externalId": "x"}, "error": "name is required"}),
        ("object_without_ids", {"message": "name is required"}),
    ],
)
def test_error_items_come_in_three_shapes(api: Api, sandbox: Sandbox, shape: str, item: Any) -> None:
    sandbox.rules = replace(sandbox.rules, error_items=shape)
    assert api.bulk("/companies", {"externalId": "x"}, status=400)["createdErrors"] == [item]


def test_the_same_key_twice_in_a_batch_fails_the_second(api: Api, sandbox: Sandbox) -> None:
    rows = [{"externalId": "a", "name": "A1"}, {"externalId": "a", "name": "A2"}]
    body = api.bulk("/companies", *rows, status=206)
    assert (body["created"], body["updatedErrors"]) == (1, ["externalId duplicated"])
    assert [record["name"] for record in sandbox.tenant.records("companies")] == ["A1"]


def test_the_same_key_twice_can_make_two_records(api: Api, sandbox: Sandbox) -> None:
    sandbox.rules = replace(sandbox.rules, batch_duplicates="insert")
    rows = [{"externalId": "a", "name": "A1"}, {"externalId": "a", "name": "A2"}]
    assert api.counters("/companies", *rows) == (2, 0, 0)
    assert api.bulk("/companies", rows[0], status=400)["updatedErrors"] == ["externalId duplicated"]


def test_an_unknown_id_is_an_update_error_and_never_an_insert(api: Api, sandbox: Sandbox) -> None:
    body = api.bulk("/companies", {"_id": "a" * 24, "name": "Ghost", "externalId": "g"}, status=400)
    assert body["updatedErrors"] == ["_id not found"]
    assert sandbox.tenant.records("companies") == []


def test_endusers_of_two_companies_may_share_an_external_id(api: Api, sandbox: Sandbox) -> None:
    one, two = api.company("c-1"), api.company("c-2")
    rows = [{"externalId": "u", "companyId": "extid-c-1"}, {"externalId": "u", "companyId": two}]
    assert api.counters("/endusers", *rows) == (2, 0, 0)
    assert api.counters("/endusers", rows[0] | {"position": "CTO"}) == (0, 1, 0)
    assert sandbox.tenant.record("endusers", companyId=one)["position"] == "CTO"
    body = api.bulk("/endusers", {"externalId": "u", "position": "CEO"}, status=400)
    assert body["updatedErrors"] == ["externalId duplicated"]


def test_an_email_shared_by_endusers_is_ambiguous_unless_the_company_tells(
    api: Api, sandbox: Sandbox
) -> None:
    api.company("c-1")
    api.company("c-2")
    sandbox.tenant.seed("endusers", [{"email": "a@b.test", "companyId": f"extid-c-{n}"} for n in (1, 2)])
    body = api.bulk("/endusers", {"email": "a@b.test", "externalId": "u"}, status=400)
    assert body["updatedErrors"] == ["externalId,email duplicated"]
    assert api.counters("/endusers", {"email": "a@b.test", "companyId": "extid-c-2", "phone": "1"}) == (
        0,
        1,
        0,
    )


def test_emails_match_exactly_unless_case_is_ignored(api: Api, sandbox: Sandbox) -> None:
    api.company()
    row = {"companyId": "extid-c-1", "email": "ada@b.test"}
    assert api.counters("/endusers", row, row | {"email": "Ada@B.test"}) == (2, 0, 0)
    sandbox.rules = replace(sandbox.rules, email_case="ignore")
    assert api.bulk("/endusers", row, status=400)["updatedErrors"] == ["email duplicated"]
    sandbox.reset()
    sandbox.rules = replace(sandbox.rules, email_case="ignore")
    api.company()
    assert api.counters("/endusers", row) == (1, 0, 0)
    assert api.counters("/endusers", row | {"email": "Ada@B.test"}) == (0, 1, 0)


@pytest.mark.parametrize(
    ("denied", "errors"),
    [(("companies:create",), 1), (("companies:update",), 1), (("companies:create", "companies:update"), 2)],
)
def test_missing_rights_are_a_403_that_writes_what_is_allowed(
    api: Api, sandbox: Sandbox, denied: tuple[str, ...], errors: int
) -> None:
    api.bulk("/companies", {"name": "A", "externalId": "a"})
    sandbox.rules = replace(sandbox.rules, denied=denied)
    rows = [{"externalId": "a", "name": "A2"}, {"externalId": "b", "name": "B"}]
    body = api.bulk("/companies", *rows, status=403)
    assert len(body["permissionErrors"]) == errors
    assert body["created"] + body["updated"] == 2 - errors


@pytest.mark.parametrize("body", [{"name": "A"}, "text", 5])
def test_a_body_that_is_no_array_is_refused(api: Api, body: Any) -> None:
    assert api.put("/companies", body).status_code == 400


def test_custom_fields_have_no_bulk_route(api: Api) -> None:
    assert api.put("/customfields", []).status_code == 405
