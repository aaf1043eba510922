"""Faults as a client meets them on the wire, in process and ordered over HTTP."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import httpx
import pytest

from planhat_dbt.sandbox import Fault, FaultKind, Sandbox

from .conftest import Api

ROWS = [{"name": "A", "externalId": "a"}, {"name": "B", "externalId": "b"}]


def stored(sandbox: Sandbox) -> int:
    return len(sandbox.tenant.records("companies"))


@pytest.mark.parametrize("status", [400, 401, 403, 413, 429, 500, 502, 503, 504])
@pytest.mark.parametrize(("kind", "applied"), [(FaultKind.STATUS, 0), (FaultKind.STATUS_AFTER, 2)])
def test_statuses_before_and_after_applying(
    api: Api, sandbox: Sandbox, kind: FaultKind, applied: int, status: int
) -> None:
    sandbox.faults.add(Fault(kind=kind, status=status))
    response = api.put("/companies", ROWS)
    assert (response.status_code, stored(sandbox)) == (status, applied)
    assert response.headers["content-type"].startswith("text/html")
    assert api.put("/companies", ROWS).status_code == 200


@pytest.mark.parametrize("retry_after", ["", "2", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_429_with_and_without_retry_after(api: Api, sandbox: Sandbox, retry_after: str) -> None:
    sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=429, retry_after=retry_after))
    assert api.put("/companies", ROWS).headers.get("retry-after", "") == retry_after


@pytest.mark.parametrize(("kind", "applied"), [(FaultKind.RESET_BEFORE, 0), (FaultKind.RESET_AFTER, 2)])
def test_resets_are_tcp_resets(sandbox: Sandbox, kind: FaultKind, applied: int) -> None:
    sandbox.faults.add(Fault(kind=kind))
    host, port = sandbox.url.removeprefix("http://").split(":")
    body = b'[{"name":"A"},{"name":"B"}]'
    head = f"PUT /companies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {sandbox.token}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(head.encode() + body)
        with pytest.raises(ConnectionResetError):
            connection.recv(1000)
    assert stored(sandbox) == applied


def test_a_truncated_answer_is_announced_whole_and_breaks_off(api: Api, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(kind=FaultKind.TRUNCATED))
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        api.put("/companies", ROWS)
    assert stored(sandbox) == 2


def test_an_answer_that_is_no_json(api: Api, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(kind=FaultKind.NOT_JSON))
    response = api.put("/companies", ROWS)
    assert (response.status_code, response.text[:6], stored(sandbox)) == (200, "<html>", 2)


@pytest.mark.parametrize(("kind", "applied"), [(FaultKind.HANG, 0), (FaultKind.HANG_AFTER, 2)])
def test_a_hang_lasts_until_the_client_leaves(
    api: Api, sandbox: Sandbox, kind: FaultKind, applied: int
) -> None:
    sandbox.faults.add(Fault(kind=kind))
    with pytest.raises(httpx.ReadTimeout):
        api.http.put("/companies", json=ROWS, timeout=0.2)
    assert stored(sandbox) == applied
    assert api.put("/companies", ROWS).status_code == 200


def test_a_delayed_call_is_applied_even_if_the_client_has_left(api: Api, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(kind=FaultKind.DELAY, seconds=0.3, count=2))
    started = time.monotonic()
    assert api.put("/companies", ROWS[:1]).json()["created"] == 1
    assert time.monotonic() - started >= 0.3
    with pytest.raises(httpx.ReadTimeout):
        api.http.put("/companies", json=ROWS[1:], timeout=0.1)
    assert stored(sandbox) == 1
    deadline = time.monotonic() + 5
    while stored(sandbox) == 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert stored(sandbox) == 2


def test_counters_that_do_not_add_up(api: Api, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(kind=FaultKind.WRONG_COUNTERS))
    body = api.bulk("/companies", *ROWS)
    assert (body["created"], len(body["insertsKeys"]), len(body["upsertedIds"]), stored(sandbox)) == (
        1,
        1,
        1,
        2,
    )
    sandbox.faults.add(Fault(kind=FaultKind.WRONG_COUNTERS))
    assert api.counters("/companies", *ROWS) == (0, 0, 1)


def test_rows_that_get_lost(api: Api, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(kind=FaultKind.LOST_ROWS))
    assert api.counters("/companies", *ROWS) == (1, 0, 0)
    assert stored(sandbox) == 1
    assert sandbox.log.sent("/companies") == ROWS


def test_a_fault_waits_for_its_call(api: Api, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(kind=FaultKind.STATUS, method="PUT", path="/companies", skip=1, count=2))
    api.company()
    assert api.http.get("/companies").status_code == 200
    assert api.put("/assets", []).status_code == 200
    assert [api.put("/companies", ROWS).status_code for _ in range(4)] == [200, 503, 503, 200]
    assert sandbox.faults.waiting == []


def test_faults_strike_in_the_order_they_were_added(api: Api, sandbox: Sandbox) -> None:
    sandbox.faults.add(*(Fault(kind=FaultKind.STATUS, status=status) for status in (500, 429)))
    assert [api.http.get("/companies").status_code for _ in range(3)] == [500, 429, 200]


def test_a_token_can_be_revoked_midway(api: Api, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault.token_revoked(after_calls=2))
    assert [api.http.get("/companies").status_code for _ in range(5)] == [200, 200, 401, 401, 401]
    sandbox.faults.clear()
    assert api.http.get("/companies").status_code == 200


def test_faults_strike_tracking_calls_too(api: Api, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(kind=FaultKind.STATUS, path="/dimensiondata/{tenant}"))
    assert api.http.post(f"/dimensiondata/{sandbox.tenant_uuid}", json=[]).status_code == 503


def test_faults_are_ordered_over_http(api: Api, sandbox: Sandbox) -> None:
    order = {"kind": "status", "status": 502, "path": "/companies"}
    answer = httpx.post(f"{sandbox.url}/_sandbox/faults", json=order).json()
    assert [(fault["kind"], fault["status"]) for fault in answer] == [("status", 502)]
    assert api.http.get("/companies").status_code == 502
    httpx.post(f"{sandbox.url}/_sandbox/faults", json=[order, order])
    assert httpx.delete(f"{sandbox.url}/_sandbox/faults").json() == []
    assert api.http.get("/companies").status_code == 200


@pytest.mark.parametrize(
    "order", [{}, {"kind": "earthquake"}, {"kind": "status", "nonsense": 1}, {"kind": "hang", "count": 0}]
)
def test_an_order_that_makes_no_sense_is_refused(sandbox: Sandbox, order: dict[str, Any]) -> None:
    assert httpx.post(f"{sandbox.url}/_sandbox/faults", json=order).status_code == 400


def test_a_sandbox_stops_while_a_client_waits() -> None:
    with Sandbox() as sandbox:
        sandbox.faults.add(Fault(kind=FaultKind.HANG))
        errors: list[Exception] = []

        def call() -> None:
            try:
                httpx.get(f"{sandbox.url}/companies", headers=sandbox.headers, timeout=20)
            except httpx.HTTPError as error:
                errors.append(error)

        client = threading.Thread(target=call)
        client.start()
        while not sandbox.log.total:
            time.sleep(0.01)
        started = time.monotonic()
    assert time.monotonic() - started < 3
    client.join(5)
    assert len(errors) == 1
