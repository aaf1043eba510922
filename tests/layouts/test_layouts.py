"""State that an earlier version wrote is gone on with: nothing is lost, nothing is sent twice (DESIGN §6)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from harness import Outcome, Project, Row

from layouts import record, shop
from layouts.shop import COMPANIES, ENDUSERS, METRICS, NOTES, company, enduser, metric, note
from planhat_dbt.planhat.endpoint import Endpoint
from planhat_dbt.sandbox.tenant import EVENT_STREAMS
from planhat_dbt.state.layout import SCHEMA_VERSION

LAYOUTS = sorted(Path(__file__).parent.glob("layout_*.sql"), key=lambda p: int(p.stem.split("_")[1]))
PAST = ("runs", "sync_runs", "batches", "changes", "requests")
IN_DOUBT = ("unknown", "unknown_outcome")
STANDING = {
    "c-6": ("rejected", "missing_required"),
    "c-7": ("rejected", "duplicate_key"),
    "u-3": ("held", "parent_missing"),
}
DOUBTS = dict.fromkeys(("n-3", "m-4", "m-5", "m-6"), IN_DOUBT)
LEFT = dict.fromkeys(("n-3", "m-4", "m-5"), IN_DOUBT)
"""What this layout has not noted as it was sent; what was in flight is found in Planhat."""
CALLS = ["GET /customfields", "PUT /companies", "GET /companies/extid-c-1", "GET /dimensiondata"]


def load(project: Project, sql: str, records: str, *, bind: bool = True) -> Project:
    """The models, the state, and what Planhat holds; `bind` says that it is this Planhat."""
    shop.last_day(project)
    project.sql(sql)
    tenant = project.sandbox.tenant
    for model, rows in json.loads(records).items():
        if model in EVENT_STREAMS:
            getattr(tenant, model).extend(rows)
        else:
            tenant.seed(model, rows)
    if bind:
        fingerprint = Endpoint.from_env(project.env).fingerprint()
        project.sql(f"update planhat_sync.meta set value = '{fingerprint}' where setting like 'tenant:%'")
    return project


@pytest.fixture(params=LAYOUTS, ids=lambda p: p.stem)
def layout(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def read(layout: Path) -> tuple[str, str]:
    return layout.read_text(encoding="utf-8"), layout.with_suffix(".json").read_text(encoding="utf-8")


@pytest.fixture
def old(project: Project, layout: Path) -> Project:
    return load(project, *read(layout))


@pytest.fixture
def settled(old: Project) -> Project:
    """What was in flight is known or decided on: nothing is left to be done."""
    old.sync(code=1)
    assert old.cli("resolve", "usage", "--discard").code == 0
    assert old.cli("resolve", "notes", "--resend").code == 0
    assert old.sync(code=1).kinds == ["POST /conversations"]
    nothing_to_do(old)
    return old


def nothing_to_do(project: Project, more: Mapping[str, tuple[str, str]] | None = None) -> None:
    outcome = project.sync(code=1)  # two companies cannot be sent
    assert outcome.kinds == []
    assert project.failures() == {**STANDING, **(more or {})}


def values(project: Project) -> list[float]:
    return sorted(point["value"] for point in project.sandbox.tenant.records("metrics"))


def rest(outcome: Outcome, path: str = "/companies") -> list[Row]:
    """Updates, without what says whose they are."""
    rows = outcome.sent(path)
    assert all("_id" in row for row in rows)
    return [{k: v for k, v in row.items() if k != "_id"} for row in rows]


def declare(project: Project, **fields: Any) -> None:
    project.declare("companies", {**COMPANIES, "fields": fields})


def fields(custom: Row | None = None, **system: Any) -> Row:
    """The mapping of companies, with more fields; None takes one out."""
    both = {**COMPANIES["fields"], **system, "custom": {**COMPANIES["fields"]["custom"], **(custom or {})}}
    both["custom"] = {k: v for k, v in both["custom"].items() if v}
    return {k: v for k, v in both.items() if v}


# -- as it stands


def test_there_is_a_layout_of_the_present_version() -> None:
    assert LAYOUTS[-1].stem == f"layout_{SCHEMA_VERSION}", "run `python tests/layouts/record.py`"


def test_nothing_is_told_wrong_before_the_first_run(old: Project) -> None:
    assert old.cli("validate").code == 0
    shown = old.cli("status", "--output", "json")
    assert (shown.code, shown.kinds) == (0, [])
    entries = {s["sync"]: s for s in json.loads(shown.out)["syncs"]}
    assert {s: e["rows_known"] for s, e in entries.items()} == {
        "companies": 3, "endusers": 2, "notes": 2, "usage": 3,
    }  # fmt: skip
    assert {e["last_run"]["run_id"] for e in entries.values()} == {"00000000-0000-7000-8000-000000000003"}
    told = json.loads(old.cli("failures", "--output", "json").out)["failures"]
    assert {key for group in told for key in group["keys"]} == {"c-6", "c-7", "u-3", "n-3", "m-4", "m-5"}


def test_a_plan_finds_what_was_in_flight_and_nothing_else(old: Project) -> None:
    for _ in range(2):
        outcome = old.cli("plan")
        assert (outcome.code, outcome.kinds) == (0, [])
        planned = {}
        for sync in ("companies", "endusers", "notes", "usage"):
            planned |= dict(
                old.query(f"select _key, coalesce(_operation, _code) from planhat_sync.plan__{sync}")
            )
        assert planned == {
            "c-2": "update",
            **{key: code for key, (_, code) in STANDING.items()},
            **dict.fromkeys(DOUBTS, "unknown"),
        }


def test_only_what_was_in_flight_is_sent(old: Project) -> None:
    past = {table: old.query(f"select * from planhat_sync.{table} order by all") for table in PAST}
    outcome = old.sync(code=1)
    assert outcome.kinds == CALLS
    assert rest(outcome) == [{"phase": "Risk"}]
    assert old.failures() == {**STANDING, **LEFT}
    assert old.snapshot("companies") == {
        "c-1": "synced", "c-2": "synced", "c-3": "synced", "c-4": "cleared", "c-5": "deleted",
    }  # fmt: skip
    assert old.sync(code=1).kinds == []
    assert values(old) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    now = {table: old.query(f"select * from planhat_sync.{table}") for table in PAST}
    assert set(past["changes"]) < set(now["changes"])
    assert set(past["requests"]) < set(now["requests"])
    assert set(past["sync_runs"]) < set(now["sync_runs"])
    assert len(now["runs"]) == len(past["runs"]) + 2
    assert old.query("select distinct state from planhat_sync.batches where state = 'sending'") == []
    assert old.query("select count(*) from planhat_sync.runs where status = 'running'") == [(0,)]


@pytest.mark.parametrize(("decision", "sent"), [("discard", 0), ("resend", 1)])
def test_what_was_in_doubt_is_resolved(old: Project, decision: str, sent: int) -> None:
    for sync in ("notes", "usage"):
        outcome = old.cli("resolve", sync, f"--{decision}")
        assert (outcome.code, outcome.kinds) == (0, []), outcome.told
    outcome = old.sync(code=1)
    assert len(outcome.sent("/conversations", "POST")) == sent
    assert len(outcome.sent("/dimensiondata/{tenant}", "POST")) == 3 * sent
    # A note that is taken as received has no id here.
    nothing_to_do(old, {"n-3": ("held", "no_id")} if decision == "discard" else {})


def test_new_and_changed_rows_are_sent_and_no_other(settled: Project) -> None:
    settled.insert("companies", [company(8)])
    settled.insert("endusers", [enduser(4, account="c-8")])
    settled.insert("notes", [note(4)])
    settled.insert("usage", [metric(7)])
    settled.sql(
        "update companies set seats = 9 where id = 'c-1'",
        "update endusers set role = 'CFO' where id = 'u-1'",
        "update notes set subject = 'Memo 2' where id = 'n-2'",
        "update usage set amount = 99",
    )
    outcome = settled.sync(code=1)
    assert {s: outcome.counts(s) for s in ("companies", "endusers", "notes", "usage")} == {
        "companies": {"inserted": 1, "updated": 1, "rejected": 3},
        "endusers": {"inserted": 1, "updated": 1, "held": 1},
        "notes": {"inserted": 1, "updated": 1},
        "usage": {"inserted": 1},
    }
    nothing_to_do(settled)


def test_cleared_rows_and_tombstones_come_back(settled: Project) -> None:
    settled.insert("companies", [company(4), company(5)])
    outcome = settled.sync(code=1)
    (cleared,) = [row for row in outcome.sent("/companies") if "_id" in row]
    assert cleared["_id"] == "64f000000000000000000004"
    assert "name" not in cleared
    (deleted,) = [row for row in outcome.sent("/companies") if "_id" not in row]
    assert (deleted["externalId"], deleted["name"]) == ("c-5", "Acme 5")
    stored = settled.sandbox.tenant.records("companies")
    assert [r["phase"] for r in stored if r["externalId"] in ("c-4", "c-5")] == ["Live", "Live"]
    nothing_to_do(settled)


def test_removals_go_by_the_ids_that_were_kept(settled: Project) -> None:
    settled.sql("delete from companies where id = 'c-3'")
    assert settled.sync(code=1).kinds == ["DELETE /companies/64f000000000000000000003"]
    assert settled.snapshot("companies")["c-4"] == "cleared"
    nothing_to_do(settled)


# -- the mapping goes on


def test_a_field_added(settled: Project) -> None:
    declare(settled, **fields(description="tier"))
    assert rest(settled.sync(code=1)) == [{"description": "Gold"}] * 3
    nothing_to_do(settled)


def test_a_field_removed(settled: Project) -> None:
    declare(settled, **fields(custom={"Seats": None}, phase=None))
    settled.sql("update companies set seats = 99, phase = 'Lost'")
    nothing_to_do(settled)
    assert "phase" not in [c for c, *_ in settled.query("describe planhat_sync.snapshot__companies")]


def test_a_field_renamed(settled: Project) -> None:
    """For Planhat it is another field."""
    declare(settled, **fields(custom={"Seats": None, "Licensed Seats": "seats"}))
    sent = rest(settled.sync(code=1))
    assert sorted(row["custom"]["Licensed Seats"] for row in sent) == [1, 2, 3]
    assert {tuple(row) for row in sent} == {("custom",)}
    nothing_to_do(settled)


def test_a_column_renamed(settled: Project) -> None:
    settled.sql("alter table companies rename column seats to licences")
    declare(settled, **fields(custom={"Seats": "licences"}))
    nothing_to_do(settled)


@pytest.mark.sampled(7, "varchar")
@pytest.mark.parametrize(
    ("column", "kind", "sent"),
    [
        ("seats", "bigint", False),
        ("seats", "double", False),
        ("score", "decimal(18,4)", False),
        ("score", "double", False),
        ("seats", "varchar", True),
        ("since", "timestamp", False),
        ("seen", "timestamp", False),
    ],
)
def test_a_column_retyped(settled: Project, column: str, kind: str, sent: bool) -> None:
    settled.sql("set timezone = 'UTC'", f"alter table companies alter column {column} type {kind}")
    settled.build()
    assert len(settled.sync(code=1).sent("/companies")) == (3 if sent else 0)
    nothing_to_do(settled)


def test_events_and_notes_under_a_new_mapping(settled: Project) -> None:
    settled.declare(
        "usage", {**METRICS, "fields": {k: v for k, v in METRICS["fields"].items() if k != "date"}}
    )
    settled.declare("notes", {**NOTES, "fields": {**NOTES["fields"], "description": "subject"}})
    outcome = settled.sync(code=1)
    assert [kind for kind in outcome.kinds if not kind.startswith("PUT /conversations")] == []
    assert {tuple(row) for row in rest(outcome, "/conversations")} == {("type", "description")}
    assert outcome.counts("usage") == {}
    assert len(values(settled)) == 6


@pytest.mark.parametrize("first", ["settle", "add"])
def test_an_event_time_added(old: Project, first: str) -> None:
    """Also while events are in doubt: what was sent is dated and forgotten in time, what is in doubt stays so."""
    if first == "settle":
        assert old.cli("resolve", "usage", "--discard").code == 0
    old.declare("usage", {**METRICS, "event_time": "at", "lookback": 36_500})
    assert old.sync("--select", "usage", code=None, read_back_calls=0).kinds == []
    times = {key: str(at) for key, at in old.snapshot("usage", "_event_time").items() if at}
    expected = range(1, 4) if first == "add" else range(1, 7)
    assert times == {f"m-{i}": f"2026-03-0{i} 08:00:00" for i in expected}
    old.insert("usage", [metric(7), metric(8)])
    old.declare("usage", {**METRICS, "event_time": "at", "lookback": "1 hour"})
    assert old.sync("--select", "usage", code=None, read_back_calls=0).kinds == []
    assert old.snapshot("usage") == {}
    assert values(old) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    doubts = {key for key, state in old.failures().items() if key.startswith("m-") and state == IN_DOUBT}
    assert doubts == ({"m-4", "m-5", "m-6"} if first == "add" else set())


def test_another_match_key_is_refused(old: Project) -> None:
    old.declare("endusers", {**ENDUSERS, "match": {"sourceId": "id"}})
    outcome = old.sync(code=2)
    assert outcome.kinds == []
    assert "enduser matched on externalId" in outcome.err


def test_a_changed_match_key(old: Project) -> None:
    """What was in flight is settled under the old key; what was cleared waits under it."""
    before = len(old.sandbox.tenant.records("companies"))
    old.sql("alter table companies add column crm varchar", "update companies set crm = 's' || id[2:]")
    old.declare(
        "companies", {**COMPANIES, "match": {"sourceId": "crm"}, "previous_match": {"externalId": "id"}}
    )
    outcome = old.sync("--select", "companies", code=1)
    assert outcome.kinds == ["GET /customfields", "PUT /companies"]
    assert sorted(rest(outcome), key=str) == [
        {"sourceId": "s-1"},
        {"sourceId": "s-2", "phase": "Risk"},
        {"sourceId": "s-3"},
    ]
    assert old.snapshot("companies") == {
        "c-4": "cleared", "c-5": "deleted", "s-1": "synced", "s-2": "synced", "s-3": "synced",
    }  # fmt: skip
    assert old.query("select key, code from planhat_sync.failures where sync = 'companies' order by key") == [
        ("s-6", "missing_required"),
        ("s-7", "duplicate_key"),
    ]
    assert old.sync("--select", "companies", code=1).kinds == []
    old.sql("insert into companies (id, name, crm) values ('c-4', 'Acme 4', 's-4')")
    assert old.sync("--select", "companies", code=1).counts("companies") == {"updated": 1, "rejected": 3}
    assert len(old.sandbox.tenant.records("companies")) == before
    assert old.sync("--select", "companies", code=1).kinds == []


def test_every_sync_renamed(old: Project) -> None:
    for name, block in {
        "companies": COMPANIES,
        "endusers": ENDUSERS,
        "notes": NOTES,
        "usage": METRICS,
    }.items():
        old.declare(name, {**block, "name": f"new_{name}", "previous_name": name})
    outcome = old.sync(code=1)
    assert rest(outcome) == [{"phase": "Risk"}]
    assert outcome.kinds == CALLS
    assert old.failures() == {**STANDING, **LEFT}
    assert old.sync(code=1).kinds == []


# -- refusals


def test_state_of_another_tenant_is_refused(project: Project, layout: Path) -> None:
    load(project, *read(layout), bind=False)
    outcome = project.sync(code=3)
    assert outcome.kinds == []
    assert "another Planhat host" in outcome.err


@pytest.mark.parametrize(
    "command", [["plan"], ["sync"], ["resolve", "usage", "--resend"]], ids=lambda c: c[0]
)
@pytest.mark.parametrize(
    "lacks", ["", "drop table planhat_sync.requests", "alter table planhat_sync.runs drop calls"]
)
def test_a_newer_layout_is_refused_and_left_alone(old: Project, command: list[str], lacks: str) -> None:
    """Also where it no longer has what this version looks for."""
    newer = SCHEMA_VERSION + 1
    old.sql(f"update planhat_sync.meta set value = '{newer}' where setting = 'schema_version'")
    if lacks:
        old.sql(lacks)
    catalogue = (
        "select table_name, column_name from duckdb_columns() where schema_name = 'planhat_sync' order by all"
    )
    before = old.query(catalogue)
    outcome = old.cli(*command)
    assert (outcome.code, outcome.kinds) == (2, [])
    assert f"written by a newer planhat_dbt (layout {newer}" in outcome.err
    assert "pip install -U" in outcome.err
    assert old.query(catalogue) == before


# -- the recorder


def test_a_recording_of_today_is_gone_on_with_too(project: Project, tmp_path: Path) -> None:
    sql, records = record.record(tmp_path / "recorded")
    load(project, sql, records)
    outcome = project.sync(code=1)
    assert (outcome.kinds, rest(outcome)) == (CALLS, [{"phase": "Risk"}])
    assert project.failures() == {**STANDING, "n-3": IN_DOUBT}
