"""Modes update and insert, keys that must be found first, look-ups of people (DESIGN §5, §15)."""

from __future__ import annotations

from typing import Any

import pytest
from harness import Project, Row

from planhat_dbt.sandbox import Fault, FaultKind, Rules

PEOPLE = {"id": "varchar", "account": "varchar", "role": "varchar"}
UNKNOWN = "64b2a1c0f1e2d3c4b5a69788"


def seed_companies(project: Project, *keys: str) -> dict[str, str]:
    rows = [{"name": k, "externalId": k, "sourceId": f"crm-{k}"} for k in keys]
    return dict(zip(keys, project.sandbox.tenant.seed("companies", rows), strict=True))


def seed_people(project: Project, *people: Row) -> list[str]:
    return project.sandbox.tenant.seed("endusers", [{"companyId": "extid-a", **p} for p in people])


def people(project: Project, mode: str, *rows: tuple[Any, ...], **more: Any) -> None:
    block: Row = {
        "object": "enduser",
        "mode": mode,
        "match": {"externalId": "id"},
        "fields": {"companyId": {"company": "account"}, "position": "role"},
        **more,
    }
    project.model("people", block, PEOPLE, rows)


def roles(project: Project) -> dict[str, Any]:
    return {r["externalId"]: r.get("position") for r in project.sandbox.tenant.records("endusers")}


# -- update


def test_update_changes_what_is_there_and_creates_nothing(project: Project) -> None:
    seed_companies(project, "a")
    (known,) = seed_people(project, {"externalId": "p-1", "firstName": "Ada"})
    people(project, "update", ("p-1", "a", "CTO"), ("p-2", "a", "CEO"))
    outcome = project.sync()
    assert outcome.counts("people") == {"updated": 1, "held": 1}
    assert project.failures() == {"p-2": ("held", "no_match")}
    assert outcome.sent("/endusers") == [{"_id": known, "companyId": "extid-a", "position": "CTO"}]
    assert roles(project) == {"p-1": "CTO"}
    assert project.snapshot("people", "_planhat_id") == {"p-1": known}
    seed_people(project, {"externalId": "p-2"})
    outcome = project.sync()
    assert outcome.counts("people") == {"updated": 1}
    assert roles(project) == {"p-1": "CTO", "p-2": "CEO"}
    project.quiet()


def test_a_key_of_another_company_is_no_match(project: Project) -> None:
    ids = seed_companies(project, "a", "b")
    (theirs,) = seed_people(project, {"externalId": "p-1", "companyId": "extid-b"})
    people(project, "update", ("p-1", "a", "CTO"))
    project.sync()
    assert project.failures() == {"p-1": ("held", "no_match")}
    assert "another company" in project.query("select message from planhat_sync.failures")[0][0]
    (ours,) = seed_people(project, {"externalId": "p-1"})
    outcome = project.sync()
    assert [r["_id"] for r in outcome.sent("/endusers")] == [ours]
    held = {r["_id"]: (r["companyId"], r.get("position")) for r in project.sandbox.tenant.records("endusers")}
    assert held == {theirs: (ids["b"], None), ours: (ids["a"], "CTO")}


def test_without_a_company_several_records_of_one_key_are_no_match(project: Project) -> None:
    seed_companies(project, "a", "b")
    seed_people(
        project, {"externalId": "p-1"}, {"externalId": "p-1", "companyId": "extid-b"}, {"externalId": "p-2"}
    )
    people(project, "update", ("p-1", "a", "CTO"), ("p-2", "a", "CEO"), fields={"position": "role"})
    outcome = project.sync()
    assert "GET /endusers" in outcome.kinds, "only the list shows that a key is not unique"
    assert outcome.counts("people") == {"updated": 1, "held": 1}
    assert project.failures() == {"p-1": ("held", "no_match")}


