"""The fixtures of `tests/run`: a sandbox without records, and an empty project that feeds it."""

from __future__ import annotations

from run.conftest import folder, project, sandbox  # noqa: F401 - fixtures

from planhat_dbt.sandbox.pytest_plugin import _running_sandbox, planhat_sandbox  # noqa: F401 - fixtures
