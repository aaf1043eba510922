"""BigQuery's names, texts and types, without BigQuery."""

from __future__ import annotations

import pytest

from planhat_dbt.warehouse.bigquery_dialect import BigQueryDialect, by_last_name, type_name
from planhat_dbt.warehouse.port import Column, ColumnKind, WireForm

DIALECT = BigQueryDialect()


def test_names_and_texts() -> None:
    assert DIALECT.quote("a`b") == "`a\\`b`"
    assert DIALECT.literal("it's a \\ here\nand\r\0") == "'it\\'s a \\\\ here\\nand\\r\\x00'"


@pytest.mark.parametrize(
    ("printed", "name", "kind"),
    [
        ("STRING", "STRING", ColumnKind.TEXT),
        ("STRING(10)", "STRING", ColumnKind.TEXT),
        ("INT64", "INT64", ColumnKind.INTEGER),
        ("INTEGER", "INT64", ColumnKind.INTEGER),
        ("NUMERIC(12, 2)", "NUMERIC", ColumnKind.DECIMAL),
        ("BIGNUMERIC", "BIGNUMERIC", ColumnKind.DECIMAL),
        ("FLOAT", "FLOAT64", ColumnKind.FLOAT),
        ("BOOLEAN", "BOOL", ColumnKind.BOOLEAN),
        ("DATE", "DATE", ColumnKind.DATE),
        ("TIME", "TIME", ColumnKind.TIME),
        ("DATETIME", "DATETIME", ColumnKind.TIMESTAMP),
        ("TIMESTAMP", "TIMESTAMP", ColumnKind.TIMESTAMPTZ),
        ("JSON", "JSON", ColumnKind.JSON),
        ("ARRAY<STRUCT<a INT64>>", "ARRAY", ColumnKind.NESTED),
        ("RECORD", "STRUCT", ColumnKind.NESTED),
        ("BYTES", "BYTES", ColumnKind.UNSUPPORTED),
        ("GEOGRAPHY", "GEOGRAPHY", ColumnKind.UNSUPPORTED),
        ("INTERVAL", "INTERVAL", ColumnKind.UNSUPPORTED),
        ("RANGE<DATE>", "RANGE", ColumnKind.UNSUPPORTED),
    ],
)
def test_types(printed: str, name: str, kind: ColumnKind) -> None:
    assert type_name(printed) == name
    assert DIALECT.kind(name) is kind


def test_columns_are_named_by_the_last_name_of_their_table() -> None:
    sql = "update `p`.`d`.`t` set a = s.a, b = '`x`.`y`.`z`.c \\' ' from `p`.`d`.`s` s where s.a = `p`.`d`.`t`.a"
    assert by_last_name(sql) == (
        "update `p`.`d`.`t` set a = s.a, b = '`x`.`y`.`z`.c \\' ' from `p`.`d`.`s` s where s.a = `t`.a"
    )


def test_documents_are_kept_as_text() -> None:
    tags = Column("tags", "ARRAY", ColumnKind.NESTED)
    assert DIALECT.stored_type(tags) == "string"
    assert DIALECT.canonical("m.tags", tags) == "case when m.tags is not null then to_json_string(m.tags) end"
    assert DIALECT.wire("tags", tags, WireForm.JSON) == "tags"


def test_a_moment_changes_to_another_type_by_way_of_utc() -> None:
    assert DIALECT.converted("x", "TIMESTAMP", "datetime") == "cast(datetime(x, 'UTC') as datetime)"
    assert DIALECT.converted("x", "DATE", "timestamp") == "timestamp(x, 'UTC')"
    assert DIALECT.alike("INT64", "numeric")
    assert not DIALECT.alike("STRING", "int64")


def test_statements_stay_within_the_limits() -> None:
    bigquery = pytest.importorskip("planhat_dbt.warehouse.bigquery", exc_type=ImportError)
    rows = [[None, "x"] for _ in range(2500)]
    assert [len(p) for p in bigquery._parts(rows, 2)] == [1000, 1000, 500]
    assert [len(p) for p in bigquery._parts(rows[:1300], 16)] == [625, 625, 50]
    assert [len(p) for p in bigquery._parts([["x" * 1_500_000]] * 3, 1)] == [1, 1, 1]
    assert list(bigquery._parts([], 2)) == []


def test_parameters() -> None:
    bigquery = pytest.importorskip("planhat_dbt.warehouse.bigquery", exc_type=ImportError)
    sql, given = bigquery._bound("select '?\\'?', `a?b`, ?, ?, ?", [None, 7, "x"])
    assert sql == "select '?\\'?', `a?b`, null, ?, ?"
    assert [(p.type_, p.value) for p in given] == [("INT64", 7), ("STRING", "x")]


@pytest.mark.parametrize("written", ["`p-1`.`d`.`t`", "p-1.d.t", "`p-1`.d.`t`"])
def test_a_relation_as_dbt_writes_it(written: str) -> None:
    bigquery = pytest.importorskip("planhat_dbt.warehouse.bigquery", exc_type=ImportError)
    assert bigquery._path(written) == ["p-1", "d", "t"]
