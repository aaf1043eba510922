"""As few calls as the rows and their bytes allow (DESIGN §9, §14).

Companies have a custom field here, so a run that sends any reads the definitions of such fields first (DESIGN §15).
"""

from __future__ import annotations

import pytest
from harness import Project

from run.shop import COMPANIES, COMPANY_COLUMNS, add_companies, mirrors

MIB = 1024 * 1024
DEFINITIONS = "GET /customfields"


def fill(project: Project, rows: int, name: str = "'Acme ' || i") -> None:
    project.sql(f"insert into companies select 'c-' || i, {name}, 'Live', i from range(1, {rows + 1}) r(i)")


def test_12001_rows_are_three_calls(project: Project) -> None:
    add_companies(project, 0)
    fill(project, 12_001)
    outcome = project.sync()
    assert outcome.kinds == [DEFINITIONS, *["PUT /companies"] * 3]
    assert [call.rows for call in outcome.writes] == [5000, 5000, 2001]
    assert outcome.counts("companies") == {"inserted": 12_001}
    assert mirrors(project)
    project.quiet()
    project.sql("update companies set seats = seats + 1 where seats <= 5001")
    outcome = project.sync()
    assert outcome.kinds == [DEFINITIONS, *["PUT /companies"] * 2]
    assert [call.rows for call in outcome.writes] == [5000, 1]
    assert outcome.counts("companies") == {"updated": 5001}
    assert {len(row) for row in outcome.sent("/companies")} == {2}
    assert mirrors(project)


@pytest.mark.parametrize(
    ("rows", "size", "calls"), [(1, 10, 1), (10, 10, 1), (11, 10, 2), (25, 10, 3), (7, 1, 7)]
)
def test_batch_rows(project: Project, rows: int, size: int, calls: int) -> None:
    project.settings(batch_rows=size)
    add_companies(project, rows)
    assert project.sync().kinds == [DEFINITIONS, *["PUT /companies"] * calls]
    assert mirrors(project)


def test_bytes_split_a_batch(project: Project) -> None:
    project.model("companies", COMPANIES, COMPANY_COLUMNS)
    fill(project, 30, name="repeat('x', 1000000)")
    outcome = project.sync()
    assert [call.rows for call in outcome.calls] == [0, 8, 8, 8, 6]
    assert max(call.size for call in outcome.calls) <= 8 * MIB
    assert outcome.counts("companies") == {"inserted": 30}
    project.quiet()


def test_batch_bytes_and_a_row_larger_than_it(project: Project) -> None:
    project.settings(batch_bytes=64 * 1024)
    project.model("companies", COMPANIES, COMPANY_COLUMNS)
    fill(project, 7, name="repeat('x', case when i = 4 then 100000 else 20000 end)")
    outcome = project.sync()
    assert [call.rows for call in outcome.calls] == [0, 3, 1, 3]
    assert mirrors(project)


def test_only_changed_objects_are_called(project: Project) -> None:
    add_companies(project, 3)
    project.model(
        "assets",
        {
            "object": "asset",
            "match": {"externalId": "id"},
            "fields": {"name": "id", "companyId": {"company": "company"}},
        },
        {"id": "varchar", "company": "varchar"},
        [("a-1", "c-1")],
    )
    assert project.sync().kinds == [DEFINITIONS, "PUT /companies", "PUT /assets"]
    project.insert("assets", [("a-2", "c-2")])
    assert project.sync().kinds == ["PUT /assets"]
    assert project.sync("--select", "companies").kinds == []
