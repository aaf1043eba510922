"""State tables come to be, foreign ones are refused, and a snapshot table follows its mapping (DESIGN §6)."""

from __future__ import annotations

import pytest

from core.workbench import Bench
from planhat_dbt.errors import UsageError
from planhat_dbt.state.layout import SCHEMA_VERSION, SNAPSHOT_COLUMNS, TABLES, ensure_tables, existing_tables

pytestmark = pytest.mark.usefixtures("narrowed_alike")

BLOCK = """
c:
  object: company
  match: {externalId: id}
  fields: {name: name, phase: a, custom: {Plan Tier: b}}
"""


def columns(bench: Bench, table: str) -> dict[str, str]:
    return {
        r["column_name"]: r["data_type"]
        for r in bench.rows(
            f"select column_name, data_type from duckdb_columns() where schema_name = 'planhat_sync' "
            f"and table_name = '{table}' order by column_index"
        )
    }


def started(bench: Bench, a: str = "'1'::varchar", b: str = "1::integer", text: str = BLOCK) -> Bench:
    bench.declare(text)
    bench.table("c", f"select 'k' as id, 'n' as name, {a} as a, {b} as b")
    bench.accept("c")
    return bench


def plan_of(bench: Bench) -> dict[str, str | None]:
    return {r["_key"]: r["_changed"] for r in bench.plan("c")}


# -- layout


def test_all_tables_are_made_once_with_their_columns(bench):
    bench.declare(BLOCK)
    bench.table("c", "select 'k' as id, 'n' as name, 'a' as a, 1 as b")
    bench.plans()
    for name, wanted in TABLES.items():
        assert list(columns(bench, name)) == [c for c, _ in wanted]
    assert list(columns(bench, "snapshot__c")) == [c for c, _ in SNAPSHOT_COLUMNS] + [
        "name",
        "phase",
        "custom_plan_tier",
    ]
    assert columns(bench, "snapshot__c")["custom_plan_tier"] == "INTEGER", (
        "mapped columns keep the model's types"
    )
    assert bench.one("select value from planhat_sync.meta where setting = 'schema_version'") == str(
        SCHEMA_VERSION
    )
    bench.plans()
    assert bench.one("select count(*) from planhat_sync.meta where setting = 'schema_version'") == 1


@pytest.mark.parametrize("table", sorted(set(TABLES) - {"meta"}))  # it holds the mappings: the next test
def test_a_table_of_ours_that_somebody_dropped_is_made_again(bench, table):
    started(bench)
    bench.sql(f"drop table planhat_sync.{table}")
    assert bench.plan("c") == []
    assert columns(bench, table)


def test_a_snapshot_without_a_record_of_its_mapping_is_not_guessed_at(bench):
    started(bench)
    bench.sql("drop table planhat_sync.meta")
    with pytest.raises(UsageError, match="no record of its mapping") as caught:
        bench.plans()
    assert "mapping:c" in caught.value.hint


@pytest.mark.parametrize("name", ["runs", "meta", "failures", "snapshot__c", "plan__c"])
def test_a_foreign_table_of_our_name_is_refused_and_left_alone(bench, name):
    bench.declare(BLOCK)
    bench.table("c", "select 'k' as id, 'n' as name, 'a' as a, 1 as b")
    bench.sql("create schema planhat_sync", f"create table planhat_sync.{name} as select 42 as mine")
    with pytest.raises(
        UsageError, match=f"planhat_sync.{name} is not a table of planhat_dbt: it lacks"
    ) as caught:
        bench.plans()
    assert "schema" in caught.value.hint
    assert bench.rows(f"select * from planhat_sync.{name}") == [{"mine": 42}]


def test_extra_columns_of_ones_own_are_no_fault(bench):
    started(bench)
    bench.sql("alter table planhat_sync.snapshot__c add column my_note varchar",
              "alter table planhat_sync.runs add column my_note varchar")  # fmt: skip
    assert bench.plan("c") == []


def test_a_newer_layout_is_refused(bench):
    started(bench)
    bench.sql("update planhat_sync.meta set value = '99' where setting = 'schema_version'")
    with bench.session() as session, pytest.raises(UsageError, match=r"newer planhat_dbt \(layout 99"):
        ensure_tables(session, bench.tables, existing_tables(session, bench.tables))


def test_another_schema_is_another_state(tmp_path):
    bench = Bench(tmp_path, settings={"schema": "Other_1"})
    bench.declare(BLOCK)
    bench.table("c", "select 'k' as id, 'n' as name, 'a' as a, 1 as b")
    bench.plans()
    assert bench.one('select count(*) from "Other_1".meta') >= 1


# -- the mapping


