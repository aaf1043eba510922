"""The statement that compares: odd names, and its text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlglot

from core.shop import COMPANIES, FAMILY, changed, companies, people, started
from core.workbench import Bench, as_view
from planhat_dbt.compare import (
    Comparison,
    create_plan,
    drop_plan,
)
from planhat_dbt.parents import parent_checks

# -- odd names

ODD = [
    'we"ird',
    "two words",
    "select",
    "Ünïcode 🙂",
    "CamelCase",
    "_key",
    "order by 1; drop table x --",
    "a'b",
    "n_0",
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", ODD)
def test_odd_column_names(bench, name):
    quoted = '"' + name.replace('"', '""') + '"'
    bench.declare(
        {"things": {"object": "company", "match": {"externalId": name},
                    "fields": {"name": name, "custom": {name: name, "it's {\"x\":\n[1]}": name}}}}
    )  # fmt: skip
    bench.table("things", f"select 'k' as {quoted}")
    (row,) = bench.plan("things")
    assert row["_operation"] == "insert"
    bench.accept("things")
    assert bench.plan("things") == []
    bench.sql(f"update things set {quoted} = 'k'")
    bench.sql(f"alter table things rename {quoted} to tmp", f"alter table things add column {quoted} varchar",
              f"update things set {quoted} = tmp")  # fmt: skip
    assert bench.plan("things") == [], "another place among the columns is no change"


def test_custom_names_with_quotes_and_newlines_give_valid_json(bench):
    names = ['a "quoted" name', "new\nline", "back\\slash", "it's", "ünï 🙂", "comma, colon: [x]"]
    bench.declare({"t": {"object": "company", "match": {"externalId": "id"},
                         "fields": {"name": "id", "custom": dict.fromkeys(names, "v")}}})  # fmt: skip
    bench.table("t", "select 'k' as id, 'old ''\"\\ 🙂' as v")
    bench.accept("t")
    bench.table("t", "select 'k' as id, chr(10) || 'new\t' as v")
    (row,) = bench.plan("t")
    assert changed(row) == [f"custom.{n}" for n in names]
    assert json.loads(row["_changes"]) == {f"custom.{n}": ["old '\"\\ 🙂", "\nnew\t"] for n in names}


def test_column_names_are_found_whatever_their_case(bench):
    bench.declare(COMPANIES.replace("id}", "ID}").replace("phase: phase", "phase: Phase"))
    companies(bench, "('a', 'Acme', 'p')")
    (row,) = bench.plan("companies")
    assert (row["_key"], row["phase"]) == ("a", "p")


# -- the text of the statement


@pytest.mark.parametrize("on_removed", ["keep", "clear", "delete"])
def test_the_statement_is_one_and_parses(bench: Bench, on_removed: str):
    bench.declare(FAMILY.replace("on_removed: delete", f"on_removed: {on_removed}"))
    companies(bench, "('a', 'Acme', null)")
    people(bench, "('1', 'a', 'x@a')")
    with bench.session() as session:
        for name in ("companies", "people"):
            mapping = bench.ensure(session, name)
            comparison = Comparison(
                bench.bound(session, name), mapping, parent_checks(bench.sync_named(name), bench.declarations.syncs),
                batch_rows=5000, has_unknown=True, planned_parents=frozenset({"companies"}),
            )  # fmt: skip
            text = create_plan(bench.tables, comparison)
            (tree,) = sqlglot.parse(text, dialect="duckdb")
            assert isinstance(tree, sqlglot.exp.Create)
            assert isinstance(
                sqlglot.parse_one(drop_plan(bench.tables, name), dialect="duckdb"), sqlglot.exp.Drop
            )


def test_a_comparison_scans_model_and_snapshot_once_and_the_keys_of_a_table_again(tmp_path: Path):
    bench = started(Bench(tmp_path))
    with bench.session() as session:
        comparison = Comparison(
            bench.bound(session, "companies"), bench.ensure(session, "companies"), (), 5000
        )
        text = create_plan(bench.tables, comparison)
        of_view = create_plan(bench.tables, as_view(comparison))
    assert of_view.count('"shop"."main"."companies"') == 1
    keys = '(select nullif(cast(m."id" as varchar) collate c, \'\') as _key from "shop"."main"."companies" m)'
    assert " ".join(text.split()).replace("( ", "(").replace(" )", ")").count(keys) == 1
    for one in (text, of_view):
        assert one.count('"snapshot__companies"') == 1
