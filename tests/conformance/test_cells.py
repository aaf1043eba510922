"""Every cell of the table, driven through the command line against the sandbox (DESIGN §5, §15).

Cells that differ only in their object share a project, so that one run delivers many of them.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from harness import Outcome, Project, Row
from harness.share import share
from run.records import Case, company_id, put, seed_companies

from conformance.cases import BY_OBJECT
from conformance.cells import Cell, cells
from planhat_dbt.objects import OBJECTS

UNKNOWN = "64b2a1c0f1e2d3c4b5a6{:04x}"
CELLS = cells()
OFFERED = [cell for cell in CELLS if not cell.refused]
A, B, C = 1, 2, 3
ALONE = ("company", "note", "ticket", "custom_field")
"""Companies are everybody's parents, notes are conversations, tickets make endusers, and all read custom fields."""


class Trial:
    """One cell in a project: its model, and what Planhat should hold of it."""

    def __init__(self, cell: Cell, project: Project) -> None:
        self.cell = cell
        self.project = project
        cases = BY_OBJECT[cell.object]
        self.case: Case = next((c for c in cases if c.match == cell.match), cases[0])
        self.name = f"{cell.object}_rows"
        self.column = self.case.changing[-1]
        seeds = {i: self._seeded(i) for i in (A, C)} if cell.match else {}
        self.ids = dict(zip(seeds, project.sandbox.tenant.seed(self.case.path, seeds.values()), strict=True))
        stored = {r["_id"]: _told(r, cell) for r in project.sandbox.tenant.records(self.case.path)}
        self.theirs = {i: stored[found] for i, found in self.ids.items()}

    def _seeded(self, i: int) -> Row:
        """A record as somebody else made it: our key, but none of our values."""
        record: Row = dict(self.case.defaults)
        if self.cell.match != "_id":
            record[self.key_name] = self.key(i)
        if self.cell.object == "note":
            record["type"] = "note"
        for column in self.case.columns:
            same = column.other_sent is None or column.kept
            put(record, self.case.wire_name(column), self._value(column, i, other=not same))
        return record

    @property
    def key_name(self) -> str:
        return OBJECTS[self.cell.object].fields[self.cell.match].json_name

    def key(self, i: int) -> str:
        if self.cell.match == "_id":
            return self.ids[i] if i in self.ids else UNKNOWN.format(abs(hash(self.name)) % 65536)
        if self.cell.match == "email":
            return f"user{i}@example.com"
        return f"c-{i}" if self.cell.object == "company" else f"{self.cell.object}-{i}"

    def _value(self, column: Any, i: int, *, other: bool) -> Any:
        value = column.other_sent if other else column.sent
        return value.replace("{i}", str(i)) if isinstance(value, str) else value

    # -- the model

    def declare(self) -> None:
        block = self.case.block(mode=self.cell.mode, on_removed=self.cell.on_removed)
        block.pop("match", None)
        block.pop("key", None)
        block |= {"match": {self.cell.match: "id"}} if self.cell.match else {"key": "id"}
        self.project.model(self.name, block, self.case.table, [self.row(i) for i in (A, B, C)])

    def row(self, i: int, *, changed: bool = False) -> tuple[Any, ...]:
        return (self.key(i), *self.case.row(i, **({self.column.name: True} if changed else {}))[1:])

    # -- what Planhat should hold

    def ours(self, i: int, *, changed: bool = False) -> Row:
        """The record as we sent it whole."""
        record = {**self.case.defaults, **self.case.constants}
        if self.cell.match not in ("", "_id"):
            record[self.key_name] = self.key(i)
        if self.cell.object == "note":
            record["type"] = "note"
        for column in self.case.columns:
            value = self._value(column, i, other=changed and column is self.column)
            put(record, self.case.wire_name(column), value)
        return self._stored(record)

    def _stored(self, record: Row) -> Row:
        """References resolved, as Planhat keeps them."""
        record = json.loads(json.dumps(record))
        for name in ("companyId", "cId"):
            if str(record.get(name)).startswith("extid-"):
                record[name] = company_id(self.project, record[name])
        if "companyIds" in record:
            record["companyIds"] = [company_id(self.project, r) for r in record["companyIds"]]
        if self.cell.object == "ticket":
            record["companyId"] = company_id(self.project, record["companyExternalId"])
        return record

    def merged(self, i: int, *, changed: bool = False) -> Row:
        """Their record after our update."""
        theirs, ours = self.theirs[i], self.ours(i, changed=changed)
        custom = {**theirs.get("custom", {}), **ours.get("custom", {})}
        return {**theirs, **ours, **({"custom": custom} if custom else {})}

    def emptied(self, record: Row) -> Row:
        cleared = dict(record)
        for column in self.case.columns:
            if not self.kept(column):
                name = self.case.wire_name(column)
                cleared["custom"] = dict(cleared.get("custom", {}))
                put(cleared, name, column.emptied)
        return {k: v for k, v in cleared.items() if k != "custom" or v}

    def kept(self, column: Any) -> bool:
        return bool(column.kept)

    def expected(self, step: str, state: str) -> list[Row]:
        """All records of the object after a step."""
        records: list[Row] = []
        for i, word in ((A, state.split("/", maxsplit=1)[0]), (B, state.split("/")[1])):
            records += self._record(i, word, changed=self._has_changed(step))
        if not self.cell.match:
            return [*records, self.ours(C)]
        return [*records, self.theirs[C] if self.cell.mode == "insert" else self.merged(C)]

    def _has_changed(self, step: str) -> bool:
        return step != "first" and self.cell.mode != "insert"

    def _record(self, i: int, word: str, *, changed: bool) -> list[Row]:
        keyless = not self.cell.match
        if word in ("absent", "deleted"):
            return []
        if i == A and not keyless:
            before = self.theirs[i] if self.cell.mode == "insert" else self.merged(i, changed=changed)
        else:
            before = self.ours(i, changed=changed)
        return [self.emptied(before) if word == "cleared" else before]

    def found(self) -> list[Row]:
        return [_told(r, self.cell) for r in self.project.sandbox.tenant.records(self.case.path)]


