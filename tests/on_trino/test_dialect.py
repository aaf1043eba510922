"""Trino's names, texts and types, without Trino."""

from __future__ import annotations

import pytest

from planhat_dbt.warehouse.driver import parts_of
from planhat_dbt.warehouse.port import Column, ColumnKind, WireForm
from planhat_dbt.warehouse.trino_dialect import TrinoDialect

DIALECT = TrinoDialect()


def test_names_and_texts() -> None:
    assert DIALECT.quote('companyId"x') == '"companyid""x"'
    assert DIALECT.literal("it's a \\ here") == "'it''s a \\ here'"


@pytest.mark.parametrize(
    ("printed", "kind", "stored"),
    [
        ("varchar", ColumnKind.TEXT, "varchar"),
        ("varchar(10)", ColumnKind.TEXT, "varchar"),
        ("char(3)", ColumnKind.TEXT, "varchar"),
        ("tinyint", ColumnKind.INTEGER, "bigint"),
        ("integer", ColumnKind.INTEGER, "bigint"),
        ("decimal(12,2)", ColumnKind.DECIMAL, "decimal(12,2)"),
        ("real", ColumnKind.FLOAT, "real"),
        ("double", ColumnKind.FLOAT, "double"),
        ("boolean", ColumnKind.BOOLEAN, "boolean"),
        ("date", ColumnKind.DATE, "date"),
        ("time(3)", ColumnKind.TIME, "time(6)"),
        ("time(3) with time zone", ColumnKind.UNSUPPORTED, "varchar"),
        ("timestamp(3)", ColumnKind.TIMESTAMP, "timestamp(6)"),
        ("timestamp(12) with time zone", ColumnKind.TIMESTAMPTZ, "timestamp(6) with time zone"),
        ("uuid", ColumnKind.UUID, "uuid"),
        ("json", ColumnKind.JSON, "varchar"),
        ("array(varchar)", ColumnKind.NESTED, "varchar"),
        ("array(timestamp(3))", ColumnKind.NESTED, "varchar"),
        ("map(varchar, bigint)", ColumnKind.NESTED, "varchar"),
        ("row(a integer, b array(varchar))", ColumnKind.NESTED, "varchar"),
        ("map(bigint, varchar)", ColumnKind.UNSUPPORTED, "varchar"),
        ("array(varbinary)", ColumnKind.UNSUPPORTED, "varchar"),
        ("row(a uuid)", ColumnKind.UNSUPPORTED, "varchar"),
        ("row(a time(3))", ColumnKind.UNSUPPORTED, "varchar"),
        ("array(timestamp(3) with time zone)", ColumnKind.UNSUPPORTED, "varchar"),
        ("varbinary", ColumnKind.UNSUPPORTED, "varchar"),
        ("interval day to second", ColumnKind.UNSUPPORTED, "varchar"),
        ("ipaddress", ColumnKind.UNSUPPORTED, "varchar"),
    ],
)
def test_types(printed: str, kind: ColumnKind, stored: str) -> None:
    assert DIALECT.kind(printed) is kind
    assert DIALECT.stored_type(Column("x", printed, kind)) == stored


def test_a_column_changes_its_type_by_way_of_another() -> None:
    assert DIALECT.retyped('"c"."s"."t"', '"seats"', "bigint", 'cast("seats" as bigint)') == (
        'alter table "c"."s"."t" add column "seats__new" bigint',
        'update "c"."s"."t" set "seats__new" = cast("seats" as bigint)',
        'alter table "c"."s"."t" drop column "seats"',
        'alter table "c"."s"."t" rename column "seats__new" to "seats"',
    )
    assert DIALECT.rename_table(("c", "s"), "a", "b") == 'alter table "c"."s"."a" rename to "c"."s"."b"'


def test_rows_change_by_a_merge() -> None:
    merged = DIALECT.update_from("t", "a = s.b", "(select 1 as b) s", "s.b = k")
    assert merged == "merge into t using (select 1 as b) s on s.b = k when matched then update set a = s.b"


def test_a_moment_changes_to_another_type_by_way_of_utc() -> None:
    zoned = "timestamp(6) with time zone"
    assert (
        DIALECT.converted("x", zoned, "date") == "cast(cast((x at time zone 'UTC') as timestamp(6)) as date)"
    )
    assert DIALECT.converted("x", "date", zoned) == "with_timezone(cast(x as timestamp(6)), 'UTC')"
    assert DIALECT.converted("x", zoned, zoned) == "x"


def test_documents_are_kept_as_text() -> None:
    tags = Column("tags", "array(varchar)", ColumnKind.NESTED)
    assert DIALECT.canonical("m.tags", tags) == "json_format(cast(m.tags as json))"
    assert DIALECT.wire("tags", tags, WireForm.JSON) == "tags"


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ('"a"."b"."c"', ["a", "b", "c"]),
        ("a.b.c", ["a", "b", "c"]),
        ('"a"."b""x.y"', ["a", 'b"x.y']),
        ("`a`.`b``.c`", ["a", "b`.c"]),
    ],
)
def test_a_relation_as_dbt_writes_it(written: str, names: list[str]) -> None:
    assert parts_of(written) == names


def test_a_sum_of_digests_does_not_overflow() -> None:
    assert DIALECT.digest_number("x") == "cast(from_base(x, 16) as decimal(38, 0))"


def test_a_real_is_the_same_double_in_every_form() -> None:
    real = Column("x", "real", ColumnKind.FLOAT)
    assert DIALECT.wire("x", real, WireForm.NATIVE) == "cast(x as double)"
