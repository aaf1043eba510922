"""429s, pauses and stops, as calls feel them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from planhat_dbt.planhat import CallError, NotSentError, OutcomeUnknownError, StoppedError

from .conftest import Bench
from .kinds import BULK, CALLS, ID, insert, upsert
from .server import Action, Reply, Truncated

Make = Callable[..., Bench]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Retry-After": "0.1"},
        {"X-Rate-Limit-Limit": "200", "X-Rate-Limit-Remaining": "0"},
        {"x-ratelimit-limit": "200", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "0.1"},
    ],
)
def test_every_call_is_repeated_after_429(bench: Make, name: str, headers: dict[str, str]) -> None:
    made = bench([Reply(429, b"Too many requests", headers), Reply(200, BULK)], throttle_base=0.1)
    answer = CALLS[name](made.client)
    assert (answer.attempts, answer.repeated) == (2, False)  # a 429 leaves no doubt
    first, second = made.server.requests
    assert second.at - first.at >= 0.09
    assert [record.status for record in made.records] == [429, 200]


def test_a_429_without_its_body_is_a_429(bench: Make) -> None:
    assert insert(bench([Truncated(429), Reply(200, BULK)]).client).attempts == 2


def test_429_without_end_is_surely_not_applied(bench: Make) -> None:
    made = bench([Reply(429, b"Too many requests")], throttle_base=0.01)
    with pytest.raises(NotSentError, match="429") as caught:
        insert(made.client)
    assert (caught.value.maybe_applied, caught.value.attempts, caught.value.status) == (False, 4, 429)
    assert "max_calls_per_minute" in caught.value.hint


def test_a_pause_longer_than_allowed_is_not_waited_for(bench: Make) -> None:
    made = bench([Reply(429, b"", {"Retry-After": "600"})])
    started = time.monotonic()
    for _ in range(2):  # the second call finds the pause already there, and is not sent
        with pytest.raises(NotSentError, match=r"429|pause of 600 s"):
            upsert(made.client)
    assert time.monotonic() - started < 1
    assert len(made.server.requests) == 1


def test_a_429_holds_all_threads(bench: Make) -> None:
    """Eight callers, the first answer is a 429 with a pause: nobody calls inside the pause."""
    refused = threading.Event()

    def script(seen: object) -> Action:
        if not refused.is_set():
            refused.set()
            return Reply(429, b"", {"Retry-After": "0.4"})
        return Reply(200, BULK)

    made = bench(script)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(upsert, made.client)
        refused.wait(5)
        time.sleep(0.1)
        rest = [pool.submit(upsert, made.client) for _ in range(7)]
        assert all(future.result().status == 200 for future in [first, *rest])
    pause_began = made.server.requests[0].at
    assert all(seen.at - pause_began >= 0.4 for seen in made.server.requests[1:])


def test_tracking_is_not_under_the_budget(bench: Make) -> None:
    made = bench([Reply(200, BULK)], calls_per_minute=1)
    started = time.monotonic()
    made.client.get("/companies", ID)
    for _ in range(5):
        made.client.track("metrics", b"[]")
    assert time.monotonic() - started < 2
    assert len(made.server.requests) == 6


@pytest.mark.parametrize(
    ("status", "expected"),
    [(429, StoppedError), (503, OutcomeUnknownError)],
)
def test_stop_ends_a_long_wait(bench: Make, status: int, expected: type[CallError]) -> None:
    made = bench([], max_wait=120.0)

    def script(seen: object) -> Action:
        threading.Timer(0.1, made.stop.set).start()
        return Reply(status, b"", {"Retry-After": "60"})

    made.server.script = script
    started = time.monotonic()
    with pytest.raises(CallError) as caught:
        upsert(made.client)
    assert type(caught.value) is expected
    assert time.monotonic() - started < 2
    with pytest.raises(StoppedError, match="before it was sent"):
        upsert(made.client)
    assert len(made.server.requests) == 1


def test_stop_ends_the_wait_for_a_turn(bench: Make) -> None:
    made = bench([Reply(200, BULK)], calls_per_minute=1)
    upsert(made.client)
    threading.Timer(0.1, made.stop.set).start()
    with pytest.raises(StoppedError) as caught:
        upsert(made.client)
    assert caught.value.attempts == 0
    assert len(made.records) == 1
