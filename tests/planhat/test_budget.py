"""The budget of calls: pace, pauses, adaptation, stop. Machines may be slow, so only floors are sharp."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from planhat_dbt.planhat.budget import Budget, PausedTooLongError, Permit, StopRequestedError


def take(budget: Budget, calls: int, threads: int = 1) -> list[float]:
    """Moments at which `calls` permits were given."""
    with ThreadPoolExecutor(threads) as pool:
        return sorted(pool.map(lambda _: budget.acquire().at, range(calls)))


@pytest.mark.parametrize("threads", [1, 8])
def test_no_window_holds_more_calls_than_allowed(threads: int) -> None:
    moments = take(Budget(5, period=0.4), 11, threads)
    for earlier, later in zip(moments, moments[5:], strict=False):
        assert later - earlier >= 0.398  # the fifth call after any call waits out its window
    assert moments[4] - moments[0] < 0.35  # and the first five do not wait


def test_a_second_limit_bounds_the_burst() -> None:
    budget = Budget(200, period=60.0, per_second=20)
    moments = take(budget, 25)
    assert moments[19] - moments[0] < 0.8
    assert moments[20] - moments[0] >= 0.99


def test_the_second_limit_wins_where_it_is_the_tighter() -> None:
    moments = take(Budget(100_000, period=60.0, per_second=10), 11)
    assert moments[10] - moments[0] >= 0.99


def test_without_limit_only_pauses_hold_back() -> None:
    budget = Budget(None, throttle_base=0.1)
    assert take(budget, 1000)[-1] - time.monotonic() < 0.5
    budget.throttled({}, Permit(time.monotonic(), 0.0))
    assert budget.acquire().paused > 0.05


@pytest.mark.parametrize("spelling", ["x-rate-limit-limit", "x-ratelimit-limit"])
def test_a_smaller_limit_is_followed_and_left_again(spelling: str) -> None:
    budget = Budget(200, per_second=150)
    budget.answered({spelling: "120"})
    assert budget.limit == 120
    budget.answered({spelling: "500"})
    assert budget.limit == 200


@pytest.mark.parametrize("value", ["", "many", "0", "-1", "nan", "inf"])
def test_a_limit_that_makes_no_sense_is_ignored(value: str) -> None:
    budget = Budget(200)
    budget.answered({"x-ratelimit-limit": value, "x-ratelimit-remaining": "x"})
    assert (budget.limit, budget.pause_left()) == (200, 0.0)


def test_a_smaller_limit_slows_the_calls_down() -> None:
    budget = Budget(100, period=0.2)
    budget.answered({"x-rate-limit-limit": "2"})
    moments = take(budget, 3)
    assert moments[2] - moments[0] >= 0.198


@pytest.mark.parametrize(
    ("headers", "low", "high"),
    [
        ({"x-rate-limit-remaining": "0"}, 4, 5),  # nothing said about when: the throttle base
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "30"}, 29, 30),
        ({"x-ratelimit-remaining": "-1", "x-rate-limit-reset": "30000"}, 29, 30),  # milliseconds
        ({"x-ratelimit-remaining": "1", "x-ratelimit-reset": "30"}, 0, 0),
        ({}, 0, 0),
    ],
)
def test_a_spent_quota_pauses(headers: dict[str, str], low: float, high: float) -> None:
    budget = Budget(200, throttle_base=5)
    budget.answered(headers)
    assert low <= budget.pause_left() <= high


@pytest.mark.parametrize(("factor", "digits"), [(1, "s"), (1000, "ms")])
def test_reset_as_a_moment(factor: int, digits: str) -> None:
    budget = Budget(200)
    budget.answered(
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int((time.time() + 40) * factor))}
    )
    assert 38 <= budget.pause_left() <= 40


@pytest.mark.parametrize(
    ("headers", "low", "high"),
    [
        ({}, 9, 11),
        ({"retry-after": "3"}, 2.5, 3),
        ({"retry-after": "2.5"}, 2, 2.5),
        ({"retry-after": "soon"}, 9, 11),
        ({"retry-after": "inf"}, 9, 11),
        ({"retry-after": "0"}, 0.1, 0.7),  # never a hot loop
        ({"retry-after": "-5"}, 0.1, 0.7),
        ({"x-ratelimit-reset": "20"}, 19, 20),
        ({"retry-after": "4", "x-ratelimit-reset": "20"}, 3, 4),
        ({"x-ratelimit-reset": "999999"}, 990, 1000),  # read as milliseconds
    ],
)
def test_pause_after_a_429(headers: dict[str, str], low: float, high: float) -> None:
    budget = Budget(200, throttle_base=10)
    budget.throttled(headers, budget.acquire())
    assert low <= budget.pause_left() <= high


def test_retry_after_as_a_date() -> None:
    budget = Budget(200, throttle_base=10)
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    budget.throttled({"retry-after": until}, budget.acquire())
    assert 80 <= budget.pause_left() <= 90


def test_each_wave_of_429s_doubles_the_pause_and_a_success_resets_it() -> None:
    budget = Budget(None, throttle_base=0.1)
    pauses = []
    for _ in range(3):
        budget.throttled({}, budget.acquire())
        pauses.append(budget.pause_left())
    assert pauses[1] > 1.6 * pauses[0]
    assert pauses[2] > 1.6 * pauses[1]
    permit = budget.acquire()
    budget.answered({})
    budget.throttled({}, permit)
    assert budget.pause_left() < 0.12


def test_calls_refused_together_count_as_one_wave() -> None:
    budget = Budget(None, throttle_base=1)
    permits = [budget.acquire() for _ in range(8)]
    for permit in permits:
        budget.throttled({}, permit)
    assert budget.pause_left() < 1.2


def test_a_pause_holds_every_caller() -> None:
    budget = Budget(None, throttle_base=0.2)
    budget.throttled({}, budget.acquire())
    ends = time.monotonic() + budget.pause_left()
    assert all(moment >= ends - 0.005 for moment in take(budget, 6, threads=6))


def test_a_pause_beyond_patience_is_refused_at_once() -> None:
    budget = Budget(None)
    budget.throttled({"retry-after": "3600"}, budget.acquire())
    started = time.monotonic()
    with pytest.raises(PausedTooLongError) as caught:
        budget.acquire(patience=120)
    assert caught.value.seconds > 3500
    assert time.monotonic() - started < 0.5


@pytest.mark.parametrize("wait", ["turn", "pause", "sleep"])
def test_stop_ends_every_kind_of_wait(wait: str) -> None:
    stop = threading.Event()
    budget = Budget(1, period=60.0, stop=stop)
    permit = budget.acquire()
    if wait == "pause":
        budget.throttled({"retry-after": "60"}, permit)
    threading.Timer(0.05, stop.set).start()
    started = time.monotonic()
    with pytest.raises(StopRequestedError):
        budget.sleep(60) if wait == "sleep" else budget.acquire()
    assert time.monotonic() - started < 2


def test_after_stop_no_call_is_allowed() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(StopRequestedError):
        Budget(None, stop=stop).acquire()
