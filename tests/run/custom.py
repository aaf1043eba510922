"""Custom fields as people define them in Planhat, and models that feed them."""

from __future__ import annotations

from typing import Any

from harness import Outcome, Project, Row

DEFINITIONS = "GET /customfields"
ID = "64b2a1c0f1e2d3c4b5a69788"
OTHER = "64b2a1c0f1e2d3c4b5a69789"


def define(project: Project, *, parent: str = "company", **types: str | Row) -> None:
    """Custom fields as people define them in Planhat: name → type, or more of the definition."""
    rows = [{"type": kind} if isinstance(kind, str) else kind for kind in types.values()]
    project.sandbox.tenant.seed(
        "customfields",
        [{"parent": parent, "name": name, **row} for name, row in zip(types, rows, strict=True)],
    )


def block(custom: Row, **more: Any) -> Row:
    return {
        "object": "company",
        "match": {"externalId": "id"},
        "fields": {"name": "id", "custom": custom},
        **more,
    }


def firms(project: Project, kind: str, *values: str, custom: Any = "v", **more: Any) -> None:
    """A model with one custom field, `Value`; its rows c-1, c-2, … have these SQL values."""
    project.model("firms", block({"Value": custom}, **more), {"id": "varchar", "v": kind})
    for i, value in enumerate(values, start=1):
        project.sql(f"insert into firms values ('c-{i}', {value})")


def custom(project: Project, key: str = "c-1", path: str = "companies") -> Any:
    return project.sandbox.tenant.record(path, externalId=key).get("custom")


def notes(outcome: Outcome) -> list[str]:
    return [line.removeprefix("Note: ") for line in outcome.err.splitlines() if line.startswith("Note: ")]
