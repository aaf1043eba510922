"""What was sent once and may have arrived: in doubt until somebody decides, and never there twice (DESIGN §9)."""

from __future__ import annotations

import time
from typing import Any

import pytest
from harness import Project

from planhat_dbt.sandbox import Fault, FaultKind
from run.shop import seed_company
from run.test_events import METRIC_BLOCK, METRICS, metric, points
from run.test_interruption import SLOW, slow
from run.test_notes import BLOCK, COLUMNS, add_notes, subjects

ALL = ("m-1", "m-2", "m-3")
IN_DOUBT = ("unknown", "unknown_outcome")
UNASKED = {"read_back_calls": 0}
"""What Planhat says when it is asked is in test_read_back."""


@pytest.fixture
def usage(project: Project) -> Project:
    """Three metrics that arrived although their answer was lost."""
    seed_company(project, "c-1")
    project.model("usage", METRIC_BLOCK, METRICS, [metric(i) for i in (1, 2, 3)])
    project.sandbox.faults.add(Fault(kind=FaultKind.RESET_AFTER, method="POST"))
    assert project.sync(code=1).counts("usage") == {"unknown": 3}
    assert project.failures() == dict.fromkeys(ALL, IN_DOUBT)
    return project


def resolve(project: Project, decision: str, sync: str = "usage", rows: int = 3) -> None:
    outcome = project.cli("resolve", sync, f"--{decision}")
    assert (outcome.code, outcome.kinds) == (0, []), outcome.told
    assert (f"{rows} rows" if rows else "no rows") in outcome.out


def values(project: Project) -> list[float]:
    return [value for _, value, _ in points(project)]


def test_discarded_events_are_done(usage: Project) -> None:
    resolve(usage, "discard")
    assert usage.failures() == {}
    usage.quiet()
    usage.insert("usage", [metric(4)])
    assert usage.sync().counts("usage") == {"inserted": 1}
    usage.replace("usage", [metric(i, value=0.5) for i in (1, 2, 3, 4)])
    usage.quiet()
    assert values(usage) == [1.0, 2.0, 3.0, 4.0]
    resolve(usage, "discard", rows=0)


def test_events_discarded_while_their_sync_is_gated_are_done(usage: Project) -> None:
    usage.build(statuses={"usage": "error"})
    resolve(usage, "discard")
    usage.build()
    usage.quiet()
    assert values(usage) == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("synced_meanwhile", [False, True])
def test_events_discarded_while_out_of_the_model_are_done_when_they_come_back(
    usage: Project, synced_meanwhile: bool
) -> None:
    usage.replace("usage", [metric(1)])
    if synced_meanwhile:
        assert usage.sync(code=1, **UNASKED).kinds == []
        assert usage.failures() == dict.fromkeys(ALL, IN_DOUBT)
    resolve(usage, "discard")
    usage.quiet()
    usage.insert("usage", [metric(2), metric(3, value=9.0)])
    usage.quiet()
    assert values(usage) == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("gated", [False, True])
def test_events_to_be_sent_again_are_sent_once_more(usage: Project, gated: bool) -> None:
    if gated:
        usage.build(statuses={"usage": "error"})
    resolve(usage, "resend")
    usage.build()
    assert usage.sync().counts("usage") == {"inserted": 3}
    assert values(usage) == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
    usage.quiet()


@pytest.mark.parametrize(("decision", "sent"), [("resend", 3), ("discard", 0), ("hold", 0)])
def test_on_unknown_decides_at_the_next_sync(usage: Project, decision: str, sent: int) -> None:
    outcome = usage.sync(code=1 if decision == "hold" else 0, on_unknown=decision, **UNASKED)
    assert len(outcome.sent("/dimensiondata/{tenant}", "POST")) == sent
    assert len(values(usage)) == 3 + sent
    if decision == "hold":
        assert usage.failures() == dict.fromkeys(ALL, IN_DOUBT)
    else:
        assert usage.failures() == {}
        usage.quiet()


