"""Rows that Planhat refuses wait ever longer while nothing of them changes, and come back at once when they do."""

from __future__ import annotations

import json

import pytest
from harness import Project

from planhat_dbt.sandbox import Fault, FaultKind, Rules
from run.shop import add_companies, add_endusers, company, enduser, seed_company

EVENTS = {
    "object": "metric",
    "key": "id",
    "fields": {"dimensionId": {"value": "seats"}, "externalId": "company", "value": "value", "date": "day"},
}


def refused(project: Project) -> None:
    """Four endusers, of which u-3 has a company that Planhat does not know."""
    seed_company(project, "c-1")
    add_endusers(project, [enduser(i, account="c-404" if i == 3 else "c-1") for i in range(1, 5)])


@pytest.mark.parametrize(
    ("tries", "next_run"),
    [([1, 2, 4, 8], 16), pytest.param([1, 2, 4, 8, 16, 32, 56], 80, marks=pytest.mark.thorough)],
    ids=["grows", "up to a day"],
)
def test_patience_grows_up_to_a_day_of_hourly_runs(project: Project, tries: list[int], next_run: int) -> None:
    refused(project)
    runs = range(1, tries[-1] + 2)
    assert [run for run in runs if "PUT /endusers" in project.sync(code=1).kinds] == tries
    kept = project.query("select attempts, next_run from planhat_sync.failures")
    assert kept == [(len(tries), next_run)]


def test_patience_begins_with_the_first_refusal_not_with_a_failing_call(project: Project) -> None:
    refused(project)
    project.settings(max_tries=1)
    project.sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=503, method="PUT"))
    tried = [run for run in range(1, 6) if "PUT /endusers" in project.sync(code=1).kinds]
    assert tried == [1, 2, 3, 5]


def test_a_waiting_row_is_told_and_costs_no_call(project: Project) -> None:
    refused(project)
    for _ in range(2):
        project.sync(code=1)
    planned = project.cli("plan")
    assert "0 rows in 0 calls" in planned.told
    assert "1 row that was refused before waits" in planned.told
    assert "1 row in 1 call" in project.cli("plan", "--retry-rejected").told
    before = project.query("select * from planhat_sync.failures")
    outcome = project.sync(code=1)
    assert outcome.kinds == []
    assert outcome.counts("endusers") == {"rejected": 1}
    assert outcome.status("endusers") == "partial"
    assert "1 row that was refused before waits" in outcome.told
    assert "--retry-rejected" in outcome.told
    assert project.query("select * from planhat_sync.failures") == before
    told = project.cli("failures").told
    assert "company not found" in told
    assert "tried again by the next run" in told
    project.sql(
        "create table more as select * from endusers where id = 'u-1'",
        "update more set id = 'u-9'",
        "insert into endusers select * from more",
    )
    assert [r["externalId"] for r in project.sync(code=1).sent("/endusers")] == ["u-3", "u-9"]
    assert "tried again after 3 runs; changed, at once" in project.cli("failures").told


def test_a_changed_row_is_tried_at_once(project: Project) -> None:
    refused(project)
    for _ in range(3):
        project.sync(code=1)
    project.sql("update endusers set role = 'CIO' where id = 'u-3'")
    assert [r["externalId"] for r in project.sync(code=1).sent("/endusers")] == ["u-3"]
    assert project.query("select attempts, next_run from planhat_sync.failures") == [(1, 5)]
    project.sql("update endusers set account = 'c-1' where id = 'u-3'")
    assert project.sync().counts("endusers") == {"inserted": 1}
    assert project.failures() == {}


def test_a_changed_mapping_tries_all_at_once(project: Project) -> None:
    add_companies(project, 3)
    project.sandbox.rules = Rules(denied=("companies:create",))
    for _ in range(2):
        project.sync(code=1)
    assert project.sync(code=1).kinds == []
    block = dict(project.models["companies"].block)
    project.declare("companies", block | {"fields": block["fields"] | {"city": "phase"}})
    assert "PUT /companies" in project.sync(code=1).kinds
    assert project.query("select distinct attempts from planhat_sync.failures") == [(1,)]


def test_a_resync_tries_all_at_once(project: Project) -> None:
    refused(project)
    for _ in range(3):
        project.sync(code=1)
    sent = project.sync("--resync", "endusers", code=1).sent("/endusers")
    assert len({row["email"] for row in sent}) == 4


def test_refused_clears_wait_too_and_a_row_that_is_back_does_not(project: Project) -> None:
    add_companies(project, 20, on_removed="clear")
    project.sync()
    project.sandbox.rules = Rules(denied=("companies:update",))
    project.sql("delete from companies where id = 'c-7'")
    tried = [run for run in range(2, 8) if project.sync(code=1).writes]
    assert tried == [2, 3, 5]
    assert project.failures().keys() == {"c-7"}
    project.sandbox.rules = Rules()
    project.insert("companies", [company(7)])
    project.sync()
    assert project.failures() == {}
    project.quiet()


def test_rows_that_wait_do_not_hold_up_others_nor_count_as_changes(project: Project) -> None:
    add_companies(project, 10, max_changes="20%")
    project.sync()
    project.sandbox.rules = Rules(denied=("companies:create",))
    project.insert("companies", [company(11), company(12)])
    for _ in range(2):
        project.sync(code=1)
    project.sandbox.rules = Rules()
    project.sql("update companies set phase = 'New' where id in ('c-1', 'c-2')")
    assert project.sync(code=1).counts("companies") == {"updated": 2, "rejected": 2}


def test_refused_events_wait_too(project: Project) -> None:
    columns = {"id": "varchar", "company": "varchar", "value": "double", "day": "date"}
    project.model("points", EVENTS, columns, [("p-1", "c-1", 1.0, "2026-01-01")])
    item = {"dimensionId": "seats", "externalId": "c-1", "value": 1, "date": "2026-01-01T00:00:00.000Z"}
    body = json.dumps({"processed": 1, "errors": [{"item": item, "error": "quota of dimensions reached"}]})
    project.sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=200, body=body, method="POST", count=None))
    tried = [run for run in range(1, 6) if project.sync(code=1).calls]
    assert tried == [1, 2, 4]
    assert project.failures() == {"p-1": ("rejected", "refused")}


def test_a_row_that_was_not_sent_does_not_wait(project: Project) -> None:
    add_companies(project, 3)
    project.settings(max_tries=1)
    for _ in range(3):
        project.sandbox.faults.add(Fault(kind=FaultKind.STATUS, method="PUT", status=503))
        assert project.sync(code=1).writes
        assert project.query("select distinct next_run from planhat_sync.failures") == [(None,)]
    project.sync()
    assert project.failures() == {}


@pytest.mark.thorough
def test_whoever_drops_the_log_of_runs_waits_for_nothing(project: Project) -> None:
    refused(project)
    for _ in range(33):
        project.sync(code=1)
    assert project.query("select next_run from planhat_sync.failures") == [(56,)]
    project.sql("delete from planhat_sync.sync_runs")
    assert project.sync(code=1).writes
