"""Fixtures: a sandbox, a project on Spark, and every statement that a run sends it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from harness import Project
from run.conftest import folder, sandbox  # noqa: F401 - fixtures

from planhat_dbt.sandbox import Sandbox
from planhat_dbt.sandbox.pytest_plugin import _running_sandbox, planhat_sandbox  # noqa: F401 - fixtures


@pytest.fixture
def _engine() -> None:
    if importlib.util.find_spec("pyspark") is None:
        pytest.skip("Spark is in an environment of its own: make unit-spark")


@pytest.fixture
def project(folder: Path, sandbox: Sandbox, _engine: None) -> Project:  # noqa: F811 - the imported fixtures
    return Project(folder / "shop", sandbox, "spark")


@pytest.fixture
def statements(_engine: None) -> list[str]:
    from harness.spark_engine import spark  # noqa: PLC0415 - where there is one

    spark().statements.clear()
    return spark().statements
