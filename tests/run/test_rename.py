"""A sync under a new name goes on where it was: nothing is sent again, nothing in doubt is forgotten."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from harness import Project, Row

from planhat_dbt.sandbox import Fault, FaultKind, Sandbox
from run.shop import COMPANIES, add_companies, add_endusers, company, enduser, mirrors, seed_company
from run.test_doubt import lose_sight_of_a_create
from run.test_events import METRIC_BLOCK, activities, activity, metric, metrics, points  # noqa: F401
from run.test_interruption import SLOW, slow
from run.test_notes import add_notes, subjects

IN_DOUBT = ("unknown", "unknown_outcome")


def call_it(project: Project, model: str, new: str, old: str | None = None, **more: Any) -> None:
    """Rename the sync of a model; `old` defaults to the name it has."""
    block = project.models[model].block
    old = block.get("name", model) if old is None else old
    project.declare(model, {**block, "name": new, "previous_name": old, **more})


def state_tables(project: Project) -> set[str]:
    found = project.query(
        "select table_name from information_schema.tables where table_schema = 'planhat_sync'"
    )
    return {name for (name,) in found if "__" in name}


def status(project: Project, sync: str) -> Row:
    outcome = project.cli("status", "--output", "json")
    (one,) = [s for s in json.loads(outcome.out)["syncs"] if s["sync"] == sync]
    return dict(one)


def test_a_renaming_that_ended_between_tables_and_rows_is_finished(project: Project) -> None:
    """As on engines where a table is renamed at once, whatever becomes of the rows."""
    add_companies(project, 4, on_removed="delete")
    project.sync()
    project.sql(
        "alter table planhat_sync.snapshot__companies rename to snapshot__accounts",
        "drop table planhat_sync.plan__companies",
    )
    call_it(project, "companies", "accounts")
    assert project.sync().kinds == []
    assert state_tables(project) == {"snapshot__accounts", "plan__accounts"}
    project.sql("delete from companies where id = 'c-3'")
    assert project.sync().counts("accounts") == {"deleted": 1}
    project.quiet()


def test_records_go_on_under_the_new_name(project: Project) -> None:
    add_companies(project, 4, on_removed="delete")
    project.sync()
    project.replace("companies", [company(i) for i in (1, 2, 3)])
    project.sync()
    call_it(project, "companies", "accounts")
    outcome = project.sync()
    assert (outcome.kinds, outcome.counts("accounts")) == ([], {})
    assert "accounts goes on with the state of companies" in outcome.err
    assert state_tables(project) == {"snapshot__accounts", "plan__accounts"}
    assert project.snapshot("accounts")["c-4"] == "deleted"
    assert "goes on" not in project.sync().err
    project.quiet()
    project.sql(
        "update companies set phase = 'Risk' where id = 'c-2'", "delete from companies where id = 'c-3'"
    )
    assert project.sync().counts("accounts") == {"updated": 1, "deleted": 1}
    assert mirrors(project)
    (names,) = zip(*project.query("select distinct sync from planhat_sync.changes order by 1"), strict=True)
    assert names == ("accounts", "companies")


def test_a_renamed_model_is_a_renamed_sync(project: Project) -> None:
    add_companies(project, 3)
    project.sync()
    project.sql("alter table companies rename to accounts")
    del project.models["companies"]
    project.declare("accounts", {**COMPANIES, "previous_name": "companies"})
    project.quiet()


@pytest.mark.parametrize("first", ["plan", "sync"])
def test_events_are_not_sent_again(metrics: Project, first: str) -> None:  # noqa: F811
    metrics.sync()
    sent = points(metrics)
    call_it(metrics, "usage", "usage_points")
    metrics.insert("usage", [metric(4)])
    outcome = metrics.cli(first)
    assert outcome.code == 0
    metrics.sync()
    assert len(points(metrics)) == len(sent) + 1
    metrics.quiet()


def test_activities_are_not_sent_again(activities: Project) -> None:  # noqa: F811
    activities.sync()
    call_it(activities, "logins", "visits")
    activities.insert("logins", [activity(4)])
    assert activities.sync().counts("visits") == {"inserted": 1}
    activities.declare("logins", {**activities.models["logins"].block, "previous_name": None})
    activities.quiet()


@pytest.mark.parametrize("decision", ["discard", "resend"])
@pytest.mark.parametrize("gated", [False, True])
def test_events_in_doubt_stay_so_and_are_resolved_under_the_new_name(
    metrics: Project,  # noqa: F811
    decision: str,
    gated: bool,
) -> None:
    metrics.settings(read_back_calls=0)
    metrics.sandbox.faults.add(Fault(kind=FaultKind.RESET_AFTER, method="POST"))
    metrics.sync(code=1)
    call_it(metrics, "usage", "usage_points")
    if not gated:
        assert metrics.sync(code=1).kinds == []
        assert set(metrics.failures().values()) == {IN_DOUBT}
    metrics.build(statuses={"usage": "error"} if gated else {})
    assert "usage_points: 3 rows unknown" in metrics.cli("failures").out
    outcome = metrics.cli("resolve", "usage_points", f"--{decision}")
    assert (outcome.code, outcome.kinds) == (0, []), outcome.told
    metrics.build()
    assert metrics.sync().counts("usage_points") == ({} if decision == "discard" else {"inserted": 3})
    assert len(points(metrics)) == (3 if decision == "discard" else 6)
    metrics.quiet()


@pytest.mark.parametrize("also_selected", [True, False])
def test_events_in_flight_when_the_run_was_killed_are_held(
    metrics: Project,  # noqa: F811
    also_selected: bool,
) -> None:
    """The doubt is found in the plan table of the old name, which goes with the rename."""
    metrics.settings(read_back_calls=0)
    add_companies(metrics, 1)
    slow(metrics, path="/dimensiondata")
    process = metrics.start("sync")
    metrics.wait_for_calls(3, process)
    process.kill()
    process.communicate()
    metrics.sandbox.faults.clear()
    time.sleep(SLOW)
    call_it(metrics, "usage", "usage_points")
    if not also_selected:
        assert metrics.sync("--select", "companies", code=None).kinds == []
        assert state_tables(metrics) >= {"snapshot__usage_points"}
    outcome = metrics.sync(code=1)
    assert outcome.kinds == []
    assert metrics.failures() == dict.fromkeys(("m-1", "m-2", "m-3"), IN_DOUBT)
    assert metrics.query(
        "select distinct sync, state from planhat_sync.batches where sync like 'usage%'"
    ) == [("usage", "unknown")]


def test_notes_keep_their_ids_and_their_doubt(project: Project) -> None:
    add_notes(project, 3)
    lose_sight_of_a_create(project, skip=1)
    project.sync(code=1)
    call_it(project, "notes", "remarks")
    project.sql("update notes set subject = 'Memo' where id <> 'n-2'")
    outcome = project.sync(code=1)
    assert outcome.kinds == ["PUT /conversations"]
    assert outcome.counts("remarks") == {"updated": 2, "unknown": 1}
    assert subjects(project) == ["Memo", "Memo", "Note 2"]


@pytest.mark.parametrize("gate", [{}, {"companies": "error"}])
def test_children_find_their_renamed_parents(project: Project, gate: dict[str, str]) -> None:
    """Also where the parent's sync is not selected, or gated."""
    add_companies(project, 2)
    add_endusers(project, [enduser(1)])
    project.sync()
    call_it(project, "companies", "accounts")
    project.insert("endusers", [enduser(2, account="c-2"), enduser(3, account="c-9")])
    project.build(statuses=gate)
    outcome = project.sync(*(() if gate else ("--select", "endusers")), code=3 if gate else 0)
    assert outcome.counts("endusers") == {"inserted": 1, "held": 1}
    assert set(project.snapshot("accounts")) == {"c-1", "c-2"}


