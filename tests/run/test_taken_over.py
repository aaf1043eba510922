"""A row that left the model, and whose record another row has by now: nothing of it is removed (planhat-api §5)."""

from __future__ import annotations

from typing import Any

import pytest
from harness import Outcome, Project, Row

COLUMNS = {"id": "varchar", "name": "varchar", "crm": "varchar"}
COMPANIES: Row = {
    "object": "company",
    "match": {"externalId": "id"},
    "fields": {"name": "name", "sourceId": "crm"},
}
REMOVED = ("delete", "clear")


def companies(project: Project, *rows: tuple[str, str, str], **more: Any) -> None:
    project.model("companies", {**COMPANIES, "max_removals": "100%", **more}, COLUMNS, rows)


def two_rows_of_one_record(project: Project) -> None:
    companies(project, ("a-1", "Acme", "crm-7"), ("b-1", "Beta", "crm-8"), on_removed="delete")
    project.sync()
    project.insert("companies", [("a-2", "Acme", "crm-7")])
    project.build()
    project.sync()


def stored(project: Project) -> dict[str, Any]:
    return {r.get("externalId"): r.get("name") for r in project.sandbox.tenant.records("companies")}


def noted(outcome: Outcome) -> dict[str, int]:
    (result,) = outcome.document["results"]
    return dict(result["noted"])


@pytest.mark.parametrize("on_removed", REMOVED)
def test_a_record_under_a_new_key_is_not_removed(project: Project, on_removed: str) -> None:
    companies(project, ("a-1", "Acme", "crm-7"), ("b-1", "Beta", "crm-8"), on_removed=on_removed)
    project.sync()
    (known,) = [r["_id"] for r in project.sandbox.tenant.records("companies") if r["name"] == "Acme"]
    project.replace("companies", [("a-2", "Acme", "crm-7"), ("b-1", "Beta", "crm-8")])
    outcome = project.sync()
    assert outcome.kinds == ["PUT /companies"]
    assert noted(outcome) == {"taken_over": 1}
    assert "1 row that left the model is not removed: another row has the record by now" in outcome.out
    assert stored(project) == {"a-2": "Acme", "b-1": "Beta"}
    assert project.snapshot("companies") == {"a-1": "deleted", "a-2": "synced", "b-1": "synced"}
    told = project.query(
        "select key, operation, status, planhat_id from planhat_sync.changes where key = 'a-1'"
    )
    assert sorted(told) == [("a-1", on_removed, "taken_over", known), ("a-1", "insert", "accepted", known)]
    assert project.query("select * from planhat_sync.batches where state in ('planned', 'sending')") == []
    project.quiet()


@pytest.mark.parametrize("on_removed", REMOVED)
def test_other_removals_of_the_run_go_on(project: Project, on_removed: str) -> None:
    rows = [(f"c-{i}", f"Company {i}", f"crm-{i}") for i in range(9)]
    companies(project, *rows, on_removed=on_removed)
    project.sync()
    project.replace("companies", [("d-3", "Company 3", "crm-3"), *rows[6:]])
    outcome = project.sync()
    assert noted(outcome) == {"taken_over": 1}
    assert outcome.counts("companies")["deleted" if on_removed == "delete" else "cleared"] == 5
    assert stored(project)["d-3"] == "Company 3"
    assert [key for key, state in project.snapshot("companies").items() if state == "synced"] == [
        *("c-6", "c-7", "c-8", "d-3")
    ]
    project.quiet()


def test_two_rows_of_one_record_are_removed_with_the_last(project: Project) -> None:
    two_rows_of_one_record(project)
    project.replace("companies", [("a-2", "Acme", "crm-7"), ("b-1", "Beta", "crm-8")])
    project.build()
    assert project.sync().kinds == []
    assert stored(project) == {"a-2": "Acme", "b-1": "Beta"}
    project.replace("companies", [("b-1", "Beta", "crm-8")])
    project.build()
    assert [call.method for call in project.sync().calls] == ["DELETE"]
    assert stored(project) == {"b-1": "Beta"}
    project.quiet()


def test_two_rows_of_one_record_that_leave_together_are_removed(project: Project) -> None:
    two_rows_of_one_record(project)
    project.replace("companies", [("b-1", "Beta", "crm-8")])
    project.build()
    project.sync()
    assert stored(project) == {"b-1": "Beta"}
    project.quiet()


def test_a_key_that_comes_back_is_a_new_row(project: Project) -> None:
    companies(project, ("a-1", "Acme", "crm-7"), on_removed="delete")
    project.sync()
    project.replace("companies", [("a-2", "Acme", "crm-7")])
    project.build()
    project.sync()
    project.insert("companies", [("a-1", "Acme of old", "crm-9")])
    project.build()
    project.sync()
    assert stored(project) == {"a-1": "Acme of old", "a-2": "Acme"}
    project.quiet()


def test_two_rows_of_one_record_never_travel_together(project: Project) -> None:
    others = [(f"b-{i}", f"Beta {i}", f"x-{i}") for i in range(3)]
    companies(project, ("a-1", "Acme", "crm-7"), *others)
    project.sync()
    project.insert("companies", [("a-2", "Acme", "crm-7")])
    project.build()
    project.sync()
    project.replace("companies", [("a-1", "Old", "crm-7"), ("a-2", "New", "crm-7"), *others])
    project.build()
    outcome = project.sync()
    assert outcome.counts("companies") == {"updated": 1, "held": 1}
    ((key, told),) = project.failures().items()
    assert told == ("held", "same_record")
    assert project.sync().counts("companies") == {"updated": 1}
    assert project.failures() == {}
    assert {"Old": "a-1", "New": "a-2"}[str(stored(project)["a-2"])] == key
    project.quiet()


def test_progress_ends_with_all_rows(project: Project) -> None:
    companies(project, ("a-1", "Acme", "crm-7"), ("b-1", "Beta", "crm-8"), on_removed="delete")
    project.sync()
    project.replace("companies", [("a-2", "Acme", "crm-7")])
    project.build()
    assert project.sync().err.splitlines()[-1] == "companies: 2 of 2 rows"
