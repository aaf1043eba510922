"""A sandbox without records, and an empty project that feeds it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Project

from planhat_dbt.sandbox import Sandbox
from planhat_dbt.sandbox.pytest_plugin import _running_sandbox, planhat_sandbox  # noqa: F401 - fixtures

MEMORY = Path("/dev/shm")
"""Where Linux keeps files in memory: opening and closing DuckDB files is most of what these tests wait for."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for projects, in memory where the system has such a place."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="planhat-dbt-") as name:
        yield Path(name)


@pytest.fixture
def sandbox(planhat_sandbox: Sandbox) -> Sandbox:  # noqa: F811 - the imported fixture
    return planhat_sandbox


@pytest.fixture
def project(folder: Path, sandbox: Sandbox) -> Project:
    return Project(folder / "shop", sandbox)
