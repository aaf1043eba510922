"""Runs that end early or are refused: what was planned is held and told, nothing else changes (DESIGN §8, §9)."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from harness import Outcome, Project

from planhat_dbt.sandbox import Fault, FaultKind
from run.shop import add_companies, add_endusers, company, enduser, mirrors, seed_company
from run.test_events import ACTIVITIES, ACTIVITY_BLOCK, METRIC_BLOCK, METRICS, activity, metric, points
from run.test_interruption import end, slow

FIVE = [("held", "not_sent")] * 5


def plan_removals_and_changes(project: Project, **companies: Any) -> None:
    """Five companies to remove, after the changes of their endusers; one of these to remove as well."""
    add_companies(project, 12, **{"on_removed": "delete", **companies})
    add_endusers(project, [enduser(i) for i in (1, 2, 3)], on_removed="delete")
    project.sync()
    project.sql("delete from companies where seats > 7", "delete from endusers where id = 'u-3'")
    project.sql("update endusers set role = 'CEO'")


def revoke(project: Project, **where: Any) -> None:
    project.sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=401, count=None, **where))


@pytest.mark.parametrize("on_removed", ["delete", "clear"])
def test_removals_are_held_if_the_token_ends_during_the_changes(project: Project, on_removed: str) -> None:
    plan_removals_and_changes(project, on_removed=on_removed)
    revoke(project, path="/endusers")
    outcome = project.sync(code=1)
    assert outcome.kinds == [*(["GET /customfields"] if on_removed == "clear" else []), "PUT /endusers"]
    assert outcome.counts("companies") == {"held": 5}
    assert outcome.counts("endusers") == {"held": 3}
    assert outcome.status("endusers") == "failed"
    failures = project.failures()
    assert [failures[f"c-{i}"] for i in range(8, 13)] == FIVE
    assert set(failures.values()) == {("held", "not_sent")}
    assert "PLANHAT_API_TOKEN" in outcome.told
    assert "401" in outcome.result("endusers")["reason"]
    assert "fault of" not in outcome.told
    assert set(project.snapshot("companies").values()) == {"synced"}
    project.sandbox.faults.clear()
    done = "deleted" if on_removed == "delete" else "cleared"
    assert project.sync().counts("companies") == {done: 5}
    assert project.failures() == {}
    project.quiet()


def test_a_revoked_token_during_its_own_changes_holds_a_syncs_removals(project: Project) -> None:
    plan_removals_and_changes(project)
    project.sql("update companies set phase = 'Risk' where seats = 1")
    revoke(project, path="/companies")
    outcome = project.sync(code=1)
    assert outcome.kinds == ["GET /customfields", "PUT /companies"]
    assert outcome.counts("companies") == {"held": 6}
    assert outcome.status("endusers") == "failed"
    assert "fault of" not in outcome.told
    project.sandbox.faults.clear()
    assert project.sync().counts("companies") == {"updated": 1, "deleted": 5}
    assert mirrors(project)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_removals_are_held_if_the_run_is_stopped_before_them(
    project: Project, number: signal.Signals, code: int
) -> None:
    plan_removals_and_changes(project)
    slow(project, path="/endusers")
    process = project.start("sync")
    project.wait_for_calls(1, process)
    process.send_signal(number)
    ended, told = end(process)
    assert ended == code, told
    assert "fault of" not in told
    project.sandbox.faults.clear()
    assert [f"{call.method} {call.path}" for call in project.sandbox.log.calls] == ["PUT /endusers"]
    syncs = project.query(
        "select sync, status, updated, held from planhat_sync.sync_runs "
        "where run_id = (select max(run_id) from planhat_sync.runs) order by sync"
    )
    assert syncs == [("companies", "interrupted", 0, 5), ("endusers", "interrupted", 2, 1)]
    ((status, held),) = project.query(
        "select status, held from planhat_sync.runs order by run_id desc limit 1"
    )
    assert (status, held) == ("interrupted", 6)
    assert set(project.failures().values()) == {("held", "not_sent")}
    assert project.sync().counts("companies") == {"deleted": 5}
    assert project.failures() == {}
    assert mirrors(project)


# -- looks that change nothing


@pytest.mark.parametrize("command", [["plan"], ["sync", "--dry-run"]])
def test_planning_a_resync_changes_nothing(project: Project, command: list[str]) -> None:
    add_companies(project, 3)
    project.sync()
    before = project.query("select value from planhat_sync.meta where setting like 'mapping:%'")
    outcome = project.cli(*command, "--resync", "companies")
    assert (outcome.code, outcome.kinds) == (0, [])
    assert "3" in outcome.out
    project.quiet()
    assert project.query("select value from planhat_sync.meta where setting like 'mapping:%'") == before


@pytest.mark.parametrize("why", ["max_changes", "gate", "max_removals"])
def test_a_refused_resync_is_forgotten(project: Project, why: str) -> None:
    add_companies(project, 30, max_changes="10%", on_removed="delete")
    project.sync()
    if why == "gate":
        project.build(statuses={"companies": "error"})
    if why == "max_removals":
        project.sql("delete from companies")
    allow = ("--allow-changes", "companies") if why == "max_removals" else ()
    assert project.sync("--resync", "companies", *allow, code=3).kinds == []
    if why == "max_removals":
        project.replace("companies", [company(i) for i in range(1, 31)])
    project.build()
    project.quiet()


def test_a_resync_that_is_let_through_sends_all_and_once(project: Project) -> None:
    add_companies(project, 30, max_changes="10%")
    project.sync()
    outcome = project.sync("--resync", "companies", "--allow-changes", "companies")
    assert len(outcome.sent("/companies")) == 30
    project.quiet()


@pytest.mark.parametrize("command", [["plan"], ["sync", "--dry-run"], ["plan", "--resync", "companies"]])
def test_a_plan_writes_no_failures(project: Project, command: list[str]) -> None:
    add_companies(project, 2)
    project.insert("companies", [company(2)])
    attempts = "select key, code, attempts from planhat_sync.failures"
    assert project.cli(*command).code == 0
    assert project.query(attempts) == []
    project.sync(code=1)
    assert project.query(attempts) == [("c-2", "duplicate_key", 1)]
    project.cli(*command)
    project.cli(*command)
    assert project.query(attempts) == [("c-2", "duplicate_key", 1)]
    project.replace("companies", [company(1), company(2)])
    project.cli(*command)
    assert project.query(attempts) == [("c-2", "duplicate_key", 1)]
    project.insert("companies", [company(2)])
    project.sync(code=1)
    assert project.query(attempts) == [("c-2", "duplicate_key", 2)]


@pytest.mark.parametrize("what", ["removals", "changes"])
def test_a_guard_names_ten_keys(project: Project, what: str) -> None:
    add_companies(project, 60, on_removed="delete", max_changes="10%")
    project.sync()
    concerned = [f"c-{i}" for i in range(31, 61)]
    change = "delete from companies" if what == "removals" else "update companies set phase = 'Risk'"
    project.sql(f"{change} where seats > 30")
    for outcome in (project.cli("plan"), project.sync(code=3)):
        assert 10 <= named(outcome, concerned) <= 13, "besides the ten, a plan shows up to three samples"
        assert f"--allow-{what} companies" in outcome.told
    assert sum(f"{key}," in outcome.result("companies")["reason"] + "," for key in concerned) >= 9


def named(outcome: Outcome, keys: list[str]) -> int:
    words = set(outcome.told.replace(",", " ").replace(".", " ").split())
    return len(words & set(keys))


# -- calls that are not made


@pytest.mark.parametrize("after", [0, 20])
def test_a_revoked_token_ends_the_deletes_within_those_in_flight(project: Project, after: int) -> None:
    project.settings(max_calls_per_minute=5000)
    add_companies(project, 100, on_removed="delete", max_removals="100%")
    project.sync()
    project.replace("companies", [company(1)])
    revoke(project, method="DELETE", skip=after)
    outcome = project.sync(code=1)
    refused = [call for call in outcome.calls if call.status == 401]
    assert 1 <= len(refused) <= 8
    assert len(outcome.calls) == after + len(refused)
    assert outcome.counts("companies") == {"held": 99 - after} | ({"deleted": after} if after else {})
    assert set(project.failures().values()) == {("held", "not_sent")}
    project.sandbox.faults.clear()
    project.sync()
    assert mirrors(project)


def test_a_dead_service_ends_the_bulk_calls_at_the_breaker(project: Project) -> None:
    project.settings(batch_rows=10, max_tries=1, breaker_failures=3)
    add_companies(project, 80)
    project.sandbox.faults.add(Fault(kind=FaultKind.STATUS, path="/companies", status=503, count=None))
    outcome = project.sync(code=1)
    assert outcome.kinds == ["GET /customfields", *["PUT /companies"] * 3]
    assert outcome.status("companies") == "failed"
    counts = outcome.counts("companies")
    assert sum(counts.values()) == 80
    sent = {row["externalId"] for row in outcome.sent("/companies")}
    failures = project.failures()
    assert {failures[key] for key in failures.keys() - sent} == {("held", "not_sent")}
    assert len(failures.keys() - sent) == 50
    assert "3 calls in a row failed" in outcome.told
    project.sandbox.faults.clear()
    project.sync()
    assert mirrors(project)


@pytest.mark.parametrize(
    ("sync", "status", "bad"), [("usage", 400, 1), ("usage", 413, 3), ("logins", 422, 1), ("logins", 400, 3)]
)
def test_one_bad_event_does_not_take_the_others_of_its_call_along(
    project: Project, sync: str, status: int, bad: int
) -> None:
    """Of four: the call of all is refused, then the half with the bad one, then the bad one alone."""
    seed_company(project, "c-1")
    if sync == "usage":
        project.model(sync, METRIC_BLOCK, METRICS, [metric(i) for i in (1, 2, 3, 4)])
    else:
        project.model(sync, ACTIVITY_BLOCK, ACTIVITIES, [activity(i) for i in (1, 2, 3, 4)])
    refuse: dict[str, Any] = {
        "kind": FaultKind.STATUS,
        "status": status,
        "method": "POST",
        "body": "item is wrong",
    }
    if bad == 1:
        project.sandbox.faults.add(Fault(**refuse, count=3))
    else:
        project.sandbox.faults.add(Fault(**refuse), Fault(**refuse, skip=1, count=2))
    outcome = project.sync(code=1)
    assert len(outcome.calls) == 5
    assert outcome.counts(sync) == {"inserted": 3, "rejected": 1}
    key = f"m-{bad}" if sync == "usage" else str(bad)
    assert project.failures() == {key: ("rejected", "refused")}
    assert "item is wrong" in project.query("select message from planhat_sync.failures")[0][0]
    good = [i for i in (1, 2, 3, 4) if i != bad]
    if sync == "usage":
        assert [value for _, value, _ in points(project)] == [float(i) for i in good]
    else:
        people = sorted(a["externalId"] for a in project.sandbox.tenant.records("activities"))
        assert people == [f"u-{i}" for i in good]
    assert project.sync().counts(sync) == {"inserted": 1}
    project.quiet()