def test_a_company_that_is_not_in_planhat_costs_no_call_for_its_people(project: Project) -> None:
    seed_companies(project, "a")
    people(project, "update", ("p-1", "nowhere", "CTO"))
    outcome = project.sync()
    assert outcome.kinds == ["GET /companies/extid-nowhere"]
    assert project.failures() == {"p-1": ("held", "no_match")}


@pytest.mark.parametrize("filter_", ["include", "only"])
def test_archived_people_are_found_too(project: Project, filter_: str) -> None:
    project.sandbox.rules = Rules(archived_filter=filter_)
    seed_companies(project, "a")
    seed_people(project, {"externalId": "p-1", "archived": True}, {"externalId": "p-2"})
    people(project, "update", ("p-1", "a", "CTO"), ("p-2", "a", "CEO"), ("p-3", "a", "CFO"))
    assert project.sync().counts("people") == {"updated": 2, "held": 1}


def test_a_record_that_was_deleted_is_held_and_looked_up_again(project: Project) -> None:
    seed_companies(project, "a")
    (first,) = seed_people(project, {"externalId": "p-1"})
    people(project, "update", ("p-1", "a", "CTO"))
    project.sync()
    project.sandbox.tenant.remove("endusers", first)
    project.replace("people", [("p-1", "a", "CEO")])
    outcome = project.sync(legal=False)  # nobody could know that the id is gone
    assert outcome.counts("people") == {"held": 1}
    assert project.failures() == {"p-1": ("held", "no_match")}
    assert roles(project) == {}, "an update brings nothing back"
    (second,) = seed_people(project, {"externalId": "p-1"})
    outcome = project.sync()
    assert [r["_id"] for r in outcome.sent("/endusers")] == [second]
    assert roles(project) == {"p-1": "CEO"}
    project.quiet()


def test_update_by_source_id_of_what_bulk_does_not_match(project: Project) -> None:
    seed_companies(project, "a")
    project.sandbox.tenant.seed(
        "opportunities", [{"companyId": "extid-a", "sourceId": "o-1", "title": "Old"}]
    )
    block: Row = {"object": "opportunity", "mode": "upsert", "match": {"sourceId": "id"}}
    block["fields"] = {"companyId": {"company": "account"}, "title": "title"}
    columns = {"id": "varchar", "account": "varchar", "title": "varchar"}
    project.model("deals", block, columns, [("o-1", "a", "Renewal"), ("o-2", "a", "Upsell")])
    outcome = project.sync()
    assert outcome.counts("deals") == {"inserted": 1, "updated": 1}
    assert [k for k in outcome.kinds if not k.startswith("GET")] == [
        "POST /opportunities",
        "PUT /opportunities",
    ]

    def titles() -> dict[str, str]:
        return {r["sourceId"]: r["title"] for r in project.sandbox.tenant.records("opportunities")}

    assert titles() == {"o-1": "Renewal", "o-2": "Upsell"}
    project.replace("deals", [("o-1", "a", "Won"), ("o-2", "a", "Upsell")])
    assert project.sync().kinds == ["PUT /opportunities"]
    assert titles() == {"o-1": "Won", "o-2": "Upsell"}


def test_a_create_in_doubt_is_looked_up_and_not_repeated(project: Project) -> None:
    seed_companies(project, "a")
    block: Row = {"object": "opportunity", "match": {"sourceId": "id"}}
    block["fields"] = {"companyId": {"company": "account"}, "title": "title"}
    columns = {"id": "varchar", "account": "varchar", "title": "varchar"}
    project.model("deals", block, columns, [("o-1", "a", "Renewal")])
    project.sandbox.faults.add(Fault(kind=FaultKind.RESET_AFTER, method="POST"))
    outcome = project.sync(code=1)
    assert outcome.counts("deals") == {"unknown": 1}
    outcome = project.sync()
    assert outcome.counts("deals") == {"updated": 1}
    assert len(project.sandbox.tenant.records("opportunities")) == 1
    assert project.failures() == {}


# -- match on _id


