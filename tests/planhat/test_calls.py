"""Every status and every fault, before and after sending: what is repeated, and what the call ends as."""

from __future__ import annotations

import gc
import shutil
import ssl
import subprocess
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from planhat_dbt.errors import UsageError
from planhat_dbt.planhat import (
    AccessDeniedError,
    NotSentError,
    OutcomeUnknownError,
    PlanhatClient,
    UnreadableAnswerError,
)

from .conftest import FAST, Bench, endpoint_for
from .kinds import BULK, CALLS, ID, ONCE, REPEATABLE, patience_for, upsert
from .server import Action, Hang, HangUp, Raw, Reply, Reset, Trickle, Truncated, free_port, serving

Make = Callable[..., Bench]
FORBIDDEN_ROWS = b'{"created": 0, "permissionErrors": ["no right"]}'


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("status", [200, 201, 206, 400, 404, 405, 409, 413, 422])
def test_answers_for_the_caller_to_judge(bench: Make, name: str, status: int) -> None:
    made = bench([Reply(status, BULK, {"X-Thing": "Yes"})])
    answer = CALLS[name](made.client)
    assert (answer.status, answer.body, answer.attempts, answer.repeated) == (status, BULK, 1, False)
    assert answer.headers["x-thing"] == "Yes"
    assert answer.json() == {"created": 1, "updated": 0, "nonupdates": 0}
    assert answer.ok is (status < 300)
    assert len(made.server.requests) == 1


def test_a_body_is_let_go_with_its_call(bench: Make) -> None:
    """Without waiting for a collection of cycles: a window's bodies are megabytes."""
    made = bench([Reply(503), Reply(200, BULK)])
    body = f'[{{"externalId": "{"x" * 999_983}"}}]'.encode()
    gc.collect()
    gc.disable()
    try:
        made.client.bulk("/companies", body, repeatable=True)
        holders = [type(h).__name__ for h in gc.get_referrers(body)]
    finally:
        gc.enable()
    assert set(holders) == {"CallRecord"}  # which the bench keeps


@pytest.mark.parametrize(
    "body", [b"plain text", b"", b"<html>no</html>", b'{"created": 0, "createdErrors": ["x"]}']
)
def test_a_400_is_returned_whatever_its_body(bench: Make, body: bytes) -> None:
    assert upsert(bench([Reply(400, body)]).client).body == body


def test_a_403_with_a_bulk_body_is_an_outcome_per_row(bench: Make) -> None:
    answer = upsert(bench([Reply(403, FORBIDDEN_ROWS)]).client)
    assert (answer.status, answer.body) == (403, FORBIDDEN_ROWS)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(401, b"Unauthorized"), ("401", "PLANHAT_REGION", "Unauthorized")),
        (Reply(401, b""), ("401", "PLANHAT_API_TOKEN")),
        (Truncated(401), ("401", "PLANHAT_API_TOKEN")),
        (Reply(403, b'{"message": "no licence right"}'), ("403", "rights", "no licence right")),
        (Reply(403, b"Forbidden"), ("403", "rights", "Forbidden")),
    ],
)
def test_a_refused_token_stops_at_once(bench: Make, name: str, reply: Action, words: tuple[str, ...]) -> None:
    made = bench([reply])
    with pytest.raises(AccessDeniedError) as caught:
        CALLS[name](made.client)
    text = caught.value.message + caught.value.hint
    assert all(word in text for word in (*words, "127.0.0.1"))
    assert len(made.server.requests) == 1
    assert not caught.value.maybe_applied


