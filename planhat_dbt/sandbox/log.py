"""What was asked and answered, call by call, so that a test can assert exactly what was sent.

Credentials are not kept: no `Authorization` header, and the tenant in a tracking path reads `{tenant}`.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from planhat_dbt.sandbox.legality import Violation


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """One call and its outcome."""

    number: int
    at: str
    method: str
    path: str
    """With `{tenant}` for the tenant UUID."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Lower-case names, without credentials."""
    body: Any
    """The parsed body; a list is cut to the log's `rows` limit. None: no body, or not JSON."""
    rows: int
    """Rows of the body before any cut: the length of a list, 1 for an object."""
    size: int
    """Bytes of the body."""
    status: int | None
    """None: the client got no answer."""
    answer: Any
    """Counters of a bulk answer, the number of records of a list, else the first of its text."""
    milliseconds: float
    fault: str = ""
    """The kind of the fault that struck it."""

    def as_json(self) -> dict[str, Any]:
        """All of it, for the control API."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class CallLog:
    """Calls in order, counts per kind of call, and violations of the API's rules by the client."""

    keep: int | None = None
    """How many calls are kept; None: all."""
    rows: int | None = None
    """How many rows of a body are kept; None: all."""
    calls: deque[LoggedCall] = field(default_factory=deque)
    counts: Counter[str] = field(default_factory=Counter)
    """`"PUT /companies"` → calls; ids in paths read `{id}`."""
    violations: list[Violation] = field(default_factory=list)
    total: int = 0

    def __post_init__(self) -> None:
        self.calls = deque(maxlen=self.keep)

    def add(self, call: LoggedCall, kind: str) -> None:
        """Write a call down."""
        self.calls.append(call)
        self.counts[kind] += 1

    def next_number(self) -> int:
        """The number of the next call, from 1."""
        self.total += 1
        return self.total

    def cut(self, body: Any) -> Any:
        """The part of a body that is kept."""
        return body[: self.rows] if isinstance(body, list) and self.rows is not None else body

    def of(self, method: str = "", path: str = "/") -> list[LoggedCall]:
        """Kept calls of a method whose path is `path`, or lies below it."""
        return [
            call
            for call in list(self.calls)
            if method in ("", call.method)
            and (call.path == path or call.path.startswith(path.rstrip("/") + "/"))
        ]

    def sent(self, path: str, method: str = "PUT") -> list[Any]:
        """All rows sent to exactly this path, over all kept calls."""
        rows: list[Any] = []
        for call in list(self.calls):
            if call.method == method and call.path == path and call.body is not None:
                rows.extend(call.body if isinstance(call.body, list) else [call.body])
        return rows

    def report(self, violations: Iterable[Violation]) -> None:
        """Write violations down."""
        self.violations.extend(violations)

    def clear(self) -> None:
        """Forget all."""
        self.calls.clear()
        self.counts.clear()
        self.violations.clear()
        self.total = 0


def answer_summary(status: int, answer: Any) -> Any:
    """What the log keeps of an answer."""
    if isinstance(answer, dict) and "insertsKeys" in answer:
        names = ("created", "updated", "nonupdates", "createdErrors", "updatedErrors", "permissionErrors")
        return {name: len(answer[name]) if isinstance(answer[name], list) else answer[name] for name in names}
    if isinstance(answer, dict) and "processed" in answer:
        return {"processed": answer["processed"], "errors": len(answer["errors"])}
    if isinstance(answer, list):
        return {"records": len(answer)}
    if isinstance(answer, dict) and status < 300:
        return {"_id": answer["_id"]} if "_id" in answer else answer
    return str(answer)[:200]
