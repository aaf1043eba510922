"""What becomes of a row: required fields, references, drops, types, null, custom (planhat-api §3, §9, §12, §13)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from planhat_dbt.sandbox import Sandbox
from planhat_dbt.sandbox.resources import RESOURCES

from .conftest import Api
from .test_bulk import MINIMUM

REQUIRED = [(path, name) for path in MINIMUM for name in RESOURCES[path].required_bulk]


@pytest.mark.parametrize(("path", "name"), REQUIRED)
def test_a_new_row_without_a_required_field_is_refused(api: Api, path: str, name: str) -> None:
    api.company()
    row = {key: value for key, value in MINIMUM[path].items() if key != name}
    assert api.bulk(f"/{path}", row, status=400)["createdErrors"] == [f"{name} is required"]


@pytest.mark.parametrize(("path", "name"), REQUIRED)
def test_null_for_a_required_field_is_refused(api: Api, path: str, name: str) -> None:
    api.company()
    record_id = api.bulk(f"/{path}", MINIMUM[path])["upsertedIds"][0]
    body = api.bulk(f"/{path}", {"_id": record_id, name: None}, status=400)
    assert body["updatedErrors"] == [f"{name} is required"]


@pytest.mark.parametrize(
    ("path", "row", "error"),
    [
        ("licenses", {"companyId": "extid-c-1", "_currency": "EUR"}, "one of value, mrr is required"),
        ("endusers", {"companyId": "extid-c-1"}, "one of email, externalId, sourceId is required"),
        ("conversations", {"type": "note"}, "one of companyId, companyExternalId is required"),
        (
            "tickets",
            {"sourceId": "t", "email": "a@b.test"},
            "one of companyId, companyExternalId, domains is required",
        ),
        (
            "tickets",
            {"sourceId": "t", "email": "a@b.test", "domains": ["x.test"]},
            "domains: company not found",
        ),
        ("companies", {"name": ""}, "name is required"),
    ],
)
def test_other_requirements(api: Api, path: str, row: dict[str, Any], error: str) -> None:
    api.company()
    assert api.bulk(f"/{path}", row, status=400)["createdErrors"] == [error]


def test_a_licence_without_from_date_is_refused_in_strict_mode_only(api: Api, sandbox: Sandbox) -> None:
    api.company()
    assert api.counters("/licenses", MINIMUM["licenses"]) == (1, 0, 0)
    sandbox.rules = replace(sandbox.rules, strict_licenses=True)
    assert api.bulk("/licenses", MINIMUM["licenses"], status=400)["createdErrors"] == ["fromDate is required"]


# -- references


@pytest.mark.parametrize("path", sorted(path for path in MINIMUM if RESOURCES[path].company_prefixes))
def test_the_company_may_be_named_in_three_forms(api: Api, sandbox: Sandbox, path: str) -> None:
    field = RESOURCES[path].company_field
    if not field:
        return
    company = api.company(sourceId="crm-1")
    for form in (company, "extid-c-1", "srcid-crm-1"):
        api.bulk(f"/{path}", MINIMUM[path] | {field: form, "email": f"{form}@b.test"})
    assert {record[field] for record in sandbox.tenant.records(path)} == {company}


@pytest.mark.parametrize("path", ["nps", "tickets"])
def test_nps_and_tickets_take_the_bare_company_id_only(api: Api, path: str) -> None:
    company, field = api.company(), RESOURCES[path].company_field
    row = MINIMUM[path] | {"sourceId": "s-1"}
    assert api.counters(f"/{path}", row | {field: company}) == (1, 0, 0)
    body = api.bulk(f"/{path}", row | {field: "extid-c-1", "sourceId": "s-2"}, status=400)
    assert body["createdErrors"] == [f"{field}: invalid company reference"]


@pytest.mark.parametrize(
    ("reference", "error"),
    [
        ("extid-none", "company not found"),
        ("srcid-none", "company not found"),
        ("f" * 24, "company not found"),
        ("c-1", "invalid company reference"),
        (7, "invalid company reference"),
    ],
)
def test_an_unknown_company_fails_its_row_alone(api: Api, reference: Any, error: str) -> None:
    api.company()
    rows = [{"name": "A", "companyId": reference}, {"name": "B", "companyId": "extid-c-1"}]
    body = api.bulk("/assets", *rows, status=206)
    assert (body["created"], body["createdErrors"]) == (1, [f"companyId: {error}"])


def test_issues_name_several_companies(api: Api, sandbox: Sandbox) -> None:
    one, two = api.company("c-1"), api.company("c-2", sourceId="crm-2")
    api.bulk("/issues", {"title": "Bug", "companyIds": [one, "srcid-crm-2"]})
    assert sandbox.tenant.record("issues")["companyIds"] == [one, two]
    assert api.bulk("/issues", {"title": "Bug", "companyIds": ["extid-x"]}, status=400)["createdErrors"]


@pytest.mark.parametrize("path", ["conversations", "tickets"])
def test_company_external_id_is_a_reference_too(api: Api, sandbox: Sandbox, path: str) -> None:
    company = api.company()
    row = {"companyExternalId": "c-1", "sourceId": "s-1", "email": "a@b.test"}
    api.bulk(f"/{path}", row)
    assert sandbox.tenant.record(path)["companyId"] == company


# -- drops


def test_an_enduser_without_a_company_is_dropped_in_silence(api: Api, sandbox: Sandbox) -> None:
    api.company()
    rows = [{"email": "lost@nowhere.test"}, {"email": "a@b.test", "companyId": "extid-c-1"}]
    body = api.bulk("/endusers", *rows)
    assert (body["created"], body["createdErrors"]) == (1, [])
    assert [record["email"] for record in sandbox.tenant.records("endusers")] == ["a@b.test"]


def test_an_enduser_without_a_company_can_be_an_error(api: Api, sandbox: Sandbox) -> None:
    sandbox.rules = replace(sandbox.rules, unplaced_endusers="error")
    assert api.bulk("/endusers", {"email": "a@b.test"}, status=400)["createdErrors"] == [
        "companyId is required"
    ]


def test_an_enduser_finds_its_company_by_the_domain_of_its_email(api: Api, sandbox: Sandbox) -> None:
    company = api.company(domains=["Acme.test"])
    assert api.counters("/endusers", {"email": "a@acme.test"}) == (1, 0, 0)
    assert sandbox.tenant.record("endusers")["companyId"] == company
    api.bulk("/companies", {"_id": company, "domains": ["other.test"]})
    assert api.counters("/endusers", {"email": "b@acme.test"}) == (0, 0, 0)


def test_a_ticket_without_an_email_is_dropped_and_one_with_makes_the_enduser(
    api: Api, sandbox: Sandbox
) -> None:
    company = api.company(domains=["acme.test"])
    tickets = [{"sourceId": "t-1", "domains": ["acme.test"]}]
    tickets.append({"sourceId": "t-2", "email": "new@acme.test", "domains": ["acme.test"]})
    assert api.counters("/tickets", *tickets) == (1, 0, 0)
    assert sandbox.tenant.record("endusers", email="new@acme.test")["companyId"] == company


# -- values


@pytest.mark.parametrize(
    ("path", "field", "sent", "stored"),
    [
        ("companies", "externalId", 12, "12"),
        ("companies", "mr", "12.5", 12.5),
        ("companies", "h", "7", 7),
        ("companies", "h", 7.0, 7),
        ("companies", "tags", ["a", 1], ["a", "1"]),
        ("companies", "description", "", ""),
        ("endusers", "primary", "true", True),
        ("licenses", "fromDate", "2026-01-31", "2026-01-31T00:00:00.000Z"),
        ("licenses", "fromDate", "2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00.000Z"),
        ("licenses", "fromDate", "2026-01-31T12:00:00.123Z", "2026-01-31T12:00:00.123Z"),
        ("invoices", "dueDate", "20000", 20_000),
        ("churn", "churnDate", "2026-01-31T00:00:00Z", "2026-01-31"),
        ("churn", "anything", {"kept": True}, {"kept": True}),
        ("tasks", "checklist", [{"title": "x"}], [{"title": "x"}]),
    ],
)
def test_values_are_cast(api: Api, sandbox: Sandbox, path: str, field: str, sent: Any, stored: Any) -> None:
    api.company("other")
    api.company()
    record_id = api.bulk(f"/{path}", MINIMUM[path] | {field: sent})["upsertedIds"][0]
    value = sandbox.tenant.record(path, _id=record_id)[field]
    assert (value, type(value)) == (stored, type(stored))


@pytest.mark.parametrize(
    ("path", "field", "sent"),
    [
        ("companies", "mr", "twelve"),
        ("companies", "mr", True),
        ("companies", "mr", "NaN"),
        ("companies", "h", 7.5),
        ("companies", "csmScore", 6),
        ("companies", "status", "happy"),
        ("companies", "owner", "mia"),
        ("companies", "tags", "a,b"),
        ("companies", "tags", {"add": ["a"]}),
        ("companies", "name", ["A"]),
        ("companies", "custom", "gold"),
        ("companies", "custom", {"Plan": {"nested": 1}}),
        ("endusers", "archived", 1),
        ("licenses", "fromDate", "31.1.2026"),
        ("licenses", "fromDate", 20_000),
        ("invoices", "dueDate", "2026-01-31"),
        ("nps", "score", 11),
        ("tasks", "checklist", ["x"]),
    ],
)
def test_values_that_cannot_be_cast_fail_their_row(api: Api, path: str, field: str, sent: Any) -> None:
    api.company()
    body = api.bulk(f"/{path}", MINIMUM[path] | {field: sent}, status=400)
    assert body["createdErrors"][0].startswith(field)


def test_computed_and_unknown_fields_are_not_stored(api: Api, sandbox: Sandbox) -> None:
    api.bulk("/companies", {"name": "A", "mrr": 5, "slug": "a", "nonsense": 1})
    assert sandbox.tenant.record("companies").keys().isdisjoint({"mrr", "slug", "nonsense"})


def test_an_update_changes_sent_fields_only_and_moves_updated_at(api: Api, sandbox: Sandbox) -> None:
    company = api.company(phase="Onboarding", tags=["a", "b"])
    sandbox.tenant.edit("companies", company, updatedAt="2020-01-01T00:00:00.000Z")
    api.bulk("/companies", {"externalId": "c-1", "tags": ["c"]})
    record = sandbox.tenant.record("companies")
    assert (record["phase"], record["tags"]) == ("Onboarding", ["c"])
    moved = record["updatedAt"]
    assert moved > "2026"
    api.bulk("/companies", {"externalId": "c-1", "tags": ["c"]})
    assert sandbox.tenant.record("companies")["updatedAt"] == moved


@pytest.mark.parametrize(("reads", "present"), [("null", True), ("absent", False)])
def test_null_clears_and_reads_back_as_null_or_not_at_all(
    api: Api, sandbox: Sandbox, reads: str, present: bool
) -> None:
    company = api.company(phase="Onboarding", tags=["a"], custom={"Plan": "gold"})
    sandbox.rules = replace(sandbox.rules, null_reads=reads)
    api.bulk("/companies", {"externalId": "c-1", "phase": None, "tags": [], "custom": {"Plan": None}})
    record = api.get(f"/companies/{company}")
    assert record.get("phase") is None
    assert ("phase" in record, "Plan" in record["custom"]) == (present, present)
    assert record["tags"] == []


@pytest.mark.parametrize(
    ("update", "kept"), [("merge", {"A": 1, "B": 3, "C": 4}), ("replace", {"B": 3, "C": 4})]
)
def test_custom_is_merged_or_replaced(api: Api, sandbox: Sandbox, update: str, kept: dict[str, int]) -> None:
    sandbox.rules = replace(sandbox.rules, custom_update=update)
    api.company(custom={"A": 1, "B": 2})
    api.bulk("/companies", {"externalId": "c-1", "custom": {"B": 3, "C": 4}})
    assert sandbox.tenant.record("companies")["custom"] == kept


CUSTOM_CASES: list[tuple[str, Any, Any]] = [
    ("number", "5", 5),
    ("number", "five", None),
    ("checkbox", "true", True),
    ("rating", 3.5, None),
    ("date", "2026-01-31", "2026-01-31T00:00:00.000Z"),
    ("day", 20_000, 20_000),
    ("day", "2026-01-31", None),
    ("multipicklist", ["a"], ["a"]),
    ("multipicklist", "a", None),
    ("team member", "a" * 24, "a" * 24),
    ("team member", "mia", None),
    ("text", 5, "5"),
]


@pytest.mark.parametrize(("kind", "sent", "stored"), CUSTOM_CASES)
def test_defined_custom_fields_are_cast(
    api: Api, sandbox: Sandbox, kind: str, sent: Any, stored: Any
) -> None:
    sandbox.tenant.seed("customfields", [{"parent": "company", "name": "Field", "type": kind}])
    response = api.put("/companies", [{"name": "A", "custom": {"Field": sent}}])
    if stored is None:
        assert response.json()["createdErrors"][0].startswith("custom.Field: expected")
    else:
        assert sandbox.tenant.record("companies")["custom"] == {"Field": stored}


def test_an_undefined_custom_field_is_stored_or_refused(api: Api, sandbox: Sandbox) -> None:
    api.bulk("/companies", {"name": "A", "custom": {"Unknown": 1}})
    assert sandbox.tenant.record("companies")["custom"] == {"Unknown": 1}
    assert sandbox.tenant.records("customfields") == []
    sandbox.rules = replace(sandbox.rules, unknown_custom="refuse")
    body = api.bulk("/companies", {"name": "B", "custom": {"Unknown": 1}}, status=400)
    assert body["createdErrors"] == ["custom.Unknown: no such custom field"]


def test_formulas_are_not_written_and_mandatory_fields_are_asked_for(api: Api, sandbox: Sandbox) -> None:
    fields: list[dict[str, Any]] = [
        {"parent": "company", "name": "Sum", "type": "number", "isFormula": True},
        {"parent": "company", "name": "Region", "type": "text", "isMandatory": True},
    ]
    sandbox.tenant.seed("customfields", fields)
    assert api.bulk("/companies", {"name": "A"}, status=400)["createdErrors"] == ["custom.Region is required"]
    api.bulk("/companies", {"name": "A", "custom": {"Region": "EMEA", "Sum": 5}})
    assert sandbox.tenant.record("companies")["custom"] == {"Region": "EMEA"}


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ({"firstName": "Ada", "lastName": "Berg"}, "Ada Berg"),
        ({"name": "Ada van Berg"}, "Ada van Berg"),
        ({"firstName": "Ada"}, "Ada"),
    ],
)
def test_an_endusers_name_is_composed(api: Api, sandbox: Sandbox, sent: dict[str, str], name: str) -> None:
    api.company()
    row = {"externalId": "u", "companyId": "extid-c-1", **sent}
    api.bulk("/endusers", row)
    record = sandbox.tenant.record("endusers")
    assert (record["name"], record["firstName"]) == (name, "Ada")
    assert api.counters("/endusers", row) == (0, 0, 1)
    api.bulk("/endusers", {"_id": record["_id"], "firstName": "Eva"})
    assert sandbox.tenant.record("endusers")["name"] == name.replace("Ada", "Eva")


@pytest.mark.parametrize(("sent", "stored"), [("review", "review"), ("party", "note"), (None, "note")])
def test_an_unknown_conversation_type_becomes_a_note(
    api: Api, sandbox: Sandbox, sent: str | None, stored: str
) -> None:
    sandbox.rules = replace(sandbox.rules, conversation_types=("note", "review"))
    api.company()
    api.bulk("/conversations", {"companyId": "extid-c-1", **({"type": sent} if sent else {})})
    assert sandbox.tenant.record("conversations")["type"] == stored
