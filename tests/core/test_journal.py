"""Exactly the accepted rows move the snapshot; what is in doubt is settled (DESIGN §5, §9)."""

from __future__ import annotations

import datetime as dt

import pytest

from core.workbench import ALL, Bench
from planhat_dbt.outcome import BatchOutcome, FoundIds, RowOutcome, RowStatus
from planhat_dbt.result import Counts
from planhat_dbt.state.journal import Journal, Window, utc_now
from planhat_dbt.state.runs import RequestRow, RunLog, RunRow, SyncRow

BLOCK = """
c:
  object: company
  match: {externalId: id}
  on_removed: delete
  max_removals: 100%
  fields: {name: name}
"""
METRICS = """
m:
  object: metric
  key: id
  fields: {dimensionId: {value: logins}, externalId: co, value: v}
"""
ID = "0123456789abcdef0123456"


def load(bench: Bench, **rows: str) -> None:
    values = ", ".join(f"('{k}', $${v}$$)" for k, v in rows.items())
    bench.table(
        "c",
        f"select * from (values {values}) t(id, name)" if rows else "select '' as id, '' as name where false",
    )


def started(bench: Bench, **rows: str) -> Bench:
    bench.declare(BLOCK)
    load(bench, **(rows or {"a": "A", "b": "B"}))
    return bench


def test_accepted_rows_stand_in_the_snapshot(bench):
    started(bench).accept("c", ids={"a": ID + "1"})
    a, b = (bench.snapshot("c")[k] for k in "ab")
    assert (a["name"], a["_planhat_id"], a["_state"], a["_origin"], a["_mapping"], a["_run_id"]) == (
        "A", ID + "1", "synced", "created", 1, "run-1")  # fmt: skip
    assert (b["_planhat_id"], b["_origin"]) == (None, "matched"), (
        "an answer that names nobody created nobody for sure"
    )
    assert a["_first_synced_at"] == a["_synced_at"]
    assert abs(a["_synced_at"] - dt.datetime.now(dt.UTC).replace(tzinfo=None)) < dt.timedelta(minutes=1)


@pytest.mark.parametrize("status", [RowStatus.REJECTED, RowStatus.HELD, RowStatus.UNKNOWN])
def test_other_rows_do_not_move(bench, status):
    started(bench).accept("c", bad={"a": (status, "why")})
    assert set(bench.snapshot("c")) == {"b"}
    assert bench.failures() == {"a": (status.value, "why")}
    assert {r["key"]: r["status"] for r in bench.rows("select * from planhat_sync.changes")} == {
        "a": status.value,
        "b": "accepted",
    }
    assert [r["_key"] for r in bench.plan("c")] == ["a"], "found again by the next comparison"


def test_a_refused_update_keeps_what_planhat_accepted_before(bench):
    started(bench).accept("c", ids={"a": ID + "1"})
    load(bench, a="A2", b="B2")
    bench.accept("c", bad={"a": (RowStatus.REJECTED, "refused")})
    assert {k: (v["name"], v["_run_id"]) for k, v in bench.snapshot("c").items()} == {
        "a": ("A", "run-1"),
        "b": ("B2", "run-2"),
    }


def test_id_origin_and_first_time_are_kept(bench):
    started(bench).accept("c", ids={"a": ID + "1"})
    first = bench.snapshot("c")["a"]
    load(bench, a="A2", b="B")
    bench.accept("c")
    second = bench.snapshot("c")["a"]
    assert (second["_planhat_id"], second["_origin"], second["_first_synced_at"]) == (
        ID + "1", "created", first["_first_synced_at"])  # fmt: skip
    assert second["_synced_at"] >= first["_synced_at"]


def test_an_id_learnt_later_is_taken(bench):
    started(bench).accept("c")
    load(bench, a="A2", b="B")
    bench.accept("c", ids={"a": ID + "2"}, created=False)
    assert (bench.snapshot("c")["a"]["_planhat_id"], bench.snapshot("c")["a"]["_origin"]) == (
        ID + "2",
        "matched",
    )


