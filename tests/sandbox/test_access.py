"""Who may call, how often, how much: tokens, quota, limits (planhat-api §1.2, §2, §8, §13.2 to §13.4)."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from planhat_dbt.sandbox import Sandbox

from .conftest import Api


def basic(user: str, password: str = "") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Bearer {token}", 200),
        ("bearer {token}", 200),
        ("Bearer wrong", 401),
        ("{token}", 401),
        ("Basic broken!", 401),
        (None, 401),
    ],
)
@pytest.mark.parametrize("url", ["/companies", "/leancompanies", "/dimensiondata"])
def test_the_main_api_wants_the_token(sandbox: Sandbox, header: str | None, status: int, url: str) -> None:
    headers = {"Authorization": header.format(token=sandbox.token)} if header else {}
    assert httpx.get(sandbox.url + url, headers=headers).status_code == status


@pytest.mark.parametrize(("password", "status"), [("", 200), ("x", 401)])
def test_the_token_may_come_as_a_basic_user(sandbox: Sandbox, password: str, status: int) -> None:
    headers = {"Authorization": basic(sandbox.token, password)}
    assert httpx.get(f"{sandbox.url}/companies", headers=headers).status_code == status


def test_without_a_token_even_unknown_paths_are_401(sandbox: Sandbox) -> None:
    assert httpx.get(f"{sandbox.url}/nonsense").status_code == 401


@pytest.mark.parametrize(
    ("header", "strict_status"),
    [(None, 200), ("Bearer {token}", 200), ("Bearer wrong", 401), ("uuid", 200), ("Basic broken!", 401)],
)
def test_tracking_takes_calls_with_or_without_a_token(
    sandbox: Sandbox, header: str | None, strict_status: int
) -> None:
    headers = {}
    if header:
        headers["Authorization"] = (
            basic(sandbox.tenant_uuid) if header == "uuid" else header.format(token=sandbox.token)
        )
    url = f"{sandbox.url}/dimensiondata/{sandbox.tenant_uuid}"
    assert httpx.post(url, json=[], headers=headers).status_code == 200
    sandbox.rules = replace(sandbox.rules, strict_tracking_auth=True)
    assert httpx.post(url, json=[], headers=headers).status_code == strict_status


@pytest.fixture
def throttled() -> Iterator[Api]:
    with Sandbox(quota=3, quota_seconds=30) as sandbox, Api(sandbox) as api:
        yield api


def test_beyond_the_quota_comes_a_429_until_the_window_ends(throttled: Api) -> None:
    api, sandbox = throttled, throttled.sandbox
    statuses = [api.http.get("/companies").status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    refused = api.http.get("/companies")
    assert (refused.text, "retry-after" in refused.headers) == ("Too many requests", False)
    assert api.http.post(f"/dimensiondata/{sandbox.tenant_uuid}", json=[]).status_code == 200
    sandbox.rules = replace(sandbox.rules, retry_after=True)
    assert 25 <= int(api.http.get("/companies").headers["retry-after"]) <= 30
    sandbox.quota.seconds = 0.05
    time.sleep(0.06)
    assert api.http.get("/companies").status_code == 200


@pytest.mark.parametrize(
    ("spelling", "names"),
    [
        ("old", {"x-rate-limit-limit", "x-rate-limit-remaining"}),
        ("new", {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"}),
        ("none", set()),
    ],
)
def test_rate_headers_in_their_spellings(api: Api, sandbox: Sandbox, spelling: str, names: set[str]) -> None:
    sandbox.rules = replace(sandbox.rules, rate_headers=spelling)
    headers = api.http.get("/companies").headers
    assert {name for name in headers if "rate" in name} == names
    if names:
        left = [
            int(api.http.get("/companies").headers[min(names, key=lambda n: "remaining" not in n)])
            for _ in "12"
        ]
        assert left[0] - left[1] == 1


def test_rate_headers_cycle_by_default(api: Api) -> None:
    seen = [frozenset(n for n in api.http.get("/companies").headers if "rate" in n) for _ in range(3)]
    assert len(set(seen)) == 3


def test_more_than_5000_rows_are_refused(api: Api, sandbox: Sandbox) -> None:
    rows = [{"name": "A", "externalId": str(i)} for i in range(5_001)]
    assert api.put("/companies", rows).status_code == 400
    assert sandbox.tenant.records("companies") == []
    assert api.put("/companies", rows[:5_000]).json()["created"] == 5_000
    assert [violation.rule for violation in sandbox.violations] == ["too_many_rows"]


@pytest.mark.parametrize("path", ["/companies", "/dimensiondata/{uuid}"])
def test_more_than_32_mb_are_refused(api: Api, sandbox: Sandbox, path: str) -> None:
    body = b'[{"name":"' + b"x" * (32 * 1024 * 1024) + b'"}]'
    headers = {"Content-Type": "application/json"}
    method = "PUT" if path == "/companies" else "POST"
    response = api.http.request(method, path.format(uuid=sandbox.tenant_uuid), content=body, headers=headers)
    assert response.status_code == 413
    assert [violation.rule for violation in sandbox.violations] == ["body_too_large"]


@pytest.mark.parametrize(
    ("content", "kind"), [(b"[{]", "application/json"), (b"[]", "text/plain"), (b"", "application/json")]
)
def test_a_body_must_be_json(api: Api, content: bytes, kind: str) -> None:
    assert api.http.put("/companies", content=content, headers={"Content-Type": kind}).status_code == 400
