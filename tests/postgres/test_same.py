"""The same project on DuckDB and on PostgreSQL: the same plan, the same calls, the same Planhat state."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Outcome, Project
from run.conftest import folder  # noqa: F401 - a fixture

from planhat_dbt.sandbox import Sandbox

SYNCS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "companies": (
        {
            "object": "company",
            "match": {"externalId": "id"},
            "on_removed": "delete",
            "max_removals": "100%",
            "fields": {
                "name": "name",
                "phase": "phase",
                "mr": "mrr",
                "csmScore": "score",
                "tags": "tags",
                "custom": {
                    "Since": "since",
                    "Seats": "seats",
                    "Ratio": "ratio",
                    "Active": "active",
                    "Seen At": "seen",
                    "Day": "day",
                },
            },
        },
        {
            "id": "varchar", "name": "varchar", "phase": "varchar", "mrr": "decimal(12,2)", "score": "integer",
            "since": "timestamptz", "tags": "varchar[]", "seats": "bigint", "ratio": "double", "active": "boolean",
            "seen": "timestamp", "day": "date",
        },
    ),
    "endusers": (
        {
            "object": "enduser",
            "match": {"externalId": "id"},
            "on_removed": "clear",
            "max_removals": "100%",
            "fields": {"companyId": {"company": "account"}, "email": "email", "firstName": "first"},
        },
        {"id": "varchar", "account": "varchar", "email": "varchar", "first": "varchar"},
    ),
    "invoices": (
        {
            "object": "invoice",
            "match": {"externalId": "id"},
            "fields": {
                "companyId": {"company": "account"},
                "invoiceDate": "at",
                "dueDate": "due",
                "amountTotal": "amount",
                "currency": {"value": "EUR"},
            },
        },
        {"id": "bigint", "account": "varchar", "at": "date", "due": "date", "amount": "decimal(10,4)"},
    ),
    "usage": (
        {
            "object": "metric",
            "key": "id",
            "fields": {"dimensionId": "dim", "externalId": "account", "value": "amount", "date": "at"},
        },
        {"id": "varchar", "dim": "varchar", "account": "varchar", "amount": "double", "at": "timestamptz"},
    ),
}  # fmt: skip


def company(i: int, **changed: Any) -> tuple[Any, ...]:
    row = {
        "id": f"c-{i}", "name": f'Ünï "{i}"\n🙂', "phase": [None, "Live", "", "x'y"][i % 4], "mrr": f"{i}.50",
        "score": i % 5 + 1, "since": f"2026-01-{i % 28 + 1:02d} 10:00:00.123456+02", "tags": ["a b", 'c"d'][: i % 3],
        "seats": 2**53 + i % 2, "ratio": i / 8, "active": [True, False, None][i % 3],
        "seen": f"2026-02-{i % 28 + 1:02d} 10:00:00.9999", "day": f"2026-03-{i % 28 + 1:02d}",
    }  # fmt: skip
    return tuple({**row, **changed}.values())


def fill(project: Project, step: int) -> None:
    """The rows of each step: a first load, changes with removals, a return with a row at fault."""
    numbers = {0: range(1, 31), 1: range(4, 33), 2: range(1, 33)}[step]
    changed = {"name": "Renamed"} if step else {}
    rows = {
        "companies": [company(i, **(changed if i % 7 == 0 else {})) for i in numbers]
        + ([company(40), company(40)] if step == 2 else []),
        "endusers": [
            (f"u-{i}", f"c-{i % 9 + 5}", f"u{i}@example.com", f"F{i + step * (i % 2)}") for i in numbers
        ]
        + ([(None, "c-5", "x@example.com", "X"), ("u-99", "c-99", "y@example.com", "Y")] if step else []),
        "invoices": [(i, "c-5", "2026-01-01", "2026-02-01", f"{i}.2{step}") for i in range(1, 12)],
        "usage": [
            (f"p-{i}-{s}", "logins", "c-5", i / 4 if i % 5 else i, f"2026-01-{i:02d} 00:00:00+00")
            for s in range(step + 1)
            for i in range(1, 9)
        ],
    }
    for name, (block, columns) in SYNCS.items():
        project.model(name, block, columns, rows[name])


@pytest.fixture
def twins(folder: Path) -> Iterator[list[Project]]:  # noqa: F811 - the imported fixture
    """The project on either warehouse, each with a Planhat of its own."""
    with Sandbox() as one, Sandbox() as other:
        found = [Project(folder / "duckdb", one, "duckdb"), Project(folder / "postgres", other, "postgres")]
        for project in found:
            project.settings(batch_rows=10)
        yield found


def ids_of(project: Project) -> dict[str, str]:
    """Planhat's ids → names that both twins have."""
    return {
        r["_id"]: f"<{p}:{r.get('externalId')}>" for p in PATHS for r in project.sandbox.tenant.records(p)
    }


def told(project: Project, outcome: Outcome, ids: dict[str, str]) -> dict[str, Any]:
    """What a run did, without what no two runs share."""

    def named(value: Any) -> Any:
        text = json.dumps(value, default=str)
        for planhat_id, name in ids.items():
            text = text.replace(planhat_id, name)
        return json.loads(text)

    # Which rows share a call is free: no order is promised, and none costs a sort.
    calls = [f"{c.method} {named(c.path)} {len(c.body or ())}" for c in outcome.calls]
    rows = [f"{c.method} {c.path} {row}" for c in outcome.calls for row in named(c.body or [])]
    return {
        "calls": sorted(calls),
        "rows": sorted(rows),
        "code": outcome.code,
        "failures": project.failures(),
    }


PATHS = ("companies", "endusers", "invoices")


def state(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = {}
    companies = {r["_id"]: r["externalId"] for r in project.sandbox.tenant.records("companies")}
    for path in PATHS:
        for record in project.sandbox.tenant.records(path):
            kept = {k: v for k, v in record.items() if k not in ("_id", "updatedAt", "createdAt")}
            kept |= {k: companies.get(kept[k], kept[k]) for k in ("companyId", "cId") if k in kept}
            found[f"{path} {record.get('externalId') or record['extId']}"] = kept
    return found


def plan(project: Project) -> Any:
    outcome = project.cli("plan", "--output", "json")
    assert outcome.code == 0, outcome.told
    document = json.loads(outcome.out)
    text = json.dumps(document, sort_keys=True)
    return json.loads(text)


def test_plan_calls_and_state_are_the_same(twins: list[Project]) -> None:
    for step in range(3):
        plans, runs, states = [], [], []
        for project in twins:
            fill(project, step)
            plans.append(plan(project))
            ids = ids_of(project)
            outcome = project.sync(code=None)
            runs.append(told(project, outcome, ids | ids_of(project)))
            states.append(state(project))
        assert counted(plans[0]) == counted(plans[1])
        assert runs[0] == runs[1], step
        assert states[0] == states[1], step
    for project in twins:
        assert project.sync(code=None).kinds == []


def counted(document: Any) -> Any:
    """A plan without times and samples, whose order is free."""
    if isinstance(document, dict):
        left_out = ("samples", "seconds", "run_id", "generated_at", "seconds_compare", "estimated_seconds")
        return {k: counted(v) for k, v in document.items() if k not in left_out}
    return [counted(v) for v in document] if isinstance(document, list) else document
