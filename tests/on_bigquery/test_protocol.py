"""What a run sends BigQuery: whole transactions of rows alone, statements that it takes, no reserved word."""

from __future__ import annotations

import pytest
import sqlglot
from harness import Project
from run.life import BEGIN, ENDS, check_transactions, lead_a_life
from run.shop import add_companies
from sqlglot import exp

_RESERVED = (
    "ALL AND ANY ARRAY AS ASC ASSERT_ROWS_MODIFIED AT BETWEEN BY CASE CAST COLLATE CONTAINS CREATE CROSS CUBE CURRENT "
    "DEFAULT DEFINE DESC DISTINCT ELSE END ENUM ESCAPE EXCEPT EXCLUDE EXISTS EXTRACT FALSE FETCH FOLLOWING FOR FROM "
    "FULL GROUP GROUPING GROUPS HASH HAVING IF IGNORE IN INNER INTERSECT INTERVAL INTO IS JOIN LATERAL LEFT LIKE LIMIT "
    "LOOKUP MERGE NATURAL NEW NO NOT NULL NULLS OF ON OR ORDER OUTER OVER PARTITION PRECEDING PROTO QUALIFY RANGE "
    "RECURSIVE RESPECT RIGHT ROLLUP ROWS SELECT SET SOME STRUCT TABLESAMPLE THEN TO TREAT TRUE UNBOUNDED UNION UNNEST "
    "USING WHEN WHERE WINDOW WITH WITHIN"
)
RESERVED = frozenset(_RESERVED.split(" "))
"""Words that BigQuery takes for no name without quotes (its reference, "Reserved keywords")."""


@pytest.mark.timeout(600)
def test_what_is_sent(project: Project, statements: list[str]) -> None:
    lead_a_life(project)
    check_transactions(statements, snapshot=".`snapshot__", batches="`batches`")
    understood(statements)


def understood(life: list[str]) -> None:
    """Parsed as BigQuery's: no reserved word stands without quotes, and each change of rows says which."""
    for statement in life:
        if statement in (BEGIN, *ENDS) or statement.startswith("call "):
            continue
        tree = sqlglot.parse_one(statement, read="bigquery")
        assert not isinstance(tree, exp.Command), statement
        for name in tree.find_all(exp.Identifier):
            assert name.quoted or name.this.upper() not in RESERVED, (name.this, statement)
        if isinstance(tree, exp.Update | exp.Delete):
            assert tree.args.get("where"), statement
        for union in tree.find_all(exp.Union):
            assert not union.args.get("distinct"), statement
        for column in tree.find_all(exp.Column):
            assert not column.args.get("db"), statement


def test_a_connection_is_kept_while_a_run_lasts(project: Project, statements: list[str]) -> None:
    """BigQuery's session goes with the connection: each that ends makes a new one, and its temporary tables."""
    add_companies(project, 3)
    project.sync()
    assert 1 <= statements.count("call bqs.abort_session()") <= 2  # that of the heartbeat, perhaps


def test_of_two_that_change_one_table_the_second_tries_again(project: Project) -> None:
    add_companies(project, 1)
    project.sync()
    meta = f"`{project.warehouse.database}`.`planhat_sync`.`meta`"
    from planhat_dbt.warehouse.error import WarehouseError  # noqa: PLC0415

    warehouse = project.warehouse.opened
    with warehouse.open() as one, warehouse.open() as two:
        two.wait_for_locks(0)
        with one.transaction():
            one.lock(meta)
            with pytest.raises(WarehouseError) as told, two.transaction():
                two.lock(meta)
            assert "Run the command again" in told.value.hint
        with two.transaction():
            two.lock(meta)