def test_upsert_by_id_never_creates(project: Project) -> None:
    ids = seed_companies(project, "a", "b")
    block: Row = {
        "object": "company",
        "match": {"_id": "id"},
        "fields": {"phase": "phase"},
        "on_removed": "delete",
    }
    rows = [(ids["a"], "Live"), (UNKNOWN, "Lost"), ("not an id", "x"), (ids["b"].upper(), "y")]
    project.model("phases", block, {"id": "varchar", "phase": "varchar"}, rows)
    outcome = project.sync(code=1)
    assert outcome.kinds == ["GET /leancompanies", "PUT /companies"]
    assert outcome.sent("/companies") == [{"_id": ids["a"], "phase": "Live"}]
    wrong = ("rejected", "bad_value")
    assert project.failures() == {
        "not an id": wrong,
        UNKNOWN: ("held", "no_match"),
        ids["b"].upper(): wrong,
    }
    project.replace("phases", [(ids["b"], "Live")])
    outcome = project.sync("--allow-removals", "phases")
    assert outcome.counts("phases") == {"updated": 1, "deleted": 1}
    assert [r["_id"] for r in project.sandbox.tenant.records("companies")] == [ids["b"]]


# -- insert


def test_insert_leaves_alone_what_is_there(project: Project) -> None:
    seed_companies(project, "a")
    (known,) = seed_people(project, {"externalId": "p-1", "position": "Boss"})
    people(project, "insert", ("p-1", "a", "CTO"), ("p-2", "a", "CEO"))
    outcome = project.sync()
    assert outcome.counts("people") == {"inserted": 1}
    assert outcome.status("people") == "success"
    assert roles(project) == {"p-1": "Boss", "p-2": "CEO"}
    assert project.snapshot("people") == {"p-1": "existing", "p-2": "synced"}
    assert project.snapshot("people", "_planhat_id")["p-1"] == known
    told = project.query("select key, operation, status, planhat_id from planhat_sync.changes order by key")
    assert told[0] == ("p-1", "insert", "existing", known)
    assert "1 row is in Planhat already" in outcome.out
    project.quiet()


def test_insert_tells_what_changed_and_sends_nothing(project: Project) -> None:
    seed_companies(project, "a")
    people(project, "insert", ("p-1", "a", "CTO"), ("p-2", "a", "CEO"))
    project.sync()
    project.replace("people", [("p-1", "a", "Chief"), ("p-3", "a", "CFO")])
    outcome = project.sync()
    assert outcome.counts("people") == {"inserted": 1}
    assert "1 row changed after it was created" in outcome.out
    assert roles(project) == {"p-1": "CTO", "p-2": "CEO", "p-3": "CFO"}
    changed = project.query("select _key from planhat_sync.plan__people where _code = 'changed_after_insert'")
    assert changed == [("p-1",)]
    outcome = project.sync()
    assert outcome.kinds == []
    assert outcome.status("people") == "nothing_to_do"
    assert outcome.code == 0


def test_an_insert_in_doubt_is_looked_up(project: Project) -> None:
    seed_companies(project, "a")
    people(project, "insert", ("p-1", "a", "CTO"))
    project.sandbox.rules = Rules(read_delay=0.5)
    project.sandbox.faults.add(Fault(kind=FaultKind.RESET_AFTER, method="PUT", path="/endusers", count=6))
    assert project.sync(code=1).counts("people") == {"unknown": 1}
    project.sandbox.faults.clear()
    outcome = project.sync()
    assert [k for k in outcome.kinds if not k.startswith("GET")] == []
    assert outcome.counts("people") == {}
    assert project.failures() == {}
    assert project.snapshot("people") == {"p-1": "existing"}
    assert len(project.sandbox.tenant.records("endusers")) == 1


NOTES = {"id": "varchar", "account": "varchar", "subject": "varchar"}


