"""What a run sends Snowflake: whole transactions although DDL commits, names in their case, no reserved word."""

from __future__ import annotations

import re

import pytest
import sqlglot
from harness import Project
from run.life import BEGIN, ENDS, OF_TABLES, check_transactions, lead_a_life
from sqlglot import exp

_RESERVED = (
    "ALL ALTER AND ANY AS BETWEEN BY CHECK COLUMN CONNECT CREATE CURRENT DELETE DISTINCT DROP ELSE EXISTS FOLLOWING "
    "FOR FROM GRANT GROUP HAVING ILIKE IN INCREMENT INSERT INTERSECT INTO IS LIKE MINUS NOT NULL OF ON OR ORDER "
    "QUALIFY REGEXP REVOKE RLIKE ROW ROWS SAMPLE SELECT SET SOME START TABLE TABLESAMPLE THEN TO TRIGGER UNION UNIQUE "
    "UPDATE VALUES WHENEVER WHERE WITH ACCOUNT CASE CAST CONSTRAINT CROSS DATABASE FALSE FULL INNER ISSUE JOIN LATERAL "
    "LEFT NATURAL ORGANIZATION RIGHT SCHEMA TRUE TRY_CAST USING VIEW WHEN"
)
RESERVED = frozenset(_RESERVED.split(" "))
"""Words that Snowflake takes for no name without quotes (its reference, "Reserved & limited keywords")."""


@pytest.fixture
def life(project: Project, statements: list[str]) -> list[str]:
    lead_a_life(project)
    return statements


def test_what_is_sent(life: list[str]) -> None:
    check_transactions(life, snapshot='."SNAPSHOT__', batches='"BATCHES"')
    names(life)


def names(life: list[str]) -> None:
    """Each name is quoted in the case in which Snowflake keeps it, or plain, so that it folds it, and not reserved."""
    seen = set()
    for statement in life:
        if OF_TABLES.match(statement) or not statement.startswith(("alter session", "use ", "describe")):
            tree = sqlglot.parse_one(statement.replace("%s", "?"), read="snowflake")
            assert not isinstance(tree, exp.Command) or statement in (BEGIN, *ENDS), statement
            seen |= {(i.this, bool(i.quoted)) for i in tree.find_all(exp.Identifier)}
    for name, quoted in seen:
        if quoted:
            assert name != name.lower() or not re.search("[a-z]", name), name
        else:
            assert name.upper() not in RESERVED, name
    assert ("companyId", True) in seen
    assert ("ROWS", True) in seen
