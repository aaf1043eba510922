"""Faults to order: what can go wrong between a client and Planhat, queued for the calls to come.

A fault waits for a call that fits (`method`, start of `path`), lets `skip` of them pass, then strikes
`count` times. Resets, truncated bodies and hangs are real ones on the wire.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class FaultKind(StrEnum):
    """What happens to the call."""

    STATUS = "status"
    """An error status instead of an answer; nothing is applied."""
    STATUS_AFTER = "status_after"
    """An error status although the call was applied: a gateway that lost the answer."""
    RESET_BEFORE = "reset_before"
    """The connection is reset (TCP RST), nothing is applied."""
    RESET_AFTER = "reset_after"
    """The call is applied, then the connection is reset without an answer."""
    TRUNCATED = "truncated"
    """The call is applied; the answer breaks off half-way through its body."""
    NOT_JSON = "not_json"
    """The call is applied; a 200 with an HTML body comes back."""
    WRONG_COUNTERS = "wrong_counters"
    """The call is applied; the bulk answer leaves out `rows` of the rows it applied."""
    LOST_ROWS = "lost_rows"
    """The last `rows` rows of the call are neither applied nor mentioned."""
    DELAY = "delay"
    """The call waits `seconds`, then goes on as usual."""
    HANG = "hang"
    """No answer ever; nothing is applied. Ends when the client leaves."""
    HANG_AFTER = "hang_after"
    """No answer ever, although the call was applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One order."""

    kind: FaultKind
    method: str = ""
    """Empty: any."""
    path: str = "/"
    """How the call's path begins, e.g. `/companies`; the tenant in tracking paths is written `{tenant}`."""
    skip: int = 0
    """Matching calls that pass before it strikes."""
    count: int | None = 1
    """How many calls it strikes; None: all from then on."""
    status: int = 503
    retry_after: str = ""
    """The `Retry-After` header of a `status`: seconds or an HTTP date; empty: none."""
    body: str = ""
    """Body of a `status`; empty: what that status usually says."""
    content_type: str = "text/html; charset=utf-8"
    seconds: float = 0.0
    rows: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", FaultKind(self.kind))
        object.__setattr__(self, "method", self.method.upper())
        if self.skip < 0 or (self.count is not None and self.count < 1):
            raise ValueError("fault: skip must be 0 or more, count 1 or more (or null for all)")

    @classmethod
    def token_revoked(cls, *, after_calls: int = 0) -> Fault:
        """The token stops working: 401 for every call after the first `after_calls`."""
        return cls(kind=FaultKind.STATUS, status=401, skip=after_calls, count=None)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Fault:
        """Read an order as the control API takes it.

        Raises:
            ValueError: unknown name or value.
        """
        unknown = sorted(values.keys() - {item.name for item in fields(cls)})
        if unknown or "kind" not in values:
            raise ValueError(f"fault: unknown {', '.join(unknown)}" if unknown else "fault: kind is missing")
        return cls(**values)

    def as_json(self) -> dict[str, Any]:
        """All its values."""
        return asdict(self)

    def fits(self, method: str, path: str) -> bool:
        """Whether it waits for such a call."""
        return self.method in ("", method) and path.startswith(self.path)


@dataclass(slots=True)
class _Waiting:
    fault: Fault
    seen: int = 0
    struck: int = 0

    @property
    def spent(self) -> bool:
        return self.fault.count is not None and self.struck >= self.fault.count


@dataclass(slots=True)
class Faults:
    """The orders that wait, first come, first served; one fault strikes a call at most."""

    _waiting: list[_Waiting] = field(default_factory=list)

    def add(self, *faults: Fault) -> None:
        """Queue orders."""
        self._waiting.extend(_Waiting(fault) for fault in faults)

    def clear(self) -> None:
        """Forget all orders."""
        self._waiting.clear()

    @property
    def waiting(self) -> list[Fault]:
        """Orders that will still strike."""
        return [item.fault for item in self._waiting]

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that strikes this call, if any."""
        for item in self._waiting:
            if not item.fault.fits(method, path):
                continue
            item.seen += 1
            if item.seen <= item.fault.skip:
                continue
            item.struck += 1
            self._waiting = [other for other in self._waiting if not other.spent]
            return item.fault
        return None