def notes(project: Project, rows: int, **more: Any) -> None:
    block: Row = {"object": "note", "mode": "insert", "key": "id"}
    block["fields"] = {"companyId": {"company": "account"}, "subject": "subject"}
    project.model("notes", {**block, **more}, NOTES, [(f"n-{i}", "a", f"Note {i}") for i in range(rows)])


def test_a_few_keyless_inserts_travel_alone_many_in_bulk(project: Project) -> None:
    seed_companies(project, "a")
    project.settings(single_insert_rows=3)
    notes(project, 3)
    assert project.sync().kinds == ["POST /conversations"] * 3
    assert all(project.snapshot("notes", "_planhat_id").values())
    project.insert("notes", [(f"m-{i}", "a", f"More {i}") for i in range(4)])
    outcome = project.sync()
    assert outcome.kinds == ["PUT /conversations"]
    assert outcome.counts("notes") == {"inserted": 4}
    assert len(project.sandbox.tenant.records("conversations")) == 7
    project.quiet()


@pytest.mark.parametrize("kind", [FaultKind.RESET_AFTER, FaultKind.WRONG_COUNTERS, FaultKind.TRUNCATED])
def test_keyless_bulk_in_doubt_is_held_as_a_whole(project: Project, kind: FaultKind) -> None:
    seed_companies(project, "a")
    project.settings(single_insert_rows=0)
    notes(project, 4)
    project.sandbox.faults.add(Fault(kind=kind, method="PUT", path="/conversations"))
    assert project.sync(code=1).counts("notes") == {"unknown": 4}
    outcome = project.sync(code=1)
    assert outcome.kinds == []
    assert len(project.sandbox.tenant.records("conversations")) == 4


@pytest.mark.parametrize(
    ("items", "outcome"), [("object", {"inserted": 3, "rejected": 1}), ("string", {"unknown": 4})]
)
def test_a_refused_row_of_a_keyless_bulk(project: Project, items: str, outcome: dict[str, int]) -> None:
    project.sandbox.rules = Rules(error_items=items)
    seed_companies(project, "a")
    project.settings(single_insert_rows=0)
    notes(project, 3)
    project.insert("notes", [("n-9", "nowhere", "Lost")])
    assert project.sync(code=1).counts("notes") == outcome
    assert len(project.sandbox.tenant.records("conversations")) == 3


# -- look-ups of people


OWNED = {"id": "varchar", "name": "varchar", "csm": "varchar"}


def owned(project: Project, *rows: tuple[Any, ...], **more: Any) -> None:
    owner = {"lookup": "user", "by": "email", "column": "csm"}
    block: Row = {
        "object": "company",
        "match": {"externalId": "id"},
        "fields": {"name": "name", "owner": owner},
    }
    project.model("owned", {**block, **more}, OWNED, rows)


def seed_user(project: Project, email: str) -> str:
    row = {"email": email, "nickName": "N", "firstName": "F", "lastName": "L"}
    (found,) = project.sandbox.tenant.seed("users", [row])
    return found


def owners(project: Project) -> dict[str, Any]:
    return {r["externalId"]: r.get("owner") for r in project.sandbox.tenant.records("companies")}


def test_owners_are_looked_up_once_for_all_rows(project: Project) -> None:
    ada, bob = seed_user(project, "ada@x.io"), seed_user(project, "bob@x.io")
    owned(project, ("1", "A", "ada@x.io"), ("2", "B", "bob@x.io"), ("3", "C", None), ("4", "D", "ada@x.io"))
    outcome = project.sync()
    assert outcome.kinds == ["GET /users", "PUT /companies"]
    assert owners(project) == {"1": ada, "2": bob, "3": None, "4": ada}
    project.quiet()
    project.sql("update owned set csm = 'bob@x.io' where id = '1'")
    outcome = project.sync()
    assert outcome.sent("/companies")[0]["owner"] == bob
    project.sql("update owned set csm = null where id = '1'")
    project.sync()
    assert owners(project)["1"] is None


