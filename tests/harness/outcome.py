"""What one command did: exit code, output, the calls that reached the sandbox, and the results file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from planhat_dbt.sandbox import LoggedCall

Row = dict[str, Any]
COUNTS = ("inserted", "updated", "cleared", "deleted", "held", "rejected", "unknown")


@dataclass(frozen=True)
class Outcome:
    """The end of a command."""

    code: int
    out: str
    err: str
    calls: tuple[LoggedCall, ...]
    """Calls that reached the sandbox, oldest first."""
    document: Row = field(default_factory=dict)
    """`planhat_results.json` of this run; empty if it wrote none."""

    @property
    def told(self) -> str:
        """All that was said."""
        return self.out + self.err

    @property
    def kinds(self) -> list[str]:
        """The calls as `PUT /companies`."""
        return [f"{c.method} {c.path}" for c in self.calls]

    @property
    def writes(self) -> tuple[LoggedCall, ...]:
        """The calls that are no reads."""
        return tuple(c for c in self.calls if c.method != "GET")

    def sent(self, path: str, method: str = "PUT") -> list[Row]:
        """Rows sent to exactly this path, in order."""
        rows: list[Row] = []
        for call in self.calls:
            if call.method == method and call.path == path and call.body is not None:
                rows += call.body if isinstance(call.body, list) else [call.body]
        return rows

    def result(self, sync: str) -> Row:
        """The entry of one sync in the results file."""
        (found,) = [r for r in self.document["results"] if r["sync"] == sync]
        return dict(found)

    def status(self, sync: str) -> str:
        """How one sync ended."""
        return str(self.result(sync)["status"])

    def counts(self, sync: str) -> dict[str, int]:
        """Its counts that are not 0."""
        return {name: n for name in COUNTS if (n := int(self.result(sync)[name]))}