def test_a_disabled_sync_is_renamed_as_well(metrics: Project) -> None:  # noqa: F811
    metrics.sync()
    add_companies(metrics, 1)
    call_it(metrics, "usage", "usage_points", enabled=False)
    metrics.sync()
    metrics.declare("usage", {**METRIC_BLOCK, "name": "usage_points"})
    metrics.quiet()


# -- refusals


def test_state_of_both_names_is_refused(project: Project) -> None:
    add_companies(project, 2)
    project.sync()
    project.declare("companies", {**COMPANIES, "name": "accounts"})
    project.sync()
    call_it(project, "companies", "accounts", "companies")
    for command in ("plan", "sync"):
        outcome = project.cli(command)
        assert (outcome.code, outcome.kinds) == (2, [])
        assert "snapshot__companies" in outcome.err
        assert "snapshot__accounts" in outcome.err
    add_endusers(project, [enduser(1)])
    assert project.sync("--select", "endusers").counts("endusers") == {"inserted": 1}
    project.sql("drop table planhat_sync.snapshot__accounts")
    project.quiet()
    assert set(project.snapshot("accounts")) == {"c-1", "c-2"}


@pytest.mark.parametrize(
    "change",
    [
        {"match": {"sourceId": "id"}},
        {"object": "asset", "fields": {"name": "name", "companyId": {"company": "id"}}},
    ],
    ids=["match key", "object"],
)
def test_another_object_or_key_under_the_new_name_is_refused(project: Project, change: Row) -> None:
    add_companies(project, 2)
    project.sync()
    before = state_tables(project)
    call_it(project, "companies", "accounts", **change)
    outcome = project.sync(code=2)
    assert outcome.kinds == []
    assert "companies" in outcome.err
    assert state_tables(project) == before
    project.declare("companies", {**COMPANIES, "name": "accounts", "previous_name": "companies"})
    project.quiet()


