"""Fixtures of the core tests: a bench, a running sandbox, and Hypothesis profiles."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, settings

from core.workbench import Bench
from planhat_dbt.sandbox import Sandbox
from planhat_dbt.sandbox.pytest_plugin import _running_sandbox, planhat_sandbox  # noqa: F401 - fixtures

settings.register_profile(
    "default", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def sandbox(planhat_sandbox: Sandbox) -> Sandbox:  # noqa: F811 - the imported fixture
    return planhat_sandbox


@pytest.fixture(scope="module")
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB in memory, for expressions."""
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection
