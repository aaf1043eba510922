"""Fixtures of the core tests: a bench, a running sandbox, and Hypothesis profiles."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest
from hypothesis import HealthCheck, settings

from core.workbench import Bench, as_view
from planhat_dbt.compare import Comparison, create_plan, drop_plan, find_suspects
from planhat_dbt.run import compare_step
from planhat_dbt.sandbox import Sandbox
from planhat_dbt.sandbox.pytest_plugin import _running_sandbox, planhat_sandbox  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Session

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


@pytest.fixture
def narrowed_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare all rows, those that may differ, and as if of a view: in each comparison of a test, the same plan."""
    chosen = compare_step._plan_statement

    def both(session: Session, tables: StateTables, comparison: Comparison) -> str:
        whole = _rows_planned(session, tables, comparison, None)
        assert _rows_planned(session, tables, as_view(comparison), None) == whole
        for one in (comparison, as_view(comparison)):
            if query := find_suspects(tables, one):
                session.scratch("tested_suspects", query)
                assert _rows_planned(session, tables, one, "tested_suspects") == whole
        return chosen(session, tables, comparison)

    monkeypatch.setattr(compare_step, "_plan_statement", both)


def _rows_planned(
    session: Session, tables: StateTables, comparison: Comparison, among: str | None
) -> list[str]:
    """The plan's rows but for their numbers."""
    sync = comparison.bound.name
    session.execute(create_plan(tables, comparison, among=among))
    rows = session.rows(f"select * from {tables.plan(sync)}")
    assert not session.rows(
        f"select 1 from {tables.plan(sync)} where _operation is not null and _batch is null"
    )
    session.execute(drop_plan(tables, sync))
    return sorted(repr(row[2:]) for row in rows)
