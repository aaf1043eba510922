"""What a run sends Databricks: statements that it takes, in steps."""

from __future__ import annotations

import pytest
import sqlglot
from harness import Project
from run.life import lead_a_life
from sqlglot import exp

from planhat_dbt.warehouse.error import WarehouseError
from planhat_dbt.warehouse.spark import _MADE, DatabricksSession
from planhat_dbt.warehouse.spark_dialect import SparkDialect
from planhat_dbt.warehouse.stepwise import Stepping


@pytest.mark.thorough
def test_what_is_sent(project: Project, statements: list[str]) -> None:
    lead_a_life(project)
    understood(statements)
    assert project.query("select count(*) from planhat_sync.steps") == [(0,)]
    left = "select table_name from duckdb_tables() where table_name like 'scratch%' and database_name = "
    assert project.query(f"{left} '{project.warehouse.database}'") == []


def understood(life: list[str]) -> None:
    """Parsed as Databricks'."""
    for statement in life:
        if statement.startswith(("describe", "show", "set time zone")):
            continue
        tree = sqlglot.parse_one(statement, read="databricks")
        assert not isinstance(tree, exp.Command), statement


@pytest.mark.parametrize(
    ("statement", "stands_before"),
    [
        ("create table `a`.`b`.`c` as select 1", " as select 1"),
        ("create table if not exists `a`.`b`.`c` (`x` string, `y` decimal(10, 2))", ""),
        ("create table `a`.`b`.`c` (`odd) name` string, `a(b` bigint)", ""),
        ("create table `a`.`b`.`Amount (EUR)` (`Amount (EUR)` decimal(38, 0)) ", " "),
    ],
)
def test_where_the_storage_of_a_table_is_said(statement: str, stands_before: str) -> None:
    assert _MADE.sub(r"\1 HERE", statement, count=1) == (
        f"{statement.removesuffix(stands_before)} HERE{stands_before}"
    )


@pytest.mark.parametrize(
    ("told", "conflict", "refusal"),
    [
        ("[DELTA_CONCURRENT_APPEND] ConcurrentAppendException", True, True),
        (
            "org.apache.iceberg.exceptions.ValidationException: Found conflicting files that can contain",
            True,
            True,
        ),
        ("CommitStateUnknownException … Caused by: CommitFailedException: timeout", False, False),
        ("[TABLE_OR_VIEW_NOT_FOUND] The table or view `x` cannot be found. SQLSTATE: 42P01", False, True),
        ("HTTPSConnectionPool: Read timed out", False, False),
    ],
)
def test_what_an_error_says_of_its_statement(told: str, conflict: bool, refusal: bool) -> None:
    error = WarehouseError("refused")
    error.__cause__ = RuntimeError(told)
    session = DatabricksSession(None, SparkDialect(), Stepping(SparkDialect(), "a", "b"))
    assert (session._is_conflict(error), session._is_refusal(error)) == (conflict, refusal)
