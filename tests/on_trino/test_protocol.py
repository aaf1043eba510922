"""What a run sends Trino: statements that it takes, in steps, with no reserved word as a name."""

from __future__ import annotations

import re

import pytest
import sqlglot
from harness import Project
from run.life import lead_a_life
from sqlglot import exp

_RESERVED = (
    "ALTER AND AS AUTO BETWEEN BY CASE CAST CONSTRAINT CREATE CROSS CUBE CURRENT_CATALOG CURRENT_DATE CURRENT_PATH "
    "CURRENT_ROLE CURRENT_SCHEMA CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER DEALLOCATE DELETE DESCRIBE DISTINCT DROP "
    "ELSE END ESCAPE EXCEPT EXISTS EXTRACT FALSE FOR FROM FULL GROUP GROUPING HAVING IN INNER INSERT INTERSECT INTO IS "
    "JOIN JSON_ARRAY JSON_EXISTS JSON_OBJECT JSON_QUERY JSON_TABLE JSON_VALUE LEFT LIKE LISTAGG LOCALTIME "
    "LOCALTIMESTAMP NATURAL NORMALIZE NOT NULL ON OR ORDER OUTER PREPARE RECURSIVE RIGHT ROLLUP SELECT SKIP TABLE THEN "
    "TRIM TRUE UESCAPE UNION UNNEST USING VALUES WHEN WHERE WITH"
)
RESERVED = frozenset(_RESERVED.split(" "))
"""Words that Trino takes for no name without quotes (its reference, "Keywords and identifiers")."""
_WRITES = re.compile(r"\s*(insert|update|delete|merge|alter)\b", re.IGNORECASE)


@pytest.mark.thorough
def test_what_is_sent(project: Project, statements: list[str]) -> None:
    lead_a_life(project)
    understood(statements)
    assert project.query("select count(*) from planhat_sync.steps") == [(0,)]
    left = "select table_name from duckdb_tables() where table_name like 'scratch%' and database_name = "
    assert project.query(f"{left} '{project.warehouse.database}'") == []


def understood(life: list[str]) -> None:
    """Parsed as Trino's; what is written inside a list of steps changes no table that the list does not name."""
    for statement in life:
        tree = sqlglot.parse_one(statement, read="trino")
        assert not isinstance(tree, exp.Command), statement
        for name in tree.find_all(exp.Identifier):
            assert name.quoted or name.this.upper() not in RESERVED, (name.this, statement)
    assert any(_WRITES.match(s) for s in life)
