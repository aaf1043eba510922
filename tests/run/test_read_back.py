"""Metric points of unknown outcome are asked for in Planhat: there, they are done; missing, they are sent again."""

from __future__ import annotations

import datetime as dt
import time

import pytest
from harness import Project

from planhat_dbt.sandbox import Fault, FaultKind
from run.doubtful import IN_DOUBT, MODEL_BLOCK, MODELS, PATH, POST, READ, ask, lose, values, why
from run.shop import seed_company
from run.test_events import METRIC_BLOCK, METRICS, metric
from run.test_interruption import SLOW, slow


@pytest.fixture
def usage(project: Project) -> Project:
    seed_company(project, "c-1")
    project.model("usage", METRIC_BLOCK, METRICS)
    return project


def test_points_that_arrived_are_done(usage: Project) -> None:
    lose(usage, *map(metric, (1, 2, 3)))
    outcome = usage.sync()
    assert outcome.kinds == READ
    assert outcome.calls[1].query == {
        "sort": "_id", "cId": usage.sandbox.tenant.record("companies")["_id"], "from": "20512", "to": "20514",
        "limit": "2000", "offset": "0",
    }  # fmt: skip
    assert usage.failures() == {}
    assert usage.snapshot("usage") == dict.fromkeys(("m-1", "m-2", "m-3"), "synced")
    assert usage.snapshot("usage", "value") == {"m-1": 1.0, "m-2": 2.0, "m-3": 3.0}
    told = "select key, operation, status from planhat_sync.changes where status <> 'unknown' order by key"
    assert usage.query(told) == [(f"m-{i}", "insert", "found") for i in (1, 2, 3)]
    assert outcome.result("usage")["noted"] == {"found": 3}
    assert "3 rows of unknown outcome are in Planhat: done" in outcome.out
    assert usage.query("select * from planhat_sync.in_doubt") == []
    usage.quiet()
    assert values(usage) == [1.0, 2.0, 3.0]


def test_points_that_did_not_arrive_are_sent_again_by_the_same_run(usage: Project) -> None:
    lose(usage, *map(metric, (1, 2)), arrived=False)
    usage.insert("usage", [metric(3)])
    outcome = ask(usage)
    assert outcome.kinds == [*READ, POST]
    assert outcome.counts("usage") == {"inserted": 3}
    assert outcome.result("usage")["noted"] == {"sent_again": 2}
    assert (usage.failures(), values(usage)) == ({}, [1.0, 2.0, 3.0])
    usage.quiet()


def test_of_half_stored_points_the_other_half_is_sent(usage: Project) -> None:
    lose(usage, *map(metric, range(1, 7)))
    del usage.sandbox.tenant.metrics[::2]
    outcome = ask(usage)
    assert outcome.result("usage")["noted"] == {"found": 3, "sent_again": 3}
    assert [row["value"] for row in outcome.sent("/dimensiondata/{tenant}", "POST")] == [1.0, 3.0, 5.0]
    assert values(usage) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    usage.quiet()


def test_absence_counts_only_some_time_after_it_was_sent(usage: Project) -> None:
    lose(usage, metric(1), arrived=False)
    for after in (None, 3600):
        outcome = usage.sync(code=1) if after is None else ask(usage, after, code=1)
        assert outcome.kinds == READ
        assert outcome.counts("usage") == {"unknown": 1}
        assert usage.failures() == {"m-1": IN_DOUBT}
        assert "asked for again by the next run" in why(usage)["m-1"]
    usage.sql("update planhat_sync.in_doubt set sent_at = sent_at - interval 11 minutes")
    assert usage.sync().counts("usage") == {"inserted": 1}
    assert values(usage) == [1.0]
    usage.quiet()


