"""A changed match key of rows whose Planhat ids the state does not know: their old key finds them."""

from __future__ import annotations

from pathlib import Path

from harness import Project

from planhat_dbt.sandbox import Sandbox
from run.rekeying import (
    AFTER,
    BEFORE,
    BY_ID,
    BY_MAIL,
    PEOPLE_COLUMNS,
    account,
    accounts,
    count,
    heir_of,
    keys,
    people,
    person,
    previous_keys,
)
from run.test_mapping import rest

# -- ids are not known


def test_rows_without_an_id_are_found_by_their_old_key(
    project: Project, folder: Path, sandbox: Sandbox
) -> None:
    accounts(project)
    heir = heir_of(project, folder, sandbox)
    accounts(heir)
    assert set(heir.snapshot("accounts", "_planhat_id").values()) == {None}
    heir.declare("accounts", AFTER)
    outcome = heir.cli("plan")
    assert (outcome.code, outcome.kinds) == (0, [])
    assert "look" in outcome.out
    assert previous_keys(heir) == [(f"s-{i}", "externalId", f"c-{i}", True) for i in (1, 2, 3)]
    outcome = heir.sync()
    assert outcome.kinds == ["GET /leancompanies", "GET /customfields", "PUT /companies"]
    assert sorted(rest(outcome.sent("/companies")), key=str) == [{"sourceId": f"s-{i}"} for i in (1, 2, 3)]
    assert keys(heir) == {(f"c-{i}", f"s-{i}") for i in (1, 2, 3)}
    assert None not in heir.snapshot("accounts", "_planhat_id").values()
    heir.quiet()
    assert previous_keys(heir) == []


def test_rows_without_a_record_are_new(project: Project, folder: Path, sandbox: Sandbox) -> None:
    accounts(project)
    heir = heir_of(project, folder, sandbox)
    accounts(heir)
    sandbox.tenant.remove("companies", project.snapshot("accounts", "_planhat_id")["c-2"])
    heir.declare("accounts", AFTER)
    outcome = heir.sync()
    assert outcome.counts("accounts") == {"updated": 2, "inserted": 1}
    assert keys(heir) == {("c-1", "s-1"), (None, "s-2"), ("c-3", "s-3")}
    heir.quiet()


def test_in_mode_update_rows_without_a_record_wait_for_one_of_the_new_key(
    project: Project, folder: Path, sandbox: Sandbox
) -> None:
    accounts(project)
    heir = heir_of(project, folder, sandbox)
    accounts(heir)
    sandbox.tenant.remove("companies", project.snapshot("accounts", "_planhat_id")["c-2"])
    heir.declare("accounts", {**AFTER, "mode": "update"})
    assert heir.sync().counts("accounts") == {"updated": 2, "held": 1}
    assert heir.failures() == {"s-2": ("held", "no_match")}
    sandbox.tenant.seed("companies", [{"name": "Back", "sourceId": "s-2"}])
    assert heir.sync().counts("accounts") == {"updated": 1}
    heir.quiet()


def test_people_are_found_in_the_company_that_the_snapshot_names(
    project: Project, folder: Path, sandbox: Sandbox
) -> None:
    """An e-mail may be two people's; one moves to another company while the key changes."""
    rows = [person(1), person(2), person(3)]
    people(project, *rows)
    project.sync()
    (twin,) = sandbox.tenant.seed("endusers", [{"email": "u1@example.com", "companyId": "extid-c-2"}])
    heir = heir_of(project, folder, sandbox)
    people_before = count(project, "endusers")
    heir.model("people", BY_MAIL, PEOPLE_COLUMNS, rows)
    heir.sync()
    assert set(heir.snapshot("people", "_planhat_id").values()) == {None}
    heir.sql("update people set account = 'c-2' where id = 'u-2'")
    heir.declare("people", BY_ID)
    outcome = heir.sync()
    assert outcome.counts("people") == {"updated": 3}
    sent = {row["externalId"]: row for row in outcome.sent("/endusers")}
    assert sent["u-2"].keys() == {"_id", "externalId", "companyId"}
    assert "externalId" not in sandbox.tenant.record("endusers", _id=twin)
    assert count(heir, "endusers") == people_before
    heir.quiet()


def test_a_row_whose_record_is_not_certain_is_held(project: Project, folder: Path, sandbox: Sandbox) -> None:
    people(project, person(1), person(2))
    project.sync()
    heir = heir_of(project, folder, sandbox)
    heir.model("people", BY_MAIL, PEOPLE_COLUMNS, [person(1), person(2)])
    heir.sync()
    (twin,) = sandbox.tenant.seed("endusers", [{"email": "u1@example.com", "companyId": "extid-c-1"}])
    heir.declare("people", BY_ID)
    for counts in ({"updated": 1, "held": 1}, {"held": 1}):
        outcome = heir.sync()
        assert outcome.counts("people") == counts
        assert heir.failures() == {"u-1": ("held", "no_id")}
    assert count(heir, "endusers") == 3
    sandbox.tenant.remove("endusers", twin)
    assert heir.sync().counts("people") == {"updated": 1}
    assert count(heir, "endusers") == 2
    heir.quiet()


def test_leaving_without_an_id_is_looked_up_by_the_old_key(
    project: Project, folder: Path, sandbox: Sandbox
) -> None:
    accounts(project, 4)
    heir = heir_of(project, folder, sandbox)
    accounts(heir, 4, on_removed="delete")
    heir.sql("delete from accounts where id = 'c-4'")
    heir.declare("accounts", {**AFTER, "on_removed": "delete"})
    assert heir.sync().counts("accounts") == {"updated": 3, "deleted": 1}
    assert keys(heir) == {(f"c-{i}", f"s-{i}") for i in (1, 2, 3)}
    heir.quiet()


def test_back_to_the_old_key_before_anything_was_sent(
    project: Project, folder: Path, sandbox: Sandbox
) -> None:
    accounts(project, 4)
    heir = heir_of(project, folder, sandbox)
    accounts(heir, 4)
    heir.sql("delete from accounts where id = 'c-4'")
    heir.declare("accounts", AFTER)
    assert heir.cli("plan").code == 0
    heir.declare("accounts", {**BEFORE, "previous_match": {"sourceId": "crm"}})
    heir.sync()
    assert keys(heir) == {(f"c-{i}", None) for i in (1, 2, 3, 4)}
    assert set(heir.snapshot("accounts")) == {"c-1", "c-2", "c-3", "c-4"}
    heir.quiet()
    heir.insert("accounts", [account(4)])
    heir.sync()
    assert count(heir) == 4


def test_rows_without_an_id_that_are_said_to_have_one_are_asked_after(
    project: Project, folder: Path, sandbox: Sandbox
) -> None:
    accounts(project)
    heir = heir_of(project, folder, sandbox)
    accounts(heir)
    for key, planhat_id in project.snapshot("accounts", "_planhat_id").items():
        heir.sql(f"update accounts set crm = '{planhat_id}' where id = '{key}'")
    heir.sql("update accounts set crm = '64b2a1c0f1e2d3c4b5a69788' where id = 'c-3'")
    heir.declare("accounts", {**AFTER, "match": {"_id": "crm"}})
    assert heir.sync().counts("accounts") == {"updated": 2, "held": 1}
    assert heir.failures() == {"64b2a1c0f1e2d3c4b5a69788": ("held", "no_match")}
    assert count(heir) == 3
