"""The values that pass between the client and those who use it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import orjson

from planhat_dbt.planhat.errors import UnreadableAnswerError

if TYPE_CHECKING:
    from collections.abc import Mapping

RESPONSE_BOUND = 4096
"""Bytes of a response body that a `CallRecord` keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Patience and pace of a client; times in seconds (DESIGN §15)."""

    read_timeout: float = 120.0
    """The longest silence, and the longest time for one whole body."""
    connect_timeout: float = 10.0
    max_tries: int = 6
    """HTTP attempts per call, the first included."""
    max_wait: float = 120.0
    """Seconds one call may spend waiting between its attempts."""
    calls_per_minute: int = 200
    """Planhat's soft quota (planhat-api §2)."""
    calls_per_second: int = 150
    """Planhat's hard limit (planhat-api §2)."""
    backoff_base: float = 1.0
    """First wait after a network fault or 5xx; doubles."""
    throttle_base: float = 15.0
    """First pause after a 429 that does not say how long; doubles."""

    def __post_init__(self) -> None:
        for name in ("read_timeout", "connect_timeout", "max_tries", "calls_per_minute", "calls_per_second"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above zero")
        for name in ("max_wait", "backoff_base", "throttle_base"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")


@dataclass(frozen=True)  # no slots: the parsed body is cached on the instance
class Answer:
    """What Planhat answered: any 2xx, or a 4xx that is for the caller to judge (400, 404, 413 …)."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case."""
    body: bytes = field(repr=False)
    attempts: int = 1
    milliseconds: int = 0
    """Duration of the attempt that was answered."""
    repeated: bool = False
    """An earlier attempt of this call may have been applied already: what was created may now read as
    unchanged, and a deleted record as 404."""

    @property
    def ok(self) -> bool:
        """Whether the status is a 2xx; so is 206, which still names failed rows (planhat-api §12.17)."""
        return 200 <= self.status < 300

    def json(self) -> object:
        """The parsed body.

        Raises:
            UnreadableAnswerError: The body is empty or not JSON.
        """
        return self._parsed

    @cached_property
    def _parsed(self) -> object:
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as exc:
            raise UnreadableAnswerError(
                f"Planhat answered {self.status} with a body of {len(self.body)} bytes that is not JSON.",
                status=self.status,
                attempts=self.attempts,
            ) from exc


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One HTTP attempt, free of secrets. Handed over in the thread that makes the call."""

    method: str
    path: str
    """Path and query below the base URL; the tenant UUID is `***`."""
    status: int | None
    milliseconds: int
    attempt: int
    """1 for the first attempt of a call."""
    request_bytes: int
    request: bytes | None = field(repr=False)
    response: bytes = field(repr=False)
    """The first 4 KiB."""
    error: str = ""
    """What went wrong with the transport, empty if the attempt was answered in full."""