def test_a_point_that_shows_late_is_not_sent_twice(usage: Project) -> None:
    usage.sandbox.rules = usage.sandbox.rules.changed({"read_delay": 3600})
    lose(usage, metric(1))
    assert usage.sync(code=1).counts("usage") == {"unknown": 1}
    # As if the hour were over: the point is seen like one that was always there.
    usage.sandbox.tenant.metrics[0]["_id"] = usage.sandbox.tenant.new_id()
    assert usage.sync().result("usage")["noted"] == {"found": 1}
    assert values(usage) == [1.0]
    usage.quiet()


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("arrived", "noted"), [(True, "found"), (False, "sent_again")])
@pytest.mark.parametrize("also", ["sent", "discarded"])
def test_equal_points_of_other_keys_are_counted(usage: Project, also: str, arrived: bool, noted: str) -> None:
    """Planhat has one or two of them, and of one it is known already that it is there."""
    if also == "sent":
        usage.insert("usage", [metric(1)])
        usage.sync()
    else:
        lose(usage, metric(1))
        assert usage.cli("resolve", "usage", "--discard").code == 0
    lose(usage, metric(1, id="m-1b"), arrived=arrived)
    assert ask(usage).result("usage")["noted"] == {noted: 1}
    assert values(usage) == [1.0, 1.0]
    usage.quiet()


def test_of_two_equal_points_in_doubt_one_is_there(usage: Project) -> None:
    lose(usage, metric(1), metric(1, id="m-1b"))
    del usage.sandbox.tenant.metrics[0]
    assert ask(usage).result("usage")["noted"] == {"found": 1, "sent_again": 1}
    assert values(usage) == [1.0, 1.0]
    usage.quiet()


def test_an_equal_point_of_another_sync_is_not_taken_for_it(usage: Project) -> None:
    usage.model("others", METRIC_BLOCK, METRICS, [metric(1)])
    usage.sync()
    lose(usage, metric(1), arrived=False)
    assert ask(usage).counts("usage") == {"inserted": 1}
    assert values(usage) == [1.0, 1.0]


@pytest.mark.parametrize("arrived", [True, False])
def test_points_of_several_companies_and_of_all_models(project: Project, arrived: bool) -> None:
    seed_company(project, "c-1", "c-2", "c-3")
    for path in ("endusers", "assets", "projects"):
        names = {"name": "X"} if path != "endusers" else {}
        rows = [{"externalId": f"x-{n}", "companyId": f"extid-c-{n}", **names} for n in (1, 2)]
        project.sandbox.tenant.seed(path, rows)
    project.model("usage", MODEL_BLOCK, MODELS)
    rows = [(*metric(i, account=f"c-{i}"), model) for i, model in ((1, None), (2, "Company"), (3, "Company"))]
    rows += [
        (*metric(i, id=f"{model}-{i}", account=f"x-{i}"), model)
        for model in ("EndUser", "Asset", "Project")
        for i in (1, 2)
    ]
    lose(project, *rows, arrived=arrived)
    outcome = ask(project)
    reads = [c for c in outcome.calls if (c.method, c.path) == ("GET", PATH)]
    assert len(reads) == 3  # one for each company, whatever the records below it
    assert outcome.result("usage")["noted"] == {"found" if arrived else "sent_again": 9}
    assert len(values(project)) == 9
    project.quiet()


KINDS = [
    ("timestamp", dt.datetime.fromisoformat("2026-03-01 08:00:00.250")),
    ("date", dt.date(2026, 3, 1)),
    ("timestamptz", dt.datetime.fromisoformat("2026-03-01 00:30:00.250+02:00")),
    ("date", dt.date(1, 1, 1)),
    ("date", dt.date(9999, 12, 31)),
    ("varchar", "2026-03-01"),
    ("varchar", "2026-03-01T00:30:00+02:00"),
    ("varchar", "2026-03-01 08:00"),
]


@pytest.mark.sampled(4)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize(("kind", "at"), KINDS, ids=str)
def test_days_and_instants(usage: Project, kind: str, at: object, zone: str) -> None:
    usage.env["TZ"] = zone
    usage.model("usage", METRIC_BLOCK, {**METRICS, "at": kind})
    lose(usage, metric(1, at=at), metric(2, at=at))
    del usage.sandbox.tenant.metrics[0]
    assert ask(usage).result("usage")["noted"] == {"found": 1, "sent_again": 1}
    usage.quiet()


