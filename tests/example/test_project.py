"""The example builds with dbt on both days, and its marts are fit to be sent."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from harness.dbt import needs, run_dbt

PROJECT = Path(__file__).parents[2] / "dbt_project_example"
pytestmark = needs(1, 10, why="the example asks for it")
OBJECTS = {
    "asset", "campaign", "company", "conversation", "enduser", "invoice", "issue", "license", "metric",
    "note", "opportunity", "project", "sale", "user_activity",
}  # fmt: skip
UPDATED = ["company", "user"]
"""Objects with a sync in mode update besides; it creates nothing, so nothing is required of it."""
REQUIRED = {  # the fields a create must carry (planhat-api §4, §13.34)
    "asset": {"name", "companyId"},
    "campaign": {"name", "companyId"},
    "company": {"name"},
    "conversation": {"companyId", "type"},
    "enduser": {"companyId"},
    "invoice": {"companyId", "currency", "invoiceDate"},
    "issue": {"title", "companyIds"},
    "license": {"companyId", "_currency", "fromDate", "value"},
    "metric": {"dimensionId", "value", "externalId"},
    "note": {"companyId"},
    "opportunity": {"companyId"},
    "project": {"name", "companyId"},
    "sale": {"companyId", "_currency", "value", "salesDate"},
    "user_activity": {"externalId", "action"},
}
COMPANY_KEYS = {"account_id", "crm_account_id"}
EVENTS = {"planhat_usage_metrics": "usage_point_id", "planhat_user_activities": "event_id"}
STORY = {  # mart and key, and the one column that matters
    "companies": ("planhat_companies", "account_id", "account_id"),
    "owners": ("planhat_companies", "account_id", "csm_email"),
    "usage": ("planhat_company_usage", "account_id", "trend"),
    "portfolios": ("planhat_user_portfolios", "user_id", "accounts"),
    "projects": ("planhat_projects", "project_id", "annual_amount"),
    "campaigns": ("planhat_campaigns", "member_id", "response"),
    "assets": ("planhat_assets", "workspace_id", "status"),
}
BUILD_SECONDS = 80


def build(project: Path, step: int) -> list[dict[str, Any]]:
    """Build a copy of the project at a step; its declared models, from the manifest."""
    generate = [sys.executable, "-B", str(project / "generate_seeds.py"), "--step", str(step)]
    subprocess.run(generate, check=True, capture_output=True)
    environment = os.environ | {"EXAMPLE_DUCKDB_PATH": str(project / "example.duckdb")}
    options = ["--project-dir", str(project), "--profiles-dir", str(project)]
    built = run_dbt(
        "build", "--quiet", "--show-all-deprecations", *options,
        cwd=project, env=environment, timeout=BUILD_SECONDS,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout
    assert "Deprecat" not in built.stdout
    nodes = json.loads((project / "target" / "manifest.json").read_text())["nodes"].values()
    return [node for node in nodes if "planhat" in node["config"].get("meta", {})]


def mapped_columns(node: dict[str, Any]) -> dict[str, str]:
    """Planhat field → model column of a declaration; constants have none."""
    declared = node["config"]["meta"]["planhat"]
    fields = {name: value for name, value in declared["fields"].items() if name != "custom"}
    fields |= {f"custom.{name}": value for name, value in declared["fields"].get("custom", {}).items()}
    columns: dict[str, str] = {}
    for name, source in fields.items():
        match source:
            case str():
                columns[name] = source
            case {"column": column} | {"company": column}:
                columns[name] = column
    for column in node["columns"].values():
        if field := column["config"]["meta"].get("planhat"):
            columns[field] = column["name"]
    return columns


@pytest.mark.thorough
def test_two_days_build_green_and_can_be_sent(tmp_path: Path) -> None:
    """One test for both days: building is what takes time, and the second build is on top of the first."""
    project = tmp_path / "project"
    ignored = shutil.ignore_patterns("target", "logs", "*.duckdb*", "__pycache__")
    shutil.copytree(PROJECT, project, ignore=ignored)
    events: list[dict[str, dict[str, Any]]] = []
    days: list[dict[str, dict[str, Any]]] = []
    for step in (1, 2):
        models = build(project, step)
        assert sorted(m["config"]["meta"]["planhat"]["object"] for m in models) == sorted(
            [*OBJECTS, *UPDATED]
        )
        with duckdb.connect(str(project / "example.duckdb"), read_only=True) as connection:
            for model in models:
                check_mart(connection, model)
            events.append({name: rows_by_key(connection, name, key) for name, key in EVENTS.items()})
            days.append({name: rows_by_key(connection, *mart) for name, mart in STORY.items()})
    first, second = events
    for name in EVENTS:
        changed = [
            key for key in first[name].keys() & second[name].keys() if first[name][key] != second[name][key]
        ]
        assert not changed, f"{name}: an event is sent once and must not change"
        assert second[name].keys() - first[name].keys(), f"{name}: nothing new on the second day"
    check_story(*days)


def check_story(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> None:
    """What the second day is there to show happens on it."""
    waiting = before["usage"].keys() - before["companies"].keys()
    assert waiting, "no row of the update-only sync waits for its company"
    assert waiting < after["companies"].keys(), (
        "a row still waits, so an unchanged run would look it up again"
    )
    assert after["usage"].keys() <= after["companies"].keys()
    for name in ("usage", "campaigns", "assets"):
        assert before[name].keys() - after[name].keys(), f"{name}: nothing left, to be cleared or deleted"
    for name in ("projects", "owners", "portfolios"):
        both = before[name].keys() & after[name].keys()
        assert any(before[name][key] != after[name][key] for key in both), f"{name}: nothing changed"


def check_mart(connection: duckdb.DuckDBPyConnection, model: dict[str, Any]) -> None:
    """All mapped columns exist, the key is unique, nothing required is NULL, the company is sent too."""
    declared, name = model["config"]["meta"]["planhat"], model["name"]
    table, fields = model["relation_name"], mapped_columns(model)
    key = declared.get("key") or next(iter(declared["match"].values()))
    present = {row[0] for row in connection.execute(f"describe {table}").fetchall()}
    assert {key, *fields.values()} <= present, name
    assert set(model["columns"]) == present, f"{name}: every column is described"
    assert scalar(connection, f"select count(*) from {table}") > 0, name
    assert scalar(connection, f"select count(*) - count(distinct {key}) from {table}") == 0, (
        f"{name}.{key} repeats"
    )

    constants = {
        field
        for field, source in declared["fields"].items()
        if isinstance(source, dict) and "value" in source
    }
    if declared.get("mode") == "update":
        return
    required = REQUIRED[declared["object"]]
    assert required <= set(fields) | constants, name
    for field in sorted(required - constants):
        nulls = scalar(connection, f"select count(*) from {table} where {fields[field]} is null")
        assert nulls == 0, f"{name}.{field}"
    for column in sorted(present & COMPANY_KEYS):
        companies = f"select {column} from analytics.planhat_companies"
        orphans = f"select count(*) from {table} where {column} not in ({companies})"
        assert scalar(connection, orphans) == 0, f"{name}.{column}"


def scalar(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """The one number a query returns."""
    (value,) = connection.execute(query).fetchall()[0]
    return int(value)


def rows_by_key(
    connection: duckdb.DuckDBPyConnection, model: str, key: str, column: str = "mart"
) -> dict[str, Any]:
    """The rows of a mart, or one column of them, as text, by key."""
    query = f"select {key}, cast({column} as varchar) from analytics.{model} as mart"
    return dict(connection.execute(query).fetchall())
