"""The cases in their order: each goes on from what the one before left in the warehouse and in the stub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks import data, project

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure."""

    name: str
    statements: tuple[str, ...]
    """What happens in the warehouse before."""
    model: str
    block: Callable[[], dict[str, Any]]
    script: str
    """What the reference is asked to do."""
    calls: Callable[[int], int]
    """Rows of the model → calls that are needed, as far as the number of rows decides."""


def _batches(rows: int) -> int:
    return -(-rows // 5000)


CASES = (
    Case("first load", (), "accounts", lambda: project.ACCOUNTS, "accounts", _batches),
    Case("nothing changed", (), "accounts", lambda: project.ACCOUNTS, "accounts", lambda _: 0),
    Case(
        "1 % changed, 0.1 % removed",
        (data.CHANGE, data.REMOVE),
        "accounts",
        lambda: project.ACCOUNTS,
        "accounts",
        lambda rows: _batches(rows // 100) + rows // 1000,
    ),
    Case(
        "one field added",
        (),
        "accounts",
        project.with_field_added,
        "accounts+seen",
        lambda rows: _batches(rows - rows // 1000),
    ),
    Case("events", (), "points", lambda: project.POINTS, "points", _batches),
)
