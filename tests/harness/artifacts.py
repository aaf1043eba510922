"""dbt's artifacts as dbt 1.10 writes them, for declared models (dbt-notes §2)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

PROJECT = "shop"
DBT_VERSION = "1.10.13"


class Place(Protocol):
    """Where dbt built the models."""

    database: str

    def relation(self, model: str) -> str:
        """A model's name as dbt writes it."""


@dataclass
class ModelNode:
    """One model of the project: its declaration and where its table is."""

    name: str
    block: Any
    """The `planhat` block: a mapping, a list of mappings, or None."""
    column_blocks: Mapping[str, Any] = field(default_factory=dict)
    depends_on: Sequence[str] = ()
    tags: Sequence[str] = ()
    materialized: str = "table"

    @property
    def unique_id(self) -> str:
        """dbt's name for it."""
        return f"model.{PROJECT}.{self.name}"


@dataclass(frozen=True)
class TestNode:
    """One data test and how it ended."""

    __test__ = False

    name: str
    model: str
    status: str = "pass"
    severity: str = "error"
    attached: bool = True

    @property
    def unique_id(self) -> str:
        """dbt's name for it."""
        return f"test.{PROJECT}.{self.name}.a1b2c3d4e5"


def metadata(artifact: str, invocation_id: str, at: dt.datetime) -> dict[str, Any]:
    """The head of an artifact; `artifact` as `manifest/v12`."""
    return {
        "dbt_schema_version": f"https://schemas.getdbt.com/dbt/{artifact}.json",
        "dbt_version": DBT_VERSION,
        "generated_at": at.isoformat().replace("+00:00", "Z"),
        "invocation_id": invocation_id,
        "invocation_started_at": at.isoformat().replace("+00:00", "Z"),
        "env": {},
        "project_name": PROJECT,
        "adapter_type": "duckdb",
        "send_anonymous_usage_stats": False,
    }


def manifest(
    models: Iterable[ModelNode], tests: Iterable[TestNode], place: Place, invocation_id: str, at: dt.datetime
) -> dict[str, Any]:
    """`manifest.json`, v12."""
    nodes = {m.unique_id: _model(m, place) for m in models} | {t.unique_id: _test(t) for t in tests}
    empty: dict[str, Any] = {
        name: {}
        for name in ("sources", "macros", "docs", "exposures", "metrics", "groups", "selectors", "disabled")
    }
    return {
        "metadata": metadata("manifest/v12", invocation_id, at),
        "nodes": nodes,
        **empty,
        "unit_tests": {},
    }


def _model(model: ModelNode, place: Place) -> dict[str, Any]:
    meta = {} if model.block is None else {"planhat": model.block}
    return {
        "database": place.database,
        "schema": "main",
        "name": model.name,
        "resource_type": "model",
        "package_name": PROJECT,
        "path": f"{model.name}.sql",
        "original_file_path": f"models/{model.name}.sql",
        "unique_id": model.unique_id,
        "fqn": [PROJECT, model.name],
        "alias": model.name,
        "checksum": {"name": "sha256", "checksum": uuid4().hex},
        "config": {"enabled": True, "materialized": model.materialized, "tags": [*model.tags], "meta": meta},
        "tags": [*model.tags],
        "description": "",
        "columns": {
            name: {"name": name, "config": {"meta": {"planhat": form}, "tags": []}, "meta": {"planhat": form}}
            for name, form in model.column_blocks.items()
        },
        "meta": meta,
        "patch_path": f"{PROJECT}://models/schema.yml",
        "relation_name": place.relation(model.name),
        "depends_on": {"macros": [], "nodes": [f"model.{PROJECT}.{d}" for d in model.depends_on]},
        "access": "protected",
        "contract": {"enforced": False},
    }


def _test(test: TestNode) -> dict[str, Any]:
    model = f"model.{PROJECT}.{test.model}"
    return {
        "name": test.name,
        "resource_type": "test",
        "package_name": PROJECT,
        "unique_id": test.unique_id,
        "attached_node": model if test.attached else None,
        "config": {"enabled": True, "severity": test.severity.upper()},
        "depends_on": {"macros": [], "nodes": [model]},
        "original_file_path": "models/schema.yml",
    }


def run_results(
    statuses: Mapping[str, str], args: Mapping[str, Any], invocation_id: str, at: dt.datetime
) -> dict[str, Any]:
    """`run_results.json`, v6; `statuses` by unique id."""
    return {
        "metadata": metadata("run-results/v6", invocation_id, at),
        "results": [_result(unique_id, status, at) for unique_id, status in statuses.items()],
        "elapsed_time": 0.61,
        "args": {"which": "build", "vars": {}, "empty": False, "sample": None, **args},
    }


def _result(unique_id: str, status: str, at: dt.datetime) -> dict[str, Any]:
    failed = status in ("fail", "warn")
    return {
        "status": status,
        "timing": [{"name": "execute", "started_at": at.isoformat(), "completed_at": at.isoformat()}],
        "thread_id": "Thread-1",
        "execution_time": 0.04,
        "adapter_response": {"_message": "OK"},
        "message": "Got 3 results, configured to fail if != 0" if failed else "OK",
        "failures": 3 if failed else None,
        "unique_id": unique_id,
        "compiled": True,
        "relation_name": None,
    }
