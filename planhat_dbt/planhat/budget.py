"""One budget of calls for every thread that talks to one host.

Two things hold a caller back: the rate (a sliding window of `pyrate_limiter`, narrowed when Planhat's
headers name a smaller limit) and a pause, which a 429 or a spent quota puts on all callers at once. Header
names, the unit of their reset and `Retry-After` are uncertain (planhat-api §2, §13 no. 4): every spelling
is read, none is needed.
"""

from __future__ import annotations

import math
import random
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from pyrate_limiter import InMemoryBucket, Rate, RateItem

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_RESET = 3600.0
"""Resets further away than this, in seconds, are not believed."""


class StopRequestedError(Exception):
    """The stop event was set while a caller waited, or before."""


class PausedTooLongError(Exception):
    """All calls are paused for longer than the caller is ready to wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"calls are paused for another {seconds:.0f} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to make one call."""

    at: float
    """When it was given, on the monotonic clock."""
    paused: float
    """Seconds this caller spent in a pause (not in the ordinary queue for its turn)."""


class Budget:
    """Calls per period, shared by threads; adapts to what Planhat answers."""

    def __init__(
        self,
        calls: int | None,
        period: float = 60.0,
        *,
        per_second: int | None = None,
        throttle_base: float = 15.0,
        stop: threading.Event | None = None,
    ) -> None:
        """Make a budget.

        Args:
            calls: Calls per period; None: only pauses (the tracking host has no quota, planhat-api §2).
            period: Seconds.
            per_second: A second limit on the burst, if smaller than what `calls` allows.
            throttle_base: Pause in seconds after a first 429 without `Retry-After`; doubles with each wave.
            stop: Set by whoever wants all waits to end.
        """
        self._calls = calls
        self._period_ms = max(1, round(period * 1000))
        self._per_second = per_second
        self._throttle_base = throttle_base
        self._stop = stop or threading.Event()
        self._lock = threading.Lock()
        self._limit = calls
        self._bucket = None if calls is None else InMemoryBucket(self._rates(calls))
        self._paused_until = 0.0
        self._paused_at = 0.0
        self._waves = 0

    @property
    def limit(self) -> int | None:
        """Calls per period that are allowed now."""
        return self._limit

    def acquire(self, patience: float = float("inf")) -> Permit:
        """Wait for a turn.

        Args:
            patience: Seconds the caller may spend in pauses; the ordinary queue is not counted.

        Raises:
            StopRequestedError: The stop event is set.
            PausedTooLongError: The pause outlasts the patience.
        """
        paused = 0.0
        while True:
            if self._stop.is_set():
                raise StopRequestedError
            with self._lock:
                now = time.monotonic()
                pause = self._paused_until - now
                wait = pause if pause > 0 else self._take()
            if wait <= 0:
                return Permit(now, paused)
            if pause > 0:
                if paused + pause > patience:
                    raise PausedTooLongError(pause)
                paused += pause
            self._stop.wait(wait)

    def sleep(self, seconds: float) -> None:
        """Wait, unless stopped.

        Raises:
            StopRequestedError: The stop event was set.
        """
        if self._stop.wait(seconds):
            raise StopRequestedError

    def pause_left(self) -> float:
        """Seconds until calls may go on; 0 if they may."""
        with self._lock:
            return max(0.0, self._paused_until - time.monotonic())

    def answered(self, headers: Mapping[str, str]) -> None:
        """Learn from an answer that was not a 429. Header names in lower case."""
        limit, remaining = _number(headers, "limit"), _number(headers, "remaining")
        with self._lock:
            self._waves = 0
            self._adopt(limit)
            if remaining is not None and remaining <= 0 and self._bucket is not None:
                # Whoever else uses the token has spent the quota: wait now rather than collect a 429.
                self._pause(_reset_seconds(headers) or self._throttle_base)

    def throttled(self, headers: Mapping[str, str], permit: Permit) -> None:
        """Pause every caller after a 429.

        Callers under way together are refused together: only the first of them lengthens the next pause.
        """
        with self._lock:
            self._adopt(_number(headers, "limit"))
            asked = retry_after_seconds(headers)
            if asked is None:
                asked = _reset_seconds(headers)
            if permit.at >= self._paused_at:
                self._waves += 1
            wave = max(0, self._waves - 1)
            growing = self._throttle_base * 2 ** min(wave, 10) * random.uniform(1.0, 1.1)  # noqa: S311 (jitter)
            self._pause(max(asked, self._throttle_base / 15) if asked is not None else growing)

    def _pause(self, seconds: float) -> None:
        now = time.monotonic()
        self._paused_at = now
        self._paused_until = max(self._paused_until, now + seconds)

    def _take(self) -> float:
        """Take a call if there is one (0), else seconds to wait for it. Under the lock."""
        if self._bucket is None:
            return 0.0
        now = time.monotonic_ns() // 1_000_000
        self._bucket.leak(now)
        item = RateItem("call", now)
        if self._bucket.put(item):
            return 0.0
        waiting = self._bucket.waiting(item)
        return max(1, waiting if isinstance(waiting, int) else 1) / 1000

    def _adopt(self, limit: float | None) -> None:
        """Follow a smaller limit than ours, and return to ours when it is gone. Under the lock."""
        if self._calls is None or self._bucket is None or limit is None or limit < 1:
            return
        wanted = min(self._calls, int(limit))
        if wanted != self._limit:
            self._limit = wanted
            self._bucket.rates = self._rates(wanted)

    def _rates(self, calls: int) -> list[Rate]:
        rate = Rate(calls, self._period_ms)
        if self._per_second is None or self._period_ms <= 1000 or calls <= self._per_second:
            return [rate]
        if calls * 1000 >= self._per_second * self._period_ms:  # the second is the tighter of the two
            return [Rate(self._per_second, 1000)]
        return [Rate(self._per_second, 1000), rate]


def _number(headers: Mapping[str, str], name: str) -> float | None:
    for spelling in (f"x-rate-limit-{name}", f"x-ratelimit-{name}"):
        try:
            value = float(headers[spelling])
        except (KeyError, ValueError):
            continue
        if math.isfinite(value):
            return value
    return None


def _reset_seconds(headers: Mapping[str, str]) -> float | None:
    """Seconds until the quota is fresh; the unit is guessed from the size (delta or epoch, s or ms)."""
    value = _number(headers, "reset")
    if value is None or value <= 0:
        return None
    if value > 1e11:
        value = value / 1000 - time.time()
    elif value > 1e9:
        value -= time.time()
    elif value > _LONGEST_RESET:
        value /= 1000
    return value if 0 < value <= _LONGEST_RESET else None


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in seconds, given as a number or as an HTTP date (RFC 9110 §10.2.3)."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            when = parsedate_to_datetime(text)
        except ValueError:
            return None
        # A date without a zone is naive here and means UTC.
        seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - datetime.now(
            UTC
        ).timestamp()
    return max(0.0, seconds) if math.isfinite(seconds) else None
