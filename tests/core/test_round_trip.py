"""Every type of DuckDB into every field it may feed: sent and compared as what it means (dbt-notes §7)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from harness.share import examples
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from core.spelling.containers import NESTED
from core.spelling.kinds import Spell, Type, literal, quoted
from core.spelling.meaning import BAD, Double, read, same
from core.spelling.numbers import DECIMALS, FLOATS, INTEGERS
from core.spelling.texts import PLAIN, STUBBORN, UNSUPPORTED
from core.spelling.times import DATE, STAMPS
from core.workbench import Bench
from planhat_dbt.declaration.types import Declarations
from planhat_dbt.deliver.payload import Batch, PayloadWriter
from planhat_dbt.objects import Field, FieldType
from planhat_dbt.outcome import RowStatus

SYNC = "model"
EXAMPLES = int(os.environ.get("ROUND_TRIP_EXAMPLES", examples(5, 3)))
LISTS = (FieldType.TEXTS, FieldType.OBJECTS)
GROUPS = {
    "whole": INTEGERS,
    "fractions": DECIMALS + FLOATS,
    "times": [DATE, *STAMPS],
    "plain": PLAIN + UNSUPPORTED,
    "lists": NESTED[: len(NESTED) // 2],
    "structs": NESTED[len(NESTED) // 2 :],
}
Spelling = tuple[str, Spell]
"""A type's name and how values are spelled in it."""


@dataclass(frozen=True)
class Cell:
    """One column that feeds one field."""

    number: int
    type: Type
    field: FieldType

    @property
    def name(self) -> str:
        return f"c{self.number}"

    def expected(self, value: Any) -> Any:
        if value is None:
            return [] if self.field in LISTS else None
        return self.type.expected(value, self.field)

    def spellings(self, values: Sequence[Any]) -> list[Spelling]:
        """In which types, and how, these values can be written: the own one first."""
        found = [(self.type.name, self.type.spell)]
        for name, spell in self.type.others:
            if self._takes(name) and all(v is None or spell(v) is not None for v in values):
                found.append((name, spell))
        return found

    def _takes(self, name: str) -> bool:
        if self.field in (FieldType.BOOLEAN, FieldType.DAY) and name.startswith(("decimal", "double")):
            return False
        return self.type is not DATE or self.field is not FieldType.TEXT or name == "date"


def cells_of(group: str) -> list[Cell]:
    pairs = [(kind, field) for kind in GROUPS[group] for field in kind.feeds]
    return [Cell(n, kind, field) for n, (kind, field) in enumerate(pairs)]


class Round:
    """One model with a column for each cell, and its sync."""

    def __init__(self, bench: Bench, cells: list[Cell]) -> None:
        self.bench, self.cells = bench, cells
        bench.sql("drop schema if exists planhat_sync cascade")
        custom = {c.name: c.name for c in cells}
        fields = {"name": {"value": "x"}, "custom": custom}
        bench.declare({SYNC: {"object": "company", "match": {"externalId": "id"}, "fields": fields}})
        (sync,) = bench.declarations.syncs
        types = {c.name: Field(c.name, c.field) for c in cells}
        typed = tuple(replace(f, field=types.get(f.custom_name or "", f.field)) for f in sync.fields)
        bench.declarations = Declarations((replace(sync, fields=typed),), ())

    def build(self, rows: dict[str, list[Any]], spellings: list[Spelling]) -> None:
        lines = []
        for key, values in rows.items():
            spelled = zip(self.cells, values, spellings, strict=True)
            texts = (
                "null" if v is None else literal(*s[:1], v, s[1], nested=c.type.nested) for c, v, s in spelled
            )
            lines.append(f"({quoted(key)}, {', '.join(texts)})")
        nulls = ", ".join(
            f"cast(null as {s[0]}) as {c.name}" for c, s in zip(self.cells, spellings, strict=True)
        )
        self.bench.table(SYNC, f"select null::varchar as id, {nulls} where false")
        if lines:
            self.bench.sql(f"insert into {SYNC} values {', '.join(lines)}")

    def plan(self) -> dict[str, dict[str, Any]]:
        return {r["_key"]: r for r in self.bench.plan(SYNC)}

    def batches(self) -> list[Batch]:
        with self.bench.session() as session:
            writer = PayloadWriter(self.bench.bound(session, SYNC), self.bench.warehouse.dialect)
            table = self.bench.tables.plan(SYNC)
            query = f"select {', '.join(writer.select)} from {table} p where _batch is not null"
            return writer.batches([row for part in session.stream(query, 100) for row in part])

    def send(self) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
        """What the plan sends, by key; and why rows are rejected, by the plan or when they are written."""
        planned = self.bench.planned(SYNC)
        refused = {r["_key"]: r["_message"] for r in planned if r["_code"]}
        assert {r["_code"] for r in planned if r["_code"]} <= {"bad_value"}
        sent = {}
        for batch in self.batches():
            refused |= {r.key: r.message for r in batch.refused}
            body = read(b"[" + b",".join(r.item for r in batch.rows) + b"]")
            sent |= {r.key: item for r, item in zip(batch.rows, body, strict=True)}
        self.bench.accept(SYNC, compare=False, bad=dict.fromkeys(refused, (RowStatus.REJECTED, "bad_value")))
        return sent, refused

    def check(self, sent: dict[str, Any], key: str, values: list[Any], wanted: set[str]) -> None:
        custom = sent[key]["custom"]
        assert set(custom) == wanted
        for cell, value in zip(self.cells, values, strict=True):
            if cell.name in wanted:
                found, expected = custom[cell.name], cell.expected(value)
                assert same(found, expected), (cell, value, found, expected)


