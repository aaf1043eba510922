"""What a sync costs in the warehouse: statements and scans that rows do not add to (docs/performance.md)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from core.workbench import Bench
from planhat_dbt.sandbox import Sandbox
from planhat_dbt.warehouse.duckdb import DuckDBSession

COMPANIES = """
c:
  object: company
  match: {externalId: id}
  on_removed: clear
  max_removals: 100%
  fields: {name: name, phase: phase}
"""
MODEL = '"main"."c"'
FIRST_SCANS = 2
"""Statements that read a model on its first load: the comparison, and a count of its rows (of no column)."""
IDLE_SCANS = 2
"""Where nothing differs: the fingerprints, and the count of rows."""
SCANS = 3
"""Statements that read it from then on: a comparison of fingerprints goes before the one of values."""

AT_MOST = (54, 28, 56)
"""Statements, beside those of the lease: of a first load, where nothing differs, where rows change and go."""
PER_WINDOW = 8
"""Statements for a window more, beside one for each of its batches."""


class Counted:
    """Every statement that DuckDB was given."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def clear(self) -> None:
        self.statements = []

    @property
    def of_the_model(self) -> int:
        """Statements that read the model's rows."""
        return sum(f"{MODEL} m" in s for s in self.statements)

    @property
    def lasting(self) -> int:
        """Statements but those of the heartbeat, which time alone decides on."""
        return sum("'lease'" not in s and "interval" not in s for s in self.statements)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """Listen at the one place where statements pass."""
    seen = Counted()
    run: Callable = DuckDBSession._run

    def listen(self, connection, sql, parameters=(), **more):
        seen.statements.append(sql)
        return run(self, connection, sql, parameters, **more)

    monkeypatch.setattr(DuckDBSession, "_run", listen)
    return seen


def write(bench: Bench, rows: int, name: str = "A", since: int = 0) -> None:
    bench.table(
        "c", f"select 'k' || i as id, '{name}' as name, 'p' as phase from range({since}, {rows}) t(i)"
    )


def costs(bench: Bench, sandbox: Sandbox, counted: Counted, rows: int) -> list[int]:
    """Statements of a first load, of a sync with nothing to do, of one that changes and clears rows."""
    bench.declare(COMPANIES)
    found = []
    for scans, since, name in ((FIRST_SCANS, 0, "A"), (IDLE_SCANS, 0, "A"), (SCANS, 1, "B")):
        write(bench, rows, name, since)
        counted.clear()
        bench.sync(sandbox)
        assert counted.of_the_model == scans
        found.append(counted.lasting)
    return found


def test_statements_and_scans_do_not_grow_with_the_rows(tmp_path, sandbox, counted):
    few, many = tmp_path / "few", tmp_path / "many"
    few.mkdir()
    many.mkdir()
    in_few = costs(Bench(few), sandbox, counted, 3)
    sandbox.reset()
    in_many = costs(Bench(many), sandbox, counted, 4000)
    assert in_few == in_many
    assert all(made <= most for made, most in zip(in_few, AT_MOST, strict=True)), in_few


def test_a_window_more_costs_the_same_few_statements(tmp_path, sandbox, counted):
    """Windows have 2, 4, 4 … batches; each batch is closed by one statement."""
    by_windows = []
    for windows, batches in ((1, 2), (2, 6), (3, 10), (4, 14)):
        folder = tmp_path / str(windows)
        folder.mkdir()
        bench = Bench(folder, settings={"batch_rows": 10})
        by_windows.append(costs(bench, sandbox, counted, batches * 10)[0] - batches)
    growth = [b - a for a, b in pairwise(by_windows)]
    assert 0 < min(growth) <= max(growth) <= PER_WINDOW
