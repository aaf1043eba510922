"""Events older than the lookback are not looked at, their keys are forgotten, and nothing is sent twice for it."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter

import pytest
from harness.share import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.workbench import Bench
from planhat_dbt.errors import UsageError
from planhat_dbt.result import Status, SyncResult
from planhat_dbt.sandbox import Fault, FaultKind, Sandbox
from planhat_dbt.settings import OnUnknown, ProjectSettings
from planhat_dbt.state import event_times

pytestmark = pytest.mark.usefixtures("narrowed_alike")

NOON = dt.datetime.fromisoformat("2026-03-10 12:00")
DAY = dt.timedelta(days=1)
SECOND = dt.timedelta(seconds=1)


class Shop:
    """A model of metrics, a Planhat with their company, and a clock that stands until it is moved."""

    def __init__(self, bench: Bench, sandbox: Sandbox, kind: str = "timestamp") -> None:
        self.bench, self.sandbox = bench, sandbox
        sandbox.tenant.seed("companies", [{"name": "Acme", "externalId": "c-1"}])
        bench.sql(
            f"create or replace table usage (id varchar, account varchar, v double, happened {kind}, later {kind})"
        )
        self.at(NOON)
        self.declare()

    def declare(self, lookback: str | None = "3 days", column: str = "happened") -> None:
        extra = f"\n  event_time: {column}\n  lookback: {lookback}" if lookback else ""
        self.bench.declare(
            "usage:\n  object: metric\n  key: id\n"
            f"  fields: {{dimensionId: {{value: logins}}, externalId: account, value: v}}{extra}"
        )

    def at(self, now: dt.datetime) -> None:
        self.bench.clock = lambda: now

    def add(self, **times: object) -> None:
        for key, time in times.items():
            self.bench.sql(
                "insert into usage values ($key, 'c-1', $v, $at, null)", key=key, v=float(key[1:]), at=time
            )

    def sync(self) -> SyncResult:
        return self.bench.result(self.sandbox)

    def sent(self) -> list[str]:
        return sorted(f"m{point['value']:g}" for point in self.sandbox.tenant.metrics)

    def known(self) -> dict[str, dt.datetime | None]:
        rows = self.bench.rows("select _key, _event_time from planhat_sync.snapshot__usage order by 1")
        return {r["_key"]: r["_event_time"] for r in rows}

    def pruned(self) -> str | None:
        found = self.bench.rows("select value from planhat_sync.meta where setting = 'pruned:usage'")
        return found[0]["value"] if found else None


@pytest.fixture
def shop(bench: Bench, sandbox: Sandbox) -> Shop:
    return Shop(bench, sandbox)


def test_rows_on_this_side_of_the_cut_off_are_sent_and_those_beyond_are_told(shop: Shop) -> None:
    cutoff = NOON - 3 * DAY
    shop.add(m1=cutoff - SECOND, m2=cutoff, m3=NOON, m4=NOON + DAY)
    plan = shop.bench.plans()["usage"]
    assert (plan.rows_in_model, plan.changes, plan.noted) == (4, 3, {"before_lookback": 1})
    result = shop.sync()
    assert (result.status, shop.sent()) == (Status.SUCCESS, ["m2", "m3", "m4"])
    assert shop.known() == {"m2": cutoff, "m3": NOON, "m4": NOON + DAY}
    assert shop.pruned() is None
    assert shop.sync().status is Status.NOTHING_TO_DO


def test_a_key_is_kept_at_the_cut_off_and_forgotten_a_moment_after(shop: Shop) -> None:
    shop.add(m1=NOON - 3 * DAY, m2=NOON)
    shop.sync()
    shop.sync()
    assert shop.known().keys() == {"m1", "m2"}
    shop.at(NOON + dt.timedelta(microseconds=1))
    shop.bench.plans()
    assert shop.known().keys() == {"m1", "m2"}, "a plan forgets nothing"
    assert shop.sync().plan.noted == {"before_lookback": 1}
    assert shop.known().keys() == {"m2"}
    for _ in range(2):
        assert shop.sync().status is Status.NOTHING_TO_DO
    assert shop.sent() == ["m1", "m2"]


@pytest.mark.thorough
def test_the_table_of_keys_stays_bounded(shop: Shop) -> None:
    for day in range(1, 21):
        shop.at(NOON + day * DAY)
        shop.add(**{f"m{day}": NOON + day * DAY})
        assert shop.sync().counts.inserted == 1
        assert len(shop.known()) <= 4
    assert shop.sent() == sorted(f"m{day}" for day in range(1, 21))


@pytest.mark.parametrize(
    ("lookback", "noted"), [("30 days", {"forgotten": 5}), ("2 hours", {"before_lookback": 8})]
)
def test_another_lookback_sends_nothing_twice(shop: Shop, lookback: str, noted: dict[str, int]) -> None:
    for day in range(8):
        shop.at(NOON + day * DAY)
        shop.add(**{f"m{day}": NOON + day * DAY - dt.timedelta(hours=6)})
        shop.sync()
    shop.declare(lookback)
    result = shop.sync()
    assert (result.status, result.plan.noted) == (Status.NOTHING_TO_DO, noted)
    assert len(shop.known()) == (3 if "forgotten" in noted else 0)
    shop.add(m90=NOON + 2 * DAY, m91=NOON + 7 * DAY)  # the first is late: nobody knows that it was never sent
    shop.sync()
    assert shop.sent() == sorted([*(f"m{day}" for day in range(8)), "m91"])


def test_a_longer_lookback_looks_further_back_where_nothing_was_forgotten(shop: Shop) -> None:
    shop.add(m1=NOON - 10 * DAY, m2=NOON)
    shop.sync()
    shop.declare("30 days")
    assert shop.sync().plan.noted == {}
    assert shop.sent() == ["m1", "m2"]


@pytest.mark.parametrize("back", [-1, 400])
def test_a_clock_that_goes_back_or_astray_sends_nothing_twice(shop: Shop, back: int) -> None:
    shop.add(m1=NOON, m2=NOON + 3 * DAY)
    shop.sync()
    shop.at(NOON + 4 * DAY)
    shop.sync()
    assert shop.known().keys() == {"m2"}
    shop.at(NOON + 4 * DAY - back * DAY)
    shop.sync()
    shop.at(NOON + 4 * DAY)
    shop.sync()
    assert shop.sent() == ["m1", "m2"]


@pytest.mark.parametrize("later", ["null", "timestamp '2026-03-14 12:00'"])
def test_a_key_whose_event_got_another_time_in_the_model_is_kept(shop: Shop, later: str) -> None:
    shop.add(m1=NOON)
    shop.sync()
    shop.bench.sql(f"update usage set happened = {later}")
    shop.at(NOON + 5 * DAY)
    for _ in range(2):
        assert shop.sync().status is Status.NOTHING_TO_DO
    assert shop.known() == {"m1": NOON}
    assert shop.sent() == ["m1"]


def test_an_event_without_a_time_is_rejected_until_it_has_one(shop: Shop) -> None:
    shop.add(m1=None, m2=NOON)
    assert shop.sync().counts.rejected == 1
    assert shop.bench.rows("select key, code, message from planhat_sync.failures") == [
        {
            "key": "m1",
            "code": "missing_required",
            "message": "event_time (happened) is NULL, so nothing says how old the event is",
        }
    ]
    shop.bench.sql(f"update usage set happened = '{NOON}' where id = 'm1'")
    shop.sync()
    assert (shop.sent(), shop.bench.failures()) == (["m1", "m2"], {})


def test_times_beyond_all_bounds(shop: Shop) -> None:
    shop.bench.sql(
        "insert into usage values ('m1', 'c-1', 1, 'infinity', null), ('m2', 'c-1', 2, '-infinity', null), "
        "('m3', 'c-1', 3, '12000-01-01', null)"
    )
    result = shop.sync()
    assert (result.counts.rejected, result.plan.noted) == (2, {"before_lookback": 1})
    assert shop.bench.failures() == dict.fromkeys(("m1", "m3"), ("rejected", "bad_value"))


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("kind", "at", "later"),
    [
        ("timestamptz", "2026-03-07 13:00:00+01", "2026-03-07 12:59:59.999999+01"),
        ("timestamptz", "2026-03-07 00:00:00-12", "2026-03-06 23:59:59-12"),
        ("timestamp_ns", "2026-03-07 12:00:00", "2026-03-07 11:59:59.99"),
        ("timestamp_s", "2026-03-07 12:00:00", "2026-03-07 11:59:59"),
        ("date", "2026-03-07", "2026-03-06"),
    ],
)
def test_kinds_of_time(bench: Bench, sandbox: Sandbox, kind: str, at: str, later: str) -> None:
    """A day counts as long as any of its moments does: yesterday is sent under a lookback of one day."""
    shop = Shop(bench, sandbox, kind)
    bench.sql(
        f"insert into usage values ('m1', 'c-1', 1, '{at}'::{kind}, null), ('m2', 'c-1', 2, '{later}', null)"
    )
    for _ in range(2):
        assert shop.sync().plan.noted == {"before_lookback": 1}
    assert shop.known().keys() == {"m1"}
    shop.at(NOON + DAY)
    for _ in range(2):
        shop.sync()
    assert (shop.known(), shop.sent()) == ({}, ["m1"])


def test_a_column_that_is_no_time_is_refused(shop: Shop) -> None:
    shop.declare(column="account")
    with pytest.raises(Exception, match="do not carry") as caught:
        shop.sync()
    assert "an event time is a date or a time stamp" in caught.value.faults[0].message  # type: ignore[attr-defined]


# -- the column comes, goes, and becomes another


def test_event_time_added_later(shop: Shop) -> None:
    shop.declare(None)
    shop.add(m1=NOON - 10 * DAY, m2=NOON, m3=NOON, m4=None)
    shop.sync()
    shop.bench.sql("delete from usage where id = 'm3'")
    shop.declare()
    shop.bench.plans()
    assert shop.known() == {"m1": NOON - 10 * DAY, "m2": NOON, "m3": None, "m4": None}
    for day in (0, 5):
        shop.at(NOON + day * DAY)
        assert shop.sync().status is Status.NOTHING_TO_DO
    assert shop.known() == {"m3": None, "m4": None}, "keys without a time are never forgotten"
    shop.add(m3=NOON + 5 * DAY)
    shop.sync()
    assert shop.sent() == ["m1", "m2", "m3", "m4"]


def test_event_time_taken_away_before_anything_was_forgotten(shop: Shop) -> None:
    shop.add(m1=NOON - 10 * DAY, m2=NOON)
    shop.sync()
    shop.declare(None)
    shop.sync()
    assert shop.sent() == ["m1", "m2"]
    columns = [r["column_name"] for r in shop.bench.rows("describe planhat_sync.snapshot__usage")]
    assert "_event_time" not in columns
    shop.declare()
    assert shop.sync().status is Status.NOTHING_TO_DO


@pytest.mark.parametrize(
    ("lookback", "column", "words"),
    [
        (None, "", "without `event_time: happened`"),
        ("3 days", "later", "by `later` (TIMESTAMP) instead of `happened`"),
    ],
)
def test_once_keys_are_forgotten_their_time_must_stay(
    shop: Shop, lookback: str | None, column: str, words: str
) -> None:
    shop.add(m1=NOON)
    shop.sync()
    shop.at(NOON + 5 * DAY)
    shop.sync()
    assert shop.pruned()
    shop.bench.sql(f"update usage set later = '{NOON + 5 * DAY}'")
    shop.declare(lookback, column)
    for run in (shop.sync, shop.bench.plans):
        with pytest.raises(UsageError) as caught:
            run()
        assert "forgotten the keys of events before 2026-03-12 12:00 UTC" in caught.value.message
        assert words in caught.value.message
        assert "pruned:usage" in (caught.value.hint or "")
    shop.declare("10 days", "HAPPENED")
    assert shop.sync().plan.noted == {"forgotten": 1}
    assert shop.sent() == ["m1"]


# -- crashes


def test_killed_between_forgetting_and_sending(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.add(m1=NOON)
    shop.sync()
    shop.at(NOON + 5 * DAY)
    shop.add(m2=NOON + 5 * DAY)
    forget = event_times.prune

    def killed(*args: object) -> None:
        forget(*args)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("planhat_dbt.run.engine.prune", killed)
        with pytest.raises(KeyboardInterrupt):
            shop.sync()
    assert (shop.known(), shop.pruned()) == ({"m1": NOON}, None), "both or none"
    shop.sync()
    assert (shop.known().keys(), shop.sent()) == ({"m2"}, ["m1", "m2"])


@pytest.mark.parametrize("decision", ["hold", "discard", "resend"])
def test_events_in_doubt_stay_so_beyond_the_lookback(bench: Bench, sandbox: Sandbox, decision: str) -> None:
    shop = Shop(bench, sandbox)
    shop.add(m1=NOON)
    sandbox.faults.add(Fault(kind=FaultKind.RESET_AFTER, method="POST"))
    assert shop.sync().counts.unknown == 1
    shop.at(NOON + 5 * DAY)
    shop.add(m2=NOON + 5 * DAY)
    result = shop.sync()
    assert (result.counts.inserted, result.failing) == (1, 1)
    assert bench.failures() == {"m1": ("unknown", "unknown_outcome")}
    bench.settings = ProjectSettings(on_unknown=OnUnknown(decision))
    shop.sync()
    shop.sync()
    assert shop.sent() == ["m1", "m2"]
    assert bool(bench.failures()) == (decision == "hold")


# -- any history


@settings(
    max_examples=examples(10, 3),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_whatever_the_days_bring_nothing_is_sent_twice(
    bench: Bench, sandbox: Sandbox, data: st.DataObject
) -> None:
    """Late events, other lookbacks; and either rows that go and come back, or times that are corrected."""
    bench.sql("drop schema if exists planhat_sync cascade", "create or replace table hidden (id varchar)")
    sandbox.tenant.metrics.clear()
    shop = Shop(bench, sandbox)
    bench.sql("create or replace table hidden as from usage")
    shop.sync()
    now, number = NOON, 0
    changes = data.draw(st.sampled_from([("", "correct"), ("hide", "show")]))
    for _ in range(data.draw(st.integers(3, 6))):
        now += data.draw(st.sampled_from([0.1, 1, 2.5])) * DAY
        for _ in range(data.draw(st.integers(0, 3))):
            number += 1
            shop.add(**{f"m{number}": now - data.draw(st.integers(-24, 150)) * DAY / 24})
        match data.draw(st.sampled_from(changes)):
            case "correct":  # an event whose key may be forgotten would be a new one
                cut = json.loads(shop.pruned() or '{"before": "0001-01-01"}')["before"]
                bench.sql(f"update usage set happened = happened + interval 1 day where happened >= '{cut}'")
            case "hide":
                bench.sql("insert into hidden from usage", "delete from usage")
            case "show":
                bench.sql("insert into usage from hidden", "delete from hidden")
        shop.at(now)
        shop.declare(data.draw(st.sampled_from(["1 day", "36 hours", "3 days", "10 days"])))
        shop.sync()
        assert max(Counter(shop.sent()).values(), default=1) == 1
