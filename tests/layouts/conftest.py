"""A sandbox without records, and an empty project that feeds it."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Project

from planhat_dbt.sandbox import Sandbox
from planhat_dbt.sandbox.pytest_plugin import _running_sandbox, planhat_sandbox  # noqa: F401 - fixtures


@pytest.fixture
def project(tmp_path: Path, planhat_sandbox: Sandbox) -> Project:  # noqa: F811 - the imported fixture
    return Project(tmp_path / "shop", planhat_sandbox)
