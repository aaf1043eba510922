"""Which tests run where: `PLANHAT_DBT_TEST_ON` puts every project of the tests there (see `harness.warehouses`).

And how many of them (see `harness.share`).
"""

from __future__ import annotations

import gc
import os

import pytest
from harness.share import ALL, left_out
from harness.warehouses import ON

if ON == "steps":
    from harness import stepwise

    from planhat_dbt.warehouse import duckdb

    duckdb.DuckDBWarehouse = stepwise.StepwiseDuckDBWarehouse  # type: ignore[misc]

if ON == "databricks":
    from harness.translated_spark import HandedOut

    from planhat_dbt.warehouse import dbt_adapter

    dbt_adapter.Adapter = HandedOut  # type: ignore[misc,assignment]

if ON == "redshift":
    from harness import translated_redshift

    from planhat_dbt.warehouse import dbt_adapter

    dbt_adapter.Adapter = translated_redshift.StandInAdapter  # type: ignore[misc]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    gone = left_out(items)
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in gone])
    items[:] = [item for item in items if item.nodeid not in gone]
    for item in items:
        mark = item.get_closest_marker("duckdb")
        if mark and ON not in ("duckdb", "steps"):
            item.add_marker(pytest.mark.skip(reason=mark.args[0] if mark.args else "of DuckDB"))
        mark = item.get_closest_marker("not_emulated")
        if mark and ON in ("snowflake", "bigquery", "trino", "databricks"):
            item.add_marker(pytest.mark.skip(reason=f"an emulator: {mark.args[0]}"))


def pytest_collection_finish() -> None:
    """What stands by now stays to the end: the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    gc.unfreeze()  # or DuckDB's bindings tell of leaks


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not ALL:
        terminalreporter.write_line("Of each matrix a share was run; `make unit-all` runs all of it.")


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: many tests wait for a lock, a delay, or another process."""
    return 1 + (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