def _told(record: Row, cell: Cell) -> Row:
    """A record without what Planhat alone decides."""
    computed = {"_id", "updatedAt", *(["name"] if cell.object == "enduser" else [])}
    return {k: v for k, v in record.items() if k not in computed}


def calls(outcome: Outcome, case: Case) -> str:
    """The calls that concern an object, in the words of the table."""
    words = []
    for call in outcome.calls:
        path = call.path.strip("/")
        if path == "leancompanies" and case.object == "company":
            words.append("lean")
        elif path == case.path:
            words.append({"GET": "list", "PUT": "bulk", "POST": "post"}[call.method])
        elif path.startswith(case.path + "/"):
            words.append({"GET": "get", "PUT": "put", "DELETE": "delete"}[call.method])
    return " ".join(words)


def differences(trial: Trial, step: str, outcome: Outcome) -> list[str]:
    cell = trial.cell
    told = []
    wanted = getattr(cell, step)
    if (made := calls(outcome, trial.case)) != wanted:
        told.append(f"{cell} {step}: calls {made!r}, expected {wanted!r}")
    expected = Counter(
        json.dumps(r, sort_keys=True) for r in trial.expected(step, getattr(cell, f"{step}_state"))
    )
    found = Counter(json.dumps(r, sort_keys=True) for r in trial.found())
    if expected != found:
        told.append(f"{cell} {step}: missing {list(expected - found)}, found {list(found - expected)}")
    return told


GROUPS: dict[str, list[Cell]] = {}
for _cell in OFFERED:
    alone = _cell.object if _cell.object in ALONE else "others"
    name = f"{_cell.mode}-{_cell.match or 'key'}-{_cell.on_removed}-{alone}"
    GROUPS.setdefault(name, []).append(_cell)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_cells(group: list[Cell], project: Project) -> None:
    group = share(group, 6)
    if group[0].object != "company":
        seed_companies(project)
    trials = [Trial(cell, project) for cell in group]
    for trial in trials:
        trial.declare()
    told = []
    outcome = project.sync(code=None)
    for trial in trials:
        told += differences(trial, "first", outcome)
    again = project.sync(code=None)
    told += [f"{k} though nothing changed" for k in again.kinds if not k.startswith("GET")]
    for trial in trials:
        project.replace(trial.name, [trial.row(A, changed=True), trial.row(B, changed=True), trial.row(C)])
    outcome = project.sync(code=None)
    for trial in trials:
        told += differences(trial, "change", outcome)
    for trial in trials:
        project.replace(trial.name, [trial.row(C)])
    outcome = project.sync(code=None)
    for trial in trials:
        told += differences(trial, "removal", outcome)
    assert not told, "\n".join(told)
    project.quiet()
