"""dbt's artifacts, read as plain JSON without importing dbt (DESIGN §7, dbt-notes §2)."""

from __future__ import annotations

from planhat_dbt.artifacts.command import command_of
from planhat_dbt.artifacts.manifest import read_manifest
from planhat_dbt.artifacts.run_results import read_run_results
from planhat_dbt.artifacts.types import (
    Column,
    Exposure,
    Manifest,
    Node,
    NodeResult,
    RunResults,
    Test,
    Written,
)
from planhat_dbt.artifacts.written import read_written

__all__ = [
    "Column",
    "Exposure",
    "Manifest",
    "Node",
    "NodeResult",
    "RunResults",
    "Test",
    "Written",
    "command_of",
    "read_manifest",
    "read_run_results",
    "read_written",
]
