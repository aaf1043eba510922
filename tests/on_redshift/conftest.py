"""Fixtures: a sandbox, a project on the stand-in, and every statement that a run sends it."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Project
from harness.translated_redshift import StandInAdapter, StandInCursor
from run.conftest import folder, sandbox  # noqa: F401 - fixtures

from planhat_dbt.sandbox import Sandbox
from planhat_dbt.sandbox.pytest_plugin import _running_sandbox, planhat_sandbox  # noqa: F401 - fixtures
from planhat_dbt.warehouse import dbt_adapter


@pytest.fixture
def project(folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Project:  # noqa: F811 - the imported fixtures
    monkeypatch.setattr(dbt_adapter, "Adapter", StandInAdapter)
    return Project(folder / "shop", sandbox, "redshift")


@pytest.fixture
def statements(project: Project, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Listen at the one place where statements pass."""
    seen: list[str] = []
    execute = StandInCursor.execute

    def listen(self, sql, args=None):
        seen.append(sql)
        return execute(self, sql, args)

    monkeypatch.setattr(StandInCursor, "execute", listen)
    return seen
