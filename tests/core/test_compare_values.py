"""Values and keys of every type in the comparison, and mappings that change (dbt-notes §7, DESIGN §5)."""

from __future__ import annotations

import json

import pytest

from core.shop import COMPANIES, changed, companies, started
from core.workbench import Bench
from planhat_dbt.outcome import RowStatus

pytestmark = pytest.mark.usefixtures("narrowed_alike")

# -- values of every type: equal values are unchanged, another value is an update (dbt-notes §7)

SAME_AND_OTHER = [
    # type, value, the same value written otherwise, another value
    ("varchar", "'x'", "'x'", "'X'"),
    ("varchar", "''", "''", "null"),
    ("varchar", "'é\n\"\\'", "'é\n\"\\'", "'e'"),
    ("boolean", "true", "true", "false"),
    ("tinyint", "1", "1", "2"),
    ("integer", "1", "1", "-1"),
    ("bigint", "9007199254740993", "9007199254740993", "9007199254740992"),
    ("ubigint", "18446744073709551615", "18446744073709551615", "1"),
    ("hugeint", "170141183460469231731687303715884105727", "170141183460469231731687303715884105727", "1"),
    ("decimal(18,4)", "1.5", "1.5000", "1.5001"),
    ("decimal(38,0)", "12345678901234567890123456789012345678", "12345678901234567890123456789012345678", "0"),
    ("double", "0.1", "0.1", "0.2"),
    ("double", "-0.0", "0.0", "1e-300"),
    ("float", "0.5", "0.5", "0.25"),
    ("date", "'2024-02-29'", "'2024-02-29'", "'2024-03-01'"),
    ("timestamp", "'2024-01-01 10:00:00.123456'", "'2024-01-01 10:00:00.123999'", "'2024-01-01 10:00:00.124'"),
    ("timestamp_s", "'2024-01-01 10:00:00'", "'2024-01-01 10:00:00'", "'2024-01-01 10:00:01'"),
    ("timestamp_ns", "'2024-01-01 10:00:00.123456789'", "'2024-01-01 10:00:00.123'", "'2024-01-01 10:00:00.2'"),
    ("timestamptz", "'2024-01-01 10:00:00+00'", "'2024-01-01 12:00:00+02'", "'2024-01-01 10:00:00+01'"),
    ("timestamptz", "'2024-01-01 10:00:00.123456Z'", "'2024-01-01 10:00:00.123999Z'", "'2024-01-01 10:00:00.124Z'"),
    ("time", "'10:00:00'", "'10:00:00'", "'10:00:01'"),
    ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
     "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12'"),
    ("enum('x', 'y')", "'x'", "'x'", "'y'"),
    ("json", """'{"a": 1, "b": [1, 2]}'""", """'{"a":1,"b":[1,2]}'""", """'{"a":1,"b":[2,1]}'"""),
    ("bit", "'101'::bit", "'101'::bit", "'0101'::bit"),
    ("bignum", "123456789012345678901234567890", "123456789012345678901234567890", "1"),
    ("varchar[]", "['a', 'b']", "['a', 'b']", "['b', 'a']"),
    ("varchar[]", "[]", "[]", "[null]"),
    ("integer[2]", "[1, 2]", "[1, 2]", "[2, 1]"),
    ("struct(a integer, b varchar)", "{'a': 1, 'b': null}", "{'a': 1, 'b': null}", "{'a': 1, 'b': ''}"),
    ("map(varchar, integer)", "map {'a': 1}", "map {'a': 1}", "map {'a': 2}"),
    ("struct(a varchar[])[]", "[{'a': ['x']}]", "[{'a': ['x']}]", "[{'a': []}]"),
]  # fmt: skip

CUSTOM = """
things:
  object: company
  match: {externalId: id}
  fields: {name: {value: x}, custom: {'The "Value"': v}}
"""


def things(bench: Bench, kind: str, value: str) -> None:
    bench.sql("drop table if exists things", f"create table things (id varchar, v {kind})")
    bench.sql(f"insert into things values ('k', {value})")


def all_kinds(bench: Bench, **values: list[str]) -> None:
    """One column of each kind; for each key the column's value."""
    columns = ", ".join(f"v{i} {case[0]}" for i, case in enumerate(SAME_AND_OTHER))
    rows = ", ".join(f"('{key}', {', '.join(row)})" for key, row in values.items())
    bench.sql(
        "drop table if exists kinds",
        f"create table kinds (id varchar, {columns})",
        f"insert into kinds values {rows}",
    )


