"""Metric points of which the answer is lost, and what a further run makes of them."""

from __future__ import annotations

from typing import Any

from harness import Outcome, Project, Row

from planhat_dbt.sandbox import Fault, FaultKind
from run.test_events import METRIC_BLOCK, METRICS, points

IN_DOUBT = ("unknown", "unknown_outcome")
PATH = "/dimensiondata"
POST = "POST /dimensiondata/{tenant}"
READ = ["GET /companies/extid-c-1", "GET /dimensiondata"]


def lose(project: Project, *rows: tuple[Any, ...], arrived: bool = True, sync: str = "usage") -> None:
    """Send rows of which the answer is lost, and which arrived or did not."""
    project.insert(sync, rows)
    kind = FaultKind.RESET_AFTER if arrived else FaultKind.RESET_BEFORE
    project.sandbox.faults.add(Fault(kind=kind, method="POST", path=PATH))
    assert project.sync(code=1, read_back_calls=0).counts(sync)["unknown"] >= len(rows)


def values(project: Project) -> list[float]:
    return [value for _, value, _ in points(project)]


def ask(project: Project, after: float = 0, **more: Any) -> Outcome:
    """Run `sync`; absence counts after so many seconds."""
    return project.sync(read_back_after=after, **more)


def why(project: Project) -> dict[str, str]:
    """Key → what is said of a row in doubt."""
    return dict(project.query("select key, message from planhat_sync.failures where status = 'unknown'"))


MODELS = {**METRICS, "model": "varchar"}
MODEL_BLOCK: Row = {**METRIC_BLOCK, "fields": {**METRIC_BLOCK["fields"], "model": "model"}}
