"""Spark's names, texts and types; and, where Spark is installed, what it makes of the expressions."""

from __future__ import annotations

import hashlib
import json

import pytest

from planhat_dbt.warehouse.port import Column, ColumnKind, WireForm
from planhat_dbt.warehouse.spark_dialect import SparkDialect

DIALECT = SparkDialect()
TEXT = 'it\'s \\ "x" ${env:HOME} ${a} \n é €'


@pytest.mark.parametrize(
    ("printed", "kind", "stored"),
    [
        ("string", ColumnKind.TEXT, "string"),
        ("varchar(10)", ColumnKind.TEXT, "string"),
        ("int", ColumnKind.INTEGER, "bigint"),
        ("decimal(12,2)", ColumnKind.DECIMAL, "decimal(12,2)"),
        ("double", ColumnKind.FLOAT, "double"),
        ("boolean", ColumnKind.BOOLEAN, "boolean"),
        ("date", ColumnKind.DATE, "date"),
        ("timestamp", ColumnKind.TIMESTAMPTZ, "timestamp"),
        ("timestamp_ntz", ColumnKind.TIMESTAMP, "timestamp"),
        ("array<string>", ColumnKind.NESTED, "string"),
        ("map<string,int>", ColumnKind.NESTED, "string"),
        ("struct<a:int,b:array<string>>", ColumnKind.NESTED, "string"),
        ("variant", ColumnKind.JSON, "string"),
        ("binary", ColumnKind.UNSUPPORTED, "string"),
        ("interval day to second", ColumnKind.UNSUPPORTED, "string"),
        ("void", ColumnKind.UNSUPPORTED, "string"),
    ],
)
def test_types(printed: str, kind: ColumnKind, stored: str) -> None:
    assert DIALECT.kind(printed) is kind
    assert DIALECT.stored_type(Column("x", printed, kind)) == stored


def test_names_and_texts() -> None:
    assert DIALECT.quote("a`b") == "`a``b`"
    assert DIALECT.literal("it's \\ ${x}") == "'it\\'s \\\\ $\\{x}'"
    assert DIALECT.rename_table(("spark_catalog", "s"), "a", "b") == (
        "alter table `spark_catalog`.`s`.`a` rename to `s`.`b`"
    )


@pytest.fixture(params=["true", "false"], ids=["ansi", "not ansi"])
def evaluated(request: pytest.FixtureRequest):
    """What Spark makes of an expression."""
    pytest.importorskip("pyspark", reason="Spark is in an environment of its own: make unit-spark")
    from harness.spark_engine import spark  # noqa: PLC0415 - where there is one

    spark().plain(f"set spark.sql.ansi.enabled = {request.param}")
    spark().plain("set time zone 'UTC'")
    return lambda expression: spark().plain(f"select {expression} as a").collect()[0][0]


@pytest.mark.parametrize(
    ("value", "number", "key"),
    [
        ("0.1", "0.1", "0.1"),
        ("0.0", "0.0", "0"),
        ("1e15", "1000000000000000.0", "1000000000000000"),
        ("123456789012345.5", "123456789012345.5", "123456789012345.5"),
        ("0.0001234567890123456", "0.0001234567890123456", "0.0001234567890123456"),
        ("-2.5", "-2.5", "-2.5"),
        ("1e20", None, "100000000000000000000"),
        ("1e-7", None, "1.0E-7"),
    ],
)
def test_floats(evaluated, value: str, number: str | None, key: str) -> None:
    expression, column = f"cast('{value}' as double)", Column("x", "double", ColumnKind.FLOAT)
    if number:
        assert evaluated(DIALECT.float_text(expression)) == number
    assert evaluated(DIALECT.key_text(expression, column)) == key
    assert float(evaluated(DIALECT.wire(expression, column, WireForm.JSON))) == float(value)


