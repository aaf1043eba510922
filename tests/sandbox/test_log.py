"""The call log and the check of every call against the API's rules."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import httpx
import pytest

from planhat_dbt.sandbox import Fault, FaultKind, Sandbox

from .conftest import Api


def test_a_call_is_written_down_as_it_was_sent(api: Api, sandbox: Sandbox) -> None:
    rows = [{"name": "A", "externalId": "a"}, {"externalId": "b"}]
    api.http.put("/companies", params={"x": "1"}, json=rows)
    call = sandbox.log.calls[0]
    assert (call.number, call.method, call.path, call.query) == (1, "PUT", "/companies", {"x": "1"})
    assert (call.body, call.rows, call.status) == (rows, 2, 206)
    assert call.answer["created"] == call.answer["createdErrors"] == 1
    assert call.headers["content-type"] == "application/json"
    assert int(call.headers["content-length"]) == call.size


def test_credentials_are_not_kept(api: Api, sandbox: Sandbox) -> None:
    api.http.post(f"/dimensiondata/{sandbox.tenant_uuid}", json=[])
    kept = httpx.get(f"{sandbox.url}/_sandbox/log").text
    assert sandbox.token not in kept
    assert sandbox.tenant_uuid not in kept
    assert sandbox.log.calls[0].path == "/dimensiondata/{tenant}"


def test_counts_put_ids_aside(api: Api, sandbox: Sandbox) -> None:
    ids = [api.company("a"), api.company("b")]
    for record_id in ids:
        api.get(f"/companies/{record_id}")
    api.get("/companies")
    api.http.post(f"/analytics/bulk/{sandbox.tenant_uuid}", json=[])
    assert sandbox.log.counts == {
        "GET /companies/{id}": 2,
        "GET /companies": 1,
        "POST /analytics/bulk/{tenant}": 1,
    }
    assert [call.path for call in sandbox.log.of("GET", "/companies")] == [
        *(f"/companies/{i}" for i in ids),
        "/companies",
    ]


def test_the_fault_is_written_down_with_the_call(api: Api, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(kind=FaultKind.RESET_AFTER))
    with pytest.raises(httpx.ReadError):
        api.get("/companies")
    call = sandbox.log.calls[0]
    assert (call.fault, call.status, call.answer) == ("reset_after", None, None)


def test_a_log_can_be_bounded() -> None:
    with Sandbox(log_calls=2, log_rows=3) as sandbox, Api(sandbox) as api:
        for count in (1, 2, 5):
            api.put("/companies", [{"name": "A"}] * count)
        assert [(call.number, call.rows, len(call.body)) for call in sandbox.log.calls] == [
            (2, 2, 2),
            (3, 5, 3),
        ]
        assert (sandbox.log.total, sandbox.log.counts["PUT /companies"]) == (3, 3)


def test_looking_and_steering_is_not_logged(sandbox: Sandbox) -> None:
    for path in ("/", "/_sandbox/state", "/_sandbox/log"):
        assert httpx.get(sandbox.url + path).status_code == 200
    assert sandbox.log.total == 0


ROW = {"name": "A", "externalId": "a"}


@pytest.mark.parametrize(
    ("path", "rows", "rules"),
    [
        ("companies", [ROW, {"name": "B", "externalId": "b"}], []),
        ("companies", [{"_id": "{id}", "name": "B", "externalId": "c-1"}], []),
        ("companies", [{"_id": "a" * 24, "name": "B"}], ["unknown_id"]),
        ("companies", [ROW, ROW | {"name": "B"}], ["key_twice_in_batch"]),
        ("companies", [{"_id": "{id}"}, {"_id": "{id}"}], ["key_twice_in_batch"]),
        ("companies", [ROW | {"mrr": 5}], ["read_only_field"]),
        ("companies", [ROW | {"updatedAt": "2026-01-01"}], ["read_only_field"]),
        ("companies", [ROW | {"colour": "red"}], ["unknown_field"]),
        ("companies", [ROW | {"externalId": 5}], ["id_not_a_string"]),
        ("companies", [ROW | {"externalId": ""}], ["empty_key"]),
        ("companies", ["text"], ["row_not_an_object"]),
        ("endusers", [{"externalId": "u", "companyId": 5}], ["id_not_a_string"]),
        ("endusers", [{"externalId": "u", "companyId": None}], ["null_key"]),
        (
            "endusers",
            [{"externalId": "u", "companyId": "extid-c-1"}, {"externalId": "u", "companyId": "extid-x"}],
            [],
        ),
        ("invoices", [{"externalId": "i", "cId": "extid-c-1"}], ["unknown_field"]),
        ("churn", [{"companyId": "extid-c-1", "isChurn": True}], []),
        ("conversations", [{"companyId": "extid-c-1", "type": "call"}], ["reserved_type"]),
    ],
)
def test_bulk_calls_are_checked(
    api: Api, sandbox: Sandbox, path: str, rows: list[Any], rules: list[str]
) -> None:
    company = api.company()
    filled = [
        {k: v.format(id=company) if v == "{id}" else v for k, v in r.items()} if type(r) is dict else r
        for r in rows
    ]
    api.put(f"/{path}", filled)
    assert [violation.rule for violation in sandbox.violations] == rules
    assert all((violation.call, violation.path) == (1, f"/{path}") for violation in sandbox.violations)


@pytest.mark.parametrize(
    ("method", "url", "body", "rules"),
    [
        ("PUT", "/companies/{id}", {"name": "B"}, []),
        ("PUT", "/companies/{id}", {"_id": "{id}"}, ["id_in_update_body"]),
        ("POST", "/companies", {"_id": "{id}", "name": "B"}, ["id_in_create_body"]),
        ("PUT", "/companies/{id}", {"slug": "x"}, ["read_only_field"]),
        ("PUT", "/companies/{id}", {"externalId": 5}, ["id_not_a_string"]),
        ("PUT", "/companies/", {"name": "B"}, ["empty_id"]),
        ("DELETE", "/companies/", None, ["empty_id"]),
        ("DELETE", "/companies/extid-c-1", None, ["malformed_id"]),
        ("GET", "/companies/extid-", None, ["malformed_id"]),
        ("GET", "/companies/extid-c-1", None, []),
        ("GET", "/tasks/extid-c-1", None, ["malformed_id"]),
    ],
)
def test_single_calls_are_checked(
    api: Api, sandbox: Sandbox, method: str, url: str, body: Any, rules: list[str]
) -> None:
    company = api.company()
    api.http.request(method, url.format(id=company), json=body)
    assert [violation.rule for violation in sandbox.violations] == rules


def test_bulk_calls_to_one_model_must_not_overlap(api: Api, sandbox: Sandbox) -> None:
    def put(path: str) -> None:
        httpx.put(sandbox.url + path, json=[], headers=sandbox.headers)

    def overlap(*paths: str) -> list[str]:
        sandbox.log.clear()
        sandbox.faults.add(Fault(kind=FaultKind.DELAY, seconds=0.3, count=len(paths)))
        threads = [threading.Thread(target=put, args=(path,)) for path in paths]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [violation.rule for violation in sandbox.violations]

    assert overlap("/companies", "/assets") == []
    assert overlap("/companies", "/companies") == ["parallel_bulk"]


def test_a_retry_after_a_timeout_does_not_overlap(api: Api, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(kind=FaultKind.DELAY, seconds=0.4))
    with pytest.raises(httpx.ReadTimeout):
        api.http.put("/companies", json=[], timeout=0.1)
    assert api.put("/companies", []).status_code == 200
    assert sandbox.violations == []


def test_rules_keep_their_promise_to_be_plain_values(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="null_reads: 'maybe' is not one of null, absent"):
        replace(sandbox.rules, null_reads="maybe")
    with pytest.raises(ValueError, match="no rule named colour; rules: archived_filter"):
        sandbox.rules.changed({"colour": "red"})
    with pytest.raises(ValueError, match="companies:create"):
        replace(sandbox.rules, denied=("companies",))
    changed = sandbox.rules.changed(
        {"patch": "true", "read_delay": "0.5", "denied": "nps:read, tasks:delete"}
    )
    assert (changed.patch, changed.read_delay, changed.denied) == (True, 0.5, ("nps:read", "tasks:delete"))
