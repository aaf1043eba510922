"""What a run sends Redshift: statements that it takes, whole transactions, no reserved word without quotes."""

from __future__ import annotations

import re

import pytest
from harness import Project
from harness.translated_redshift import understood
from run.life import ENDS, lead_a_life
from run.shop import COMPANIES, add_companies, company, seed_company
from run.test_events import METRIC_BLOCK, METRICS, metric
from sqlglot import exp

_RESERVED = (
    "AES128 AES256 ALL ALLOWOVERWRITE ANALYSE ANALYZE AND ANY ARRAY AS ASC AUTHORIZATION AZ64 BACKUP BETWEEN "
    "BINARY BLANKSASNULL BOTH BYTEDICT BZIP2 CASE CAST CHECK COLLATE COLUMN CONSTRAINT CREATE CREDENTIALS "
    "CROSS CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER CURRENT_USER_ID DEFAULT DEFERRABLE DEFLATE "
    "DEFRAG DELTA DELTA32K DESC DISABLE DISTINCT DO ELSE EMPTYASNULL ENABLE ENCODE ENCRYPT ENCRYPTION END "
    "EXCEPT EXPLICIT FALSE FOR FOREIGN FREEZE FROM FULL GLOBALDICT256 GLOBALDICT64K GRANT GROUP GZIP HAVING "
    "IDENTITY IGNORE ILIKE IN INITIALLY INNER INTERSECT INTERVAL INTO IS ISNULL JOIN LEADING LEFT LIKE LIMIT "
    "LOCALTIME LOCALTIMESTAMP LUN LUNS LZO LZOP MINUS MOSTLY16 MOSTLY32 MOSTLY8 NATURAL NEW NOT NOTNULL NULL "
    "NULLS OFF OFFLINE OFFSET OID OLD ON ONLY OPEN OR ORDER OUTER OVERLAPS PARALLEL PARTITION PERCENT "
    "PERMISSIONS PIVOT PLACING PRIMARY RAW READRATIO RECOVER REFERENCES REJECTLOG RESORT RESPECT RESTORE RIGHT "
    "SELECT SESSION_USER SIMILAR SNAPSHOT SOME SYSDATE SYSTEM TABLE TAG TDES TEXT255 TEXT32K THEN TIMESTAMP TO "
    "TOP TRAILING TRUE TRUNCATECOLUMNS UNION UNIQUE UNNEST UNPIVOT USER USING VERBOSE WALLET WHEN WHERE WITH "
    "WITHOUT"
)
RESERVED = frozenset(_RESERVED.split(" "))
"""Words that Redshift takes for no name without quotes (its reference, "Reserved words")."""
_OTHERS = re.compile(r"(begin|commit|rollback|set|reset|close|fetch|lock)\b")
_DECLARED = re.compile(r"declare \w+ cursor for ")
_IN_NO_TRANSACTION = re.compile(
    r"vacuum|alter table .* append|alter table .* alter column|create external", re.IGNORECASE
)


def test_what_is_sent(project: Project, statements: list[str]) -> None:
    lead_a_life(project)
    understood_all(statements)
    recorded(statements)


def understood_all(statements: list[str]) -> None:
    """Parsed as Redshift's, with nothing that the stand-in refuses, and no reserved word without quotes."""
    for statement in dict.fromkeys(statements):
        if _OTHERS.match(statement):
            continue
        assert len(statement.encode()) < 16_000_000
        tree = understood(_DECLARED.sub("", statement).replace("%s", "?"))
        for name in tree.find_all(exp.Identifier):
            word = "" if "pg_catalog" in statement and name.this == "oid" else name.this.upper()
            assert name.quoted or word not in RESERVED, (name.this, statement)


def recorded(statements: list[str]) -> None:
    """See that what is recorded of calls stands and falls together, in transactions that begin with the lock."""
    inside: list[str] | None = None
    found = 0
    for statement in statements:
        if statement == "begin":
            assert inside is None
            inside = []
        elif statement in ENDS:
            closed = [s for s in inside or () if s.startswith("update") and '"batches" set bytes' in s]
            if closed:
                assert inside
                assert inside[1].startswith("lock table")
                found += any('"snapshot__' in s and s.startswith("insert") for s in inside)
            inside = None
        elif inside is not None:
            assert not _IN_NO_TRANSACTION.match(statement), statement
            inside.append(statement)
    assert found >= 4


def test_a_changed_mapping(project: Project, statements: list[str]) -> None:
    """A field comes, one goes, one has another type: columns of mixed case are found in small letters."""
    first = {"name": "name", "phonePrimary": "phase", "custom": {"Seats": "seats"}}
    then = {"name": "name", "description": "phase", "csmScore": "seats"}
    add_companies(project, 3, fields=first)
    project.sync()
    project.declare("companies", {**COMPANIES, "fields": then})
    assert project.sync().counts("companies") == {"updated": 3}
    assert any(s.endswith('drop column "phonePrimary"') for s in statements)
    project.sql(
        'alter table "companies" add column wide decimal(38, 0)',
        'update "companies" set wide = seats',
        'alter table "companies" drop column seats',
        'alter table "companies" rename column wide to seats',
    )
    project.quiet()
    understood_all(statements)
    assert any(s.endswith('rename column "csmScore__new" to "csmScore"') for s in statements)


def test_events(project: Project, statements: list[str]) -> None:
    seed_company(project, "c-1")
    project.model(
        "usage",
        {**METRIC_BLOCK, "event_time": "at", "lookback": "3650 days"},
        METRICS,
        [metric(i) for i in range(1, 4)],
    )
    assert project.sync().counts("usage") == {"inserted": 3}
    project.quiet()
    understood_all(statements)


def test_texts_that_no_text_can_hold_together(project: Project) -> None:
    """Two of forty thousand bytes each: sent whole by another way, and noted by their beginning and digest."""
    add_companies(project, 1)
    project.sync()
    long, longer = "ä" * 20_000, "\\\"'\n" * 10_000
    project.replace("companies", [(*company(1)[:1], long, longer, *company(1)[3:])])
    assert project.sync(code=None).counts("companies") == {"updated": 1}
    ((changes,),) = project.query("select changes from planhat_sync.changes where operation = 'update'")
    assert "… md5 " in changes
    assert len(changes) < 1000
    project.quiet()


@pytest.mark.parametrize("text", ["a", "a ", "a\x01", 'ä\t"\\\n'])
def test_texts_are_told_apart_and_sent_as_they_are(project: Project, text: str) -> None:
    add_companies(project, 1)
    project.replace("companies", [(*company(1)[:1], text, *company(1)[2:])])
    project.sync()
    assert [c["name"] for c in project.sandbox.tenant.records("companies")] == [text]
    project.quiet()
