"""A sandbox without records, and an empty project that feeds it."""

from __future__ import annotations

import os
import tempfile
import time
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
def sandbox(planhat_sandbox: Sandbox) -> Iterator[Sandbox]:  # noqa: F811 - the imported fixture
    yield planhat_sandbox
    # A killed client leaves its call under way; it must not end up in the next test's log.
    give_up = time.monotonic() + 5
    while _is_busy(planhat_sandbox) and time.monotonic() < give_up:
        time.sleep(0.02)


def _is_busy(running: Sandbox) -> bool:
    """Whether calls are under way, also such as came before the log was cleared."""
    return bool(running._server and running._server.server_state.tasks)


@pytest.fixture
def project(folder: Path, sandbox: Sandbox) -> Project:
    return Project(folder / "shop", sandbox)
