"""Which tests run where: `PLANHAT_DBT_TEST_ON=postgres` puts every project of the tests on PostgreSQL."""

from __future__ import annotations

import pytest
from harness.warehouses import ON


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        mark = item.get_closest_marker("duckdb")
        if mark and ON != "duckdb":
            item.add_marker(pytest.mark.skip(reason=mark.args[0] if mark.args else "of DuckDB"))