def test_an_unknown_owner_holds_the_row_only_where_it_is_sent(project: Project) -> None:
    seed_user(project, "ada@x.io")
    owned(project, ("1", "A", "ada@x.io"), ("2", "B", "who@x.io"))
    outcome = project.sync()
    assert outcome.counts("owned") == {"inserted": 1, "held": 1}
    assert project.failures() == {"2": ("held", "lookup_missing")}
    assert "owner" in project.query("select message from planhat_sync.failures")[0][0]
    for user in project.sandbox.tenant.records("users"):
        project.sandbox.tenant.remove("users", user["_id"])
    project.sql("update owned set name = 'A2' where id = '1'")
    outcome = project.sync()
    assert outcome.counts("owned") == {"updated": 1, "held": 1}, "a name does not wait for an owner"
    who = seed_user(project, "who@x.io")
    assert project.sync().counts("owned") == {"inserted": 1}
    assert owners(project)["2"] == who


def test_endusers_are_looked_up_by_key(project: Project) -> None:
    seed_companies(project, "a")
    (person,) = seed_people(project, {"externalId": "p-1", "email": "p@x.io"})
    for by, key in (("externalId", "p-1"), ("email", "p@x.io")):
        contact = {"lookup": "enduser", "by": by, "column": "csm"}
        fields = {"name": "name", "custom": {"Contact": contact}}
        owned(project, (f"{by}-1", "A", key), (f"{by}-2", "B", "nobody"), fields=fields)
        outcome = project.sync()
        assert outcome.counts("owned") == {"inserted": 1, "held": 1}, by
        assert project.failures()[f"{by}-2"] == ("held", "lookup_missing")
        assert project.sandbox.tenant.record("companies", externalId=f"{by}-1")["custom"] == {
            "Contact": person
        }


# -- counting calls


def test_ids_for_removals_are_found_in_the_fewest_calls(project: Project) -> None:
    """Rows that were equal from the start have no id yet: the answer named none."""
    block: Row = {"object": "company", "match": {"externalId": "id"}, "fields": {"name": "name"}}
    keys = [f"c-{i}" for i in range(30)]
    project.sandbox.tenant.seed("companies", [{"name": k, "externalId": k} for k in keys])
    project.model(
        "firms",
        {**block, "on_removed": "delete"},
        {"id": "varchar", "name": "varchar"},
        [(k, k) for k in keys],
    )
    project.sync()
    assert set(project.snapshot("firms", "_planhat_id").values()) == {None}
    project.sql("delete from firms where id < 'c-3'")
    gone = [k for k in keys if k < "c-3"]
    outcome = project.sync("--allow-removals", "firms")
    assert outcome.counts("firms") == {"deleted": len(gone)}
    assert [k for k in outcome.kinds if k.startswith("GET")] == ["GET /leancompanies"]
    assert len(project.sandbox.tenant.records("companies")) == len(keys) - len(gone)


def test_a_failed_look_up_holds_all_and_sends_nothing(project: Project) -> None:
    seed_companies(project, "a")
    seed_people(project, {"externalId": "p-1"})
    people(project, "update", ("p-1", "a", "CTO"), ("p-2", "a", "CEO"))
    project.sandbox.faults.add(
        Fault(kind=FaultKind.STATUS, status=503, method="GET", path="/endusers", count=20)
    )
    outcome = project.sync(code=1, max_tries=2)
    assert outcome.counts("people") == {"held": 2}
    assert outcome.status("people") == "failed"
    assert [k for k in outcome.kinds if not k.startswith("GET")] == []
    project.sandbox.faults.clear()
    assert project.sync().counts("people") == {"updated": 1, "held": 1}


