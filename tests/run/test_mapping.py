"""A changed declaration: what is sent is what the change concerns, and nothing else (DESIGN §5)."""

from __future__ import annotations

from typing import Any

import pytest
from harness import Project, Row

from run.shop import COMPANIES, add_companies, add_endusers, company, enduser, mirrors, seed_company

FIELDS: Row = COMPANIES["fields"]


def declare(project: Project, **fields: Any) -> None:
    project.declare("companies", {**COMPANIES, "fields": fields})


def rest(rows: list[Row]) -> list[Row]:
    """Rows without what says whose they are."""
    assert all("_id" in row for row in rows)
    return [{k: v for k, v in row.items() if k != "_id"} for row in rows]


def test_a_new_field_is_sent_alone_for_all_rows(project: Project) -> None:
    add_companies(project, 3)
    project.sync()
    declare(project, **FIELDS, description="phase")
    outcome = project.sync()
    assert rest(outcome.sent("/companies")) == [{"description": "Live"}] * 3
    project.quiet()


def test_a_new_custom_field_that_is_null_somewhere(project: Project) -> None:
    add_companies(project, 2)
    project.insert("companies", [company(3, phase=None)])
    project.sync()
    declare(project, name="name", phase="phase", custom={"Seats": "seats", "Stage": "phase"})
    outcome = project.sync()
    sent = rest(outcome.sent("/companies"))
    assert {"custom": {"Stage": "Live"}} in sent
    assert all(row.keys() == {"custom"} and row["custom"].keys() == {"Stage"} for row in sent)
    project.quiet()


def test_a_removed_field_is_forgotten_and_one_that_returns_is_sent_again(project: Project) -> None:
    add_companies(project, 3)
    project.sync()
    declare(project, name="name", custom={"Seats": "seats"})
    project.quiet()
    project.sql("update companies set phase = 'Risk' where id = 'c-2'")
    project.quiet()
    assert {r["phase"] for r in project.sandbox.tenant.records("companies")} == {"Live"}
    declare(project, **FIELDS)
    outcome = project.sync()
    assert [row["phase"] for row in rest(outcome.sent("/companies"))].count("Risk") == 1
    assert mirrors(project)
    project.quiet()


def test_another_key_of_the_same_company(project: Project) -> None:
    project.sandbox.tenant.seed("companies", [{"name": "Acme", "externalId": "c-1", "sourceId": "c-1"}])
    add_endusers(project, [enduser(1), enduser(2)])
    project.sync()
    fields = {"companyId": {"company": "account", "by": "sourceId"}, "email": "email", "position": "role"}
    project.declare("endusers", {"object": "enduser", "match": {"externalId": "id"}, "fields": fields})
    outcome = project.sync()
    assert rest(outcome.sent("/endusers")) == [{"companyId": "srcid-c-1"}] * 2
    project.quiet()


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("before", "after", "sent"),
    [
        ("integer", "bigint", []),
        ("integer", "decimal(12,2)", []),
        ("integer", "double", []),
        ("bigint", "integer", []),
        ("decimal(12,2)", "decimal(18,4)", []),
        ("integer", "varchar", [{"custom": {"Seats": "1"}}, {"custom": {"Seats": "2"}}]),
        ("varchar", "integer", [{"custom": {"Seats": 1}}, {"custom": {"Seats": 2}}]),
    ],
)
def test_a_retyped_column(project: Project, before: str, after: str, sent: list[Row]) -> None:
    columns = {"id": "varchar", "name": "varchar", "phase": "varchar"}
    rows = [company(1), company(2)]
    project.model("companies", COMPANIES, {**columns, "seats": before}, rows)
    project.sync()
    project.model("companies", COMPANIES, {**columns, "seats": after}, rows)
    outcome = project.sync()
    assert sorted(rest(outcome.sent("/companies")), key=str) == sent
    project.quiet()
    project.sql("update companies set seats = 7 where id = 'c-1'")
    value: Any = "7" if after == "varchar" else 7
    assert rest(project.sync().sent("/companies")) == [{"custom": {"Seats": value}}]


def test_a_changed_constant_is_sent_alone(project: Project) -> None:
    add_companies(project, 2)
    declare(project, **FIELDS, status={"value": "prospect"})
    project.sync()
    declare(project, **FIELDS, status={"value": "customer"})
    outcome = project.sync()
    assert rest(outcome.sent("/companies")) == [{"status": "customer"}] * 2
    project.quiet()


