"""Endpoint: addresses, secrets, fingerprint."""

from __future__ import annotations

import base64
import dataclasses
import subprocess
import sys

import pytest

from planhat_dbt.errors import UsageError
from planhat_dbt.planhat import Endpoint
from planhat_dbt.planhat.endpoint import Fingerprint, Secret

from .conftest import TENANT, TOKEN

ENV = {"PLANHAT_API_TOKEN": TOKEN, "PLANHAT_TENANT_UUID": TENANT}


@pytest.mark.parametrize(
    ("extra", "api", "tracking"),
    [
        ({}, "https://api.planhat.com", "https://analytics.planhat.com"),
        ({"PLANHAT_REGION": ""}, "https://api.planhat.com", "https://analytics.planhat.com"),
        ({"PLANHAT_REGION": " US1 "}, "https://api-us1.planhat.com", "https://analytics.planhat.com"),
        ({"PLANHAT_REGION": "eu3"}, "https://api-eu3.planhat.com", "https://analytics.planhat.com"),
        (
            {"PLANHAT_REGION": "us1", "PLANHAT_API_URL": "https://api.planhatdemo.com/"},
            "https://api.planhatdemo.com",
            "https://analytics.planhat.com",
        ),
        (
            {"PLANHAT_TRACKING_URL": "https://t.example.com/x/"},
            "https://api.planhat.com",
            "https://t.example.com/x",
        ),
        (
            {"PLANHAT_API_URL": "http://localhost:8765"},
            "http://localhost:8765",
            "https://analytics.planhat.com",
        ),
        ({"PLANHAT_API_URL": "http://127.8.0.1:1"}, "http://127.8.0.1:1", "https://analytics.planhat.com"),
        ({"PLANHAT_API_URL": "http://[::1]:8765/"}, "http://[::1]:8765", "https://analytics.planhat.com"),
    ],
)
def test_addresses(extra: dict[str, str], api: str, tracking: str) -> None:
    endpoint = Endpoint.from_env(ENV | extra)
    assert (endpoint.api_url, endpoint.tracking_url) == (api, tracking)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("PLANHAT_API_URL", "http://api.planhat.com", "plain http"),
        ("PLANHAT_TRACKING_URL", "http://analytics.planhat.com", "plain http"),
        ("PLANHAT_API_URL", "http://localhost.example.com", "plain http"),
        ("PLANHAT_API_URL", "http://127.0.0.1.example.com", "plain http"),
        ("PLANHAT_API_URL", "http://0.0.0.0:80", "plain http"),
        ("PLANHAT_API_URL", "http://10.0.0.1", "plain http"),
        ("PLANHAT_API_URL", "ftp://localhost", "not an http"),
        ("PLANHAT_API_URL", "api.planhat.com", "not an http"),
        ("PLANHAT_API_URL", "https://", "not an http"),
        ("PLANHAT_API_URL", "https://h:99999", "cannot be read|not an address"),
        ("PLANHAT_API_URL", "https://[::1", "not an address"),
        ("PLANHAT_API_URL", "https://u:hidden@h", "user or password"),
        ("PLANHAT_API_URL", "https://h/?a=hidden", "query"),
        ("PLANHAT_REGION", "us1.evil.example/", "PLANHAT_REGION"),
        ("PLANHAT_REGION", "us1@evil", "PLANHAT_REGION"),
        ("PLANHAT_API_TOKEN", "", "PLANHAT_API_TOKEN is not set"),
        ("PLANHAT_API_TOKEN", "  ", "PLANHAT_API_TOKEN is not set"),
        ("PLANHAT_API_TOKEN", "Bearer hidden", "blanks"),
        ("PLANHAT_API_TOKEN", "hidden\r\nX-Evil: 1", "blanks"),
        ("PLANHAT_API_TOKEN", "hiddén", "characters"),
        ("PLANHAT_TENANT_UUID", "../hidden", "PLANHAT_TENANT_UUID"),
    ],
)
def test_wrong_settings_are_usage_errors_that_name_the_variable(variable: str, value: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        Endpoint.from_env(ENV | {variable: value})
    assert caught.value.exit_code == 2
    assert variable in caught.value.message
    assert caught.value.hint
    assert "hidden" not in caught.value.message + caught.value.hint


def test_the_token_is_needed_only_where_something_is_sent() -> None:
    assert not Endpoint.from_env({}, need_token=False).token


def test_the_tenant_is_needed_only_for_events() -> None:
    endpoint = Endpoint.from_env({"PLANHAT_API_TOKEN": TOKEN})
    with pytest.raises(UsageError, match="PLANHAT_TENANT_UUID is not set") as caught:
        endpoint.require_tenant()
    assert "Developer" in caught.value.hint
    assert Endpoint.from_env(ENV).require_tenant() == TENANT


def test_no_way_of_showing_an_endpoint_shows_its_secrets() -> None:
    endpoint = Endpoint.from_env(ENV)
    shown = (
        f"{endpoint} {endpoint!r} {endpoint.token} {endpoint.tenant_uuid!r:>9} {dataclasses.asdict(endpoint)}"
    )
    assert TOKEN not in shown
    assert TENANT not in shown
    assert "***" in shown


def test_secrets_compare_by_value() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1
    assert repr(Secret("")) == "''"


@pytest.mark.parametrize(
    "form",
    [
        TOKEN,
        base64.b64encode(f"{TOKEN}:".encode()).decode(),
        TENANT,
        TENANT.upper(),
        base64.b64encode(f"{TENANT}:".encode()).decode(),
        "tok-3f9c61aa8be2%2F%2B%3Dsecret",
    ],
)
def test_redact(form: str) -> None:
    endpoint = Endpoint.from_env(ENV)
    assert endpoint.redact(f"a {form} b{form}") == "a *** b***"
    assert endpoint.redact_bytes(f"é {form}".encode() + b"\xff") == "é ***".encode() + b"\xff"


def test_redact_leaves_other_text_alone() -> None:
    endpoint = Endpoint.from_env({}, need_token=False)
    body = b"x" * 10
    assert endpoint.redact("nothing to hide") == "nothing to hide"
    assert endpoint.redact_bytes(body) is body


def test_fingerprint_tells_hosts_and_tenants_apart() -> None:
    def of(**extra: str) -> Fingerprint:
        return Endpoint.from_env({"PLANHAT_API_TOKEN": TOKEN, **extra}).fingerprint()

    prints = [
        of(),
        of(PLANHAT_REGION="us1"),
        of(PLANHAT_TENANT_UUID=TENANT),
        of(PLANHAT_API_URL="http://localhost:1"),
        of(PLANHAT_API_URL="http://localhost:2"),
    ]
    assert len(set(prints)) == len(prints)
    assert all(Fingerprint.parse(str(each)) == each for each in prints)
    assert TENANT not in str(of(PLANHAT_TENANT_UUID=TENANT))
    # A tenant UUID that becomes known is no other tenant; another host or another UUID is.
    assert not of().contradicts(of(PLANHAT_TENANT_UUID=TENANT))
    assert of(PLANHAT_TENANT_UUID="other").contradicts(of(PLANHAT_TENANT_UUID=TENANT))
    assert of().contradicts(of(PLANHAT_REGION="us1"))
    # Neither the token, nor spelling, nor the port of a public host makes another tenant.
    assert of(PLANHAT_API_TOKEN="other") == of()
    assert of(PLANHAT_API_URL="https://API.planhat.com:443/") == of()
    assert of(PLANHAT_TENANT_UUID=TENANT.upper()) == of(PLANHAT_TENANT_UUID=TENANT)


def test_the_endpoint_loads_without_an_http_library() -> None:
    code = (
        "import sys, planhat_dbt.planhat.endpoint, planhat_dbt.planhat as p; p.Endpoint; "
        "heavy = {'httpx', 'tenacity', 'pyrate_limiter'} & set(sys.modules); assert not heavy, heavy; "
        "p.PlanhatClient; assert 'httpx' in sys.modules; assert all(hasattr(p, name) for name in p.__all__)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
