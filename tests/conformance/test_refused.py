"""Every cell that the API cannot offer is refused at validation, with the reason; all others are declarations."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from declaration.manifests import declare, told

from conformance.cases import BY_OBJECT
from conformance.cells import Cell, cells
from planhat_dbt.objects import OBJECTS

SAID = {
    "no such key": r"is no key of|has no `",
    "no `_id` yet": r"has no `_id` yet",
    "`match` is missing": r"`match` is missing",
    "one by one": r"creates no tickets one by one",
    "cannot `clear`": r"cannot `clear`",
    "cannot `delete`": r"cannot `delete`",
}


def block(cell: Cell) -> dict[str, object]:
    cases = BY_OBJECT[cell.object]
    case = next((c for c in cases if c.match == cell.match), cases[0])
    declared = case.block(mode=cell.mode, on_removed=cell.on_removed)
    for word in ("match", "key"):
        declared.pop(word, None)
    if cell.match in OBJECTS[cell.object].fields:
        declared["fields"].pop(cell.match, None)
    return declared | ({"match": {cell.match: "id"}} if cell.match else {"key": "id"})


def test_the_table_is_whole() -> None:
    """Every record object, by every key and by none, in every mode, with every removal: each once."""
    names = [o.name for o in OBJECTS.values() if not o.is_event]
    keys = ["_id", "sourceId", "externalId", ""]
    wanted = {
        (name, mode, key, removal)
        for name in names
        for key in [*keys, *(["email"] if name in ("enduser", "user") else [])]
        for mode in ("upsert", "update", "insert")
        for removal in ("keep", "clear", "delete")
    }
    found = [(c.object, c.mode, c.match, c.on_removed) for c in cells()]
    assert len(found) == len(set(found))
    assert set(found) == wanted


def test_what_is_refused_says_why_and_the_rest_is_offered(tmp_path: Path) -> None:
    wrong = []
    for cell in cells():
        messages = told(declare(tmp_path, yaml.safe_dump({"rows": block(cell)})))
        if not cell.refused and messages:
            wrong.append(f"{cell} is offered, but: {messages}")
        elif cell.refused and not any(re.search(SAID[cell.refused], message) for _, message in messages):
            wrong.append(f"{cell} should be refused ({cell.refused}), but: {messages}")
    assert not wrong, "\n".join(wrong[:20])
