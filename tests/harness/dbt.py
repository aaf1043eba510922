"""The dbt that the tests run with: `make test-dbt-versions` runs those that start it with each minor version."""

from __future__ import annotations

from importlib.metadata import version

import pytest

MINOR: tuple[int, int] = tuple(map(int, version("dbt-core").split(".")[:2]))  # type: ignore[assignment]


def needs(*minor: int, why: str) -> pytest.MarkDecorator:
    """Skip a test where dbt is older."""
    return pytest.mark.skipif(minor > MINOR, reason=f"dbt {'.'.join(map(str, minor))}: {why}")
