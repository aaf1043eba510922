"""Reading back decides nothing that is not certain: such points stay in doubt, and it is told why."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from harness import Project

from planhat_dbt.sandbox import Fault, FaultKind
from run.doubtful import IN_DOUBT, MODEL_BLOCK, MODELS, PATH, POST, READ, ask, lose, values, why
from run.shop import seed_company
from run.test_events import AT, METRIC_BLOCK, METRICS, metric


@pytest.fixture
def usage(project: Project) -> Project:
    seed_company(project, "c-1")
    project.model("usage", METRIC_BLOCK, METRICS)
    return project


REFUSALS = [
    Fault(kind=FaultKind.STATUS, status=403, method="GET", path=PATH, count=None),
    Fault(kind=FaultKind.STATUS, status=404, method="GET", path=PATH, count=None),
    Fault(kind=FaultKind.STATUS, status=500, method="GET", path=PATH, count=None),
    Fault(kind=FaultKind.NOT_JSON, method="GET", path=PATH, count=None),
    Fault(kind=FaultKind.NOT_JSON, method="GET", path=PATH, count=None, body='{"data": []}'),
    Fault(kind=FaultKind.NOT_JSON, method="GET", path=PATH, count=None, body='[{"dimensionId": "logins"}]'),
    Fault(kind=FaultKind.TRUNCATED, method="GET", path=PATH, count=None),
    Fault(kind=FaultKind.RESET_BEFORE, method="GET", path=PATH, count=None),
    Fault(kind=FaultKind.STATUS, status=403, method="GET", path="/companies", count=None),
    Fault(kind=FaultKind.STATUS, status=500, method="GET", path="/companies", count=None),
]


@pytest.mark.sampled(4)
@pytest.mark.parametrize("fault", REFUSALS, ids=lambda f: f"{f.kind} {f.status} {f.path} {f.body}")
@pytest.mark.parametrize("arrived", [True, False])
def test_a_read_that_fails_decides_nothing(usage: Project, fault: Fault, arrived: bool) -> None:
    lose(usage, metric(1), arrived=arrived)
    usage.insert("usage", [metric(2)])
    usage.sandbox.faults.add(fault)
    outcome = ask(usage, code=1, max_tries=2)
    assert outcome.counts("usage") == {"inserted": 1, "unknown": 1}
    assert [row["value"] for row in outcome.sent("/dimensiondata/{tenant}", "POST")] == [2.0]
    assert usage.failures() == {"m-1": IN_DOUBT}
    assert "reading back failed" in why(usage)["m-1"]
    if fault.status != 404:
        assert "could not be read back" in outcome.err
    usage.sandbox.faults.clear()
    ask(usage)
    assert values(usage) == [1.0, 2.0]
    usage.quiet()


def test_a_refused_company_leaves_the_others_to_be_asked(usage: Project) -> None:
    seed_company(usage, "c-2", "c-3")
    lose(usage, *(metric(i, account=f"c-{i}") for i in (1, 2, 3)))
    usage.sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=404, method="GET", path=PATH))
    outcome = ask(usage, code=1)
    assert outcome.result("usage")["noted"] == {"found": 2}
    assert usage.failures() == {"m-1": IN_DOUBT}
    assert ask(usage).result("usage")["noted"] == {"found": 1}
    usage.quiet()


def test_a_refused_token_ends_the_run(usage: Project) -> None:
    lose(usage, metric(1))
    usage.insert("usage", [metric(2)])
    usage.sandbox.faults.add(Fault.token_revoked())
    outcome = ask(usage, code=1)
    assert len(outcome.calls) == 1
    assert outcome.counts("usage") == {"held": 1, "unknown": 1}
    usage.sandbox.faults.clear()
    ask(usage)
    assert values(usage) == [1.0, 2.0]


def test_the_bound_is_kept_and_every_point_has_its_turn(usage: Project) -> None:
    others = [f"c-{i}" for i in range(2, 6)]
    seed_company(usage, *others)
    lose(usage, *(metric(i, account=f"c-{i}") for i in range(1, 6)))
    usage.sandbox.tenant.metrics[0]["value"] = (
        99.0  # of the first company none is found, nor may it be sent yet
    )
    for left in (4, 2, 1):
        outcome = usage.sync(code=1, read_back_calls=2)
        assert outcome.kinds.count("GET /dimensiondata") == 2
        assert len(usage.failures()) == left
        if left > 1:
            assert "read_back_calls" in outcome.err
            assert "not asked for it in this run" in "".join(why(usage).values())
    assert usage.failures() == {"m-1": IN_DOUBT}
    assert [m["value"] for m in usage.sandbox.tenant.records("metrics")] == [99.0, 2.0, 3.0, 4.0, 5.0]


def many(project: Project, dimension: str, count: int) -> None:
    """Points that others sent, of the days in question."""
    company = project.sandbox.tenant.record("companies", externalId="c-1")["_id"]
    point = {
        "dimensionId": dimension, "time": "2026-03-01T00:00:00.000Z", "day": 20513, "model": "Company",
        "parentId": company, "companyId": company, "externalId": "c-1",
    }  # fmt: skip
    ids = (project.sandbox.tenant.new_id() for _ in range(count))
    project.sandbox.tenant.metrics.extend({**point, "_id": i, "value": 1e6} for i in ids)


def test_a_long_list_is_read_by_dimension(usage: Project) -> None:
    many(usage, "seats", 4500)
    many(usage, "logins", 2500)
    lose(usage, metric(1), metric(2))
    usage.sandbox.tenant.metrics.pop()
    outcome = ask(usage)
    lists = [(c.query.get("dimid"), c.query["offset"]) for c in outcome.calls if c.path == PATH]
    assert lists == [(None, "0"), ("logins", "0"), ("logins", "2000")]
    assert outcome.result("usage")["noted"] == {"found": 1, "sent_again": 1}
    usage.quiet()


def test_absence_from_a_list_that_was_not_read_to_its_end_is_none(usage: Project) -> None:
    many(usage, "logins", 4500)
    lose(usage, metric(1), metric(2), arrived=False)
    outcome = ask(usage, code=1, read_back_calls=2)
    assert outcome.kinds.count("GET /dimensiondata") == 2
    assert usage.failures() == dict.fromkeys(("m-1", "m-2"), IN_DOUBT)
    assert "too long" in why(usage)["m-1"]
    assert ask(usage).counts("usage") == {"inserted": 2}


@pytest.mark.parametrize("mapped", [True, False])
def test_without_a_date_nothing_is_asked(usage: Project, mapped: bool) -> None:
    """Planhat took the time of receipt, which nobody here knows."""
    fields = dict(METRIC_BLOCK["fields"])
    if not mapped:
        del fields["date"]
    usage.declare("usage", {**METRIC_BLOCK, "fields": fields})
    lose(usage, metric(1, at=None))
    outcome = ask(usage, code=1)
    assert outcome.kinds == []
    assert "without a date" in why(usage)["m-1"]
    shown = usage.cli("failures").out
    assert "without a date" in shown
    assert "resolve usage" in shown


@pytest.mark.parametrize(("arrived", "stored"), [(True, [1.0]), (False, [7.5])])
def test_planhat_is_asked_for_what_was_sent_not_for_what_the_model_says_by_now(
    usage: Project, arrived: bool, stored: list[float]
) -> None:
    lose(usage, metric(1), arrived=arrived)
    usage.replace("usage", [metric(1, value=7.5, at=AT + dt.timedelta(days=9), dim="seats")])
    ask(usage)
    assert values(usage) == stored
    assert usage.snapshot("usage") == {"m-1": "existing" if arrived else "synced"}
    usage.quiet()
    # What was found is still accounted for when an equal point is in doubt.
    lose(usage, metric(1, id="m-1b"), arrived=False)
    assert ask(usage).result("usage")["noted"] == {"sent_again": 1}
    assert len(values(usage)) == 2


@pytest.mark.parametrize("arrived", [True, False])
def test_a_point_whose_key_is_duplicated_by_now(usage: Project, arrived: bool) -> None:
    lose(usage, metric(1), arrived=arrived)
    usage.insert("usage", [metric(1, value=2.0)])
    ask(usage, code=1)
    assert values(usage) == [1.0] * arrived
    assert usage.failures() == {"m-1": ("rejected", "duplicate_key")}
    usage.replace("usage", [metric(1)])
    usage.sync()
    assert values(usage) == [1.0]


def test_a_point_that_left_the_model_stays_in_doubt(usage: Project) -> None:
    lose(usage, metric(1))
    usage.replace("usage", [])
    assert ask(usage, code=1).kinds == []
    usage.insert("usage", [metric(1)])
    assert ask(usage).result("usage")["noted"] == {"found": 1}


def test_a_row_that_our_own_check_stops_was_never_sent(usage: Project) -> None:
    """It was in the window of a run that was killed."""
    usage.model("usage", METRIC_BLOCK, {**METRICS, "value": "varchar"}, [metric(1, value="many")])
    usage.cli("plan")
    usage.sql(
        "insert into planhat_sync.batches (run_id, sync, batch, state) values ('r', 'usage', 1, 'sending')"
    )
    outcome = ask(usage, code=1)
    assert POST not in outcome.kinds
    assert usage.failures() == {"m-1": ("rejected", "bad_value")}


@pytest.mark.parametrize("hours", [-1, -13, 15])
def test_a_point_at_another_time_of_the_day_may_be_it(usage: Project, hours: int) -> None:
    """Should Planhat keep days, or times of another zone, nothing must be sent again for it."""
    lose(usage, metric(1), metric(2))
    shift(usage, 0, hours)
    outcome = ask(usage, code=1)
    assert outcome.result("usage")["noted"] == {"found": 1}
    assert usage.failures() == {"m-1": IN_DOUBT}
    assert "within a day of its time" in why(usage)["m-1"]
    assert values(usage) == [1.0, 2.0]


def shift(project: Project, number: int, hours: int) -> None:
    point: dict[str, Any] = project.sandbox.tenant.metrics[number]
    moment = dt.datetime.fromisoformat(point["time"]) + dt.timedelta(hours=hours)
    point["time"] = moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    point["day"] = int(moment.timestamp() // 86_400)


def test_the_same_value_on_the_day_before_is_another_point(usage: Project) -> None:
    """A flag that is 1 every day; what was sent of it before is known."""
    usage.insert("usage", [metric(1, at=AT - dt.timedelta(days=1)), metric(2, at=AT)])
    usage.sync()
    lose(usage, metric(3, value=2.0, at=AT + dt.timedelta(days=1)), arrived=False)
    assert ask(usage).counts("usage") == {"inserted": 1}


def test_a_list_without_what_is_known_to_be_there_proves_nothing(usage: Project) -> None:
    usage.insert("usage", [metric(1), metric(2)])
    usage.sync()
    lose(usage, metric(3), arrived=False)
    kept = list(usage.sandbox.tenant.metrics)
    usage.sandbox.tenant.metrics.clear()
    assert ask(usage, code=1).counts("usage") == {"unknown": 1}
    assert "proves nothing" in why(usage)["m-3"]
    usage.sandbox.tenant.metrics.append(kept[0])
    assert ask(usage).counts("usage") == {"inserted": 1}


def test_a_record_that_is_not_certain(project: Project) -> None:
    seed_company(project, "c-1", "c-2")
    people = [{"externalId": "x", "companyId": f"extid-c-{i}"} for i in (1, 2)]
    project.sandbox.tenant.seed("endusers", people)
    project.model("usage", MODEL_BLOCK, MODELS)
    rows = [(*metric(i, account=a), m) for i, (a, m) in enumerate([("x", "EndUser"), ("c-9", "Company"),
                                                                   ("c-1", "Company")])]  # fmt: skip
    lose(project, *rows)
    # Two keys, so that the list is read, which shows that there are two.
    project.sandbox.tenant.seed("endusers", [{"externalId": "y", "companyId": "extid-c-1"}])
    lose(project, (*metric(7, account="y"), "EndUser"))
    outcome = ask(project, code=1)
    assert outcome.result("usage")["noted"] == {"found": 2}
    assert why(project) == {
        "m-0": "sent, outcome not learnt; several endusers in Planhat have this externalId",
        "m-1": "sent, outcome not learnt; Planhat has no company with this externalId",
    }


LOOKBACK = {**METRIC_BLOCK, "event_time": "at", "lookback": "30 days"}


@pytest.mark.parametrize("dated_by", ["at", "day"])
def test_where_keys_are_forgotten_a_point_may_be_another_one(project: Project, dated_by: str) -> None:
    """Only where the points' dates are the times by which keys are forgotten, those in doubt are none of them."""
    seed_company(project, "c-1")
    block = {**LOOKBACK, "fields": {**METRIC_BLOCK["fields"], "date": dated_by}}
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0)
    old, new = now - dt.timedelta(days=29), now - dt.timedelta(days=1)
    project.model("usage", block, {**METRICS, "day": "date"}, [(*metric(1, at=old), new.date())])
    project.sync()
    project.sql("update planhat_sync.snapshot__usage set _event_time = _event_time - interval 60 days")
    project.replace("usage", [(*metric(2, at=new), new.date())])
    project.sync()  # forgets m-1
    assert list(project.snapshot("usage")) == ["m-2"]
    lose(project, (*metric(3, at=new), new.date()))
    if dated_by == "at":
        assert ask(project).result("usage")["noted"] == {"found": 1}
    else:
        ask(project, code=1)
        assert "may be one whose key is forgotten" in why(project)["m-3"]
    assert values(project) == [1.0, 2.0, 3.0]


def test_points_in_doubt_are_renamed_with_their_sync(usage: Project) -> None:
    lose(usage, metric(1))
    usage.declare("usage", {**METRIC_BLOCK, "name": "logins", "previous_name": "usage"})
    outcome = ask(usage)
    assert outcome.kinds == READ
    assert outcome.result("logins")["noted"] == {"found": 1}
    usage.quiet()


def test_doubts_of_an_earlier_version_are_left_to_the_user(usage: Project) -> None:
    lose(usage, metric(1))
    usage.sql("drop table planhat_sync.in_doubt")
    assert ask(usage, code=1).kinds == []
    assert "what was sent is not known" in why(usage)["m-1"]
    assert usage.cli("resolve", "usage", "--discard").code == 0
    usage.quiet()