def test_a_deleted_row_leaves_a_tombstone(bench):
    started(bench).accept("c", ids={"a": ID + "1"})
    load(bench, b="B")
    bench.accept("c")
    a = bench.snapshot("c")["a"]
    assert (a["_state"], a["_planhat_id"], a["name"]) == ("deleted", ID + "1", None)
    assert bench.plan("c") == []
    load(bench, a="A3", b="B")
    bench.accept("c", ids={"a": ID + "3"})
    a = bench.snapshot("c")["a"]
    assert (a["_state"], a["_planhat_id"], a["name"]) == ("synced", ID + "3", "A3")


def test_every_key_stands_once(bench):
    started(bench).accept("c")
    for name in ("A2", "A3", "A2"):
        load(bench, a=name, b="B")
        bench.accept("c")
    assert bench.one("select count(*) from planhat_sync.snapshot__c") == 2


def test_recording_a_window_again_changes_nothing(bench):
    """A crash between two steps may lead to the same answer twice: the later one stands, and nobody twice."""
    started(bench).accept("c", ids={"a": ID + "1"})
    load(bench, a="A2", b="B")
    bench.accept("c")
    once = {k: (v["name"], v["_planhat_id"], v["_state"]) for k, v in bench.snapshot("c").items()}
    bench.accept("c", compare=False)
    assert {k: (v["name"], v["_planhat_id"], v["_state"]) for k, v in bench.snapshot("c").items()} == once


def test_a_failure_that_is_over_is_forgotten_and_one_that_lasts_is_counted(bench):
    started(bench)
    bad = {"a": (RowStatus.REJECTED, "refused"), "b": (RowStatus.HELD, "not_sent")}
    bench.accept("c", bad=bad)
    first = bench.rows("select * from planhat_sync.failures where key = 'a'")[0]
    bench.accept("c", bad={"a": bad["a"]})
    (row,) = bench.rows("select * from planhat_sync.failures")
    assert (row["key"], row["attempts"], row["first_seen_at"]) == ("a", 2, first["first_seen_at"])
    assert row["last_seen_at"] >= first["last_seen_at"]
    bench.sql("insert into planhat_sync.sync_runs (run_id, sync) values ('third', 'c')")
    bench.accept("c")
    assert bench.failures() == {}


def test_a_failure_of_a_row_that_left_the_model_is_forgotten(bench, sandbox):
    started(bench).accept("c", bad={"a": (RowStatus.REJECTED, "refused")})
    load(bench, b="B")
    bench.plans()
    assert set(bench.failures()) == {"a"}, "a plan is only shown"
    bench.sync(sandbox)
    assert bench.failures() == {}


def test_the_change_log_tells_old_and_new(bench):
    started(bench).accept("c", ids={"a": ID + "1"})
    load(bench, a="A'2")
    bench.accept("c", run_id="second")
    rows = bench.rows(
        "select key, operation, planhat_id, changes, batch from planhat_sync.changes "
        "where run_id = 'second' order by key"
    )
    assert rows == [
        {
            "key": "a",
            "operation": "update",
            "planhat_id": ID + "1",
            "changes": '{"name":["A","A\'2"]}',
            "batch": 1,
        },
        {"key": "b", "operation": "delete", "planhat_id": None, "changes": None, "batch": 2_000_001},
    ]


def test_a_window_records_its_own_batches_only(tmp_path):
    bench = Bench(tmp_path, settings={"batch_rows": 2})
    bench.declare(BLOCK)
    load(bench, a="1", b="2", c="3", d="4", e="5")
    bench.plans()
    with bench.session() as session:
        bound, mapping = bench.bound(session, "c"), bench.ensure(session, "c")
        journal = Journal(bench.tables, "r")
        journal.plan_batches(session, "c")
        journal.mark_sending(session, "c", Window(2, 3))
        with session.transaction():
            outcomes = [
                BatchOutcome(2, 2, bytes=7, calls=2, http_status=206, created=1, updated=1),
                BatchOutcome(3, 1, calls=1),
            ]
            journal.record(
                session, bound, Window(2, 3), outcomes, mapping_version=mapping.version, had_prior=False
            )
    assert set(bench.snapshot("c")) == {"c", "d", "e"}
    assert {
        r["batch"]: (r["state"], r["rows"], r["attempts"])
        for r in bench.rows("select * from planhat_sync.batches")
    } == {1: ("planned", 2, None), 2: ("accepted", 2, 2), 3: ("accepted", 1, 1)}


