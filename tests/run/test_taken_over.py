"""A row that left the model, and whose record another row has by now: nothing of it is removed (planhat-api §5)."""

from __future__ import annotations

from typing import Any

import pytest
from harness import Outcome, Project, Row

from planhat_dbt.sandbox import Fault, FaultKind

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


PEOPLE: Row = {
    "object": "enduser",
    "match": {"email": "mail"},
    "fields": {"companyId": "account", "firstName": "name"},
    "max_removals": "100%",
}
PEOPLE_COLUMNS = {"mail": "varchar", "account": "varchar", "name": "varchar", "crm": "varchar"}


def people(project: Project, key: str, on_removed: str) -> list[tuple[str, str, str, str]]:
    """Ten people, sent; the rows."""
    (company_id,) = project.sandbox.tenant.seed("companies", [{"name": "Acme", "externalId": "c-1"}])
    rows = [(f"p{i}@x.io", company_id, f"Person {i}", f"crm-{i}") for i in range(10)]
    block = {**PEOPLE, "on_removed": on_removed, "fields": {**PEOPLE["fields"], key: "crm"}}
    project.model("people", block, PEOPLE_COLUMNS, rows)
    project.sync()
    return rows


def persons(project: Project) -> dict[str, Any]:
    return {r["email"]: r.get("firstName") for r in project.sandbox.tenant.records("endusers")}


@pytest.mark.parametrize("key", ["sourceId", "externalId"])
@pytest.mark.parametrize("on_removed", REMOVED)
def test_a_person_whose_email_changes_is_not_removed(project: Project, key: str, on_removed: str) -> None:
    """Answers name no e-mail: that the removal's record is the new row's is seen by a second look-up alone."""
    rows = people(project, key, on_removed)
    moved = [(f"new-{mail}", *rest) for mail, *rest in rows[:2]]
    project.replace("people", [*moved, *rows[3:]])
    project.build()
    outcome = project.sync()
    assert noted(outcome) == {"taken_over": 2}
    assert outcome.counts("people")["deleted" if on_removed == "delete" else "cleared"] == 1
    expected: dict[str, Any] = {mail: name for mail, _, name, _ in (*moved, *rows[3:])}
    assert persons(project) == expected | ({} if on_removed == "delete" else {"p2@x.io": None})
    project.quiet()


def test_where_people_cannot_be_looked_up_again_none_is_removed(project: Project) -> None:
    rows = people(project, "sourceId", "delete")
    project.replace("people", [("new@x.io", *rows[0][1:]), *rows[2:]])
    project.build()
    project.sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=500, method="GET", skip=2, count=None))
    outcome = project.sync(code=1)
    assert outcome.counts("people") == {"inserted": 1, "held": 2}
    assert "DELETE" not in {call.method for call in outcome.calls}
    project.sandbox.faults.clear()
    assert [call.method for call in project.sync().calls].count("DELETE") == 1
    assert persons(project) == {"new@x.io": "Person 0"} | {mail: name for mail, _, name, _ in rows[2:]}
    assert project.failures() == {}
    project.quiet()
