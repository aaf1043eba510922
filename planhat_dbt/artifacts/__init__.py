"""dbt's artifacts, read as plain JSON without importing dbt (DESIGN §7, dbt-notes §2)."""

from __future__ import annotations

from planhat_dbt.artifacts.manifest import read_manifest
from planhat_dbt.artifacts.run_results import read_run_results
from planhat_dbt.artifacts.types import Column, Exposure, Manifest, Node, NodeResult, RunResults, Test

__all__ = [
    "Column",
    "Exposure",
    "Manifest",
    "Node",
    "NodeResult",
    "RunResults",
    "Test",
    "read_manifest",
    "read_run_results",
]
