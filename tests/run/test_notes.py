"""Notes: Planhat keeps no key of ours for them, so what may exist is never created again (DESIGN §9, §15)."""

from __future__ import annotations

import time

import pytest
from harness import Project, Row

from planhat_dbt.sandbox import Fault, FaultKind
from run.shop import seed_company
from run.test_interruption import SLOW, slow

COLUMNS = {"id": "varchar", "account": "varchar", "subject": "varchar"}
BLOCK: Row = {
    "object": "note",
    "key": "id",
    "fields": {"companyId": {"company": "account"}, "subject": "subject"},
}


def add_notes(project: Project, rows: int) -> None:
    seed_company(project, "c-1")
    project.model("notes", BLOCK, COLUMNS, [(f"n-{i}", "c-1", f"Note {i}") for i in range(1, rows + 1)])


def subjects(project: Project) -> list[str]:
    return sorted(str(r["subject"]) for r in project.sandbox.tenant.records("notes"))


@pytest.mark.parametrize(
    "kind", [FaultKind.RESET_AFTER, FaultKind.STATUS_AFTER, FaultKind.TRUNCATED, FaultKind.HANG_AFTER]
)
def test_a_create_in_doubt_is_told_and_never_repeated(project: Project, kind: FaultKind) -> None:
    add_notes(project, 4)
    project.sandbox.faults.add(Fault(kind=kind, method="POST", skip=1))
    outcome = project.sync(code=1, read_timeout=0.5)
    assert outcome.counts("notes") == {"inserted": 3, "unknown": 1}
    assert project.failures() == {"n-2": ("unknown", "unknown_outcome")}
    outcome = project.sync(code=1)
    assert outcome.kinds == []
    assert outcome.counts("notes") == {"unknown": 1}
    assert subjects(project) == [f"Note {i}" for i in (1, 2, 3, 4)]


def test_a_create_that_was_throttled_is_sent_again(project: Project) -> None:
    add_notes(project, 3)
    project.sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=429, retry_after="1", method="POST"))
    assert project.sync().counts("notes") == {"inserted": 3}
    assert len(subjects(project)) == 3


def test_an_update_in_doubt_is_compared_and_sent_again(project: Project) -> None:
    project.settings(max_tries=1)
    add_notes(project, 3)
    project.sync()
    project.sql("update notes set subject = 'Memo' where id = 'n-2'")
    project.sandbox.faults.add(Fault(kind=FaultKind.RESET_AFTER, method="PUT"))
    assert project.sync(code=1).counts("notes") == {"unknown": 1}
    assert project.sync().counts("notes") == {"updated": 1}
    assert project.failures() == {}
    assert subjects(project) == ["Memo", "Note 1", "Note 3"]


def test_killed_while_creating_notes(project: Project) -> None:
    add_notes(project, 50)
    slow(project, skip=25)
    process = project.start("sync")
    project.wait_for_calls(26, process)
    process.kill()
    process.communicate()
    project.sandbox.faults.clear()
    time.sleep(SLOW)
    project.sync(code=1)
    found = subjects(project)
    assert len(found) == len(set(found))
    doubt = {key for key, (status, _) in project.failures().items() if status == "unknown"}
    assert 0 < len(doubt) <= 20
    assert {f"Note {i}" for i in range(1, 51)} - set(found) <= {
        f"Note {key.removeprefix('n-')}" for key in doubt
    }