DOUBTFUL: dict[str, Action] = {
    "500": Reply(500, b"Internal error"),
    "502": Reply(502, b"<html>Bad gateway</html>"),
    "503": Reply(503, b"{}"),
    "504": Reply(504, b""),
    "408": Reply(408, b""),
    "reset": Reset(),
    "hang-up": HangUp(),
    "time-out": Hang(),
    "truncated": Truncated(),
    "trickle": Trickle(),
    "no http": Raw(),
    "garbled gzip": Reply(200, b"not gzip", {"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("name", REPEATABLE)
@pytest.mark.parametrize("fault", DOUBTFUL)
def test_a_repeatable_call_survives_a_doubtful_attempt(bench: Make, name: str, fault: str) -> None:
    made = bench([DOUBTFUL[fault], Reply(200, BULK)], **patience_for(DOUBTFUL[fault]))
    answer = CALLS[name](made.client)
    assert (answer.status, answer.attempts) == (200, 2)
    assert answer.repeated is (name != "get")  # a read changes nothing
    assert made.server.requests[0].body == made.server.requests[1].body
    assert [record.attempt for record in made.records] == [1, 2]


@pytest.mark.parametrize("name", ONCE)
@pytest.mark.parametrize("fault", DOUBTFUL)
def test_a_call_that_must_not_be_repeated_ends_in_doubt(bench: Make, name: str, fault: str) -> None:
    made = bench([DOUBTFUL[fault], Reply(200, BULK)], **patience_for(DOUBTFUL[fault]))
    with pytest.raises(OutcomeUnknownError, match="may have applied") as caught:
        CALLS[name](made.client)
    assert (caught.value.maybe_applied, caught.value.attempts) == (True, 1)
    assert len(made.server.requests) == 1


@pytest.mark.parametrize("fault", ["500", "reset", "truncated"])
def test_tries_are_bounded(bench: Make, fault: str) -> None:
    made = bench([DOUBTFUL[fault]])
    with pytest.raises(OutcomeUnknownError, match="after 4 attempts") as caught:
        upsert(made.client)
    assert (caught.value.attempts, len(made.server.requests)) == (4, 4)
    assert caught.value.exit_code == 1
    assert caught.value.hint


def test_a_read_is_never_in_doubt(bench: Make) -> None:
    with pytest.raises(NotSentError, match="answered 500: broken") as caught:
        bench([Reply(500, b"broken")], max_tries=2).client.get("/companies", ID)
    assert not caught.value.maybe_applied
    assert caught.value.status == 500


@pytest.mark.parametrize("status", [501, 505, 520])
def test_other_5xx_are_in_doubt_and_not_repeated(bench: Make, status: int) -> None:
    made = bench([Reply(status)])
    with pytest.raises(OutcomeUnknownError, match=str(status)):
        upsert(made.client)
    assert len(made.server.requests) == 1


def test_waiting_is_bounded(bench: Make) -> None:
    made = bench([Reply(500)], backoff_base=5.0, max_wait=0.5, max_tries=100)
    started = time.monotonic()
    with pytest.raises(OutcomeUnknownError):
        upsert(made.client)
    assert time.monotonic() - started < 1.5
    assert len(made.server.requests) == 1


def test_retry_after_of_a_503_is_honoured(bench: Make) -> None:
    made = bench([Reply(503, b"", {"Retry-After": "0.3"}), Reply(200, BULK)])
    upsert(made.client)
    first, second = made.server.requests
    assert second.at - first.at >= 0.3


@pytest.mark.parametrize("name", CALLS)
def test_an_unreachable_host_is_named(name: str) -> None:
    port = free_port()
    records: list[object] = []
    settings = replace(FAST, max_tries=3)
    endpoint = endpoint_for(f"http://127.0.0.1:{port}")
    with (
        PlanhatClient(endpoint, settings, records.append) as client,
        pytest.raises(NotSentError, match="after 3 attempts") as caught,
    ):
        CALLS[name](client)
    assert f"127.0.0.1:{port}" in caught.value.message
    assert "refused" in caught.value.message
    assert "network" in caught.value.hint
    assert len(records) == 3


def test_an_unknown_host_is_named() -> None:
    endpoint = endpoint_for("https://no-such-host.invalid")
    with PlanhatClient(endpoint, replace(FAST, max_tries=1)) as client, pytest.raises(NotSentError) as caught:
        upsert(client)
    assert "no-such-host.invalid" in caught.value.message
    assert "PLANHAT_API_URL" in caught.value.hint


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_a_certificate_nobody_vouches_for_is_told_at_once(tmp_path: Path) -> None:
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")
    order = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run([*order, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving([Reply(200, BULK)], tls=context) as server:
        endpoint = endpoint_for(server.url.replace("http://127.0.0.1", "https://localhost"))
        with (
            PlanhatClient(endpoint, FAST) as client,
            pytest.raises(NotSentError, match="CERTIFICATE") as caught,
        ):
            upsert(client)
    assert caught.value.attempts == 1
    assert "SSL_CERT_FILE" in caught.value.hint


def test_a_call_in_doubt_stays_in_doubt_when_the_host_then_vanishes(bench: Make) -> None:
    """First attempt broken off after sending, later ones refused: still perhaps applied."""
    made = bench([])

    def script(seen: object) -> Action:
        threading.Thread(target=made.server.close).start()
        made.server.closing.wait(5)
        time.sleep(0.1)
        return HangUp()

    made.server.script = script
    with pytest.raises(OutcomeUnknownError) as caught:
        upsert(made.client)
    assert caught.value.maybe_applied
    assert caught.value.attempts == 4


def test_a_denied_call_remembers_doubt(bench: Make) -> None:
    with pytest.raises(AccessDeniedError) as caught:
        upsert(bench([Reply(500), Reply(401)]).client)
    assert caught.value.maybe_applied


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(bench: Make, status: int) -> None:
    made = bench([Reply(status, b"", {"Location": "https://elsewhere.example/login"})])
    with pytest.raises(NotSentError, match=r"elsewhere\.example") as caught:
        upsert(made.client)
    assert "PLANHAT_API_URL" in caught.value.hint
    assert len(made.server.requests) == 1


@pytest.mark.parametrize("name", ["upsert", "update", "get"])
@pytest.mark.parametrize("body", [b'{"created": 1, "upd', b"<html>login</html>", b"", b"OK"])
def test_a_2xx_without_json_is_asked_again(bench: Make, name: str, body: bytes) -> None:
    assert CALLS[name](bench([Reply(200, body), Reply(200, BULK)]).client).attempts == 2


@pytest.mark.parametrize("name", ["insert", "create", "metrics", "upsert"])
def test_a_2xx_without_json_ends_in_doubt(bench: Make, name: str) -> None:
    made = bench([Reply(200, b'{"created": 1, "upd')])
    with pytest.raises(UnreadableAnswerError, match="not JSON") as caught:
        CALLS[name](made.client)
    assert isinstance(caught.value, OutcomeUnknownError)
    assert len(made.server.requests) == (4 if name == "upsert" else 1)


def test_activities_accept_any_receipt_but_no_web_page(bench: Make) -> None:
    for body in (b"", b"OK", b"{}"):
        assert bench([Reply(200, body)]).client.track("activities", b"[]").body == body
    with pytest.raises(OutcomeUnknownError):
        bench([Reply(200, b"\n<!doctype html>")]).client.track("activities", b"[]")


@pytest.mark.parametrize("reply", [Reply(200, b""), Reply(204, b""), Reply(200, b"gone"), Reply(404, b"")])
def test_a_delete_may_be_answered_by_nothing(bench: Make, reply: Reply) -> None:
    answer = bench([reply]).client.delete("/companies", ID)
    assert answer.status == reply.status
    if reply.status != 404:
        with pytest.raises(UnreadableAnswerError):
            answer.json()


def test_204_needs_no_body(bench: Make) -> None:
    assert bench([Reply(204, b"")]).client.update("/companies", ID, b"{}").status == 204


def test_unusable_proxy_settings_are_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://user:hidden@proxy")
    with pytest.raises(UsageError, match="network settings") as caught:
        PlanhatClient(endpoint_for("http://localhost:1"))
    assert "HTTPS_PROXY" in caught.value.hint
    assert "hidden" not in "".join(traceback.format_exception(caught.value))
