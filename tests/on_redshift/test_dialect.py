"""Redshift's names, texts and types as text: needs no server."""

from __future__ import annotations

import pytest

from planhat_dbt.warehouse.port import Column, ColumnKind, WireForm
from planhat_dbt.warehouse.profile import AdapterTarget, data_source
from planhat_dbt.warehouse.redshift_dialect import RedshiftDialect

DIALECT = RedshiftDialect()


def test_names_and_texts() -> None:
    assert DIALECT.quote('a"B') == '"a""B"'
    assert DIALECT.literal("it's\0") == "'it''s'"
    assert DIALECT.literal("a\\b") == "('a' || chr(92) || 'b')"
    assert DIALECT.create_schema("dev", "planhat_sync") == 'create schema if not exists "planhat_sync"'


@pytest.mark.parametrize(
    ("printed", "kind", "stored"),
    [
        ("character varying(256)", ColumnKind.TEXT, "varchar(65535)"),
        ("character(10)", ColumnKind.TEXT, "varchar(65535)"),
        ("smallint", ColumnKind.INTEGER, "smallint"),
        ("bigint", ColumnKind.INTEGER, "bigint"),
        ("numeric(38,10)", ColumnKind.DECIMAL, "numeric(38,10)"),
        ("real", ColumnKind.FLOAT, "real"),
        ("double precision", ColumnKind.FLOAT, "double precision"),
        ("boolean", ColumnKind.BOOLEAN, "boolean"),
        ("date", ColumnKind.DATE, "date"),
        ("time without time zone", ColumnKind.TIME, "time without time zone"),
        ("timestamp without time zone", ColumnKind.TIMESTAMP, "timestamp without time zone"),
        ("timestamp with time zone", ColumnKind.TIMESTAMPTZ, "timestamp with time zone"),
        ("super", ColumnKind.JSON, "varchar(65535)"),
        ("time with time zone", ColumnKind.UNSUPPORTED, "varchar(65535)"),
        ("binary varying(64)", ColumnKind.UNSUPPORTED, "varchar(65535)"),
        ("geometry", ColumnKind.UNSUPPORTED, "varchar(65535)"),
        ("interval year to month", ColumnKind.UNSUPPORTED, "varchar(65535)"),
        ("hllsketch", ColumnKind.UNSUPPORTED, "varchar(65535)"),
    ],
)
def test_types(printed: str, kind: ColumnKind, stored: str) -> None:
    assert DIALECT.kind(printed) is kind
    assert DIALECT.stored_type(Column("x", printed, kind)) == stored


@pytest.mark.parametrize(
    ("old", "new", "alike"),
    [
        ("integer", "bigint", True),
        ("numeric(10,2)", "double precision", True),
        ("real", "double precision", False),
        ("date", "timestamp with time zone", True),
        ("character varying(10)", "integer", False),
    ],
)
def test_which_types_may_hold_the_same_value(old: str, new: str, alike: bool) -> None:
    assert DIALECT.alike(old, new) is alike


@pytest.mark.parametrize(
    ("old", "new", "test"),
    [
        ("smallint", "integer", "1 = 1"),
        ("bigint", "integer", "x between -2147483648 and 2147483647"),
        ("integer", "numeric(9,0)", "abs(x) < 1000000000"),
        ("numeric(38,20)", "numeric(38,2)", "x = round(x, 2)"),
        ("numeric(38,0)", "numeric(38,2)", f"abs(x) < {10**36}"),
        ("numeric(18,2)", "bigint", "x = round(x, 0)"),
        ("integer", "double precision", "1 = 1"),
        ("bigint", "double precision", "abs(x) < 1000000000000000"),
        (
            "double precision",
            "integer",
            "case when abs(x) < 1000000000 then cast(cast(x as integer) as double precision) = x else false end",
        ),
    ],
)
def test_a_number_fits_by_its_digits(old: str, new: str, test: str) -> None:
    """No literal has more digits than the type that it is compared with: numbers of 39 digits are an error."""
    assert DIALECT.fits("x", old, new) == f"(x is null or ({test}))"


def test_a_column_gets_another_type_by_a_new_column() -> None:
    assert DIALECT.retyped("t", '"arr"', "bigint", 'cast("arr" as bigint)') == (
        'alter table t add column "arr__new" bigint',
        'update t set "arr__new" = cast("arr" as bigint)',
        'alter table t drop column "arr"',
        'alter table t rename column "arr__new" to "arr"',
    )


def test_blanks_at_the_end_of_a_text_count() -> None:
    assert "length(a) <> length(b)" in DIALECT.differs("a", "b", ColumnKind.TEXT)
    assert "length" not in DIALECT.differs("a", "b", ColumnKind.DATE)


def test_a_boolean_has_no_cast_to_text() -> None:
    flag = Column("x", "boolean", ColumnKind.BOOLEAN)
    spelt = "case when x then 'true' when not x then 'false' end"
    assert DIALECT.key_text("x", flag) == spelt
    assert DIALECT.json("x", flag) == f"coalesce({spelt}, 'null')"
    assert DIALECT.wire("x", flag, WireForm.NATIVE) == "x"


def test_documents_are_kept_as_text_unless_they_are_too_large() -> None:
    document = Column("x", "super", ColumnKind.JSON)
    assert DIALECT.canonical("x", document) == (
        "case when x is null then null when json_size(x) > 65535 then '<too large>' else json_serialize(x) end"
    )
    assert DIALECT.unfit("x", document) == "x = '<too large>'"
    assert DIALECT.wire("x", document, WireForm.JSON) == "x"


def test_a_cluster_is_named_as_dbt_s_lineage_names_it() -> None:
    output = {"host": "c.abc.eu-west-1.redshift.amazonaws.com", "password": "hidden"}
    target = AdapterTarget("prod", "redshift", output)
    assert data_source(target) == "redshift://c.abc.eu-west-1.redshift.amazonaws.com:5439"
