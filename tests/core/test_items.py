"""What the warehouse writes as JSON is what Python would write, and usual rows need no Python (`plain`)."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import chain
from typing import Any

import pytest
from harness.share import examples
from harness.warehouses import ON
from hypothesis import given, settings
from hypothesis import strategies as st

from core.workbench import Bench
from planhat_dbt.deliver.payload import PayloadWriter
from planhat_dbt.deliver.written import SentRow, WrittenForm
from planhat_dbt.warehouse.port import Row

ID = "0123456789abcdef01234567"

COMPANY = """
c:
  object: company
  match: {externalId: id}
  on_removed: clear
  fields:
    name: name
    status: {value: customer}
    phase: phase
    csmScore: whole
    mr: amount
    nrr30: share
    owner: owner
    description: at
    custom:
      "Say \\"when\\"": day
      "Plan, old": {column: name, nulls: skip}
      Flag: {column: flag, write: on_insert}
      Whole: whole
      Nested: {value: {a: 1, custom: {}}}
"""
COLUMNS = {
    "id": "varchar",
    "name": "varchar",
    "phase": "varchar",
    "whole": "hugeint" if ON == "duckdb" else "bigint",
    "amount": "decimal(20, 4)",
    "share": "double",
    "owner": "varchar",
    "at": "timestamp",
    "day": "date",
    "flag": "boolean",
}


def numbers(text: bytes) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def both(bench: Bench, name: str) -> tuple[dict[str, SentRow | None], dict[str, SentRow | str]]:
    """Key → row as the warehouse writes it, and as Python does: the row, or why it is refused."""
    bench.plans()
    with bench.session() as session:
        writer = PayloadWriter(bench.bound(session, name), bench.warehouse.dialect)
        source = f"{bench.tables.plan(name)} p{writer.joins(bench.tables.lookups)} where _batch is not null"
        form = writer.written
        assert form
        here = session.rows(f"select {', '.join(form.select)} from {source}")
        of_inserts = PayloadWriter(
            bench.bound(session, name), bench.warehouse.dialect, only_inserts=True
        ).written
        assert of_inserts
        whole = session.rows(
            f"select {', '.join(of_inserts.select)} from {source} and _operation = 'insert' order by p._row"
        )
        inserts = sorted((row for row in here if row[3] == "insert"), key=form.row_number)
        assert [row[:2] for row in whole] == [row[:2] for row in inserts]
        if plain := _plain(form, whole):
            assert list(of_inserts.rows(plain)) == list(form.rows(_plain(form, inserts)))
        query = f"select {', '.join(writer.select)} from {source}"
        python: dict[str, SentRow | str] = {}
        for batch in writer.batches(chain.from_iterable(session.stream(query, 1000))):
            python |= {r.key: r for r in batch.rows} | {r.key: r.message for r in batch.refused}
    plain = _plain(form, here)
    rows = form.rows(plain) if plain else ()
    assert [r.operation for r in rows] == [row[3] for row in plain]
    return {row[2].split("\x1f", 4)[4]: None for row in here} | {r.key: r for r in rows}, python


def _plain(form: WrittenForm, rows: list[Row]) -> list[Row]:
    return [row for row in rows if form.is_plain(row)]


def check(bench: Bench, name: str) -> dict[str, SentRow | None]:
    written, python = both(bench, name)
    assert written.keys() == python.keys()
    for key, row in written.items():
        if row is not None:
            other = python[key]
            assert isinstance(other, SentRow), (row, other)
            assert numbers(row.item) == numbers(other.item)
            assert row[:4] == other[:4]
            assert row.new_key == other.new_key
    return written


def fill(bench: Bench, rows: list[tuple[Any, ...]]) -> None:
    spelt = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
    bench.sql(f"create or replace table c ({spelt})")
    with bench.session() as session:
        session.insert('"main"."c"', list(COLUMNS), rows)


def test_usual_rows_are_written_by_the_warehouse(bench: Bench) -> None:
    bench.declare(COMPANY)
    usual = (
        'Ünï "x"\n\\ \x01 🙂',
        None,
        5,
        Decimal("12.50"),
        0.25,
        ID,
        "2026-01-02 03:04:05.678",
        "2026-01-02",
        True,
    )
    fill(bench, [("a", *usual), ("b", "B", *[None] * 8), ("c", "C", *usual[1:])])
    rows = check(bench, "c")
    assert all(rows.values())
    bench.accept("c", ids={"a": ID})
    fill(bench, [("a", "A2", None, *usual[2:]), ("b", "B2", None, 7, *[None] * 6)])
    rows = check(bench, "c")
    assert {key: row and row.operation for key, row in rows.items()} == {
        "a": "update",
        "b": "update",
        "c": "clear",
    }
    assert rows["a"]
    assert numbers(rows["a"].item) == {"_id": ID, "name": "A2", "custom": {"Plan, old": "A2"}}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("whole", 2**53 + 1),
        ("whole", -(2**53) - 1),
        ("amount", Decimal("1234567890123456.7891")),
        ("share", 1e-7),
        ("share", 1e22),
        ("owner", "not an id"),
        ("owner", ID.upper()),
    ],
)
def test_odd_values_are_left_to_python(bench: Bench, column: str, value: object) -> None:
    bench.declare(COMPANY)
    row = dict.fromkeys(COLUMNS) | {"id": "a", "name": "A", column: value}
    fill(bench, [tuple(row.values()), ("b", "B", *[None] * 8)])
    rows = check(bench, "c")
    assert rows["a"] is None
    assert rows["b"]


def test_floats_of_four_bytes_are_written_without_exponent(bench: Bench) -> None:
    """As a double, the float nearest to 0.0001 is below it."""
    values = ["0.0001", "-0.0001", "0.00010001", "1e15", "9.99e14", "0.1", "16777217", "-0.0", "1e-7", "3e38"]
    bench.declare(
        """
        c:
          object: company
          match: {externalId: id}
          fields: {name: id, custom: {V: v}}
        """
    )
    bench.sql(f"create table c (id varchar, v {'float' if ON == 'duckdb' else 'real'})")
    bench.sql(*(f"insert into c values ('{value}', {value})" for value in values))
    rows = check(bench, "c")
    bare = {row.item.partition(b'"V":')[2] for row in rows.values() if row}
    assert len(bare) >= 4
    assert not [text for text in bare if b"e" in text], bare


VALUES = st.tuples(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=6),
    st.sampled_from([None, "Onboarding"]),
    st.one_of(st.none(), st.integers(-(2**60), 2**60), st.integers(-5, 5)),
    st.one_of(st.none(), st.decimals(-(10**15), 10**15, places=4)),
    st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
    st.sampled_from([None, ID, "x"]),
    st.one_of(st.none(), st.datetimes()),
    st.one_of(st.none(), st.dates()),
    st.one_of(st.none(), st.booleans()),
)


@settings(max_examples=examples(20, 3))
@given(first=st.lists(VALUES, min_size=1, max_size=8), then=st.lists(VALUES, min_size=1, max_size=8))
def test_both_write_the_same(tmp_path_factory, first, then) -> None:
    bench = Bench(tmp_path_factory.mktemp("items"))
    bench.declare(COMPANY)
    fill(bench, [(f"k{i}", *row) for i, row in enumerate(first)])
    check(bench, "c")
    bench.accept("c", ids={"k0": ID, "k2": ID[::-1]})
    fill(bench, [(f"k{i}", *row) for i, row in enumerate(then)])
    check(bench, "c")


PERSON = """
p:
  object: enduser
  match: {externalId: id}
  fields:
    companyId: {company: company}
    email: mail
    firstName: first
