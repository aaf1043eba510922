"""Fixtures: a sandbox, a project on the emulator, and every statement that a run sends it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from harness import Project
from run.conftest import folder, sandbox  # noqa: F401 - fixtures

from planhat_dbt.sandbox import Sandbox
from planhat_dbt.sandbox.pytest_plugin import _running_sandbox, planhat_sandbox  # noqa: F401 - fixtures


@pytest.fixture
def project(folder: Path, sandbox: Sandbox) -> Project:  # noqa: F811 - the imported fixtures
    if importlib.util.find_spec("bqemulator") is None:
        pytest.skip("bqemulator is in an environment of its own: make unit-bigquery")
    return Project(folder / "shop", sandbox, "bigquery")


@pytest.fixture
def statements(project: Project, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Listen at the one place where statements pass."""
    from planhat_dbt.warehouse.bigquery import BigQuerySession  # noqa: PLC0415

    seen: list[str] = []
    job = BigQuerySession._job

    def listen(self, sql, config):
        seen.append(sql)
        return job(self, sql, config)

    monkeypatch.setattr(BigQuerySession, "_job", listen)
    return seen
