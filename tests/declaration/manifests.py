"""Small manifests, written by hand: one model per entry, each with its block and columns."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from planhat_dbt.artifacts import read_manifest
from planhat_dbt.declaration import read_declarations
from planhat_dbt.settings import ProjectSettings

if TYPE_CHECKING:
    from pathlib import Path

    from planhat_dbt.declaration import Declarations

URL = "https://schemas.getdbt.com/dbt/manifest/v12.json"


def node(name: str, block: Any = None, columns: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "resource_type": "model",
        "name": name,
        "package_name": "shop",
        "database": "db",
        "schema": "main",
        "alias": name,
        "relation_name": f'"db"."main"."{name}"',
        "original_file_path": f"models/{name}.sql",
        "patch_path": f"shop://models/{name}.yml",
        "tags": ["crm"],
        "config": {"materialized": "table", "meta": {} if block is None else {"planhat": block}},
        "columns": {c: {"name": c, "config": {"meta": {"planhat": v}}} for c, v in (columns or {}).items()},
        **more,
    }


def write_manifest(directory: Path, *nodes: dict[str, Any]) -> Path:
    path = directory / "manifest.json"
    document = {
        "metadata": {"dbt_schema_version": URL, "project_name": "shop"},
        "nodes": {f"model.shop.{n['name']}": n for n in nodes},
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def declare(directory: Path, text: str, settings: ProjectSettings | None = None) -> Declarations:
    """Read declarations from YAML: model name → block; `columns of <model>` → column → its form."""
    written: dict[str, Any] = yaml.safe_load(text)
    nodes = [
        node(name, block, written.get(f"columns of {name}"))
        for name, block in written.items()
        if not name.startswith("columns of ")
    ]
    return read_declarations(read_manifest(write_manifest(directory, *nodes)), settings or ProjectSettings())


def told(declarations: Declarations) -> list[tuple[str, str]]:
    """Path below the block → message, of all errors."""
    return [(f.path.removeprefix("config.meta.planhat").lstrip("."), f.message) for f in declarations.errors]