def test_an_event_in_doubt_stays_so_while_its_key_is_duplicated(usage: Project) -> None:
    usage.insert("usage", [metric(1, value=7.0), metric(4)])
    outcome = usage.sync(code=1, **UNASKED)
    assert [r["value"] for r in outcome.sent("/dimensiondata/{tenant}", "POST")] == [4.0]
    assert usage.failures() == dict.fromkeys(ALL, IN_DOUBT)
    usage.replace("usage", [metric(i) for i in (1, 2, 3, 4)])
    outcome = usage.sync(code=1, **UNASKED)
    assert outcome.kinds == []
    assert outcome.counts("usage") == {"unknown": 3}
    assert values(usage) == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("others", [{"value": None}, {"account": None}, {"value": float("nan")}], ids=str)
def test_an_event_in_doubt_stays_so_while_its_row_is_not_fit(usage: Project, others: dict[str, Any]) -> None:
    usage.replace("usage", [metric(1, **others), metric(2), metric(3)])
    assert usage.sync(code=1, **UNASKED).kinds == []
    assert usage.failures() == dict.fromkeys(ALL, IN_DOUBT)


# -- notes


def lose_sight_of_a_create(project: Project, skip: int = 0) -> None:
    project.sandbox.faults.add(
        Fault(kind=FaultKind.RESET_AFTER, method="POST", path="/conversations", skip=skip)
    )


def ids(project: Project) -> set[str]:
    return {r["_id"] for r in project.sandbox.tenant.records("notes")}


def test_a_discarded_note_with_a_tombstone_is_in_the_snapshot_once(project: Project) -> None:
    """Deleted, back in the model, created again, that create in doubt, then taken as done."""
    add_notes(project, 2)
    project.declare("notes", {**BLOCK, "on_removed": "delete"})
    project.sync()
    project.replace("notes", [("n-1", "c-1", "Note 1")])
    assert project.sync().counts("notes") == {"deleted": 1}
    project.insert("notes", [("n-2", "c-1", "Note 2")])
    lose_sight_of_a_create(project)
    assert project.sync(code=1).counts("notes") == {"unknown": 1}
    outcome = project.cli("resolve", "notes", "--discard")
    assert outcome.code == 0
    for _ in range(2):
        assert project.query(
            "select _key, count(*) from planhat_sync.snapshot__notes group by 1 order by 1"
        ) == [
            ("n-1", 1),
            ("n-2", 1),
        ]
        assert project.sync().kinds == []
    assert subjects(project) == ["Note 1", "Note 2"]


@pytest.mark.parametrize("on_removed", ["keep", "clear", "delete"])
def test_a_note_of_unknown_id_is_held_when_it_changes_or_goes(project: Project, on_removed: str) -> None:
    """Taken as done, its id was never learnt: sent without one it would be a second note."""
    add_notes(project, 3)
    project.declare("notes", {**BLOCK, "on_removed": on_removed})
    lose_sight_of_a_create(project, skip=1)
    assert project.sync(code=1).counts("notes") == {"inserted": 2, "unknown": 1}
    assert project.cli("resolve", "notes", "--discard").code == 0
    before = ids(project)
    project.sql("update notes set subject = 'Memo ' || id where id <> 'n-3'")
    outcome = project.sync()
    assert outcome.kinds == ["PUT /conversations"]
    assert [row["subject"] for row in outcome.sent("/conversations")] == ["Memo n-1"]
    assert outcome.counts("notes") == {"updated": 1, "held": 1}
    assert project.failures() == {"n-2": ("held", "no_id")}
    project.sql("delete from notes where id = 'n-2'")
    outcome = project.sync()
    assert outcome.kinds == []
    assert project.failures() == ({} if on_removed == "keep" else {"n-2": ("held", "no_id")})
    assert ids(project) == before


CUSTOM = {**BLOCK, "fields": {**BLOCK["fields"], "custom": {"Mood": "mood"}}}


