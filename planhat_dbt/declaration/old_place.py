"""Declarations in top-level `meta`: dbt 1.x reads them, dbt 2 drops them, and the sync silently vanishes.

In the manifests of dbt 1.x `meta` and `config.meta` are equal wherever they were written, so the YAML file
itself is asked (dbt-notes §2). Files that cannot be read are left to dbt to complain about.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import yaml

from planhat_dbt.yaml_text import read_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from planhat_dbt.artifacts import Node
    from planhat_dbt.declaration.wording import Faults

KEY = "planhat"
ADVICE = "dbt 2 ignores top-level `meta`, and the sync would vanish; write it under `config: {meta: …}`."
SECTIONS = {"model": "models", "seed": "seeds", "snapshot": "snapshots"}


def warn_of_old_place(node: Node, faults: Faults, project_dir: Path | None) -> None:
    """Warn if a node or its columns are declared in top-level `meta`."""
    if node.meta_place == "meta" and KEY in node.meta:
        faults.warn("", ADVICE)
    elif project_dir is not None and node.patch_path:
        for path in _old_places(project_dir / faults.file, SECTIONS[node.resource_type], node.name):
            faults.warn(f"/{path}", ADVICE)


def _old_places(file: Path, section: str, name: str) -> list[str]:
    document = _read_yaml(file)
    entries = document.get(section) if isinstance(document, dict) else None
    found: list[str] = []
    for entry in _mappings(entries):
        if entry.get("name") != name:
            continue
        if KEY in _mapping(entry.get("meta")):
            found.append(f"meta.{KEY}")
        found += [
            f"columns[{column.get('name')}].meta.{KEY}"
            for column in _mappings(entry.get("columns"))
            if KEY in _mapping(column.get("meta"))
        ]
    return found


@lru_cache(maxsize=64)
def _read_yaml(file: Path) -> object:
    try:
        return read_yaml(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: object) -> list[dict[str, Any]]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []
