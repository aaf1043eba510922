"""Snowflake's names and types as text: needs no server."""

from __future__ import annotations

import pytest

from planhat_dbt.warehouse.port import ColumnKind
from planhat_dbt.warehouse.snowflake_dialect import SnowflakeDialect, folded, type_name, unquoted

DIALECT = SnowflakeDialect()


@pytest.mark.parametrize(
    ("kept", "ours"),
    [
        ("ACCOUNT_ID", "account_id"),
        ("account_id", "ACCOUNT_ID"),
        ("companyId", "companyId"),
        ("PLAN TIER", "plan tier"),
        ("Größe", "Größe"),
        ("_1", "_1"),
    ],
)
def test_names_go_there_and_back(kept: str, ours: str) -> None:
    assert folded(kept) == ours
    assert DIALECT.quote(ours) == f'"{kept}"'


@pytest.mark.parametrize(
    ("written", "quoted"),
    [
        ("Analytics", '"ANALYTICS"'),
        ("ANALYTICS", '"ANALYTICS"'),
        ("analytics", '"ANALYTICS"'),
        ("my-db", '"my-db"'),
    ],
)
def test_a_database_of_a_profile(written: str, quoted: str) -> None:
    assert DIALECT.quote(unquoted(written)) == quoted


def test_literals() -> None:
    assert DIALECT.literal("it's a \\ here") == "'it''s a \\\\ here'"
    assert DIALECT.quote('a"B') == '"a""B"'


@pytest.mark.parametrize(
    ("printed", "name", "kind"),
    [
        ("VARCHAR(16777216)", "VARCHAR", ColumnKind.TEXT),
        ("NUMBER(38,0)", "NUMBER(38,0)", ColumnKind.INTEGER),
        ("NUMBER(12,2)", "NUMBER(12,2)", ColumnKind.DECIMAL),
        ("FLOAT", "FLOAT", ColumnKind.FLOAT),
        ("BOOLEAN", "BOOLEAN", ColumnKind.BOOLEAN),
        ("DATE", "DATE", ColumnKind.DATE),
        ("TIME(9)", "TIME", ColumnKind.TIME),
        ("TIMESTAMP_NTZ(9)", "TIMESTAMP_NTZ", ColumnKind.TIMESTAMP),
        ("TIMESTAMP_LTZ(9)", "TIMESTAMP_LTZ", ColumnKind.TIMESTAMPTZ),
        ("TIMESTAMP_TZ(3)", "TIMESTAMP_TZ", ColumnKind.TIMESTAMPTZ),
        ("UUID", "UUID", ColumnKind.UUID),
        ("VARIANT", "VARIANT", ColumnKind.JSON),
        ("ARRAY", "ARRAY", ColumnKind.NESTED),
        ("ARRAY(NUMBER(38,0))", "ARRAY", ColumnKind.NESTED),
        ("OBJECT(a VARCHAR)", "OBJECT", ColumnKind.NESTED),
        ("BINARY(8388608)", "BINARY", ColumnKind.UNSUPPORTED),
        ("GEOGRAPHY", "GEOGRAPHY", ColumnKind.UNSUPPORTED),
        ("VECTOR(FLOAT, 3)", "VECTOR", ColumnKind.UNSUPPORTED),
    ],
)
def test_types(printed: str, name: str, kind: ColumnKind) -> None:
    assert type_name(printed) == name
    assert DIALECT.kind(name) is kind
