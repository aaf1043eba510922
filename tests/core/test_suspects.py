"""Fingerprints: which rows the comparison of values looks at (decision 44). One it misses is a change that is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.shop import COMPANIES, FAMILY, companies, people, started
from core.test_compare_values import SAME_AND_OTHER, all_kinds
from core.workbench import Bench
from planhat_dbt.compare import Comparison, create_empty_plan, create_plan, drop_plan, find_suspects
from planhat_dbt.warehouse.duckdb_dialect import DuckDBDialect
from planhat_dbt.warehouse.port import Column

KINDS = {
    "kinds": {
        "object": "company",
        "match": {"externalId": "id"},
        "fields": {
            "name": {"value": "x"},
            "custom": {f"V{i}": f"v{i}" for i, _ in enumerate(SAME_AND_OTHER)},
        },
    }
}


def suspects(bench: Bench, name: str) -> list[str]:
    """The keys that the comparison of values would look at."""
    with bench.session() as session:
        comparison = Comparison(bench.bound(session, name), bench.ensure(session, name), (), 5000)
        query = find_suspects(bench.tables, comparison)
        assert query is not None
        return sorted(key for (key,) in session.rows(query))


def test_equal_values_have_equal_fingerprints_whatever_their_type(bench):
    bench.declare(KINDS)
    value, same = ([case[i] for case in SAME_AND_OTHER] for i in (1, 2))
    all_kinds(bench, a=value, b=same, c=["null"] * len(value))
    bench.accept("kinds")
    all_kinds(bench, a=same, b=value, c=["null"] * len(value))
    assert suspects(bench, "kinds") == []


EVENTS = {
    "points": {
        "object": "metric",
        "key": "id",
        "event_time": "at",
        "lookback": "30 days",
        "fields": {
            "dimensionId": {"value": "logins"},
            "externalId": "account",
            "value": "amount",
            "date": "at",
        },
    }
}


@pytest.mark.parametrize("name", ["kinds", "points"])
def test_a_plan_of_which_nothing_differs_has_the_columns_of_any_other(bench, name):
    bench.declare(KINDS | EVENTS)
    value = [case[1] for case in SAME_AND_OTHER]
    all_kinds(bench, a=value)
    bench.table("points", "select 'p' as id, 'c-1' as account, 1.5 as amount, timestamp '2026-01-01' as at")
    made = []
    with bench.session() as session:
        bound, tables = bench.bound(session, name), bench.tables
        comparison = Comparison(bound, bench.ensure(session, name), (), 5000)
        for statement in (create_plan(tables, comparison), create_empty_plan(tables, bound)):
            session.execute(drop_plan(tables, name))
            session.execute(statement)
            made.append(session.columns(tables.plan(name)))
        assert session.rows(f"select count(*) from {tables.plan(name)}") == [(0,)]
    assert made[0] == made[1]


@pytest.mark.sampled(8)
@pytest.mark.usefixtures("narrowed_alike")
@pytest.mark.parametrize("column", range(len(SAME_AND_OTHER)), ids=[case[0] for case in SAME_AND_OTHER])
def test_a_change_of_any_type_is_looked_at_and_planned(bench, column):
    bench.declare(KINDS)
    value, _, other = ([case[i] for case in SAME_AND_OTHER] for i in (1, 2, 3))
    moved = [*value[:column], other[column], *value[column + 1 :]]
    emptied = [*value[:column], "null", *value[column + 1 :]]
    kept = {f"kept{i}": value for i in range(8)}
    all_kinds(bench, moved=value, emptied=value, filled=emptied, **kept)
    bench.accept("kinds")
    all_kinds(bench, moved=moved, emptied=emptied, filled=value, **kept)
    assert suspects(bench, "kinds") == ["emptied", "filled", "moved"]
    changed = f'["custom.V{column}"]'
    rows = {r["_key"]: r["_changed"] for r in bench.plan("kinds")}
    assert rows == dict.fromkeys(("emptied", "filled", "moved"), changed)


NESTED = [
    # type, pairs of values that a hash of parts, or a text of the whole, might take for the same
    ("varchar[]", "[]", "[null]"),
    ("varchar[]", "[]", "null"),
    ("varchar[]", "['a, b']", "['a', 'b']"),
    ("varchar[]", "['NULL']", "[null]"),
    ("varchar[][]", "[[]]", "[]"),
    ("varchar[][]", "[['a'], ['b']]", "[['a', 'b']]"),
    ("struct(a integer, b integer)", "{'a': null, 'b': null}", "null"),
    ("map(varchar, integer)", "map {}", "null"),
    ("hugeint", "0", "-1"),
    ("hugeint", "18446744073709551616", "1"),
    ("decimal(38,2)", "0.01", "184467440737095516.16"),
    ("bigint", "-2930909409056394622", "null"),
    ("ubigint", "15515834664653156994", "null"),
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("kind", "old", "new"), NESTED)
def test_values_that_are_hard_to_tell_apart_are_looked_at(bench, kind, old, new):
    bench.declare(
        {"t": {"object": "company", "match": {"externalId": "id"},
               "fields": {"name": "id", "custom": {"V": "v", "W": "w"}}}}
    )  # fmt: skip
    bench.table("t", f"select 'k' || i as id, cast({old} as {kind}) as v, 1 as w from range(9) t(i)")
    bench.accept("t")
    bench.sql(f"update t set v = {new} where id = 'k3'")
    assert suspects(bench, "t") == ["k3"]


def test_rows_whose_null_changes_nothing_are_not_looked_at_again_and_again(bench):
    text = COMPANIES.replace("phase: phase", "phase: {column: phase, nulls: skip}")
    started(bench, text, "('a', 'A', 'p')", "('b', 'B', 'p')", "('c', 'C', null)", "('d', 'D', 'q')")
    companies(bench, "('a', 'A', null)", "('b', 'B', 'q')", "('c', 'C', 'p')", "('d', 'D', 'q')")
    assert suspects(bench, "companies") == ["b", "c"]
    bench.accept("companies")
    bench.declare(text.replace("name: name", "name: name, custom: {Extra: {column: phase, nulls: skip}}"))
    assert suspects(bench, "companies") == ["b", "c", "d"], "a has nothing to tell of the new field"


def test_values_that_change_places_are_looked_at(bench):
    started(bench, COMPANIES, "('a', 'x', 'y')", "('b', 'x', null)", "('c', 'n', 'p')", "('d', 'n', 'p')")
    companies(bench, "('a', 'y', 'x')", "('b', null, 'x')", "('c', 'n', 'p')", "('d', 'n', 'p')")
    assert suspects(bench, "companies") == ["a", "b"]


@pytest.mark.usefixtures("narrowed_alike")
def test_new_and_removed_rows_and_odd_keys_are_looked_at(bench):
    start = [f"('k{i}', 'n', 'p')" for i in range(9)]
    started(bench, COMPANIES.replace("  fields", "  on_removed: delete\n  fields"), *start)
    companies(
        bench, *start[2:], "('k5', 'n', 'p')", "('new', 'n', 'p')", "(null, 'n', 'p')", "('', 'n', 'p')"
    )
    assert suspects(bench, "companies") == ["", "", "k0", "k1", "k5", "k5", "new"]
    told = [(r["_key"], r["_operation"] or r["_code"]) for r in bench.plan("companies")]
    assert sorted(told, key=str) == [
        ("k0", "delete"),
        ("k1", "delete"),
        ("k5", "duplicate_key"),
        ("k5", "duplicate_key"),
        ("new", "insert"),
        (None, "null_key"),
        (None, "null_key"),
    ]


def test_removed_rows_are_looked_at_only_where_something_is_to_be_done(bench):
    start = [f"('k{i}', 'n', 'p')" for i in range(9)]
    started(bench, COMPANIES, *start)
    companies(bench, *start[2:])
    assert suspects(bench, "companies") == [], "kept"
    bench.declare(COMPANIES.replace("  fields", "  on_removed: clear\n  fields"))
    assert suspects(bench, "companies") == ["k0", "k1"]
    bench.accept("companies")
    assert suspects(bench, "companies") == [], "cleared"


def test_rows_behind_in_the_mapping_are_looked_at(bench):
    started(bench, COMPANIES.replace(", phase: phase", ""))
    bench.declare(COMPANIES)
    assert suspects(bench, "companies") == ["a", "b", "c"]
    bench.accept("companies")
    assert suspects(bench, "companies") == []


def test_a_field_that_is_sent_once_is_not_looked_at(bench):
    text = COMPANIES.replace("phase: phase", "phase: {column: phase, write: on_insert}")
    started(bench, text)
    companies(bench, "('a', 'Acme', 'other')", "('b', 'Beta', 'old')", "('c', 'Cosa', null)")
    assert suspects(bench, "companies") == []


def test_events_are_looked_at_by_their_keys(bench):
    bench.declare(
        "points: {object: metric, key: id, fields: {dimensionId: {value: d}, externalId: id, value: v, date: day}}"
    )
    bench.table("points", "select 'p' || i as id, 1 as v, date '2026-01-01' as day from range(9) t(i)")
    bench.accept("points")
    bench.table("points", "select 'p' || i as id, 2 as v, date '2026-01-01' as day from range(10) t(i)")
    assert suspects(bench, "points") == ["p9"]


def test_a_child_whose_parent_is_missing_is_judged_as_ever(bench):
    bench.declare(FAMILY)
    companies(bench, *[f"('c{i}', 'n', 'p')" for i in range(9)])
    people(bench, *[f"('p{i}', 'c{i}', 'x@a')" for i in range(9)])
    bench.accept("companies")
    bench.accept("people")
    people(bench, *[f"('p{i}', 'c{i}', 'x@a')" for i in range(8)], "('p8', 'nowhere', 'x@a')")
    (row,) = bench.plan("people")
    assert (row["_key"], row["_code"]) == ("p8", "parent_missing")


NUMBER = Column("v", "BIGINT", DuckDBDialect().kind("BIGINT"))
TEXT = Column("v", "VARCHAR", DuckDBDialect().kind("VARCHAR"))


@given(st.lists(st.tuples(st.integers(0, 2), st.text(max_size=3), st.text(max_size=3)), max_size=30))
def test_rows_have_equal_fingerprints_only_if_they_are_equal(db, rows):
    """Small values, of which many swaps and shifts from column to column are tried."""
    prints = DuckDBDialect().fingerprints([("n", NUMBER), ("a", TEXT), ("b", TEXT)])
    db.execute("create or replace temp table t (n bigint, a varchar, b varchar)")
    if rows:
        db.executemany("insert into t values (?, ?, ?)", rows)
    for number in prints:
        ((found,),) = db.execute(f"select count(distinct {number}) from t").fetchall()
        assert found == len(set(rows))
