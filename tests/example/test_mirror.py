"""The demo's proof is one: each way in which Planhat can differ from the models is told."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Project, Row

from planhat_dbt.bootstrap import Request, load_checked
from planhat_dbt.sandbox import Sandbox

sys.path.insert(0, str(Path(__file__).parents[2] / "dbt_project_example"))
from mirror import Mirror

COMPANIES = {"id": "varchar", "name": "varchar", "csm": "varchar", "seats": "integer", "score": "integer"}
ADA, BOB = "64b2a1c0f1e2d3c4b5a69701", "64b2a1c0f1e2d3c4b5a69702"


def follow(mirror: Mirror, project: Project) -> None:
    request = Request(environ=project.environment(), project_dir=str(project.directory))
    mirror.follow(load_checked(request).declarations.syncs)


def block(mode: str, kind: str, **fields: Any) -> Row:
    return {"object": kind, "mode": mode, "match": {"externalId": "id"}, "fields": fields}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Sandbox() as sandbox:
        made = Project(tmp_path / "shop", sandbox)
        made.share()  # with those who look at the mirror
        yield made


@pytest.fixture
def mirror(project: Project) -> Mirror:
    """After two days of all modes: something found late, changed after its insert, cleared, deleted."""
    names = {"nickName": "N", "firstName": "F", "lastName": "L"}
    users = [{"_id": ADA, "email": "ada@x.io", **names}, {"_id": BOB, "email": "bob@x.io", **names}]
    project.sandbox.tenant.seed("users", users)
    mirror = Mirror(project.file, project.sandbox.url)
    owner = {"lookup": "user", "by": "email", "column": "csm"}
    seats = {"Seats": {"column": "seats", "nulls": "skip"}}
    score = {"column": "score", "write": "on_insert"}
    companies = block("upsert", "company", name="name", owner=owner, csmScore=score, custom=seats)
    first = [("a", "A", "ada@x.io", 5, 1), ("b", "B", "bob@x.io", 6, 2)]
    project.model("companies", companies, COMPANIES, first)
    usage = {**block("update", "company", custom={"Trend": "trend"}), "on_removed": "clear"}
    project.model("usage", usage, {"id": "varchar", "trend": "varchar"}, [("a", "up"), ("c", "up")])
    child = {"id": "varchar", "company": "varchar", "name": "varchar"}
    company = {"company": "company"}
    project.model(
        "projects",
        block("insert", "project", name="name", companyId=company),
        child,
        [("p", "a", "P"), ("q", "a", "Q")],
    )
    assets = {**block("upsert", "asset", name="name", companyId=company), "on_removed": "delete"}
    project.model("assets", assets, child, [("x", "a", "X"), ("y", "a", "Y")])
    project.sync()
    follow(mirror, project)
    project.replace("companies", [("a", "A2", "bob@x.io", None, 9), ("c", "C", None, 7, 3)])
    project.replace("usage", [("c", "down")])
    project.replace("projects", [("p", "a", "P2"), ("q", "a", "Q")])
    project.replace("assets", [("y", "a", "Y2")])
    project.sync()
    follow(mirror, project)
    return mirror


def differences(mirror: Mirror, project: Project) -> list[str]:
    follow(mirror, project)
    return list(mirror.differences())


def edit(project: Project, model: str, key: str, **values: Any) -> None:
    tenant = project.sandbox.tenant
    tenant.edit(model, tenant.record(model, externalId=key)["_id"], **values)


def test_an_exact_mirror_differs_in_nothing_and_every_difference_is_told(
    project: Project, mirror: Mirror
) -> None:
    """One test for both: two days of syncs are what takes time."""
    assert differences(mirror, project) == []
    tenant = project.sandbox.tenant
    assert tenant.record("projects", externalId="p")["name"] == "P"
    assert tenant.record("companies", externalId="a")["owner"] == BOB
    assert (mirror.records, mirror.fields) == (9, 20)

    custom = {"Seats": None, "Trend": "up"}
    edit(project, "companies", "a", owner=ADA, csmScore=9, custom=custom)
    edit(project, "companies", "b", name="Z")
    edit(project, "companies", "c", name="Z", custom={"Seats": 7, "Trend": "up"})
    edit(project, "projects", "p", name="P2")
    tenant.remove("projects", tenant.record("projects", externalId="q")["_id"])
    tenant.seed("assets", [{"externalId": "x", "name": "X", "companyId": "extid-a"}])
    (stranger,) = tenant.seed("licenses", [{"companyId": "extid-a"}])
    tenant.edit("users", ADA, nickName="Z")
    project.sql("insert into planhat_sync.failures (sync, key, code) values ('usage', 'c', 'no_match')")
    project.insert("usage", [("d", "up")])
    assert sorted(differences(mirror, project)) == sorted([
        f"companies a: owner is '{ADA}', expected '{BOB}'",
        "companies a: csmScore is 9, expected 1",
        "companies a: custom.Seats is None, expected 5",
        "companies b: name is 'Z', expected 'B'",
        "companies c: name is 'Z', expected 'C'",
        "usage a: custom.Trend is 'up', expected None",
        "usage c: custom.Trend is 'up', expected 'down'",
        "usage c: held, and its record is there",
        "usage d: not held, and its record is missing",
        "projects p: name is 'P2', expected 'P'",
        "projects q: not in Planhat",
        "assets x: still in Planhat",
        f"licenses {stranger}: in Planhat, and no model asked for it",
        f"users {ADA}: it was there before, and is not as it was",
    ])  # fmt: skip