@pytest.mark.parametrize("reason", ["company", "custom", "denied"])
def test_a_note_whose_update_is_refused_is_not_created_again(project: Project, reason: str) -> None:
    seed_company(project, "c-1")
    rows = [(f"n-{i}", "c-1", f"Note {i}", None) for i in (1, 2, 3)]
    project.model("notes", CUSTOM, {**COLUMNS, "mood": "varchar"}, rows)
    project.sync()
    before = ids(project)
    column, value = {
        "company": ("account", "c-404"),
        "custom": ("mood", "good"),
        "denied": ("subject", "Memo"),
    }[reason]
    project.sql(f"update notes set {column} = '{value}' where id = 'n-2'")
    switches = {
        "company": {},
        "custom": {"unknown_custom": "refuse"},
        "denied": {"denied": "conversations:update"},
    }[reason]
    project.sandbox.rules = project.sandbox.rules.changed(switches)
    for _ in range(2):
        outcome = project.sync(code=1)
        assert not [kind for kind in outcome.kinds if kind.startswith("POST")]
        assert outcome.counts("notes") == {"rejected": 1}
        assert project.failures() == {"n-2": ("rejected", "permission" if reason == "denied" else "refused")}
        assert ids(project) == before


def change_a_note_that_is_gone(project: Project) -> str:
    """Note 2 is deleted in Planhat by a person, and changes in the model; returns its old id."""
    add_notes(project, 3)
    project.sync()
    old = project.snapshot("notes", "_planhat_id")["n-2"]
    project.sandbox.tenant.remove("conversations", old)
    project.sql("update notes set subject = 'Memo 2' where id = 'n-2'")
    return str(old)


def test_a_note_deleted_in_planhat_is_created_once_more_and_keeps_its_new_id(project: Project) -> None:
    old = change_a_note_that_is_gone(project)
    outcome = project.sync(legal=False)  # that the id is gone, only the answer tells
    assert [kind for kind in outcome.kinds if kind.startswith("POST")] == ["POST /conversations"]
    assert subjects(project) == ["Memo 2", "Note 1", "Note 3"]
    new = project.snapshot("notes", "_planhat_id")["n-2"]
    assert new != old
    assert project.sandbox.tenant.record("conversations", _id=new)["subject"] == "Memo 2"
    project.quiet()
    project.sql("update notes set subject = 'Memo 3' where id = 'n-2'")
    outcome = project.sync()
    assert outcome.kinds == ["PUT /conversations"]
    assert [row["_id"] for row in outcome.sent("/conversations")] == [new]
    assert subjects(project) == ["Memo 3", "Note 1", "Note 3"]


def test_the_second_create_of_a_note_in_doubt_is_not_repeated(project: Project) -> None:
    change_a_note_that_is_gone(project)
    lose_sight_of_a_create(project)
    assert project.sync(code=1, legal=False).counts("notes") == {"unknown": 1}
    for _ in range(2):
        assert project.sync(code=1).kinds == []
        assert project.failures() == {"n-2": IN_DOUBT}
    assert subjects(project) == ["Memo 2", "Note 1", "Note 3"]


def test_killed_during_the_second_create_of_a_note(project: Project) -> None:
    change_a_note_that_is_gone(project)
    slow(project, path="/conversations", skip=2)
    process = project.start("sync")
    project.wait_for_calls(3, process)  # the update, the look whether it is gone, the create
    process.kill()
    process.communicate()
    assert project.sandbox.log.total == 3
    project.sandbox.faults.clear()
    time.sleep(SLOW)
    assert subjects(project) == ["Memo 2", "Note 1", "Note 3"]
    outcome = project.sync(code=1)
    assert outcome.kinds == []
    assert project.failures() == {"n-2": IN_DOUBT}
    assert outcome.counts("notes") == {"unknown": 1}
    assert subjects(project) == ["Memo 2", "Note 1", "Note 3"]


def test_an_answer_that_counts_fewer_events_than_were_sent(project: Project) -> None:
    """Somebody dropped events on the way and answered OK: which ones is not told, so none counts as received."""
    project.sandbox.tenant.seed("companies", [{"name": "Acme", "externalId": "c-1"}])
    project.model("usage", METRIC_BLOCK, METRICS, [metric(i) for i in range(1, 6)])
    project.sandbox.faults.add(Fault(kind=FaultKind.LOST_ROWS, method="POST", path="/dimensiondata", rows=2))
    outcome = project.sync(code=1)
    assert outcome.counts("usage") == {"unknown": 5}
    assert "counts 3 of 5 events" in project.query("select message from planhat_sync.failures limit 1")[0][0]
    project.sync(read_back_after=0)
    assert sorted(m["value"] for m in project.sandbox.tenant.metrics) == [1.0, 2.0, 3.0, 4.0, 5.0]
    project.quiet()
