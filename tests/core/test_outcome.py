"""Plans, counts and outcomes as values: the sums and words others rely on (DESIGN §10, §15)."""

from __future__ import annotations

import datetime as dt

import pytest

from planhat_dbt.errors import FailedError, RefusedError
from planhat_dbt.plan import HELD_CODES, REJECTED_CODES, Operation, SyncPlan
from planhat_dbt.result import Counts, RunResult, Status, SyncResult

NOW = dt.datetime.fromisoformat("2024-01-01")


def plan(**facts) -> SyncPlan:
    counts = {Operation(o): n for o, n in facts.pop("operations", {}).items()}
    return SyncPlan("c", "c", "company", "upsert", 10, 10, counts, facts.pop("set_aside", {}), 5000, **facts)


@pytest.mark.parametrize(
    ("operations", "more", "calls"),
    [
        ({}, {}, 0),
        ({"insert": 1}, {}, 1),
        ({"insert": 2500, "update": 2500}, {}, 1),
        ({"insert": 2500, "update": 2501}, {}, 2),
        ({"clear": 5001}, {}, 2),
        ({"insert": 1, "clear": 1}, {}, 2),
        ({"delete": 7}, {}, 7),
        ({"delete": 7}, {"to_look_up": 3}, 7),
        ({"insert": 7, "update": 7}, {"single_calls": True}, 8),
        ({"insert": 1_000_000}, {}, 200),
    ],
)
def test_the_fewest_calls(operations, more, calls):
    assert plan(operations=operations, **more).calls == calls


def test_rows_set_aside_are_told_apart():
    found = plan(set_aside={"null_key": 1, "bad_value": 2, "parent_missing": 4, "unknown": 8})
    assert (found.rejected, found.held, found.unknown, found.rows_to_send) == (3, 4, 8, 0)
    assert not REJECTED_CODES & HELD_CODES


def test_counts_add_up():
    total = Counts(inserted=1, held=2) + Counts(
        inserted=3, rejected=4, unknown=5, deleted=6, cleared=7, updated=8
    )
    assert (total.inserted, total.sent, total.total) == (4, 25, 36)


def result(
    *statuses: str,
    failing: int = 0,
    stopped: FailedError | RefusedError | None = None,
    interrupted: bool = False,
) -> RunResult:
    one = [SyncResult(s, s, "company", "upsert", Status(s), failing=failing) for s in statuses]
    return RunResult(
        "r", "i", "dev", "sync", NOW, NOW, tuple(one), stopped_by=stopped, interrupted=interrupted
    )


@pytest.mark.parametrize(
    ("found", "status", "code"),
    [
        (result(), "nothing_to_do", 0),
        (result("nothing_to_do"), "nothing_to_do", 0),
        (result("nothing_to_do", "success"), "success", 0),
        (result("success", "partial"), "partial", 0),  # rows that are only held do not fail a run
        (result("success", "partial", failing=1), "partial", 1),
        (result("nothing_to_do", failing=1), "nothing_to_do", 1),  # failures that wait count too
        (result("failed"), "failed", 1),
        (result("failed", "success"), "partial", 1),
        (result("gated", "success"), "gated", 3),
        (result("refused", "success"), "refused", 3),
        (result("refused", "failed"), "partial", 1),
        (result("success", stopped=FailedError("x")), "failed", 1),
        (result("success", stopped=RefusedError("x")), "failed", 3),
        (result("success", "interrupted", interrupted=True), "interrupted", 0),
    ],
)
def test_status_and_exit_code(found, status, code):
    assert (found.status.value, found.exit_code) == (status, code)