def test_equal_values_are_unchanged_and_others_are_not(bench):
    fields = {f"V{i}": f"v{i}" for i in range(len(SAME_AND_OTHER))}
    bench.declare({"kinds": {"object": "company", "match": {"externalId": "id"},
                             "fields": {"name": {"value": "x"}, "custom": fields}}})  # fmt: skip
    value, same, other = ([case[i] for case in SAME_AND_OTHER] for i in (1, 2, 3))
    null = ["null"] * len(value)
    every = {f"custom.{name}" for name in fields}
    all_kinds(bench, kept=value, moved=value, emptied=value)
    bench.accept("kinds")
    all_kinds(bench, kept=same, moved=other, emptied=null)
    rows = {r["_key"]: r for r in bench.plan("kinds")}
    assert "kept" not in rows, [SAME_AND_OTHER[int(n[8:])] for n in changed(rows["kept"])]
    for key in ("moved", "emptied"):
        assert set(changed(rows[key])) == every, [
            SAME_AND_OTHER[int(n[8:])] for n in every - set(changed(rows[key]))
        ]
        told = json.loads(rows[key]["_changes"])
        assert set(told) == every
        assert all(before is not None and before != after for before, after in told.values())
    bench.accept("kinds")
    all_kinds(bench, kept=value, moved=other, emptied=value)
    (row,) = bench.plan("kinds")
    assert row["_key"] == "emptied"
    assert [before for before, _ in json.loads(row["_changes"]).values()] == [None] * len(every)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("double", "'nan'"),
        ("double", "'inf'"),
        ("float", "'-inf'"),
        ("date", "'infinity'"),
        ("timestamp", "'infinity'"),
        ("timestamptz", "'-infinity'"),
        ("blob", "'\\xAA'::blob"),
        ("interval", "interval 1 month"),
        ("date", "'12024-01-01'"),
        ("timestamp", "'0044-03-15 (BC) 00:00:00'"),
        ("time with time zone", "'10:00:00+01'"),
    ],
)
def test_values_without_a_json_form_reject_their_row_only(bench, kind, value):
    bench.declare(CUSTOM)
    things(bench, kind, value)
    bench.sql("insert into things values ('fine', null)")
    rows = {r["_key"]: r for r in bench.plan("things")}
    assert (rows["k"]["_operation"], rows["k"]["_code"]) == (None, "bad_value")
    assert 'custom.The "Value"' in rows["k"]["_message"]
    assert rows["fine"]["_operation"] == "insert"


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("integer", "1"), ("bigint", "1")),
        (("integer", "1"), ("double", "1.0")),
        (("decimal(10,2)", "1.50"), ("decimal(20,4)", "1.5")),
        (("double", "1.5"), ("decimal(5,1)", "1.5")),
        (("varchar", "'x'"), ("enum('x')", "'x'")),
        (("timestamp", "'2024-01-01 00:00:00'"), ("timestamp_ms", "'2024-01-01 00:00:00'")),
        (("decimal(18,18)", "0.000000000000000504"), ("double", "5.04e-16")),
        (("double", "1234567.89"), ("decimal(38,10)", "'1234567.89'")),
        (("double", "1.5e20"), ("decimal(38,10)", "150000000000000000000")),
        (("double[]", "[987654321.123, null]"), ("decimal(38,10)[]", "['987654321.123', null]")),
        (
            ("struct(a double)", "{'a': 99999999999.5}"),
            ("struct(a decimal(38,10))", "{'a': '99999999999.5'}"),
        ),
        (("map(varchar, double)", "map {'a': 33.1}"), ("map(varchar, decimal(38,30))", "map {'a': '33.1'}")),
        (("integer[]", "[1, null]"), ("double[]", "[1.0, null]")),
        (("timestamptz[]", "['2024-01-01 01:00:00.0009+01']"), ("timestamp[]", "['2024-01-01 00:00:00']")),
        (
            ("struct(a integer, b date)", "{'a': 1, 'b': null}"),
            ("struct(b date, a double)", "{'b': null, 'a': 1.0}"),
        ),
        (("json", """'{"a": [1.0, "1.0"]}'"""), ("json", """'{ "a":[1, "1.0"]}'""")),
    ],
)
def test_a_wider_type_of_the_same_value_is_no_change(bench, first, second):
    bench.declare(CUSTOM)
    things(bench, *first)
    bench.accept("things")
    things(bench, *second)
    assert bench.plan("things") == []


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("json", """'{"a": 1, "b": 2}'""", """'{"b": 2, "a": 1}'"""),
        ("map(varchar, integer)", "map {'a': 1, 'b': 2}", "map {'b': 2, 'a': 1}"),
        ("json", """'["1.0"]'""", """'["1"]'"""),
    ],
)
def test_the_order_of_keys_and_texts_inside_count(bench, kind, first, second):
    bench.declare(CUSTOM)
    things(bench, kind, first)
    bench.accept("things")
    things(bench, kind, second)
    assert [r["_operation"] for r in bench.plan("things")] == ["update"]


# -- keys