def test_state_of_another_tenant_stays_refused(project: Project) -> None:
    add_companies(project, 2)
    project.sync()
    call_it(project, "companies", "accounts")
    with Sandbox(tenant_uuid="5a0d0b0c-0000-4000-8000-000000000002") as other:
        environment = {**other.environment, "PLANHAT_API_URL": project.sandbox.url}
        for _ in range(2):
            outcome = project.sync(code=3, env=environment)
            assert outcome.kinds == []
            assert "another Planhat tenant" in outcome.err
        outcome = project.sync(code=3, env=other.environment)
        assert not other.log.calls
    assert state_tables(project) >= {"snapshot__accounts"}
    project.quiet()


# -- renamed without a word


def sandbox_holds(project: Project) -> int:
    return sum(len(project.sandbox.tenant.records(kind)) for kind in ("metrics", "conversations"))


@pytest.mark.parametrize("planned", [True, False])
@pytest.mark.parametrize("kind", ["metrics", "notes"])
def test_events_and_notes_under_an_unknown_name_are_not_sent_again(
    metrics: Project,  # noqa: F811
    kind: str,
    planned: bool,
) -> None:
    if kind == "notes":
        add_notes(metrics, 2)
    metrics.sync()
    held = sandbox_holds(metrics)
    model, old = ("notes", "notes") if kind == "notes" else ("usage", "usage")
    block = metrics.models[model].block
    metrics.declare(model, {**block, "name": "renamed"})
    if planned:
        outcome = metrics.cli("plan")
        assert "renamed refused" in outcome.out
    for _ in range(2):
        outcome = metrics.sync(code=3)
        assert (outcome.kinds, outcome.status("renamed")) == ([], "refused")
        assert f"`previous_name: {old}`" in outcome.out
        assert "--allow-changes renamed" in outcome.out
    metrics.declare(model, {**block, "name": "renamed", "previous_name": old})
    metrics.quiet()
    assert sandbox_holds(metrics) == held


