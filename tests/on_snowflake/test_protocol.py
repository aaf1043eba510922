"""What a run sends Snowflake: whole transactions although DDL commits, names in their case, no reserved word."""

from __future__ import annotations

import re

import pytest
import sqlglot
from harness import Project
from run.shop import add_companies, add_endusers, company, enduser, mirrors
from sqlglot import exp

from planhat_dbt.sandbox import Fault, FaultKind

_RESERVED = (
    "ALL ALTER AND ANY AS BETWEEN BY CHECK COLUMN CONNECT CREATE CURRENT DELETE DISTINCT DROP ELSE EXISTS FOLLOWING "
    "FOR FROM GRANT GROUP HAVING ILIKE IN INCREMENT INSERT INTERSECT INTO IS LIKE MINUS NOT NULL OF ON OR ORDER "
    "QUALIFY REGEXP REVOKE RLIKE ROW ROWS SAMPLE SELECT SET SOME START TABLE TABLESAMPLE THEN TO TRIGGER UNION UNIQUE "
    "UPDATE VALUES WHENEVER WHERE WITH ACCOUNT CASE CAST CONSTRAINT CROSS DATABASE FALSE FULL INNER ISSUE JOIN LATERAL "
    "LEFT NATURAL ORGANIZATION RIGHT SCHEMA TRUE TRY_CAST USING VIEW WHEN"
)
RESERVED = frozenset(_RESERVED.split(" "))
"""Words that Snowflake takes for no name without quotes (its reference, "Reserved & limited keywords")."""
OF_TABLES = re.compile(r"\s*(create|alter|drop)\b", re.IGNORECASE)


def lead_a_life(project: Project) -> None:
    """Insert, update, clear, delete; a refusal, a duplicate, a loss in transit, a field more, another type."""
    add_companies(project, 6, on_removed="delete", max_removals="100%")
    add_endusers(project, [enduser(i) for i in range(1, 5)], on_removed="clear", max_removals="100%")
    project.sync()
    assert mirrors(project)
    project.quiet()
    project.sql(
        "update companies set name = 'Other' where id = 'c-2'", "delete from companies where id = 'c-6'"
    )
    project.sql("delete from endusers where id = 'u-4'")
    project.insert("companies", [company(9), company(9)])
    outcome = project.sync(code=None)
    assert outcome.counts("companies") == {"updated": 1, "deleted": 1, "rejected": 2}
    assert outcome.counts("endusers") == {"cleared": 1}
    project.sql("delete from companies where id = 'c-9'", "update companies set name = 'Third'")
    project.sandbox.faults.add(
        Fault(kind=FaultKind.STATUS_AFTER, status=504, path="/companies", method="PUT", count=None)
    )
    project.sync(code=None)
    project.sandbox.faults.clear()
    project.sync(code=None)
    project.quiet()


@pytest.fixture
def life(project: Project, statements: list[str]) -> list[str]:
    lead_a_life(project)
    return statements


def test_what_is_sent(life: list[str]) -> None:
    whole_transactions(life)
    names(life)


def whole_transactions(life: list[str]) -> None:
    """What is recorded of calls stands and falls together: no statement on tables comes between."""
    recorded, inside = 0, None
    for statement in life:
        if statement == "begin":
            inside = []
        elif statement in ("commit", "rollback"):
            if inside and any(
                "batches" in s.lower() and "accepted" not in s and s.startswith("update") for s in inside
            ):
                recorded += any('."SNAPSHOT__' in s and s.startswith("insert") for s in inside)
            inside = None
        elif inside is not None:
            assert not OF_TABLES.match(statement), statement
            inside.append(statement)
    assert recorded >= 4


def names(life: list[str]) -> None:
    """Each name is quoted in the case in which Snowflake keeps it, or plain, so that it folds it, and not reserved."""
    seen = set()
    for statement in life:
        if OF_TABLES.match(statement) or not statement.startswith(("alter session", "use ", "describe")):
            tree = sqlglot.parse_one(statement.replace("%s", "?"), read="snowflake")
            assert not isinstance(tree, exp.Command) or statement in ("begin", "commit", "rollback"), (
                statement
            )
            seen |= {(i.this, bool(i.quoted)) for i in tree.find_all(exp.Identifier)}
    for name, quoted in seen:
        if quoted:
            assert name != name.lower() or not re.search("[a-z]", name), name
        else:
            assert name.upper() not in RESERVED, name
    assert ("companyId", True) in seen
    assert ("ROWS", True) in seen
