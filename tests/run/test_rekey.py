"""A changed match key: the state goes on under the new one, and Planhat learns it; nothing is created twice."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from harness import Project, Row

from planhat_dbt.sandbox import Fault, FaultKind, Sandbox
from run.rekeying import (
    AFTER,
    BEFORE,
    BY_ID,
    BY_MAIL,
    COLUMNS,
    account,
    accounts,
    count,
    heir_of,
    keys,
    people,
    person,
    previous_keys,
)
from run.test_interruption import SLOW, slow
from run.test_mapping import rest

# -- ids are known


@pytest.mark.parametrize("planned", [True, False])
def test_each_record_learns_its_new_key_once(project: Project, planned: bool) -> None:
    accounts(project)
    ids = project.snapshot("accounts", "_planhat_id")
    project.declare("accounts", AFTER)
    if planned:
        outcome = project.cli("plan")
        assert (outcome.code, outcome.kinds) == (0, [])
        assert "accounts is matched on sourceId from now on" in outcome.err
    outcome = project.sync()
    assert ("from now on" in outcome.err) is not planned
    assert outcome.kinds == ["GET /customfields", "PUT /companies"]
    sent = sorted(outcome.sent("/companies"), key=lambda row: str(row["sourceId"]))
    assert sent == [{"_id": ids[f"c-{i}"], "sourceId": f"s-{i}"} for i in (1, 2, 3)]
    assert outcome.counts("accounts") == {"updated": 3}
    assert keys(project) == {(f"c-{i}", f"s-{i}") for i in (1, 2, 3)}
    assert project.snapshot("accounts", "_planhat_id") == {f"s-{i}": ids[f"c-{i}"] for i in (1, 2, 3)}
    assert previous_keys(project) == []
    (changes,) = project.query("select changes from planhat_sync.changes where key = 's-1'")
    assert changes == ('{"sourceId":[null,"s-1"]}',)
    project.quiet()
    project.declare("accounts", {k: v for k, v in AFTER.items() if k != "previous_match"})
    project.quiet()
    project.insert("accounts", [account(4)])
    project.sql("update accounts set seats = 9 where id = 'c-2'")
    assert project.sync().counts("accounts") == {"inserted": 1, "updated": 1}


def test_other_changes_travel_along(project: Project) -> None:
    accounts(project)
    project.declare(
        "accounts", {**AFTER, "fields": {**AFTER["fields"], "externalId": "id", "description": "name"}}
    )
    project.sql(
        "update accounts set seats = 9 where id = 'c-2'", "update accounts set id = 'new' where id = 'c-3'"
    )
    project.insert("accounts", [account(4)])
    project.sql("update accounts set id = 'c-3' where id = 'new'")
    outcome = project.sync()
    assert outcome.counts("accounts") == {"inserted": 1, "updated": 3}
    by_key = {row["sourceId"]: row for row in outcome.sent("/companies")}
    assert by_key["s-2"].keys() == {"_id", "sourceId", "externalId", "description", "custom"}
    assert by_key["s-1"].keys() == {"_id", "sourceId", "externalId", "description"}
    assert count(project) == 4
    project.quiet()


def test_from_email_to_external_id_and_back(project: Project) -> None:
    people(project, person(1), person(2, account="c-2"))
    project.sync()
    project.declare("people", BY_ID)
    sent = sorted(rest(project.sync().sent("/endusers")), key=str)
    assert sent == [{"externalId": "u-1"}, {"externalId": "u-2"}]
    assert keys(project, "endusers") == {("u1@example.com", "u-1"), ("u2@example.com", "u-2")}
    project.quiet()
    project.declare("people", {**BY_MAIL, "previous_match": {"externalId": "id"}})
    sent = sorted(rest(project.sync().sent("/endusers")), key=str)
    assert sent == [{"email": f"u{i}@example.com"} for i in (1, 2)]
    project.quiet()


def test_to_planhats_own_id(project: Project) -> None:
    accounts(project)
    for key, planhat_id in project.snapshot("accounts", "_planhat_id").items():
        project.sql(f"update accounts set crm = '{planhat_id}' where id = '{key}'")
    project.declare("accounts", {**AFTER, "match": {"_id": "crm"}})
    project.quiet()
    project.sql("update accounts set seats = 9 where id = 'c-2'")
    assert rest(project.sync().sent("/companies")) == [{"custom": {"Seats": 9}}]
    project.declare("accounts", {**BEFORE, "previous_match": {"_id": "crm"}})
    sent = sorted(rest(project.sync().sent("/companies")), key=str)
    assert sent == [{"externalId": f"c-{i}"} for i in (1, 2, 3)]
    project.quiet()
    assert count(project) == 3


def test_another_id_than_planhats_is_refused(project: Project) -> None:
    accounts(project)
    project.sql("update accounts set crm = '64b2a1c0f1e2d3c4b5a69788' where id = 'c-2'")
    project.sql("update accounts set crm = '64b2a1c0f1e2d3c4b5a6978' || substr(id, 3) where id <> 'c-2'")
    project.declare("accounts", {**AFTER, "match": {"_id": "crm"}})
    outcome = project.sync(code=2)
    assert "3 rows have another `_id` in Planhat: c-1, c-2, c-3" in outcome.err
    assert set(project.snapshot("accounts")) == {"c-1", "c-2", "c-3"}


def test_mode_update_writes_the_new_key_too(project: Project) -> None:
    accounts(project, mode="upsert")
    project.declare("accounts", {**AFTER, "mode": "update"})
    outcome = project.sync()
    assert outcome.kinds == ["GET /customfields", "PUT /companies"]
    assert keys(project) == {(f"c-{i}", f"s-{i}") for i in (1, 2, 3)}
    project.quiet()


# -- rows that leave and come back


def test_a_row_that_leaves_at_the_same_time_is_deleted(project: Project) -> None:
    accounts(project, 4, on_removed="delete")
    project.sql("delete from accounts where id = 'c-4'")
    project.declare("accounts", {**AFTER, "on_removed": "delete"})
    outcome = project.sync()
    assert outcome.counts("accounts") == {"updated": 3, "deleted": 1}
    assert keys(project) == {(f"c-{i}", f"s-{i}") for i in (1, 2, 3)}
    assert project.snapshot("accounts")["c-4"] == "deleted"
    project.quiet()
    assert previous_keys(project) == []
    project.insert("accounts", [account(4)])
    assert project.sync().counts("accounts") == {"inserted": 1}
    project.quiet()


@pytest.mark.parametrize("on_removed", ["keep", "clear"])
def test_a_row_that_comes_back_is_the_same_record(project: Project, on_removed: str) -> None:
    accounts(project, 4, on_removed=on_removed)
    left = project.snapshot("accounts", "_planhat_id")["c-4"]
    project.sql("delete from accounts where id = 'c-4'")
    project.declare("accounts", {**AFTER, "on_removed": on_removed})
    project.sync()
    assert previous_keys(project) == [("c-4", "externalId", "c-4", False)]
    project.quiet()
    project.insert("accounts", [account(4)])
    outcome = project.sync()
    assert outcome.counts("accounts") == {"updated": 1}
    (sent,) = outcome.sent("/companies")
    assert (sent["_id"], sent["sourceId"]) == (left, "s-4")
    assert keys(project) == {(f"c-{i}", f"s-{i}") for i in (1, 2, 3, 4)}
    assert previous_keys(project) == []
    project.quiet()


def test_a_row_cleared_before_it_was_told_its_new_key_is_told_when_it_comes_back(project: Project) -> None:
    accounts(project, 3, on_removed="clear")
    project.declare("accounts", {**AFTER, "on_removed": "clear"})
    assert project.cli("plan").code == 0
    project.sql("delete from accounts where id = 'c-3'")
    assert project.sync().counts("accounts") == {"updated": 2, "cleared": 1}
    project.insert("accounts", [account(3)])
    (sent,) = project.sync().sent("/companies")
    assert (sent["sourceId"], sent["custom"]) == ("s-3", {"Seats": 3})
    project.quiet()


def test_a_new_key_that_a_row_left_behind_is_refused(project: Project) -> None:
    accounts(project)
    project.sql("delete from accounts where id = 'c-3'", "update accounts set crm = 'c-3' where id = 'c-1'")
    project.declare("accounts", AFTER)
    outcome = project.sync(code=2)
    assert "1 row left the model and would be taken for other rows" in outcome.err
    project.sql("update accounts set crm = 's-1' where id = 'c-1'")
    project.sync()
    project.insert("accounts", [account(5, crm="c-3")])
    for _ in range(2):
        outcome = project.sync(code=2)
        assert "c-3" in outcome.err
        assert outcome.kinds == []


# -- refusals


def test_without_previous_match_the_way_out_is_told(project: Project) -> None:
    accounts(project)
    project.declare("accounts", {**BEFORE, "match": {"sourceId": "crm"}})
    outcome = project.sync(code=2)
    assert "`previous_match: {externalId: <column that still carries it>}`" in outcome.err
    project.declare("accounts", {**AFTER, "previous_match": {"_id": "id"}})
    assert "`previous_match: {externalId:" in project.sync(code=2).err
    project.declare("accounts", BEFORE)
    project.quiet()


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (
            "update accounts set crm = null where id in ('c-1', 'c-2')",
            "2 rows have no new key (sourceId is NULL",
        ),
        ("update accounts set crm = '' where id = 'c-2'", "1 row have no new key"),
        ("update accounts set crm = 's-1' where id = 'c-2'", "2 rows share their new key"),
        (
            "insert into accounts values ('c-2', 's-9', 'Twice', 1)",
            "1 row stand in several rows of the model",
        ),
        ("update accounts set id = 'x' || id", "none of its 3 keys (externalId) stands in column id"),
        ("delete from accounts", "none of its 3 keys"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "sync"])
def test_what_would_lose_a_row_is_refused(project: Project, statement: str, says: str, command: str) -> None:
    accounts(project)
    project.sql(statement)
    project.declare("accounts", AFTER)
    outcome = project.cli(command)
    assert (outcome.code, outcome.kinds) == (2, [])
    assert says in outcome.err, outcome.err
    assert set(project.snapshot("accounts")) == {"c-1", "c-2", "c-3"}
    project.replace("accounts", [account(i) for i in (1, 2, 3)])
    project.sync()
    assert keys(project) == {(f"c-{i}", f"s-{i}") for i in (1, 2, 3)}


def test_new_rows_of_unknown_outcome_are_settled_under_the_old_key_first(project: Project) -> None:
    accounts(project)
    project.insert("accounts", [account(4)])
    slow(project, path="/companies")
    process = project.start("sync")
    project.wait_for_calls(2, process)  # the first reads the custom fields
    process.kill()
    process.communicate()
    project.sandbox.faults.clear()
    time.sleep(2 * SLOW)
    assert project.cli("plan").code == 0
    project.declare("accounts", AFTER)
    outcome = project.sync(code=2)
    assert "may have been created under the old key" in outcome.err
    assert "c-4" in outcome.err
    project.declare("accounts", BEFORE)
    project.sync()
    project.declare("accounts", AFTER)
    project.sync()
    assert count(project) == 4
    project.quiet()


def test_a_new_key_that_another_record_has_is_refused_by_planhat_and_changes_no_other(
    project: Project,
) -> None:
    accounts(project)
    (other,) = project.sandbox.tenant.seed("companies", [{"name": "Other", "sourceId": "s-2"}])
    before = project.sandbox.tenant.record("companies", _id=other)
    project.declare("accounts", AFTER)
    outcome = project.sync(code=1)
    assert outcome.counts("accounts") == {"updated": 2, "rejected": 1}
    assert project.failures() == {"s-2": ("rejected", "refused")}
    assert project.sandbox.tenant.record("companies", _id=other) == before
    assert count(project) == 4
    project.sandbox.tenant.remove("companies", other)
    assert rest(project.sync().sent("/companies")) == [{"sourceId": "s-2"}]
    project.quiet()


def test_a_record_deleted_in_planhat_is_made_anew_under_the_new_key(project: Project) -> None:
    accounts(project)
    project.sandbox.tenant.remove("companies", project.snapshot("accounts", "_planhat_id")["c-2"])
    project.declare("accounts", AFTER)
    outcome = project.sync(legal=False)
    assert outcome.counts("accounts") == {"updated": 3}
    assert keys(project) == {("c-1", "s-1"), (None, "s-2"), ("c-3", "s-3")}
    project.quiet()


# -- what depends on it


def test_failures_take_the_new_key(project: Project) -> None:
    accounts(project)
    project.insert("accounts", [account(4, name=None)])
    project.sync(code=1)
    since = project.query("select first_seen_at from planhat_sync.failures")
    project.declare("accounts", AFTER)
    project.sync(code=1)
    assert project.failures() == {"s-4": ("rejected", "missing_required")}
    assert project.query("select first_seen_at from planhat_sync.failures") == since


def test_children_wait_until_their_parents_new_key_is_told(project: Project) -> None:
    accounts(project)
    users = {"object": "enduser", "match": {"email": "mail"}}
    columns = {"mail": "varchar", "id": "varchar", "crm": "varchar"}
    project.model(
        "users",
        {**users, "fields": {"companyId": {"company": "id"}}},
        columns,
        [(f"{i}@example.com", f"c-{i}", f"s-{i}") for i in (1, 2)],
    )
    project.sync()
    project.sandbox.tenant.seed("companies", [{"name": "Other", "sourceId": "s-2"}])
    project.declare("accounts", AFTER)
    by_source = {"companyId": {"company": "crm", "by": "sourceId"}}
    project.declare("users", {**users, "fields": by_source})
    assert project.cli("plan").code == 0
    planned = dict(project.query("select _key, _operation from planhat_sync.plan__users"))
    assert planned == {"1@example.com": "update", "2@example.com": "update"}
    outcome = project.sync(code=1)
    assert outcome.counts("users") == {"updated": 1, "held": 1}
    assert project.failures() == {
        "s-2": ("rejected", "refused"),
        "2@example.com": ("held", "parent_missing"),
    }
    (other,) = (r["_id"] for r in project.sandbox.tenant.records("companies") if r["name"] == "Other")
    project.sandbox.tenant.remove("companies", other)
    assert project.sync().counts("users") == {"updated": 1}
    project.quiet()


@pytest.mark.parametrize("also_children", [True, False])
def test_children_of_a_company_that_is_deleted_later(project: Project, also_children: bool) -> None:
    accounts(project, on_removed="delete")
    users = {"object": "enduser", "match": {"email": "mail"}}
    columns = {"mail": "varchar", "id": "varchar", "crm": "varchar"}
    rows = [(f"{i}@example.com", f"c-{i}", f"s-{i}") for i in (1, 2)]
    project.model("users", {**users, "fields": {"companyId": {"company": "id"}}}, columns, rows)
    project.sync()
    project.declare("accounts", {**AFTER, "on_removed": "delete"})
    if also_children:
        project.declare("users", {**users, "fields": {"companyId": {"company": "crm", "by": "sourceId"}}})
    project.sync()
    project.quiet()
    project.sql("delete from accounts where id = 'c-2'")
    assert project.sync().counts("accounts") == {"deleted": 1}
    state = project.snapshot("users")
    assert state["2@example.com"] == ("deleted" if also_children else "synced")


def test_a_sync_is_renamed_and_rekeyed_at_once(project: Project, folder: Path, sandbox: Sandbox) -> None:
    accounts(project)
    heir = heir_of(project, folder, sandbox)
    accounts(heir)
    heir.declare("accounts", {**AFTER, "name": "firms", "previous_name": "accounts"})
    assert heir.cli("plan").code == 0
    heir.declare("accounts", {**AFTER, "name": "shops", "previous_name": "firms"})
    outcome = heir.sync()
    assert outcome.counts("shops") == {"updated": 3}
    assert count(heir) == 3
    heir.quiet()


def test_a_kill_while_the_new_keys_are_sent(project: Project) -> None:
    project.settings(batch_rows=2)
    accounts(project, 9)
    project.declare("accounts", AFTER)
    slow(project, path="/companies")
    process = project.start("sync")
    project.wait_for_calls(2, process)
    process.kill()
    process.communicate()
    project.sandbox.faults.clear()
    time.sleep(2 * SLOW)
    project.sync()
    assert keys(project) == {(f"c-{i}", f"s-{i}") for i in range(1, 10)}
    project.quiet()


def test_an_answer_that_is_lost_is_asked_for_again(project: Project) -> None:
    accounts(project)
    project.declare("accounts", AFTER)
    project.sandbox.faults.add(Fault(kind=FaultKind.RESET_AFTER, method="PUT"))
    project.sync()
    assert keys(project) == {(f"c-{i}", f"s-{i}") for i in (1, 2, 3)}
    project.quiet()


def test_an_opportunity_gets_a_key_that_bulk_calls_do_not_know(project: Project) -> None:
    project.sandbox.tenant.seed("companies", [{"name": "c-1", "externalId": "c-1"}])
    columns = {"id": "varchar", "crm": "varchar", "account": "varchar", "title": "varchar"}
    block: Row = {"object": "opportunity", "fields": {"companyId": {"company": "account"}, "title": "title"}}
    rows = [(f"o-{i}", f"s-{i}", "c-1", f"Deal {i}") for i in (1, 2)]
    project.model("deals", {**block, "match": {"externalId": "id"}}, columns, rows)
    project.sync()
    project.declare("deals", {**block, "match": {"sourceId": "crm"}, "previous_match": {"externalId": "id"}})
    outcome = project.sync()
    assert sorted(rest(outcome.sent("/opportunities")), key=str) == [{"sourceId": "s-1"}, {"sourceId": "s-2"}]
    project.quiet()
    assert len(project.sandbox.tenant.records("opportunities")) == 2


@pytest.mark.sampled(3)
@pytest.mark.parametrize("seed", range(6))
def test_planhat_has_as_many_records_as_before(
    project: Project, folder: Path, sandbox: Sandbox, seed: int
) -> None:
    """Whatever has an id, left, came, was cleared or is new under a key that looks like an old one."""
    random_ = random.Random(seed)
    numbers = range(1, 21)
    rows = [account(i, id=str(i), crm=str(100 + i)) for i in numbers]
    project.model("accounts", BEFORE, COLUMNS, random_.sample(rows, 12))
    project.sync()
    heir = heir_of(project, folder, sandbox)
    settings: Row = {"on_removed": random_.choice(["keep", "clear"]), "max_removals": 20}
    heir.model("accounts", {**BEFORE, **settings}, COLUMNS, rows)
    heir.sync()
    before = count(heir)
    stay = random_.sample(rows, 15)
    heir.replace("accounts", stay)
    if random_.random() < 0.5:
        heir.sync()
    heir.sql("update accounts set seats = seats + 1 where cast(id as integer) % 3 = 0")
    heir.declare("accounts", {**AFTER, **settings})
    outcome = heir.sync()
    assert count(heir) == before
    told = {r.get("sourceId") for r in sandbox.tenant.records("companies")} - {None}
    assert told == {row[1] for row in stay}
    assert len(outcome.sent("/companies")) >= 15
    heir.quiet()
    heir.replace("accounts", rows)
    heir.sync()
    assert count(heir) == before
    assert keys(heir) == {(row[0], row[1]) for row in rows}
    heir.quiet()