@pytest.mark.parametrize("way", ["option", "drop"])
def test_events_under_a_new_name_may_begin_afresh(metrics: Project, way: str) -> None:  # noqa: F811
    metrics.sync()
    metrics.declare("usage", {**METRIC_BLOCK, "name": "other"})
    if way == "drop":
        metrics.sql(
            "drop table planhat_sync.snapshot__usage",
            "delete from planhat_sync.meta where setting = 'mapping:usage'",
        )
    arguments = ("--allow-changes", "other") if way == "option" else ()
    assert metrics.sync(*arguments).counts("other") == {"inserted": 3}
    metrics.quiet()
    metrics.insert("usage", [metric(4)])
    assert metrics.sync().counts("other") == {"inserted": 1}, "it has state of its own now"


def declare_another(project: Project, model: str, **more: Any) -> None:
    project.sql(f'create table "{model}" as select * from "usage"')
    project.declare(model, {**METRIC_BLOCK, **more})


def test_a_new_sync_beside_one_that_is_declared_or_never_sent_goes(metrics: Project) -> None:  # noqa: F811
    metrics.cli("plan")
    metrics.declare("usage", {**METRIC_BLOCK, "name": "points"})
    assert metrics.sync().counts("points") == {"inserted": 3}, "nothing was sent under the name before"
    metrics.declare("usage", {**METRIC_BLOCK, "name": "points", "enabled": False})
    declare_another(metrics, "more")
    outcome = metrics.sync("--select", "more")
    assert outcome.counts("more") == {"inserted": 3}, "a sync that is disabled is declared"
    assert "previous_name" not in outcome.told


def test_state_of_another_model_holds_nothing_up(metrics: Project) -> None:  # noqa: F811
    """A model that is still there was not renamed; one that is gone may have been."""
    metrics.sync()
    declare_another(metrics, "more")
    metrics.declare("usage", None)
    assert "previous_name" not in metrics.cli("plan").told
    del metrics.models["usage"]
    metrics.build()
    outcome = metrics.sync(code=3)
    assert (outcome.kinds, outcome.status("more")) == ([], "refused")
    assert "`previous_name: usage`" in outcome.out


def test_records_under_an_unknown_name_are_sent_with_a_note(project: Project) -> None:
    add_companies(project, 2)
    project.sync()
    project.declare("companies", {**COMPANIES, "name": "accounts"})
    outcome = project.sync()
    assert outcome.status("accounts") == "success"
    assert "`previous_name: companies`" in outcome.err
    assert len(project.sandbox.tenant.records("companies")) == 2
    assert "previous_name" not in project.sync().told, "it has state of its own now"


def test_the_doctor_names_state_that_no_sync_has(metrics: Project) -> None:  # noqa: F811
    metrics.sync()
    add_companies(metrics, 1)
    assert "former syncs" not in metrics.cli("doctor").out
    metrics.declare("usage", {**METRIC_BLOCK, "name": "points"})
    found = json.loads(metrics.cli("doctor", "--output", "json").out)["findings"]
    (former,) = [f for f in found if f["check"] == "former syncs"]
    assert former["state"] == "warning"
    assert "usage (metric)" in former["text"]
    assert "`previous_name: usage`" in former["hint"]
    assert "drop table planhat_sync.snapshot__usage" in former["hint"]
    metrics.declare("companies", {"object": "company"})
    assert "former syncs" not in metrics.cli("doctor").out, "what is declared is not known"


# -- status


def test_status_and_failures_know_both_names(project: Project) -> None:
    seed_company(project, "x")
    add_companies(project, 2)
    project.insert("companies", [company(3, name=None)])
    run_id = project.sync(code=1).document["metadata"]["run_id"]
    call_it(project, "companies", "accounts")
    for _ in range(2):  # before the state is renamed, and after
        found = status(project, "accounts")
        assert (found["rows_known"], found["last_run"]["run_id"]) == (2, run_id)
        assert found["last_run"]["sync"] == "companies"
        assert "accounts: 1 row rejected" in project.cli("failures").out
        assert "never run" not in project.cli("status").out
        assert project.cli("plan").code == 0
    newer = project.sync(code=1).document["metadata"]["run_id"]
    assert status(project, "accounts")["last_run"]["run_id"] == newer
