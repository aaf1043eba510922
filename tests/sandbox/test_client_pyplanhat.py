"""The sandbox as `pyplanhat` sees it: a Planhat client by others, on httpx, with and without asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pyplanhat import (
    APIError,
    AsyncPyPlanhat,
    AuthenticationError,
    Company,
    Conversation,
    EndUser,
    InvalidRequestError,
    PyPlanhat,
    RateLimitError,
    ServerError,
)

from planhat_dbt.sandbox import Fault, FaultKind, Rules, Sandbox

MISSING = "f" * 24
DENIED = Rules(denied=("companies:read",))


@pytest.fixture
def planhat(sandbox: Sandbox) -> Iterator[PyPlanhat]:
    with PyPlanhat(api_key=sandbox.token, base_url=sandbox.url) as client:
        yield client


def company(sandbox: Sandbox, key: str = "c-1", **more: Any) -> str:
    return sandbox.tenant.seed("companies", [{"name": f"Company {key}", "externalId": key, **more}])[0]


def test_a_company_is_created_read_updated_and_deleted(planhat: PyPlanhat, sandbox: Sandbox) -> None:
    wanted = Company(
        name="Birkfelt",
        external_id="c-1",
        source_id="s-1",
        domains=["birkfelt.test"],
        csm_score=4,
        custom={"Plan Tier": "gold", "Seats": 3},
    )
    created = planhat.companies.create(wanted)
    assert created.id
    assert created.model_dump() == wanted.model_dump() | {"id": created.id, "status": "prospect"}
    stored = sandbox.tenant.record("companies", _id=created.id)
    assert (stored["externalId"], stored["csmScore"], stored["domains"]) == ("c-1", 4, ["birkfelt.test"])
    assert stored["custom"] == {"Plan Tier": "gold", "Seats": 3}
    for key in (created.id, "extid-c-1", "srcid-s-1"):
        assert planhat.companies.get(key) == created

    updated = planhat.companies.update("extid-c-1", Company(name="Birkfelt AB", phase="Live"))
    assert updated == created.model_copy(update={"name": "Birkfelt AB", "phase": "Live"})
    stored = sandbox.tenant.record("companies")
    assert (stored["_id"], stored["name"], stored["phase"]) == (created.id, "Birkfelt AB", "Live")
    # A list row of a company has no custom fields.
    assert planhat.companies.list() == [updated.model_copy(update={"custom": {}, "csm_score": None})]

    planhat.companies.delete(created.id)
    assert sandbox.tenant.records("companies") == []
    assert not sandbox.violations


def test_an_enduser_is_created_read_updated_and_deleted(planhat: PyPlanhat, sandbox: Sandbox) -> None:
    parent = company(sandbox)
    wanted = EndUser(
        company_id="extid-c-1", email="ada@x.test", first_name="Ada", last_name="Berg", tags=["a"]
    )
    created = planhat.endusers.create(wanted)
    assert (created.company_id, created.name, created.archived) == (parent, "Ada Berg", False)
    assert created.id
    assert planhat.endusers.get(created.id) == created
    assert planhat.endusers.list() == [created]

    updated = planhat.endusers.update(created.id, EndUser(position="CFO", tags=["b", "c"], archived=True))
    stored = sandbox.tenant.record("endusers")
    assert (updated.position, updated.tags, updated.email) == ("CFO", ["b", "c"], "ada@x.test")
    assert (stored["position"], stored["tags"], stored["email"]) == ("CFO", ["b", "c"], "ada@x.test")
    # Lists hide the archived.
    assert planhat.endusers.list() == []

    planhat.endusers.delete(created.id)
    assert sandbox.tenant.records("endusers") == []
    assert not sandbox.violations


def test_an_enduser_finds_its_company_by_the_domain_or_is_refused(
    planhat: PyPlanhat, sandbox: Sandbox
) -> None:
    parent = company(sandbox, domains=["birkfelt.test"])
    assert planhat.endusers.create(EndUser(email="ada@birkfelt.test")).company_id == parent
    with pytest.raises(APIError, match="companyId is required"):
        planhat.endusers.create(EndUser(email="ada@elsewhere.test"))
    assert [record["email"] for record in sandbox.tenant.records("endusers")] == ["ada@birkfelt.test"]


def test_a_conversation_is_created_read_updated_and_deleted(planhat: PyPlanhat, sandbox: Sandbox) -> None:
    parent = company(sandbox)
    owner = sandbox.tenant.seed("users", [{"nickName": "mia", "email": "mia@x.test"}])[0]
    wanted = Conversation(
        company_id=parent,
        type="no such type",
        external_id="n-1",
        subject="Hello",
        date="2026-01-31T10:00:00Z",
        users=[{"id": owner, "isOwner": True}],
    )
    created = planhat.conversations.create(wanted)
    # A type that does not exist becomes a note without a word.
    assert (created.type, created.date, created.users) == ("note", "2026-01-31T10:00:00.000Z", wanted.users)
    assert created.id
    assert planhat.conversations.get(created.id) == planhat.conversations.get("extid-n-1") == created
    assert planhat.conversations.list() == [created]
    planhat.conversations.update(created.id, Conversation(subject="Bye", pinned=True))
    stored = sandbox.tenant.record("notes")
    assert (stored["companyId"], stored["subject"], stored["pinned"]) == (parent, "Bye", True)
    planhat.conversations.delete(created.id)
    assert sandbox.tenant.records("conversations") == []
    assert not sandbox.violations


@pytest.mark.parametrize(("path", "page"), [("companies", 100), ("endusers", 100), ("conversations", 30)])
def test_a_list_without_a_limit_is_one_page(
    planhat: PyPlanhat, sandbox: Sandbox, path: str, page: int
) -> None:
    parent = company(sandbox)
    rows = [{"name": f"N{number}", "companyId": parent} for number in range(page + 5)]
    ids = sandbox.tenant.seed(path, rows)
    listed = getattr(planhat, path).list()
    assert [record.id for record in listed] == ids[:4:-1]


def test_a_record_that_is_sent_back_as_it_was_read_changes_what_can_be_changed(
    planhat: PyPlanhat, sandbox: Sandbox
) -> None:
    # `_id` and computed fields do not belong in an update; this client sends what it is given.
    parent = company(sandbox)
    person = sandbox.tenant.seed("endusers", [{"companyId": parent, "email": "ada@x.test"}])[0]
    read = planhat.endusers.get(person)
    sent = read.model_copy(update={"phone": "123", "beats": 7, "id": MISSING})
    assert planhat.endusers.update(person, sent) == read.model_copy(update={"phone": "123"})
    stored = sandbox.tenant.record("endusers")
    assert (stored["_id"], stored["phone"], stored.get("beats")) == (person, "123", None)
    assert {violation.rule for violation in sandbox.violations} == {"id_in_update_body", "read_only_field"}

    sandbox.rules = Rules(strict_updates=True)
    with pytest.raises(APIError, match="_id must not be sent"):
        planhat.endusers.update(person, sent.model_copy(update={"phone": "456"}))
    assert sandbox.tenant.record("endusers")["phone"] == "123"


@pytest.mark.parametrize(("rule", "left"), [("merge", {"Seats": 3}), ("replace", {})])
def test_its_empty_custom_object_spares_the_custom_fields_only_where_they_are_merged(
    planhat: PyPlanhat, sandbox: Sandbox, rule: str, left: dict[str, Any]
) -> None:
    # This client sends `custom: {}` with each update that names no custom field.
    record = company(sandbox, custom={"Seats": 3})
    sandbox.rules = Rules(custom_update=rule)
    assert planhat.companies.update(record, Company(name="New")).custom == left
    assert sandbox.tenant.record("companies")["custom"] == left


@pytest.mark.parametrize(
    ("call", "rules", "error", "status", "body"),
    [
        (lambda planhat: planhat.companies.get(MISSING), Rules(), InvalidRequestError, 404, "Not Found"),
        (lambda planhat: planhat.companies.get("extid-none"), Rules(), InvalidRequestError, 404, "Not Found"),
        (lambda planhat: planhat.companies.delete(MISSING), Rules(), InvalidRequestError, 404, "Not Found"),
        (
            lambda planhat: planhat.companies.update(MISSING, Company(name="A")),
            Rules(),
            InvalidRequestError,
            404,
            "Not Found",
        ),
        (lambda planhat: planhat.companies.get("c-1"), Rules(), APIError, 400, "Cast to ObjectId failed"),
        (
            lambda planhat: planhat.companies.create(Company(name="A", external_id="c-1")),
            Rules(),
            APIError,
            400,
            "externalId duplicated",
        ),
        (lambda planhat: planhat.companies.list(), DENIED, AuthenticationError, 403, "No permission to read"),
        # This client narrows lists to a company by a path that is not documented.
        (lambda planhat: planhat.endusers.list(company_id=MISSING), Rules(), InvalidRequestError, 404, ""),
    ],
)
def test_errors_are_told_by_status_and_text(
    planhat: PyPlanhat,
    sandbox: Sandbox,
    call: Callable[[PyPlanhat], object],
    rules: Rules,
    error: type[APIError],
    status: int,
    body: str,
) -> None:
    company(sandbox)
    before = sandbox.tenant.records("companies")
    sandbox.rules = rules
    with pytest.raises(APIError) as caught:
        call(planhat)
    assert (type(caught.value), caught.value.status_code) == (error, status)
    assert body in caught.value.response_body
    assert sandbox.tenant.records("companies") == before


def test_a_wrong_token_is_a_401(sandbox: Sandbox) -> None:
    with PyPlanhat(api_key="wrong", base_url=sandbox.url) as stranger:
        for call in (stranger.companies.list, lambda: stranger.companies.create(Company(name="A"))):
            with pytest.raises(AuthenticationError) as caught:
                call()
            assert caught.value.status_code == 401
    assert sandbox.tenant.records("companies") == []


def test_the_quota_and_a_gateway_fault_have_errors_of_their_own(
    planhat: PyPlanhat, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.faults.add(Fault(kind=FaultKind.STATUS_AFTER, method="POST", status=502))
    with pytest.raises(ServerError, match="Bad Gateway"):
        planhat.companies.create(Company(name="A"))
    assert [record.name for record in planhat.companies.list()] == ["A"]
    monkeypatch.setattr(sandbox.quota, "limit", 0)
    with pytest.raises(RateLimitError, match="Too many requests"):
        planhat.companies.list()


def test_many_calls_at_once(sandbox: Sandbox) -> None:
    async def run() -> tuple[list[Company], list[EndUser]]:
        async with AsyncPyPlanhat(api_key=sandbox.token, base_url=sandbox.url) as planhat:
            create, add = planhat.companies.create, planhat.endusers.create
            made = await asyncio.gather(
                *(create(Company(name=f"C{number}", external_id=f"c-{number}")) for number in range(20))
            )
            people = [EndUser(company_id=record.id, email=f"{record.external_id}@x.test") for record in made]
            return made, await asyncio.gather(*(add(person) for person in people))

    companies, people = asyncio.run(run())
    stored = {record["_id"]: record["name"] for record in sandbox.tenant.records("companies")}
    assert stored == {record.id: f"C{number}" for number, record in enumerate(companies)}
    assert {record["_id"]: record["companyId"] for record in sandbox.tenant.records("endusers")} == {
        person.id: record.id for record, person in zip(companies, people, strict=True)
    }
    assert sandbox.log.counts == {"POST /companies": 20, "POST /endusers": 20}
    assert not sandbox.violations
