"""A small shop for tests that need no particular object: companies, and their endusers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness import Project, Row

COMPANY_COLUMNS = {"id": "varchar", "name": "varchar", "phase": "varchar", "seats": "integer"}
COMPANIES: Row = {
    "object": "company",
    "match": {"externalId": "id"},
    "fields": {"name": "name", "phase": "phase", "custom": {"Seats": "seats"}},
}
ENDUSER_COLUMNS = {"id": "varchar", "account": "varchar", "email": "varchar", "role": "varchar"}
ENDUSERS: Row = {
    "object": "enduser",
    "match": {"externalId": "id"},
    "fields": {"companyId": {"company": "account"}, "email": "email", "position": "role"},
}


def company(i: int, **others: Any) -> tuple[Any, ...]:
    """A row of `companies`."""
    return tuple({"id": f"c-{i}", "name": f"Acme {i}", "phase": "Live", "seats": i, **others}.values())


def enduser(i: int, **others: Any) -> tuple[Any, ...]:
    """A row of `endusers`."""
    row = {"id": f"u-{i}", "account": "c-1", "email": f"u{i}@example.com", "role": "CTO"}
    return tuple({**row, **others}.values())


def add_companies(project: Project, rows: int | Iterable[int] = 5, **more: Any) -> None:
    """Declare and build `companies`; `more` changes the declaration."""
    numbers = range(1, rows + 1) if isinstance(rows, int) else rows
    project.model("companies", {**COMPANIES, **more}, COMPANY_COLUMNS, [company(i) for i in numbers])


def add_endusers(project: Project, rows: Iterable[tuple[Any, ...]], **more: Any) -> None:
    """Declare and build `endusers`."""
    project.model("endusers", {**ENDUSERS, **more}, ENDUSER_COLUMNS, rows)


def seed_company(project: Project, *keys: str) -> None:
    """Companies that Planhat holds and the project does not."""
    project.sandbox.tenant.seed("companies", [{"name": f"Company {k}", "externalId": k} for k in keys])


def mirrors(project: Project) -> bool:
    """Whether Planhat holds exactly the companies of the model."""
    model = {
        key: (name, phase, seats)
        for key, name, phase, seats in project.query("select * from companies where id is not null")
    }
    stored = {
        r["externalId"]: (r.get("name"), r.get("phase"), (r.get("custom") or {}).get("Seats"))
        for r in project.sandbox.tenant.records("companies")
    }
    return model == stored and len(stored) == len(project.sandbox.tenant.records("companies"))