def test_another_object_or_key_needs_another_name(bench):
    started(bench)
    for other in (
        BLOCK.replace("externalId: id", "sourceId: id"),
        BLOCK.replace("object: company", "object: asset").replace(
            "phase: a", "status: a, companyId: {company: id}"
        ),
    ):
        bench.declare(other)
        with pytest.raises(UsageError, match="company matched on externalId") as caught:
            bench.plans()
        assert "new name" in caught.value.hint


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("before", "after", "stored", "expected"),
    [
        ("1::integer", "1::bigint", "BIGINT", {}),
        ("1::bigint", "1::double", "DOUBLE", {}),
        ("1.5::double", "1.5::decimal(10,1)", "DECIMAL(10,1)", {}),
        ("'x'::varchar", "'x'::enum('x')", "VARCHAR", {}),
        ("'x'::enum('x', 'y')", "'x'::varchar", "VARCHAR", {}),
        ("1::integer", "'1'::varchar", "VARCHAR", {"k": '["custom.Plan Tier"]'}),
        ("'2024-01-01'::varchar", "date '2024-01-01'", "DATE", {"k": '["custom.Plan Tier"]'}),
        ("['a']", "['a', 'b']", "VARCHAR[]", {"k": '["custom.Plan Tier"]'}),
        ("{'a': 1}", "{'a': 1, 'b': 2}", "STRUCT(a INTEGER, b INTEGER)", {"k": '["custom.Plan Tier"]'}),
        ("true", "1", "INTEGER", {"k": '["custom.Plan Tier"]'}),
    ],
)
def test_a_column_whose_type_changes(bench, before, after, stored, expected):
    started(bench, b=before)
    bench.table("c", f"select 'k' as id, 'n' as name, '1' as a, {after} as b")
    assert plan_of(bench) == expected
    assert columns(bench, "snapshot__c")["custom_plan_tier"] == stored
    bench.accept("c")
    assert plan_of(bench) == {}


@pytest.mark.parametrize(
    ("before", "after"),
    [("300::bigint", "5::tinyint"), ("1.25::decimal(10,2)", "1.3::decimal(10,1)"), ("1e300::double", "1::decimal(5,1)"),
     ("1.5::double", "2::integer")],
)  # fmt: skip
def test_a_type_too_narrow_for_what_planhat_was_told_hides_no_difference(bench, before, after):
    started(bench, b=before)
    bench.table("c", f"select 'k' as id, 'n' as name, '1' as a, {after} as b")
    assert plan_of(bench) == {"k": '["custom.Plan Tier"]'}
    bench.accept("c")
    assert plan_of(bench) == {}


def test_a_reference_that_names_its_company_otherwise_is_sent_again(bench):
    text = """
c:
  object: enduser
  match: {externalId: id}
  fields: {companyId: {company: a}, firstName: name}
"""
    started(bench, text=text)
    bench.declare(text.replace("{company: a}", "{company: a, by: sourceId}"))
    assert plan_of(bench) == {"k": '["companyId"]'}
    bench.accept("c")
    assert plan_of(bench) == {}


def test_a_field_that_becomes_a_constant_and_back(bench):
    started(bench)
    bench.declare(BLOCK.replace("phase: a", "phase: {value: '1'}"))
    assert plan_of(bench) == {"k": '["phase"]'}
    bench.accept("c")
    bench.declare(BLOCK)
    assert plan_of(bench) == {"k": '["phase"]'}


def test_two_fields_trade_columns(bench):
    text = BLOCK.replace("Plan Tier: b", "X: a, Y: b").replace("phase: a, ", "")
    started(bench, b="'2'::varchar", text=text)
    bench.declare(text.replace("X: a, Y: b", "X: b, Y: a"))
    assert plan_of(bench) == {"k": '["custom.X","custom.Y"]'}
    bench.accept("c")
    assert plan_of(bench) == {}


def test_fields_whose_state_columns_are_alike(bench):
    text = BLOCK.replace("Plan Tier: b", "'Plan Tier': a, 'plan tier': b, 'Plan-Tier': a")
    started(bench, text=text)
    assert plan_of(bench) == {}
    assert len(columns(bench, "snapshot__c")) == len(SNAPSHOT_COLUMNS) + 5


def test_an_unchanged_mapping_writes_nothing(bench):
    started(bench)
    before = bench.rows("select * from planhat_sync.meta where setting like 'mapping:%'")
    bench.plans()
    assert bench.rows("select * from planhat_sync.meta where setting like 'mapping:%'") == before


def test_a_migration_that_fails_leaves_all_as_it_was(bench):
    started(bench, b="'no number'::varchar")
    before = bench.rows("select * from planhat_sync.meta where setting like 'mapping:%'")
    bench.sql("create index held on planhat_sync.snapshot__c (custom_plan_tier)")
    bench.table("c", "select 'k' as id, 'n' as name, '1' as a, 1 as b")
    with pytest.raises(Exception, match=r"(?i)index|depend"):
        bench.plans()
    assert bench.rows("select * from planhat_sync.meta where setting like 'mapping:%'") == before
    assert columns(bench, "snapshot__c")["custom_plan_tier"] == "VARCHAR"
