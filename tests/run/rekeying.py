"""Companies and people whose match key changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness import Project, Row

from planhat_dbt.sandbox import Sandbox

COLUMNS = {"id": "varchar", "crm": "varchar", "name": "varchar", "seats": "integer"}
BEFORE: Row = {
    "object": "company",
    "match": {"externalId": "id"},
    "fields": {"name": "name", "custom": {"Seats": "seats"}},
}
AFTER: Row = {**BEFORE, "match": {"sourceId": "crm"}, "previous_match": {"externalId": "id"}}
PEOPLE_COLUMNS = {"id": "varchar", "mail": "varchar", "account": "varchar", "role": "varchar"}
BY_MAIL: Row = {
    "object": "enduser",
    "match": {"email": "mail"},
    "fields": {"companyId": {"company": "account"}, "position": "role"},
}
BY_ID: Row = {**BY_MAIL, "match": {"externalId": "id"}, "previous_match": {"email": "mail"}}


def account(i: int, **others: Any) -> tuple[Any, ...]:
    return tuple({"id": f"c-{i}", "crm": f"s-{i}", "name": f"Acme {i}", "seats": i, **others}.values())


def person(i: int, **others: Any) -> tuple[Any, ...]:
    row = {"id": f"u-{i}", "mail": f"u{i}@example.com", "account": "c-1", "role": "CTO"}
    return tuple({**row, **others}.values())


def accounts(project: Project, n: int = 3, **more: Any) -> None:
    """Companies that were sent under their old key."""
    project.model("accounts", {**BEFORE, **more}, COLUMNS, [account(i) for i in range(1, n + 1)])
    project.sync()


def people(project: Project, *rows: tuple[Any, ...]) -> None:
    project.sandbox.tenant.seed("companies", [{"name": k, "externalId": k} for k in ("c-1", "c-2")])
    project.model("people", BY_MAIL, PEOPLE_COLUMNS, rows)


def keys(project: Project, path: str = "companies") -> set[tuple[Any, ...]]:
    names = {"companies": ("externalId", "sourceId"), "endusers": ("email", "externalId")}[path]
    return {tuple(r.get(n) for n in names) for r in project.sandbox.tenant.records(path)}


def count(project: Project, path: str = "companies") -> int:
    return len(project.sandbox.tenant.records(path))


def previous_keys(project: Project) -> list[tuple[Any, ...]]:
    return project.query(
        "select key, key_field, previous_key, rekeyed from planhat_sync.previous_keys order by 1"
    )


def heir_of(project: Project, folder: Path, sandbox: Sandbox) -> Project:
    """Another project without state on the same Planhat: what it sends is there already, and no id is told."""
    del project
    return Project(folder / "heir", sandbox)