NUMBERS = [
    ("integer", 1),
    ("double", 1.0),
    ("double", 0.1),
    ("real", 0.1),
    ("decimal(18,4)", "1.5000"),
    ("decimal(38,10)", "12345678901234567890.1234567891"),
    ("hugeint", 2**70),
    ("varchar", "1.0"),
    ("varchar", " 1e3 "),
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("kind", "value"), NUMBERS, ids=str)
def test_numbers_are_compared_as_numbers(usage: Project, kind: str, value: object) -> None:
    usage.model("usage", METRIC_BLOCK, {**METRICS, "value": kind})
    lose(usage, metric(1, value=value))
    for point in usage.sandbox.tenant.metrics:
        point["value"] = float(point["value"])  # as a double comes back: 1 as 1.0
    assert ask(usage).result("usage")["noted"] == {"found": 1}
    usage.quiet()


@pytest.mark.parametrize("applied", [True, False])
def test_killed_while_sending(usage: Project, applied: bool) -> None:
    usage.settings(batch_rows=10)
    usage.insert("usage", [metric(i) for i in range(1, 26)])
    if applied:
        slow(usage, path=PATH)
    else:
        usage.sandbox.faults.add(Fault(kind=FaultKind.HANG, path=PATH))
    process = usage.start("sync")
    usage.wait_for_calls(1, process)
    process.kill()
    process.communicate()
    usage.sandbox.faults.clear()
    time.sleep(SLOW)
    assert len(values(usage)) == (10 if applied else 0)
    assert ask(usage).counts("usage") == {"inserted": 25 - 10 * applied}
    assert values(usage) == [float(i) for i in range(1, 26)]
    assert usage.failures() == {}
    usage.quiet()


def test_after_a_kill_in_the_night_the_morning_run_decides(usage: Project) -> None:
    """What counts is when the killed run sent, not when the next one noticed."""
    usage.insert("usage", [metric(1)])
    usage.sandbox.faults.add(Fault(kind=FaultKind.HANG, path=PATH))
    process = usage.start("sync")
    usage.wait_for_calls(1, process)
    process.kill()
    process.communicate()
    usage.sandbox.faults.clear()
    usage.sql("update planhat_sync.batches set sent_at = sent_at - interval 2 hours")
    assert usage.sync().counts("usage") == {"inserted": 1}
    assert values(usage) == [1.0]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("calls", [1, 2, 3])
def test_killed_while_reading_back(usage: Project, calls: int) -> None:
    """Between the look-up and the lists, and between two lists: nothing is lost, nothing is there twice."""
    seed_company(usage, "c-2")
    lose(usage, *(metric(i, account=f"c-{1 + i % 2}") for i in range(1, 7)))
    del usage.sandbox.tenant.metrics[::3]
    usage.settings(read_back_after=0)
    slow(usage, skip=calls - 1)
    process = usage.start("sync")
    usage.wait_for_calls(calls, process)
    process.kill()
    process.communicate()
    usage.sandbox.faults.clear()
    time.sleep(SLOW)
    assert len(values(usage)) == 4
    ask(usage)
    assert values(usage) == [float(i) for i in range(1, 7)]
    usage.quiet()


def test_a_plan_tells_and_calls_nothing(usage: Project) -> None:
    lose(usage, *map(metric, (1, 2)))
    for output in ("text", "markdown"):
        plan = usage.cli("plan", "--output", output)
        assert (plan.code, plan.kinds) == (0, [])
        assert "2 rows of unknown outcome are read back from Planhat first" in plan.out
    assert usage.failures() == dict.fromkeys(("m-1", "m-2"), IN_DOUBT)
    usage.settings(on_unknown="resend")
    assert "read back" not in usage.cli("plan").out


@pytest.mark.parametrize(("decision", "sent"), [("resend", 1), ("discard", 0)])
def test_where_the_user_decided_nothing_is_asked(usage: Project, decision: str, sent: int) -> None:
    lose(usage, metric(1))
    assert usage.sync(on_unknown=decision).kinds == [POST] * sent
    assert usage.query("select count(*) from planhat_sync.in_doubt") == [(1 - sent,)]
    usage.quiet()
