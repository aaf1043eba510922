"""The benchmark runs, for both sides, and counts the calls that are needed; how long it takes is not looked at."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))

from benchmarks.__main__ import OURS, THEIRS, as_markdown, run_all

ROWS = 6000
pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def lines(request: pytest.FixtureRequest) -> list:
    return run_all(ROWS, repeats=1, on=request.param)


def test_every_case_runs_for_both_sides(lines: list) -> None:
    sent = {(line.case, line.who): (line.counts["rows"], line.counts["deletes"]) for line in lines}
    for who in (OURS, THEIRS):
        assert sent["first load", who] == (ROWS, 0)
        assert sent["nothing changed", who] == (0, 0)
        assert sent["1 % changed, 0.1 % removed", who] == (ROWS // 100, ROWS // 1000)
        assert sent["one field added", who] == (ROWS - ROWS // 1000, 0)
        assert sent["events", who] == (ROWS, 0)


def test_nothing_changed_makes_no_call(lines: list) -> None:
    assert [line.counts["calls"] for line in lines if line.case == "nothing changed"] == [0, 0]


def test_the_page_has_a_line_for_each(lines: list) -> None:
    page = as_markdown({"duckdb": lines}, ROWS, 1)
    assert page.count("| planhat-dbt |") == page.count("| script |") == 5
    assert all(0 < line.measured.wall < 120 and line.measured.peak > 20 for line in lines)