def test_an_error_while_recording_takes_everything_back(bench):
    started(bench)
    bench.plans()
    with bench.session() as session:
        bound, mapping = bench.bound(session, "c"), bench.ensure(session, "c")
        journal = Journal(bench.tables, "r")
        with pytest.raises(RuntimeError), session.transaction():  # noqa: PT012 - one transaction
            journal.record(
                session, bound, ALL, [BatchOutcome(1, 2)], mapping_version=mapping.version, had_prior=True
            )
            raise RuntimeError
    assert bench.snapshot("c") == {}
    assert bench.one("select count(*) from planhat_sync.changes") == 0


@pytest.mark.parametrize(
    ("exceptions", "rows", "state"),
    [
        ([], 2, "accepted"),
        ([RowStatus.REJECTED], 2, "partial"),
        ([RowStatus.REJECTED], 1, "rejected"),
        ([RowStatus.HELD], 1, "planned"),
        ([RowStatus.UNKNOWN, RowStatus.REJECTED], 2, "unknown"),
    ],
)
def test_states_of_batches(exceptions, rows, state):
    bad = tuple(RowOutcome(i, str(i), "insert", s, "x", "") for i, s in enumerate(exceptions))
    assert BatchOutcome(1, rows, exceptions=bad).state.value == state


# -- after a crash


def crash(bench: Bench, name: str) -> None:
    """A run that ended between marking and recording."""
    bench.plans()
    with bench.session() as session:
        journal = Journal(bench.tables, "crashed")
        journal.plan_batches(session, name)
        journal.mark_sending(session, name, ALL)


def test_rows_that_may_be_sent_twice_are_simply_planned_again(bench):
    started(bench)
    crash(bench, "c")
    assert {r["_key"]: r["_operation"] for r in bench.plan("c")} == {"a": "insert", "b": "insert"}
    assert bench.failures() == {}
    assert [r["state"] for r in bench.rows("select state from planhat_sync.batches")] == ["unknown"]


def test_events_in_flight_are_unknown_until_somebody_decides(bench):
    bench.declare(METRICS)
    bench.table("m", "select * from (values ('1', 'a', 1), ('2', 'a', 2)) t(id, co, v)")
    crash(bench, "m")
    bench.table("m", "select * from (values ('1', 'a', 1), ('2', 'a', 2), ('3', 'a', 3)) t(id, co, v)")
    assert bench.by_key("m") == {"1": "unknown", "2": "unknown", "3": "insert"}
    assert bench.failures() == dict.fromkeys("12", ("unknown", "unknown_outcome"))
    plan = bench.plans()["m"]
    assert (plan.rows_to_send, plan.unknown) == (1, 2)


def test_settling_is_done_once(bench):
    bench.declare(METRICS)
    bench.table("m", "select '1' as id, 'a' as co, 1 as v")
    crash(bench, "m")
    with bench.session() as session:
        journal = Journal(bench.tables, "next")
        assert journal.settle(session, "m", in_doubt=True) == 1
        assert journal.settle(session, "m", in_doubt=True) == 0


# -- the run log


def start_row(run: str, started: dt.datetime) -> RunRow:
    return RunRow(run, "inv", "dev", "sync", "0.1", "sha", started)


def test_the_run_log(bench):
    started(bench).plans()
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    with bench.session() as session:
        RunLog(bench.tables, "dead").start(session, start_row("dead", now), 1)
        log = RunLog(bench.tables, "r1")
        log.start(session, start_row("r1", now), 1)
        row = SyncRow(
            "c", "c", "company", "upsert", "partial", "", 2, Counts(inserted=1, rejected=1), 0.1, 0.2
        )
        log.write_sync(session, row)
        log.write_sync(session, row)
        log.finish(session, "partial", row.counts, 3, 99)
    assert {r["run_id"]: r["status"] for r in bench.rows("select * from planhat_sync.runs")} == {
        "dead": "interrupted",
        "r1": "partial",
    }
    (one,) = bench.rows("select * from planhat_sync.sync_runs")
    assert (one["inserted"], one["rejected"], one["reason"], one["seconds_deliver"]) == (1, 1, None, 0.2)
    assert (
        bench.one(
            "select calls || '/' || bytes_sent || '/' || inserted from planhat_sync.runs where run_id = 'r1'"
        )
        == "3/99/1"
    )