def equal(one: Any, other: Any) -> bool:
    """Whether two meanings are one: numbers by value, lists and objects in their order."""
    one, other = (v.value if isinstance(v, Double) else v for v in (one, other))
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(equal(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(equal(a, b) for a, b in zip(one, other, strict=True))
    return one == other


def meaning(cell: Cell, value: Any) -> Any:
    return None if value is None else cell.type.means(value)


def differing(cells: list[Cell], old: list[Any], new: list[Any]) -> set[str]:
    """The fields that hold something else."""
    found = set()
    for cell, before, after in zip(cells, old, new, strict=True):
        nulls = (before is None, after is None)
        if nulls[0] != nulls[1] or not equal(meaning(cell, before), meaning(cell, after)):
            found.add(cell.name)
    return found


def written_as(
    cells: list[Cell], spellings: list[Spelling], found: object
) -> dict[str, tuple[str, FieldType, str]]:
    """Name the columns that look changed: their type, their field, the type they are rebuilt in."""
    return {
        c.name: (c.type.name, c.field, s[0])
        for c, s in zip(cells, spellings, strict=True)
        if f'"custom.{c.name}"' in str(found)
    }


@pytest.fixture(scope="module")
def module_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    return Bench(tmp_path_factory.mktemp("round"))


@pytest.mark.parametrize("group", list(GROUPS))
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(data=st.data())
def test_values_are_sent_once_as_what_they_mean(module_bench: Bench, group: str, data: st.DataObject) -> None:
    cells = cells_of(group)
    drawn: dict[int, list[Any]] = {}

    def values(cell: Cell) -> list[Any]:
        strategy = cell.type.only.get(cell.field, cell.type.values)
        if id(strategy) not in drawn:
            drawn[id(strategy)] = data.draw(strategy)
        return drawn[id(strategy)]

    fine: list[list[Any]] = []
    rows: dict[str, list[Any]] = {}
    rejected: dict[str, str] = {}
    for cell in cells:
        all_of_it = values(cell)
        fine.append([v for v in all_of_it if cell.expected(v) is not BAD])
        for n, value in enumerate(v for v in all_of_it if cell.expected(v) is BAD):
            key = f"bad {cell.name} {n}"
            rows[key] = [value if c is cell else None for c in cells]
            rejected[key] = f"custom.{cell.name}: "
    height = max(map(len, fine)) + 1
    good = {f"row {r}": [f[r] if r < len(f) else None for f in fine] for r in range(height)}
    every = {c.name for c in cells}
    own = [(c.type.name, c.type.spell) for c in cells]

    # A first load sends every value that can be sent, and names every other.
    model = Round(module_bench, cells)
    model.build(good | rows, own)
    model.plan()
    sent, refused = model.send()
    for key, start in rejected.items():
        assert refused.get(key, "").startswith(start), (start, [v for v in rows[key] if v is not None])
        assert len(refused[key]) > len(start)
    assert set(refused) == set(rejected), {k: v for k, v in refused.items() if k not in rejected}
    for key, line in good.items():
        model.check(sent, key, line, every)

    # A second look finds nothing, however equal values are written.
    assert {k for k, r in model.plan().items() if r["_operation"] or r["_code"]} <= set(rejected)
    other = []
    for number, cell in enumerate(cells):
        found = cell.spellings(fine[number])
        other.append(found[data.draw(st.integers(0, len(found) - 1))])
    for spellings in (other, own):
        model.build(good, spellings)
        found = {k: (r["_changed"], r["_changes"]) for k, r in model.plan().items()}
        assert not found, written_as(cells, spellings, found)

    # What really changes is found, all of it and nothing else.
    moved = {f"row {r}": good[f"row {(r + 1) % height}"] for r in range(height)}
    model.build(moved, [(c.type.name, c.type.spell) for c in cells])
    planned = model.plan()
    changes = {k: differing(cells, good[k], moved[k]) for k in good}
    assert {k: {n[7:] for n in read(r["_changed"])} for k, r in planned.items()} == {
        k: names for k, names in changes.items() if names
    }
    for row in planned.values():
        assert {n[7:] for n in read(row["_changes"])} == {n[7:] for n in read(row["_changed"])}
    sent, refused = model.send()
    assert not refused
    for key, names in changes.items():
        if names:
            model.check(sent, key, moved[key], names)
    assert not model.plan()


# -- keys


@given(texts=st.lists(STUBBORN | st.text(st.characters(exclude_categories=["Cs"])), unique=True, max_size=30))
@settings(max_examples=5, suppress_health_check=list(HealthCheck))
def test_text_keys_stay_as_they_are(module_bench: Bench, texts: list[str]) -> None:
    model = Round(module_bench, [])
    model.build({t: [] for t in texts}, [])
    model.plan()
    items = [read(r.item) for b in model.batches() for r in b.rows]
    assert sorted(i["externalId"] for i in items) == sorted(t for t in texts if t)
    model.bench.accept(SYNC, compare=False)
    assert {r["_code"] for r in model.plan().values()} <= {"null_key"}
