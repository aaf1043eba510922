"""What a run sends Databricks: statements that it takes, in steps."""

from __future__ import annotations

import sqlglot
from harness import Project
from run.life import lead_a_life
from sqlglot import exp


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
