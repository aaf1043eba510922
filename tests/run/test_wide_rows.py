"""Models of hundreds of columns, which need more memory than DuckDB is given at first."""

from __future__ import annotations

import pytest
from harness import Project

from planhat_dbt.sandbox import Fault, FaultKind

pytestmark = pytest.mark.duckdb("of its limit on memory")
COLUMNS = 200
ROWS = 4000


@pytest.mark.thorough
def test_wide_rows_are_recorded_though_the_file_was_given_back_meanwhile(project: Project) -> None:
    """What the comparison needed, writing down what was sent needs too, when the file was opened anew."""
    values = ", ".join(f"'value {i} of row ' || r as c{i}" for i in range(COLUMNS))
    rows = f"select 'c-' || r as id, 'n' || r as name, {values} from range({ROWS}) t(r)"
    project.sql(f"create table companies as {rows}")
    fields = {"name": "name", "custom": {f"C{i}": f"c{i}" for i in range(COLUMNS)}}
    project.declare("companies", {"object": "company", "match": {"externalId": "id"}, "fields": fields})
    project.sandbox.faults.add(Fault(kind=FaultKind.DELAY, seconds=1.5, method="PUT"))
    outcome = project.sync()
    assert outcome.counts("companies") == {"inserted": ROWS}
    project.quiet()
