"""The table of cells, `docs/conformance.csv`: what each mode does with each object by each key and removal.

Rows of a cell's model: `a` and `c`, whose records are in Planhat before anything is sent, and `b`, whose record is
not. First all three are new to us; then `a` and `b` change; then they leave the model. `c` stays as it is.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields
from pathlib import Path

TABLE = Path(__file__).parents[2] / "docs" / "conformance.csv"


@dataclass(frozen=True)
class Cell:
    """One line of the table."""

    object: str
    mode: str
    match: str
    """The key matched on; empty: known by `key` alone."""
    on_removed: str
    first: str
    """Calls of the first run: `lean` list, `list` page, `get` of one, `bulk`, `post` and `put` of one, `delete`."""
    first_state: str
    """What became of the records of `a` and of `b`."""
    change: str
    change_state: str
    removal: str
    removal_state: str
    refused: str
    """Why validation refuses it; empty: it is offered."""

    def __str__(self) -> str:
        return f"{self.object}-{self.mode}-{self.match or 'key'}-{self.on_removed}"


def cells() -> list[Cell]:
    """All lines of the table."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        assert reader.fieldnames == [f.name for f in fields(Cell)]
        return [Cell(**line) for line in reader]