@pytest.mark.parametrize(
    ("kind", "value", "key"),
    [
        ("varchar", "'007'", "007"),
        ("integer", "7", "7"),
        ("double", "7.0", "7"),
        ("double", "1e15", "1000000000000000"),
        ("decimal(10,2)", "7.00", "7"),
        ("decimal(10,2)", "7.50", "7.5"),
        ("hugeint", "12345678901234567890", "12345678901234567890"),
        ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("date", "'2024-01-31'", "2024-01-31"),
        ("varchar", "'  x '", "  x "),
    ],
)
def test_keys_as_text(bench, kind, value, key):
    bench.declare(COMPANIES)
    bench.sql(f"create table companies (id {kind}, name varchar, phase varchar)")
    bench.sql(f"insert into companies values ({value}, 'x', null)")
    (row,) = bench.plan("companies")
    assert row["_key"] == key


def test_a_key_that_changes_its_type_keeps_its_rows(bench):
    bench.declare(COMPANIES)
    bench.table("companies", "select 7 as id, 'x' as name, null::varchar as phase")
    bench.accept("companies")
    bench.table("companies", "select 7.0::double as id, 'x' as name, null::varchar as phase")
    assert bench.plan("companies") == []


# -- nulls, write, mapping versions, constants


def test_nulls_skip_leaves_planhats_value_and_remembers_ours(bench):
    started(bench, COMPANIES.replace("phase: phase", "phase: {column: phase, nulls: skip}"))
    companies(bench, "('a', 'Acme', null)", "('b', 'Beta 2', null)", "('c', 'Cosa', 'x')")
    rows = {r["_key"]: r for r in bench.plan("companies")}
    assert {k: changed(r) for k, r in rows.items()} == {"b": ["name"], "c": ["phase"]}
    assert rows["b"]["phase"] == "old", "what Planhat holds, since the NULL was not sent"
    bench.accept("companies")
    companies(bench, "('a', 'Acme', 'new')", "('b', 'Beta 2', 'old')", "('c', 'Cosa', 'x')")
    assert bench.plan("companies") == []


def test_on_insert_fields_are_sent_once(bench):
    started(bench, COMPANIES.replace("phase: phase", "phase: {column: phase, write: on_insert}"))
    companies(bench, "('a', 'Acme', 'other')", "('b', 'Beta 2', 'other')", "('c', 'Cosa', null)")
    (row,) = bench.plan("companies")
    assert (row["_key"], changed(row), row["phase"]) == ("b", ["name"], "old")


def test_a_new_field_sends_that_field_only(bench):
    started(bench)
    bench.declare(COMPANIES.replace("phase: phase", "phase: phase, description: phase"))
    rows = {r["_key"]: r for r in bench.plan("companies")}
    assert {k: changed(r) for k, r in rows.items()} == {k: ["description"] for k in "abc"}
    assert json.loads(rows["c"]["_changes"]) == {"description": [None, None]}, (
        "NULL is told as well: Planhat may differ"
    )
    bench.accept("companies")
    assert bench.plan("companies") == []


def test_a_field_half_told_goes_on_after_a_crash(bench):
    started(bench)
    bench.declare(COMPANIES.replace("phase: phase", "phase: phase, description: phase"))
    bench.accept("companies", bad={"b": (RowStatus.HELD, "not_sent")})
    (row,) = bench.plan("companies")
    assert (row["_key"], changed(row)) == ("b", ["description"])


def test_a_removed_field_is_forgotten_and_nothing_is_cleared(bench):
    started(bench)
    bench.declare(COMPANIES.replace(", phase: phase", ""))
    assert bench.plan("companies") == []
    bench.declare(COMPANIES)
    assert {k: v["_changed"] for k, v in ((r["_key"], r) for r in bench.plan("companies"))} == dict.fromkeys(
        "abc", '["phase"]'
    )


def test_a_field_fed_from_another_column_of_the_same_values_is_no_change(bench):
    started(bench)
    bench.table("companies", "select id, name, phase as stage, phase from companies")
    bench.declare(COMPANIES.replace("phase: phase", "phase: stage"))
    assert bench.plan("companies") == []


def test_constants(bench):
    text = COMPANIES.replace(
        "phase: phase", "phase: {value: it's}, custom: {Rank: {value: 3}, Flag: {value: true}}"
    )
    bench.declare(text)
    companies(bench, "('a', 'Acme', null)")
    (row,) = bench.plan("companies")
    assert (row["phase"], row["custom_rank"], row["custom_flag"]) == ("it's", "3", "true")
    bench.accept("companies")
    assert bench.plan("companies") == []
    bench.declare(text.replace("value: 3", "value: 4"))
    (row,) = bench.plan("companies")
    assert changed(row) == ["custom.Rank"]


def test_resync_sends_all_and_keeps_tombstones(bench):
    started(bench, COMPANIES + "  on_removed: delete\n")
    companies(bench, "('a', 'Acme', 'new')", "('b', 'Beta', 'old')")
    bench.accept("companies")
    rows = bench.plan("companies", resync=frozenset({"companies"}))
    assert {r["_key"]: changed(r) for r in rows} == {"a": ["name", "phase"], "b": ["name", "phase"]}
    assert bench.snapshot("companies")["c"]["_state"] == "deleted"
