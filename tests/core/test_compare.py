"""The comparison on a real DuckDB: every kind of row, parents, events, batch numbers (DESIGN §5, §9)."""

from __future__ import annotations

import json

import pytest

from core.shop import COMPANIES, FAMILY, changed, companies, people, started
from core.workbench import Bench
from planhat_dbt.compare import (
    CLEAR_BATCHES_FROM,
    CREATE_BATCH_ROWS,
    CREATE_BATCHES_FROM,
    DELETE_BATCHES_FROM,
)
from planhat_dbt.outcome import RowStatus

pytestmark = pytest.mark.usefixtures("narrowed_alike")

# -- rows


def test_a_first_comparison_inserts_all(bench):
    bench.declare(COMPANIES)
    companies(bench, "('a', 'Acme', 'new')", "('b', 'Beta', null)")
    rows = bench.plan("companies")
    assert [
        (r["_key"], r["_operation"], r["_batch"], r["name"], r["_changed"], r["_prior"]) for r in rows
    ] == [
        ("a", "insert", 1, "Acme", None, None),
        ("b", "insert", 1, "Beta", None, None),
    ]
    assert [r["_row"] for r in rows] == [1, 2]


def test_unchanged_rows_are_not_in_the_plan(bench):
    assert started(bench).plan("companies") == []


def test_only_what_changed_is_named_with_old_and_new(bench):
    started(bench)
    companies(bench, "('a', 'Acme', 'new')", "('b', 'Bet\"a', 'old')", "('c', 'Cosa', 'up')")
    rows = {r["_key"]: r for r in bench.plan("companies")}
    assert {k: r["_operation"] for k, r in rows.items()} == {"b": "update", "c": "update"}
    assert changed(rows["b"]) == ["name"]
    assert json.loads(rows["b"]["_changes"]) == {"name": ["Beta", 'Bet"a']}
    assert json.loads(rows["c"]["_changes"]) == {"phase": [None, "up"]}
    assert rows["b"]["phase"] == "old", (
        "the plan keeps values that did not change: the snapshot is made of it"
    )


def test_a_null_clears_a_field(bench):
    started(bench)
    companies(bench, "('a', 'Acme', null)", "('b', 'Beta', 'old')", "('c', 'Cosa', null)")
    (row,) = bench.plan("companies")
    assert json.loads(row["_changes"]) == {"phase": ["new", None]}


@pytest.mark.parametrize(
    ("on_removed", "operation"), [("keep", None), ("clear", "clear"), ("delete", "delete")]
)
def test_rows_that_left_the_model(bench, on_removed, operation):
    started(bench, COMPANIES + f"  on_removed: {on_removed}\n")
    companies(bench, "('a', 'Acme', 'new')")
    rows = {r["_key"]: r for r in bench.plan("companies")}
    if operation is None:
        assert rows == {}
        return
    # c holds nothing that a clear would empty: its name is required, its phase is NULL.
    assert set(rows) == ({"b", "c"} if operation == "delete" else {"b"})
    assert {r["_operation"] for r in rows.values()} == {operation}
    if operation == "clear":
        assert changed(rows["b"]) == ["phase"], "a name is required and never cleared"
        assert json.loads(rows["b"]["_changes"]) == {"phase": ["old", None]}
        assert (rows["b"]["name"], rows["b"]["phase"]) == ("Beta", None)


@pytest.mark.parametrize("on_removed", ["clear", "delete"])
def test_removed_rows_are_removed_once_and_come_back(bench, on_removed):
    started(bench, COMPANIES + f"  on_removed: {on_removed}\n")
    companies(bench, "('a', 'Acme', 'new')", "('c', 'Cosa', null)")
    bench.accept("companies")
    assert bench.plan("companies") == []
    state = bench.snapshot("companies")["b"]["_state"]
    assert state == {"clear": "cleared", "delete": "deleted"}[on_removed]
    companies(bench, "('a', 'Acme', 'new')", "('b', 'Beta', 'old')", "('c', 'Cosa', null)")
    (row,) = bench.plan("companies")
    assert (row["_key"], row["_prior"]) == ("b", state)
    if on_removed == "delete":
        assert (row["_operation"], row["_planhat_id"]) == ("insert", None)
    else:
        assert (row["_operation"], changed(row)) == ("update", ["phase"])


