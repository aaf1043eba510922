"""Fixtures: a sandbox, a project on the stand-in, and every statement that a run sends it."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Project
from harness.translated_spark import STATEMENTS, HandedOut
from run.conftest import folder, sandbox  # noqa: F401 - fixtures

from planhat_dbt.sandbox import Sandbox
from planhat_dbt.sandbox.pytest_plugin import _running_sandbox, planhat_sandbox  # noqa: F401 - fixtures
from planhat_dbt.warehouse import dbt_adapter


@pytest.fixture
def project(folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Project:  # noqa: F811 - the imported fixtures
    monkeypatch.setattr(dbt_adapter, "Adapter", HandedOut)
    return Project(folder / "shop", sandbox, "databricks")


@pytest.fixture
def statements() -> list[str]:
    STATEMENTS.clear()
    return STATEMENTS
