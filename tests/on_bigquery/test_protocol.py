"""What a run sends BigQuery: whole transactions of rows alone, statements that it takes, no reserved word."""

from __future__ import annotations

import re

import pytest
import sqlglot
from harness import Project
from on_snowflake.test_protocol import lead_a_life
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
OF_TABLES = re.compile(r"\s*(create|alter|drop)\b", re.IGNORECASE)
ENDS = ("commit transaction", "rollback transaction")


@pytest.mark.timeout(600)
def test_what_is_sent(project: Project, statements: list[str]) -> None:
    lead_a_life(project)
    whole_transactions(statements)
    understood(statements)


def whole_transactions(life: list[str]) -> None:
    """What is recorded of calls stands and falls together: no statement on tables comes between."""
    recorded, inside = 0, None
    for statement in life:
        if statement == "begin transaction":
            assert inside is None
            inside = []
        elif statement in ENDS:
            if inside and any(
                "`batches`" in s and "accepted" not in s and s.startswith("update") for s in inside
            ):
                recorded += any(".`snapshot__" in s and s.startswith("insert") for s in inside)
            inside = None
        elif inside is not None:
            assert not OF_TABLES.match(statement), statement
            inside.append(statement)
    assert recorded >= 4


def understood(life: list[str]) -> None:
    """Parsed as BigQuery's: no reserved word stands without quotes, and each change of rows says which."""
    for statement in life:
        if statement == "begin transaction" or statement in ENDS or statement.startswith("call "):
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
