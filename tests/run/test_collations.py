"""Texts are compared exactly, whatever collation a column of DuckDB or its profile names (DESIGN §5)."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest
import yaml
from harness import Project, Row

pytestmark = pytest.mark.duckdb("of its collations; PostgreSQL's stand in tests/postgres/test_types.py")

BLOCK: Row = {"object": "company", "match": {"externalId": "id"}, "fields": {"name": "name"}}


def collated(project: Project, block: Row, columns: str, *rows: str) -> None:
    project.sql(f"create table companies ({columns})")
    fill(project, *rows)
    project.declare("companies", block)


def fill(project: Project, *rows: str) -> None:
    project.sql("delete from companies", f"insert into companies values {', '.join(rows)}")


@pytest.fixture(params=["of the columns", "of the profile", "of the profile's settings"])
def nocase(request: Any, project: Project) -> str:
    """What a text column is declared as."""
    if request.param == "of the columns":
        return "varchar collate nocase"
    project.share()
    path = project.directory / "profiles.yml"
    profiles = yaml.safe_load(path.read_text())
    place = "settings" if "settings" in request.param else "config_options"
    for output in profiles["shop"]["outputs"].values():
        output[place] = {"default_collation": "nocase"}
    path.write_text(yaml.safe_dump(profiles))
    return "varchar"


def test_capitals_are_a_change(project: Project, nocase: str) -> None:
    collated(project, BLOCK, f"id varchar, name {nocase}", "('c-1', 'acme')", "('c-2', 'bee')")
    project.sync()
    project.sql("update companies set name = 'ACME' where id = 'c-1'")
    assert project.sync().counts("companies") == {"updated": 1}
    assert {r["name"] for r in project.sandbox.tenant.records("companies")} == {"ACME", "bee"}
    project.quiet()


def test_keys_that_differ_in_capitals_are_two_keys(project: Project, nocase: str) -> None:
    collated(project, BLOCK, f"id {nocase}, name varchar", "('c-1', 'acme')", "('C-1', 'other')")
    assert project.sync().counts("companies") == {"inserted": 2}
    assert project.failures() == {}
    fill(project, "('c-1', 'acme')", "('C-1', 'new')")
    assert project.sync().counts("companies") == {"updated": 1}
    assert project.snapshot("companies", "name") == {"C-1": "new", "c-1": "acme"}
    project.quiet()


def test_a_key_that_comes_back_in_capitals_is_another_one(project: Project, nocase: str) -> None:
    block = {**BLOCK, "on_removed": "delete"}
    collated(project, block, f"id {nocase}, name varchar", "('a', 'acme')")
    project.sync()
    fill(project, "('A', 'acme')")
    assert project.sync().counts("companies") == {"inserted": 1, "deleted": 1}
    assert [r["externalId"] for r in project.sandbox.tenant.records("companies")] == ["A"]
    project.quiet()


def test_refused_keys_that_differ_in_capitals_have_each_their_own_failure(
    project: Project, nocase: str
) -> None:
    block = {**BLOCK, "fields": {"name": "name", "status": "status"}}
    columns = f"id {nocase}, name varchar, status {nocase}"
    collated(
        project, block, columns, "('a', 'x', 'Customer')", "('A', 'x', 'CUSTOMER')", "('b', 'x', 'customer')"
    )
    assert project.sync(code=1).counts("companies") == {"inserted": 1, "rejected": 2}
    assert project.failures() == dict.fromkeys(("A", "a"), ("rejected", "bad_value"))
    fill(project, "('a', 'x', 'Customer')", "('A', 'x', 'customer')", "('b', 'x', 'customer')")
    assert project.sync(code=1).counts("companies")["inserted"] == 1
    assert set(project.failures()) == {"a"}


def test_references_are_exact(project: Project, nocase: str) -> None:
    project.model("companies", BLOCK, {"id": nocase, "name": "varchar"}, [("c-1", "Acme")])
    block = {
        "object": "enduser",
        "match": {"externalId": "id"},
        "fields": {"companyId": {"company": "company"}, "email": "email"},
    }
    columns = {"id": "varchar", "company": nocase, "email": "varchar"}
    project.model("people", block, columns, [("1", "c-1", "a@x.io"), ("2", "C-1", "b@x.io")])
    assert project.sync().counts("people") == {"inserted": 1, "held": 1}
    assert project.failures() == {"2": ("held", "parent_missing")}


@pytest.mark.parametrize("value", ["[name]", "[{'x': [name]}]", "[map {'k': name}]"])
def test_texts_inside_of_nested_values(project: Project, value: str) -> None:
    """DuckDB hands on the collation of what a list was made of."""
    project.sql("create table names (name varchar collate nocase)", "insert into names values ('acme')")
    project.sql(f"create table companies as select 'c-1' as id, 'x' as name, {value} as v from names")
    project.declare("companies", {**BLOCK, "fields": {"name": "name", "custom": {"V": "v"}}})
    project.sync()
    project.sql("update names set name = 'ACME'")
    project.sql(
        f"create or replace table companies as select 'c-1' as id, 'x' as name, {value} as v from names"
    )
    assert project.sync().counts("companies") == {"updated": 1}
    project.quiet()


def test_the_file_can_be_exported_and_imported(project: Project) -> None:
    """`collate binary` of a state table could not be read back: DuckDB 2.0 keeps the word for itself."""
    collated(project, BLOCK, "id varchar collate nocase, name varchar collate nocase", "('c-1', 'acme')")
    project.sync()
    target = project.directory / "exported"
    project.sql(f"export database '{target}'")
    with duckdb.connect() as other:
        other.execute(f"import database '{target}'")
        assert other.execute("select _key from planhat_sync.snapshot__companies").fetchall() == [("c-1",)]
