"""What must hold where a plan meets what is not known: half-made records, first loads, refusals, failed look-ups."""

from __future__ import annotations

from typing import Any

import pytest
from harness import Project, Row

from planhat_dbt.sandbox import Fault, FaultKind, Rules
from run.test_modes import owned, people, roles, seed_companies, seed_people, seed_user

PERSON = {"mail": "varchar", "account": "varchar", "first": "varchar", "last": "varchar"}
DEAL = {"id": "varchar", "account": "varchar", "title": "varchar"}
DEALS: Row = {
    "object": "opportunity",
    "match": {"sourceId": "id"},
    "fields": {"companyId": {"company": "account"}, "title": "title"},
}


@pytest.mark.parametrize("lost", ["answer", "process"])
def test_a_part_of_a_record_is_made_whole_after_doubt(
    project: Project, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Matched on e-mail no answer names an `_id`: a change goes by key, and makes a part of a record if it is gone."""
    seed_companies(project, "a")
    block: Row = {"object": "enduser", "match": {"email": "mail"}}
    block["fields"] = {"companyId": {"company": "account"}, "firstName": "first", "lastName": "last"}
    project.model("people", block, PERSON, [("p@x.io", "a", "Ann", "Lee")])
    project.sync()
    (record,) = project.sandbox.tenant.records("endusers")
    project.sandbox.tenant.remove("endusers", record["_id"])
    project.replace("people", [("p@x.io", "a", "Anna", "Lee")])
    if lost == "answer":
        project.sandbox.faults.add(Fault(kind=FaultKind.RESET_AFTER, method="PUT", path="/endusers", count=3))
        assert project.sync(code=1, max_tries=3).counts("people") == {"unknown": 1}
    else:
        with monkeypatch.context() as patched:
            patched.setattr("planhat_dbt.run.deliver_step._Deliverer._send_whole", _die)
            with pytest.raises(_DiedError):
                project.sync()
    project.cli("plan")
    assert project.snapshot("people") == {"p@x.io": "existing"}, "what it holds is not known"
    assert project.sync().counts("people") == {"updated": 1}
    (record,) = project.sandbox.tenant.records("endusers")
    assert (record["firstName"], record["lastName"]) == ("Anna", "Lee")
    project.quiet()


class _DiedError(BaseException):
    pass


def _die(*_: object) -> None:
    raise _DiedError


@pytest.mark.parametrize("duplicates", ["create", "refuse"])
def test_a_record_found_by_key_is_made_anew_once(project: Project, duplicates: str) -> None:
    project.sandbox.rules = Rules(post_duplicates=duplicates)
    seed_companies(project, "a")
    project.model("deals", DEALS, DEAL, [("o-1", "a", "Renewal")])
    project.sync()
    (record,) = project.sandbox.tenant.records("opportunities")
    project.sandbox.tenant.remove("opportunities", record["_id"])
    project.replace("deals", [("o-1", "a", "Upsell")])
    assert project.sync(legal=False).counts("deals") == {"held": 1}
    project.sandbox.faults.add(Fault(kind=FaultKind.RESET_AFTER, method="POST"))
    assert project.sync(code=1).counts("deals") == {"unknown": 1}
    assert project.sync().counts("deals") == {"updated": 1}
    (record,) = project.sandbox.tenant.records("opportunities")
    assert record["title"] == "Upsell"


def test_two_people_of_one_email_are_not_guessed_by_a_part_of_the_list(project: Project) -> None:
    seed_companies(project, "a", "b")
    seed_people(project, *({"email": f"u{i}@x.io"} for i in range(2_000)))
    seed_people(project, {"email": "u1@x.io", "companyId": "extid-b"})
    rows = [("u1@x.io", None, "CTO"), ("u2@x.io", None, "CEO"), ("none@x.io", None, "CFO")]
    people(project, "update", *rows, match={"email": "id"}, fields={"position": "role"})
    assert project.sync().counts("people") == {"updated": 1, "held": 2}
    assert project.failures() == {"u1@x.io": ("held", "no_match"), "none@x.io": ("held", "no_match")}


def test_records_found_by_a_first_load_do_not_end_it(project: Project) -> None:
    seed_companies(project, "a")
    seed_people(project, {"externalId": "p-0"})
    people(project, "insert", *((f"p-{i}", "a", "CTO") for i in range(20)), max_changes="50%")
    assert project.sync().counts("people") == {"inserted": 19}


def test_refused_updates_carry_planhats_words_and_cost_few_reads(project: Project) -> None:
    seed_companies(project, "a")
    seed_people(project, *({"externalId": f"p-{i}"} for i in range(120)))
    fields: Row = {"position": "role", "custom": {"Nowhere": "role"}}
    fields["companyId"] = {"company": "account"}
    people(project, "update", *((f"p-{i}", "a", "CTO") for i in range(120)), fields=fields)
    project.sandbox.rules = Rules(unknown_custom="refuse")
    outcome = project.sync(code=1)
    assert outcome.counts("people") == {"rejected": 120}
    assert sum(1 for k in outcome.kinds if k.startswith("GET /endusers/")) == 50
    told = project.query("select distinct message from planhat_sync.failures")
    assert told == [("Planhat refused this update: custom.Nowhere: no such custom field",)]


def test_a_look_up_after_a_refusal_that_fails_says_so(project: Project) -> None:
    seed_companies(project, "a")
    seed_people(project, {"externalId": "p-1"}, {"externalId": "p-2"})
    people(project, "update", ("p-1", "a", "CTO"), ("p-2", "a", "CEO"))
    project.sync()
    project.replace("people", [("p-1", "a", "x"), ("p-2", "a", "y")])
    project.sandbox.faults.add(
        Fault(kind=FaultKind.STATUS, status=401, method="GET", path="/endusers/", count=9)
    )
    project.sandbox.rules = Rules(denied=("endusers:update",))
    assert project.sync(code=1).counts("people") == {"rejected": 2}, "a missing right needs no look-up"
    project.sandbox.rules = Rules()
    for person in project.sandbox.tenant.records("endusers"):
        project.sandbox.tenant.remove("endusers", person["_id"])
    outcome = project.sync(code=1, legal=False)
    assert outcome.counts("people") == {"held": 1, "rejected": 1}
    assert {code for _, code in project.failures().values()} == {"not_sent", "refused"}
    assert outcome.status("people") == "failed", "a token that is refused ends the run"


def test_what_an_existing_record_holds_is_not_known_so_all_of_it_is_emptied(project: Project) -> None:
    seed_companies(project, "a")
    seed_people(project, {"externalId": "p-1", "position": "Boss"}, {"externalId": "p-2", "position": "Boss"})
    people(project, "insert", ("p-1", "a", "CTO"), ("p-2", "a", None), ("p-3", "a", "CFO"))
    project.sync()
    fields = {"companyId": {"company": "account"}, "position": "role"}
    people(project, "upsert", ("p-2", "a", None), ("p-3", "a", "CFO"), fields=fields, on_removed="clear")
    outcome = project.sync()
    assert outcome.counts("people") == {"updated": 1, "cleared": 1}
    assert roles(project) == {"p-1": None, "p-2": None, "p-3": "CFO"}
    project.quiet()


def test_rows_held_by_a_failed_look_up_of_people_are_told_as_held(project: Project) -> None:
    seed_companies(project, "1", "2")
    seed_user(project, "ada@x.io")
    project.sandbox.faults.add(
        Fault(kind=FaultKind.STATUS, status=503, method="GET", path="/users", count=20)
    )
    owned(project, *((str(i), "A", "ada@x.io") for i in range(1, 7)), mode="update")
    outcome = project.sync(code=1, max_tries=2)
    assert outcome.counts("owned") == {"held": 6}
    assert {code for _, code in project.failures().values()} == {"not_sent", "no_match"}


def test_children_of_mode_insert_come_back_with_their_company(project: Project) -> None:
    company: Row = {"object": "company", "match": {"externalId": "id"}, "fields": {"name": "name"}}
    project.model("firms", company, {"id": "varchar", "name": "varchar"}, [("a", "A")])
    note: Row = {"object": "note", "mode": "insert", "key": "id"}
    note["fields"] = {"companyId": {"company": "account"}, "subject": "title"}
    project.model("notes", note, DEAL, [("n-1", "a", "Note")])
    project.sync()
    (firm,) = project.sandbox.tenant.records("companies")
    project.sandbox.tenant.remove("companies", firm["_id"])
    assert project.sandbox.tenant.records("conversations") == []
    project.replace("firms", [("a", "A2")])
    outcome = project.sync(legal=False)
    assert outcome.counts("notes") == {"inserted": 1}
    assert len(project.sandbox.tenant.records("conversations")) == 1
    project.quiet()


def test_names_with_quotes_and_unicode(project: Project) -> None:
    seed_companies(project, "a")
    seed_people(project, {"externalId": "p'1"}, {"externalId": 'p"2'}, {"externalId": "größe/3"})
    rows: list[tuple[Any, ...]] = [
        ("p'1", "a", "x"),
        ('p"2', "a", "y"),
        ("größe/3", "a", "z"),
        ("'; --", "a", "?"),
    ]
    people(project, "update", *rows, fields={"custom": {'It\'s "odd" größe': "role"}})
    assert project.sync().counts("people") == {"updated": 3, "held": 1}