def test_null_empty_and_duplicate_keys_stop_only_themselves(bench, sandbox):
    bench.declare(COMPANIES)
    companies(
        bench,
        "('a', 'A', null)",
        "(null, 'N', null)",
        "('', 'E', null)",
        "('d', '1', null)",
        "('d', '2', null)",
    )
    rows = bench.plan("companies")
    assert sorted((str(r["_key"]), r["_operation"] or r["_code"]) for r in rows) == [
        ("None", "null_key"),
        ("None", "null_key"),
        ("a", "insert"),
        ("d", "duplicate_key"),
        ("d", "duplicate_key"),
    ]
    assert all(r["_batch"] is None for r in rows if r["_code"])
    assert bench.failures() == {}, "a plan is only shown"
    result = bench.result(sandbox)
    assert (result.counts.inserted, result.counts.rejected, result.failing) == (1, 4, 2)
    assert bench.failures() == {"": ("rejected", "null_key"), "d": ("rejected", "duplicate_key")}
    companies(bench, "('a', 'A', null)", "('d', '1', null)")
    assert bench.result(sandbox).counts.inserted == 1
    assert bench.failures() == {}, "what is fine again is forgotten"


def test_a_key_that_becomes_a_duplicate_is_not_sent_nor_removed(bench):
    started(bench, COMPANIES + "  on_removed: delete\n")
    companies(bench, "('a', 'X', null)", "('a', 'Y', null)", "('b', 'Beta', 'old')", "('c', 'Cosa', null)")
    assert bench.by_key("companies") == {"a": "duplicate_key"}
    companies(bench, "('a', 'Acme', 'new')", "('b', 'Beta', 'old')", "('c', 'Cosa', null)")
    assert bench.plan("companies") == []


def test_a_required_field_that_is_null_rejects_its_row(bench):
    bench.declare(COMPANIES)
    companies(bench, "('a', null, 'new')", "('b', 'Beta', 'old')")
    assert bench.by_key("companies") == {"a": "missing_required", "b": "insert"}


def test_one_of_a_group_is_needed(bench):
    bench.declare("""
licenses:
  object: license
  match: {externalId: id}
  fields: {companyId: {company: c}, _currency: {value: EUR}, fromDate: d, value: v, mrr: m}
""")
    bench.table(
        "licenses",
        "select * from (values ('a', 'c', date '2024-01-01', 1.5, null::double), "
        "('b', 'c', date '2024-01-01', null, null), ('z', 'c', date '2024-01-01', null, 2)) t(id, c, d, v, m)",
    )
    assert bench.by_key("licenses") == {"a": "insert", "b": "missing_required", "z": "insert"}


# -- parents


def test_rows_wait_for_their_parent(bench):
    bench.declare(FAMILY)
    companies(bench, "('a', 'Acme', null)", "('n', null, null)")
    people(bench, "('1', 'a', 'x@a')", "('2', 'n', 'y@n')", "('3', 'gone', 'z@g')", "('4', null, 'n@x')")
    assert bench.by_key("people") == {
        "1": "insert",
        "2": "parent_missing",
        "3": "parent_missing",
        "4": "insert",
    }, "a plan counts parents that it plans to insert; one that is itself rejected does not count"
    bench.accept("companies", compare=False)
    bench.accept("people")
    assert set(bench.snapshot("people")) == {"1", "4"}


def test_a_child_of_a_deleted_parent_waits(bench):
    bench.declare(FAMILY.replace("phase: phase}", "phase: phase}\n  on_removed: delete"))
    companies(bench, "('a', 'Acme', null)", "('b', 'Beta', null)")
    people(bench, "('1', 'a', 'x@a')")
    bench.accept("companies")
    bench.accept("people")
    companies(bench, "('b', 'Beta', null)")
    bench.accept("companies")
    people(bench, "('1', 'a', 'new@a')")
    assert bench.by_key("people") == {"1": "parent_missing"}


def test_a_deleted_record_that_comes_back_with_nothing_changed_is_made_anew(bench):
    bench.declare(FAMILY.replace(", email: email", ""))
    companies(bench, "('a', 'Acme', null)")
    people(bench, "('1', 'a', 'x@a')", "('2', 'a', 'y@a')")
    bench.accept("companies")
    bench.accept("people")
    people(bench, "('2', 'a', 'y@a')")
    bench.accept("people")
    people(bench, "('1', 'a', 'x@a')", "('2', 'a', 'y@a')")
    assert bench.by_key("people") == {"1": "insert"}


def test_a_delete_keeps_the_reference_that_tells_whose_record_a_key_means(bench):
    bench.declare(FAMILY)
    companies(bench, "('a', 'Acme', null)")
    people(bench, "('1', 'a', 'x@a')", "('2', 'a', 'y@a')")
    bench.accept("companies")
    bench.accept("people", ids={"1": "0" * 24})
    people(bench, "('2', 'a', 'y@a')")
    (row,) = bench.plan("people")
    assert (row["_operation"], row["_planhat_id"], row["companyId"], row["email"]) == (
        "delete",
        "0" * 24,
        "a",
        None,
    )


# -- batch numbers