def age(bench: Bench, session, ages: dict[str, int]) -> None:
    """Enter runs of so many days ago, each with a request and a change."""
    for run, days in ages.items():
        log = RunLog(bench.tables, run)
        log.start(session, start_row(run, utc_now() - dt.timedelta(days=days)), 1)
        log.write_requests(session, [RequestRow("c", 1, "PUT", "/companies", 200, 1.0, "[]", "{}")])
        session.execute(f"insert into {bench.tables.changes} (run_id, sync, key) values ('{run}', 'c', 'k')")


def runs_in(bench: Bench, session, table: str) -> set[str]:
    return {run for (run,) in session.rows(f"select distinct run_id from {bench.tables.name(table)}")}


def test_old_runs_are_pruned_by_their_own_retention(bench):
    started(bench).plans()
    with bench.session() as session:
        age(bench, session, {"old": 100, "mid": 40, "new": 1})
        for state in ("accepted", "sending", "unknown"):
            session.execute(
                f"insert into {bench.tables.batches} (run_id, sync, batch, state) values ('old', 'c', 1, '{state}')"
            )
        RunLog(bench.tables, "now").prune(session, 90, 30)
        assert runs_in(bench, session, "changes") == {"mid", "new"}
        assert runs_in(bench, session, "requests") == {"new"}
        assert runs_in(bench, session, "runs") == {"old", "mid", "new"}
        states = session.rows(f"select state from {bench.tables.batches} where run_id = 'old' order by state")
        assert states == [("sending",), ("unknown",)], "their outcome has yet to be learnt"


@pytest.mark.parametrize(
    "moved", ["- interval 1 day", "+ interval 3 years"], ids=["yesterday", "a wrong clock"]
)
def test_the_first_run_of_a_day_prunes(bench, moved):
    started(bench).plans()
    with bench.session() as session:
        age(bench, session, {"old": 100, "new": 0})
        RunLog(bench.tables, "new").finish(session, "success", Counts(), 0, 0)
        RunLog(bench.tables, "second").prune(session, 90, 30)
        assert runs_in(bench, session, "changes") == {"old", "new"}
        session.execute(f"update {bench.tables.runs} set finished_at = finished_at {moved}")
        RunLog(bench.tables, "first").prune(session, 90, 30)
        assert runs_in(bench, session, "changes") == {"new"}


def test_ids_of_several_answers_for_one_key_are_one_row(bench):
    started(bench).plans()
    with bench.session() as session:
        bound, mapping = bench.bound(session, "c"), bench.ensure(session, "c")
        ids = FoundIds((["a"], [ID + "1"], True), (["a"], [ID + "1"], False))
        with session.transaction():
            Journal(bench.tables, "r").record(
                session,
                bound,
                ALL,
                [BatchOutcome(1, 2, ids=ids)],
                mapping_version=mapping.version,
                had_prior=True,
            )
    assert len(bench.snapshot("c")) == 2
    assert bench.snapshot("c")["a"]["_origin"] == "created"


def test_ids_of_records_that_another_batch_sent_are_not_taken(tmp_path):
    # Its id would be set from an answer that did not mean it.
    bench = started(Bench(tmp_path, settings={"batch_rows": 1}))
    bench.plans()
    batches = {r["_key"]: r["_batch"] for r in bench.planned("c")}
    with bench.session() as session:
        bound, mapping = bench.bound(session, "c"), bench.ensure(session, "c")
        named = FoundIds((["a", "b", "nobody"], [ID + "1", ID + "2", ID + "3"], True))
        outcomes = [BatchOutcome(batches["a"], 1, ids=named), BatchOutcome(batches["b"], 1)]
        with session.transaction():
            journal = Journal(bench.tables, "r")
            journal.record(session, bound, ALL, outcomes, mapping_version=mapping.version, had_prior=True)
    assert {key: row["_planhat_id"] for key, row in bench.snapshot("c").items()} == {"a": ID + "1", "b": None}