def test_a_limit_on_changes_counts_what_is_really_sent(project: Project) -> None:
    seed_companies(project, "a")
    seed_people(project, *({"externalId": f"p-{i}"} for i in range(4)))
    rows = [(f"p-{i}", "a", "CTO") for i in range(40)]
    people(project, "update", *rows, max_changes=5)
    assert project.sync().counts("people") == {"updated": 4, "held": 36}, "the first load is free"
    outcome = project.sync()
    assert outcome.code == 0, "36 rows are asked after, and none of them is sent"
    seed_people(project, *({"externalId": f"p-{i}"} for i in range(10, 20)))
    outcome = project.sync(code=3)
    assert "--allow-changes people" in outcome.out
    assert [k for k in outcome.kinds if not k.startswith("GET")] == []
    assert project.sync("--allow-changes", "people").counts("people") == {"updated": 10, "held": 26}


@pytest.mark.parametrize("mode", ["update", "insert"])
@pytest.mark.parametrize("case", ["exact", "ignore"])
def test_an_email_in_other_capitals_is_not_guessed(project: Project, mode: str, case: str) -> None:
    project.sandbox.rules = Rules(email_case=case)
    seed_companies(project, "a")
    seed_people(project, {"email": "Ada@x.io"}, {"email": "bob@x.io"})
    rows = [("ada@x.io", "a", "CTO"), ("bob@x.io", "a", "CEO")]
    people(project, mode, *rows, match={"email": "id"})
    outcome = project.sync()
    assert project.failures() == {"ada@x.io": ("held", "no_match")}
    assert outcome.counts("people") == ({"updated": 1, "held": 1} if mode == "update" else {"held": 1})
    assert len(project.sandbox.tenant.records("endusers")) == 2


def test_a_resync_of_an_insert_is_refused(project: Project) -> None:
    seed_companies(project, "a")
    people(project, "insert", ("p-1", "a", "CTO"))
    outcome = project.sync("--resync", "people", code=2)
    assert "never changes" in outcome.err
    assert outcome.kinds == []


def test_a_scan_gives_up_when_single_reads_are_cheaper(project: Project) -> None:
    """50 pages of endusers, two keys wanted: two pages, then the two keys."""
    seed_companies(project, "a")
    seed_people(project, *({"externalId": f"x-{i:05}"} for i in range(10_000)))
    seed_people(project, {"externalId": "p-1"}, {"externalId": "p-2"})
    people(project, "update", ("p-1", "a", "CTO"), ("p-2", "a", "CEO"))
    outcome = project.sync()
    reads = [k for k in outcome.kinds if k.startswith("GET /endusers")]
    assert sorted(reads) == [
        "GET /endusers",
        "GET /endusers",
        "GET /endusers/extid-p-1",
        "GET /endusers/extid-p-2",
    ]
    assert outcome.counts("people") == {"updated": 2}


def test_the_length_of_a_list_is_remembered(project: Project) -> None:
    seed_companies(project, "a")
    seed_people(project, *({"externalId": f"x-{i:05}"} for i in range(4_501)))
    people(project, "update", *((f"no-{i}", "a", "CTO") for i in range(5)))
    outcome = project.sync()
    assert [k for k in outcome.kinds if "endusers" in k] == ["GET /endusers"] * 3
    assert project.query("select value from planhat_sync.meta where setting = 'size:/endusers'") == [
        ("4501",)
    ]
    project.replace("people", [("x-00001", "a", "CEO"), ("x-00002", "a", "CEO")])
    outcome = project.sync()
    assert sorted(k for k in outcome.kinds if "endusers" in k) == [
        "GET /endusers/extid-x-00001",
        "GET /endusers/extid-x-00002",
        "PUT /endusers",
    ], "three pages would cost more"


def test_a_row_without_company_is_not_guessed_beside_rows_with_one(project: Project) -> None:
    seed_companies(project, "a", "b")
    seed_people(
        project, {"externalId": "p-1"}, {"externalId": "p-2"}, {"externalId": "p-2", "companyId": "extid-b"}
    )
    people(project, "update", ("p-1", "a", "CTO"), ("p-2", None, "CEO"))
    assert project.sync().counts("people") == {"updated": 1, "held": 1}
    assert project.failures() == {"p-2": ("held", "no_match")}