def numbered(bench: Bench, first: int, last: int, name: str = "'n'") -> None:
    bench.table(
        "companies", f"select i::varchar as id, {name} as name, 'p' as phase from range({first}, {last}) t(i)"
    )


@pytest.mark.parametrize(
    ("rows", "batches"), [(4999, [4999]), (5000, [5000]), (5001, [5000, 1]), (10001, [5000, 5000, 1])]
)
def test_batches_are_as_full_as_5000_rows_allow(bench, rows, batches):
    bench.declare(COMPANIES)
    numbered(bench, 0, rows)
    assert bench.plans()["companies"].calls == len(batches)
    found = bench.rows("select _batch, count(*) as n from planhat_sync.plan__companies group by 1 order by 1")
    assert [(r["_batch"], r["n"]) for r in found] == list(enumerate(batches, start=1))


def test_inserts_and_updates_share_batches_and_rejected_rows_take_no_place(tmp_path):
    bench = Bench(tmp_path, settings={"batch_rows": 10})
    bench.declare(COMPANIES)
    numbered(bench, 0, 15)
    bench.accept("companies")
    numbered(bench, 0, 25, "case when i % 5 = 0 then null else 'm' end")
    rows = bench.plan("companies")
    assert {r["_code"] for r in rows if r["_batch"] is None} == {"missing_required"}
    sizes = [sum(1 for r in rows if r["_batch"] == b) for b in (1, 2)]
    assert sizes == [10, 10]
    assert {r["_operation"] for r in rows if r["_batch"]} == {"insert", "update"}


@pytest.mark.parametrize(
    ("on_removed", "first"), [("clear", CLEAR_BATCHES_FROM), ("delete", DELETE_BATCHES_FROM)]
)
def test_removals_have_their_own_numbers(tmp_path, on_removed, first):
    bench = Bench(tmp_path, settings={"batch_rows": 10})
    bench.declare(COMPANIES + f"  on_removed: {on_removed}\n  max_removals: 100%\n")
    numbered(bench, 0, 25)
    bench.accept("companies")
    numbered(bench, 23, 30)
    rows = bench.plan("companies")
    assert {r["_batch"] for r in rows if r["_operation"] == "insert"} == {1}
    removed = [r["_batch"] for r in rows if r["_operation"] == on_removed]
    if on_removed == "clear":
        assert sorted(removed) == [first] * 10 + [first + 1] * 10 + [first + 2] * 3
    else:
        assert sorted(removed) == list(range(first, first + 23))


def test_keyless_creates_travel_in_small_batches_of_their_own(bench):
    bench.declare("""
notes:
  object: note
  mode: upsert
  key: id
  fields: {companyId: {company: c}, subject: s}
""")
    bench.table("notes", "select i::varchar as id, 'c' as c, 's' as s from range(45) t(i)")
    rows = bench.plan("notes")
    first = CREATE_BATCHES_FROM
    assert (
        sorted(r["_batch"] for r in rows)
        == [first] * CREATE_BATCH_ROWS + [first + 1] * CREATE_BATCH_ROWS + [first + 2] * 5
    )


# -- events


METRICS = """
points:
  object: metric
  key: id
  fields: {dimensionId: {value: logins}, externalId: company, value: v, date: at}
"""


def test_events_are_planned_once_and_never_again(bench):
    bench.declare(METRICS)
    bench.table("points", "select '1' as id, 'a' as company, 1.5 as v, timestamp '2024-01-01' as at")
    bench.accept("points")
    bench.table("points", "select '1' as id, 'a' as company, 99 as v, timestamp '2025-01-01' as at")
    assert bench.plan("points") == []
    bench.table("points", "select '2' as id, 'a' as company, 2 as v, timestamp '2025-01-01' as at")
    (row,) = bench.plan("points")
    assert (row["_key"], row["_operation"], row["_changed"]) == ("2", "insert", None)


def test_events_wait_for_the_company_they_name(bench):
    bench.declare(COMPANIES + METRICS)
    companies(bench, "('a', 'Acme', null)")
    bench.table("points", "select * from (values ('1', 'a', 1), ('2', 'zz', 1)) t(id, company, v)")
    bench.declare(COMPANIES + METRICS.replace(", date: at", ""))
    assert bench.by_key("points") == {"1": "insert", "2": "parent_missing"}


def test_events_in_doubt_are_not_planned(bench):
    bench.declare(METRICS.replace(", date: at", ""))
    bench.table("points", "select * from (values ('1', 'a', 1), ('2', 'b', 1)) t(id, company, v)")
    bench.accept("points", bad={"2": (RowStatus.UNKNOWN, "unknown_outcome")})
    assert bench.by_key("points") == {"2": "unknown"}
    assert bench.failures() == {"2": ("unknown", "unknown_outcome")}