@pytest.mark.parametrize(
    "change",
    [
        {"match": {"sourceId": "id"}},
        {"object": "asset", "fields": {"name": "name", "companyId": {"company": "id"}}},
    ],
    ids=["match key", "object"],
)
def test_another_object_or_key_is_refused_with_the_way_out(project: Project, change: Row) -> None:
    add_companies(project, 2)
    project.sync()
    project.declare("companies", {**COMPANIES, **change})
    outcome = project.sync(code=2)
    assert outcome.kinds == []
    assert "companies" in outcome.err
    assert "`name: …`" in outcome.err
    seed_company(project, "x-1")
    project.declare("companies", {**COMPANIES, **change, "name": "companies_anew"})
    assert project.sync().kinds != []


@pytest.mark.parametrize("per_field", [True, False])
def test_nulls_skip_leaves_planhats_value(project: Project, per_field: bool) -> None:
    if per_field:
        fields = {**FIELDS, "phase": {"column": "phase", "nulls": "skip"}}
        add_companies(project, 2, fields=fields)
    else:
        add_companies(project, 2, nulls="skip")
    project.insert("companies", [company(3, phase=None)])
    outcome = project.sync()
    assert "phase" not in outcome.sent("/companies")[2]
    project.sql("update companies set phase = null")
    project.quiet()
    assert [r.get("phase") for r in project.sandbox.tenant.records("companies")] == ["Live", "Live", None]
    project.sql(
        "update companies set phase = 'Risk' where id = 'c-1'",
        "update companies set phase = 'Live' where id = 'c-2'",
    )
    outcome = project.sync()
    assert rest(outcome.sent("/companies")) == [{"phase": "Risk"}]


def test_nulls_clear_sends_null(project: Project) -> None:
    add_companies(project, 2)
    project.sync()
    project.sql("update companies set phase = null where id = 'c-2'")
    outcome = project.sync()
    assert rest(outcome.sent("/companies")) == [{"phase": None}]
    assert mirrors(project)
    project.quiet()


def test_write_on_insert_sends_a_field_once(project: Project) -> None:
    add_companies(project, 2, fields={**FIELDS, "phase": {"column": "phase", "write": "on_insert"}})
    assert [row["phase"] for row in project.sync().sent("/companies")] == ["Live", "Live"]
    project.sql("update companies set phase = 'Risk'")
    project.quiet()
    project.sql(
        "update companies set seats = 9 where id = 'c-1'",
        "insert into companies values ('c-3', 'C', 'New', 3)",
    )
    outcome = project.sync()
    new = {"externalId": "c-3", "name": "C", "phase": "New", "custom": {"Seats": 3}}
    assert [row for row in outcome.sent("/companies") if "_id" not in row] == [new]
    assert rest([row for row in outcome.sent("/companies") if "_id" in row]) == [{"custom": {"Seats": 9}}]


@pytest.mark.parametrize("on_removed", ["clear", "delete"])
def test_a_sync_of_which_no_field_is_compared(project: Project, on_removed: str) -> None:
    fields = {
        "name": {"column": "name", "write": "on_insert"},
        "custom": {"Seats": {"column": "seats", "write": "on_insert"}},
    }
    add_companies(project, 2, fields=fields, on_removed=on_removed)
    project.sync()
    project.sql("update companies set name = 'other', seats = 7")
    project.quiet()
    project.sql(
        "delete from companies where id = 'c-1'", "insert into companies values ('c-3', 'C', 'New', 3)"
    )
    outcome = project.sync()
    gone = {"clear": {"custom": {"Seats": None}}, "delete": None}[on_removed]
    new = {"externalId": "c-3", "name": "C", "custom": {"Seats": 3}}
    sent = outcome.sent("/companies")
    assert [row for row in sent if "_id" not in row] == [new]
    assert rest([row for row in sent if "_id" in row]) == ([gone] if gone else [])
    project.quiet()


def test_resync_sends_all_again_and_keeps_tombstones(project: Project) -> None:
    add_companies(project, 4, on_removed="delete")
    project.sync()
    project.replace("companies", [company(i) for i in (1, 2, 3)])
    project.sync()
    (edited,) = (r["_id"] for r in project.sandbox.tenant.records("companies") if r["externalId"] == "c-2")
    project.sandbox.tenant.edit("companies", edited, phase="changed by hand")
    project.quiet()
    outcome = project.sync("--resync", "companies")
    assert len(outcome.sent("/companies")) == 3
    assert outcome.counts("companies") == {"updated": 3}
    assert mirrors(project)
    assert project.snapshot("companies")["c-4"] == "deleted"
    project.quiet()