@pytest.mark.parametrize(
    ("kind", "value", "form", "sent"),
    [
        ("decimal(10,2)", "1.50", WireForm.KEY, "1.5"),
        ("decimal(12,2)", "-1234567.10", WireForm.NUMBER, "-1234567.1"),
        ("decimal(38,18)", "0", WireForm.KEY, "0"),
        ("decimal(38,18)", "0.00000001", WireForm.JSON, "0.00000001"),
        ("decimal(38,0)", "9" * 38, WireForm.KEY, "9" * 38),
        ("decimal(5,0)", "100", WireForm.KEY, "100"),
        ("bigint", "-7", WireForm.JSON, "-7"),
        ("boolean", "true", WireForm.JSON, "true"),
        ("date", "2024-02-29", WireForm.INSTANT, "2024-02-29T00:00:00.000Z"),
        ("date", "2024-02-29", WireForm.JSON, '"2024-02-29"'),
        ("date", "1970-01-02", WireForm.DAY_NUMBER, 1),
        ("timestamp", "2024-01-02 03:04:05.678901", WireForm.INSTANT, "2024-01-02T03:04:05.678Z"),
        ("timestamp", "2024-01-02 03:04:05.5", WireForm.KEY, "2024-01-02 03:04:05.5"),
        ("timestamp", "2024-01-02 01:00:00+02:00", WireForm.DAY_TEXT, "2024-01-01"),
        ("timestamp_ntz", "2024-01-02 03:04:05", WireForm.INSTANT, "2024-01-02T03:04:05.000Z"),
        ("string", "007", WireForm.KEY, "007"),
    ],
)
def test_values_in_the_form_in_which_they_are_sent(
    evaluated, kind: str, value: str, form: WireForm, sent: object
) -> None:
    expression = f"cast('{value}' as {kind})"
    assert evaluated(DIALECT.wire(expression, Column("x", kind, DIALECT.kind(kind)), form)) == sent


def test_texts(evaluated) -> None:
    assert evaluated(DIALECT.literal(TEXT)) == TEXT
    assert json.loads(evaluated(DIALECT.json_text(DIALECT.literal(TEXT)))) == TEXT
    assert evaluated(DIALECT.json_text("cast(null as string)")) is None
    assert evaluated(DIALECT.only("'abc'", "abc"))
    assert not evaluated(DIALECT.only("'abd'", "abc"))
    assert evaluated(DIALECT.is_object_id("'0123456789abcdef01234567'"))
    assert evaluated(DIALECT.contains("'abc'", "'b'"))
    assert evaluated(DIALECT.digest("'planhat'")) == hashlib.md5(b"planhat").hexdigest()
    assert evaluated(DIALECT.digest_number("'fffffffffffffff'")) == 16**15 - 1


def test_documents(evaluated) -> None:
    struct = "named_struct('a', cast(null as int), 'b', array(1, 2))"
    assert (
        evaluated(DIALECT.canonical(struct, Column("x", "struct<a:int>", ColumnKind.NESTED)))
        == '{"a":null,"b":[1,2]}'
    )
    assert (
        evaluated(DIALECT.canonical("array('x')", Column("x", "array<string>", ColumnKind.NESTED))) == '["x"]'
    )
    assert (
        evaluated(
            DIALECT.canonical("cast(null as array<string>)", Column("x", "array<string>", ColumnKind.NESTED))
        )
        is None
    )


@pytest.mark.parametrize(("value", "unfit"), [("NaN", True), ("-Infinity", True), ("1", False)])
def test_numbers_that_json_lacks(evaluated, value: str, unfit: bool) -> None:
    assert (
        evaluated(DIALECT.unfit(f"cast('{value}' as double)", Column("x", "double", ColumnKind.FLOAT)))
        is unfit
    )


@pytest.mark.parametrize(
    ("expression", "old", "new", "fits"),
    [
        ("date'2024-01-02'", "date", "timestamp", True),
        ("timestamp'2024-01-02 01:00:00'", "timestamp", "date", False),
        ("cast('1.5' as double)", "double", "bigint", False),
        ("cast('1e30' as double)", "double", "bigint", False),
        ("cast('NaN' as double)", "double", "decimal(10,2)", False),
        ("cast('1.50' as decimal(10,2))", "decimal(10,2)", "double", True),
        ("cast(null as bigint)", "bigint", "double", True),
    ],
)
def test_whether_a_value_fits_another_type(
    evaluated, expression: str, old: str, new: str, fits: bool
) -> None:
    assert evaluated(DIALECT.fits(expression, old, new)) is fits