"""


def test_a_key_that_is_unique_within_its_company_goes_with_it(bench: Bench) -> None:
    bench.declare(PERSON)
    make = "select id, company, mail, first from (values {}) t(id, company, mail, first)"
    bench.table(
        "p", make.format("('a', 'x', 'a@x.io', 'A'), ('b', '', 'b@x.io', 'B'), ('c', null, 'c@x.io', null)")
    )
    rows = check(bench, "p")
    assert rows["a"]
    assert rows["b"] is None  # an empty key is refused
    bench.accept("p", ids={"c": ID})
    bench.table("p", make.format("('a', 'x', 'a@x.io', 'A2'), ('c', 'y', 'c@x.io', null)"))
    rows = check(bench, "p")
    assert {key: row and numbers(row.item) for key, row in rows.items()} == {
        "a": {"externalId": "a", "companyId": "extid-x", "firstName": "A2"},
        "c": {"_id": ID, "companyId": "extid-y"},
    }


def test_events(bench: Bench) -> None:
    bench.declare("""
m:
  object: metric
  key: id
  fields: {dimensionId: name, externalId: account, value: amount, date: at}
u:
  object: user_activity
  key: id
  fields: {email: mail, action: action, count: times, date: at}
""")
    bench.table(
        "m",
        "select 'p' || i as id, 'log.ins-' || i as name, 'a' as account, i / 4.0 as amount, "
        "timestamp '2026-01-02' as at from range(3) t(i)",
    )
    bench.table(
        "u",
        "select 'u' || i as id, (['a.b+c@x.io', 'a@b@c', 'a b@c.io'])[i + 1] as mail, "
        "'Did \"it\"' as action, i as times, timestamp '2026-01-02' as at from range(3) t(i)",
    )
    assert all(check(bench, "m").values())
    assert all(row is None for row in check(bench, "u").values())  # a count of 0, and addresses that are none
    bench.sql("update u set times = 1")
    assert [key for key, row in check(bench, "u").items() if row] == ["u0"]
