"""A pytest fixture with a running sandbox.

```python
# conftest.py
pytest_plugins = ["planhat_dbt.sandbox.pytest_plugin"]

# test_sync.py
def test_companies_arrive(planhat_sandbox, monkeypatch):
    for name, value in planhat_sandbox.environment.items():
        monkeypatch.setenv(name, value)
    ...
    assert len(planhat_sandbox.tenant.records("companies")) == 3
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from planhat_dbt.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def _running_sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def planhat_sandbox(_running_sandbox: Sandbox) -> Iterator[Sandbox]:
    """A local Planhat without records, faults and log; one server serves the whole session."""
    _running_sandbox.reset()
    yield _running_sandbox
    _running_sandbox.reset()
