"""Rows that Planhat refuses: the right ones are found whatever its answer says of them (DESIGN §9, planhat-api §5)."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from harness import Project

from planhat_dbt.sandbox import Rules, Sandbox
from run.shop import add_companies, add_endusers, enduser, seed_company

SHAPES = ["string", "object", "object_without_ids"]


def endusers(rows: int, *bad: int) -> list[tuple[object, ...]]:
    return [enduser(i, account="c-404" if i in bad else "c-1") for i in range(1, rows + 1)]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("status", ["206", "400"])
def test_refused_rows_are_told_and_the_others_accepted(project: Project, shape: str, status: str) -> None:
    project.sandbox.rules = Rules(error_items=shape, partial_status=status)
    seed_company(project, "c-1")
    add_endusers(project, endusers(40, 3, 17, 40))
    outcome = project.sync(code=1)
    assert outcome.counts("endusers") == {"inserted": 37, "rejected": 3}
    assert set(project.failures().values()) == {("rejected", "refused")}
    assert project.failures().keys() == {"u-3", "u-17", "u-40"}
    assert set(project.snapshot("endusers")) == {f"u-{i}" for i in range(1, 41)} - {"u-3", "u-17", "u-40"}
    messages = {message for (message,) in project.query("select message from planhat_sync.failures")}
    assert all("company not found" in message for message in messages)
    states = project.query("select state, http_status from planhat_sync.batches")
    assert states == [("partial", int(status))] or len(outcome.calls) > 1

    outcome = project.sync(code=1)
    assert {row["externalId"] for row in outcome.sent("/endusers")} == {"u-3", "u-17", "u-40"}
    seed_company(project, "c-404")
    outcome = project.sync("--retry-rejected")
    assert outcome.counts("endusers") == {"inserted": 3}
    assert project.failures() == {}
    project.quiet()


@pytest.mark.parametrize("shape", SHAPES)
def test_all_rows_refused(project: Project, shape: str) -> None:
    project.sandbox.rules = Rules(error_items=shape)
    seed_company(project, "c-1")
    add_endusers(project, endusers(6, *range(1, 7)))
    outcome = project.sync(code=1)
    assert len(outcome.calls) == 1
    assert outcome.calls[0].status == 400
    assert outcome.counts("endusers") == {"rejected": 6}
    assert project.snapshot("endusers") == {}


@pytest.mark.parametrize("shape", ["string", "object_without_ids"])
def test_one_nameless_refusal_among_300_is_found_in_few_calls(
    project: Project, sandbox: Sandbox, folder: Path, shape: str
) -> None:
    """Unchanged rows are only counted, so nothing tells them from the refused one but ever smaller parts."""
    seed_company(project, "c-1")
    add_endusers(project, endusers(300))
    project.sync()
    sandbox.rules = Rules(error_items=shape)
    heir = Project(
        folder / "heir", sandbox
    )  # without state: sends all 300, of which 299 are as Planhat has them
    add_endusers(heir, endusers(300, 123))
    outcome = heir.sync(code=1)
    assert heir.failures() == {"u-123": ("rejected", "refused")}
    assert set(heir.snapshot("endusers")) == {f"u-{i}" for i in range(1, 301)} - {"u-123"}
    assert len(outcome.calls) <= 2 * math.ceil(math.log2(300)) + 1
    outcome = heir.sync(code=1)
    assert [row["externalId"] for row in outcome.sent("/endusers")] == ["u-123"]


@pytest.mark.parametrize("status", ["206", "400"])
def test_refused_updates(project: Project, status: str) -> None:
    project.sandbox.rules = Rules(partial_status=status)
    seed_company(project, "c-1")
    add_endusers(project, endusers(20))
    project.sync()
    project.replace(
        "endusers", [enduser(i, account="c-404" if i == 4 else "c-1", role="CEO") for i in range(1, 21)]
    )
    outcome = project.sync(code=1)
    assert outcome.counts("endusers") == {"updated": 19, "rejected": 1}
    assert project.failures() == {"u-4": ("rejected", "refused")}
    roles = project.snapshot("endusers", "position")
    assert {key for key, role in roles.items() if role == "CTO"} == {"u-4"}
    stored = {r["externalId"]: r["position"] for r in project.sandbox.tenant.records("endusers")}
    assert stored == roles
    project.replace("endusers", [enduser(i, role="CEO") for i in range(1, 21)])
    assert project.sync().counts("endusers") == {"updated": 1}
    project.quiet()


def test_rows_without_permission(project: Project) -> None:
    add_companies(project, 2)
    project.sync()
    project.sandbox.rules = Rules(denied=("companies:create",))
    project.sql("update companies set seats = 99", "insert into companies values ('c-3', 'Bolt', 'Live', 3)")
    outcome = project.sync(code=1)
    assert outcome.writes[0].status == 403
    assert outcome.counts("companies") == {"updated": 2, "rejected": 1}
    assert project.failures() == {"c-3": ("rejected", "permission")}
    project.sandbox.rules = Rules()
    assert project.sync().counts("companies") == {"inserted": 1}


@pytest.mark.parametrize("rule", ["drop", "error"])
def test_endusers_without_a_company(project: Project, rule: str) -> None:
    """Planhat drops them without a word (planhat-api §12.2): they are told as rejected here."""
    project.sandbox.rules = Rules(unplaced_endusers=rule)
    seed_company(project, "c-1")
    add_endusers(project, [enduser(i, account=None if i in (2, 5) else "c-1") for i in range(1, 8)])
    outcome = project.sync(code=1)
    assert outcome.counts("endusers") == {"inserted": 5, "rejected": 2}
    code = "dropped" if rule == "drop" else "refused"
    assert project.failures() == {"u-2": ("rejected", code), "u-5": ("rejected", code)}
    project.replace("endusers", [enduser(i) for i in range(1, 8)])
    assert project.sync().counts("endusers") == {"inserted": 2}
    project.quiet()


def test_dropped_and_refused_and_accepted_together(project: Project) -> None:
    seed_company(project, "c-1")
    rows = [*endusers(50, 7), enduser(60, account=None), enduser(61, account=None)]
    add_endusers(project, rows)
    outcome = project.sync(code=1)
    assert outcome.counts("endusers") == {"inserted": 49, "rejected": 3}
    assert project.failures().keys() == {"u-7", "u-60", "u-61"}
    assert set(project.snapshot("endusers")) == {f"u-{i}" for i in range(1, 51)} - {"u-7"}
