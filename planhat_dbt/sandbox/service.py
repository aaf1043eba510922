"""The parts of a running sandbox in one place, shared by its HTTP doors and by tests in the same process."""

from __future__ import annotations

import base64
import binascii
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from planhat_dbt.sandbox.faults import Faults
from planhat_dbt.sandbox.log import CallLog
from planhat_dbt.sandbox.rules import Rules
from planhat_dbt.sandbox.tenant import Tenant

if TYPE_CHECKING:
    from collections.abc import Mapping

SOFT_QUOTA = 200
"""Calls per minute on the main API (planhat-api §2); only told in headers unless a quota is set."""


@dataclass(slots=True)
class Quota:
    """Calls per window on the main API; the window starts with its first call."""

    limit: int | None = None
    """None: nothing is refused."""
    seconds: float = 60.0
    _used: int = 0
    _started: float = -1e9

    def spend(self) -> bool:
        """Count one call; False if it is one too many."""
        now = time.monotonic()
        if now - self._started >= self.seconds:
            self._started, self._used = now, 0
        self._used += 1
        return self.limit is None or self._used <= self.limit

    def restart(self) -> None:
        """Begin a new window with the next call."""
        self._started = -1e9

    @property
    def reset_in(self) -> float:
        """Seconds until the window ends."""
        return max(0.0, self._started + self.seconds - time.monotonic())

    def headers(self, spelling: str) -> dict[str, str]:
        """The rate-limit headers in the `old` or `new` spelling, or none (planhat-api §2)."""
        limit = self.limit or SOFT_QUOTA
        remaining = str(max(0, limit - self._used))
        if spelling == "old":
            return {"X-Rate-Limit-Limit": str(limit), "X-Rate-Limit-Remaining": remaining}
        if spelling == "new":
            reset = str(int(self.reset_in) + 1)
            return {
                "x-ratelimit-limit": str(limit),
                "x-ratelimit-remaining": remaining,
                "x-ratelimit-reset": reset,
            }
        return {}


@dataclass(slots=True)
class Service:
    """A tenant and all that surrounds it."""

    token: str = field(repr=False)
    tenant_uuid: str = field(repr=False)
    tenant: Tenant = field(default_factory=Tenant)
    faults: Faults = field(default_factory=Faults)
    log: CallLog = field(default_factory=CallLog)
    quota: Quota = field(default_factory=Quota)
    lock: threading.RLock = field(default_factory=threading.RLock)
    """Held while a call is applied; take it to change the tenant from another thread while calls come in."""
    first_rules: Rules = field(default_factory=Rules)
    """What a reset goes back to."""

    def reset(self) -> None:
        """Back to the beginning: no records, no faults, no log, the first rules."""
        with self.lock:
            self.tenant.clear()
            self.tenant.rules = self.first_rules
            self.faults.clear()
            self.log.clear()
            self.quota.restart()

    def authorised(self, headers: Mapping[str, str]) -> bool:
        """Whether the `Authorization` header carries the token, as Bearer or Basic (planhat-api §1.2)."""
        scheme, secret = credentials(headers)
        if scheme == "bearer":
            return secret == self.token
        return scheme == "basic" and secret == f"{self.token}:"

    def is_segment_user(self, headers: Mapping[str, str]) -> bool:
        """Whether Basic credentials carry the tenant UUID and an empty password."""
        return credentials(headers) == ("basic", f"{self.tenant_uuid}:")


def credentials(headers: Mapping[str, str]) -> tuple[str, str]:
    """Scheme in lower case and secret; Basic decoded. Empty if there are none."""
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return scheme.lower(), secret
    try:
        return "basic", base64.b64decode(secret, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "basic", ""
