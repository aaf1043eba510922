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
    if importlib.util.find_spec("fakesnow") is None:
        pytest.skip("fakesnow is in an environment of its own: make unit-snowflake")
    return Project(folder / "shop", sandbox, "snowflake")


@pytest.fixture
def statements(project: Project, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Listen at the one place where statements pass."""
    from planhat_dbt.warehouse.snowflake import SnowflakeSession  # noqa: PLC0415

    seen: list[str] = []
    run, rows = SnowflakeSession._run, SnowflakeSession.rows

    def listen(self, sql, parameters=()):
        seen.append(sql)
        return run(self, sql, parameters)

    def listen_to_rows(self, sql, parameters=()):
        seen.append(sql)
        return rows(self, sql, parameters)

    monkeypatch.setattr(SnowflakeSession, "_run", listen)
    monkeypatch.setattr(SnowflakeSession, "rows", listen_to_rows)
    return seen
