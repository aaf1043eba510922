"""A dbt project as `dbt build` leaves it, without dbt: the benchmark measures the command, not dbt."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAME = "bench"
ACCOUNTS: dict[str, Any] = {
    "object": "company",
    "match": {"externalId": "account_id"},
    "on_removed": "delete",
    "fields": {
        "name": "name",
        "status": "status",
        "city": "city",
        "web": "web",
        "csmScore": "score",
        "mr": "worth",
        "custom": {"Seats": "seats", "Trial": "trial", "Renewal": "renewal", "Plan": "plan"},
    },
}
"""Eleven of the twelve columns; `seen_at` is the field that is added in a later case."""
POINTS: dict[str, Any] = {
    "object": "metric",
    "key": "point_id",
    "fields": {
        "dimensionId": {"value": "logins"},
        "externalId": "account_id",
        "value": "amount",
        "date": "happened_at",
    },
}


def with_field_added() -> dict[str, Any]:
    """The declaration with one field more."""
    fields = ACCOUNTS["fields"]
    return {**ACCOUNTS, "fields": {**fields, "custom": {**fields["custom"], "Seen": "seen_at"}}}


def write(
    folder: Path, output: Mapping[str, Any], models: Mapping[str, Any], database: str, schema: str
) -> None:
    """Write project, profile and artifacts.

    Args:
        folder: The project's folder.
        output: The target of the profile.
        models: Model → its `planhat` block.
        database: Where the models' tables are.
        schema: Their schema.
    """
    (folder / "target").mkdir(parents=True, exist_ok=True)
    settings = {"max_calls_per_minute": 1_000_000}
    document = {"name": NAME, "version": "1.0", "profile": NAME, "vars": {"planhat": settings}}
    (folder / "dbt_project.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    profiles = {NAME: {"target": "dev", "outputs": {"dev": dict(output)}}}
    (folder / "profiles.yml").write_text(yaml.safe_dump(profiles), encoding="utf-8")
    now, invocation = dt.datetime.now(dt.UTC).isoformat(), str(uuid4())
    kind = output["type"]
    nodes = {f"model.{NAME}.{n}": _node(n, block, database, schema) for n, block in models.items()}
    manifest: dict[str, Any] = {
        "metadata": _head("manifest/v12", invocation, now, kind),
        "nodes": nodes,
        "unit_tests": {},
    }
    (folder / "target" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    results: list[dict[str, Any]] = [{"unique_id": u, "status": "success", "timing": []} for u in nodes]
    head = _head("run-results/v6", invocation, now, kind)
    built = {"metadata": head, "results": results, "args": {"which": "build"}}
    (folder / "target" / "run_results.json").write_text(json.dumps(built), encoding="utf-8")


def _head(artifact: str, invocation: str, at: str, adapter: str) -> dict[str, Any]:
    return {
        "dbt_schema_version": f"https://schemas.getdbt.com/dbt/{artifact}.json",
        "dbt_version": "1.11.0",
        "generated_at": at,
        "invocation_id": invocation,
        "invocation_started_at": at,
        "project_name": NAME,
        "adapter_type": adapter,
    }


def _node(name: str, block: Any, database: str, schema: str) -> dict[str, Any]:
    meta = {"planhat": block}
    return {
        "resource_type": "model",
        "name": name,
        "alias": name,
        "package_name": NAME,
        "unique_id": f"model.{NAME}.{name}",
        "database": database,
        "schema": schema,
        "relation_name": f'"{database}"."{schema}"."{name}"',
        "original_file_path": f"models/{name}.sql",
        "fqn": [NAME, name],
        "config": {"enabled": True, "materialized": "table", "meta": meta},
        "meta": meta,
        "depends_on": {"nodes": []},
        "columns": {},
    }
