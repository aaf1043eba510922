"""All twelve record objects: what is there after a first load, and what travels when rows change."""

from __future__ import annotations

import pytest
from harness import Project, Row

from run.cases import CASES, FIRST_KEYS, LAST_KEYS
from run.records import Case, load_together
from run.shop import add_companies, company, mirrors

together = pytest.mark.parametrize("cases", [FIRST_KEYS, LAST_KEYS], ids=["first keys", "last keys"])


def by_number(case: Case, project: Project, rows: list[Row]) -> dict[int, Row]:
    """Partial rows by number, without what says whose they are: the `_id`, or e-mail and company."""
    stored = case.stored(project)
    ids = {case.id_of(project, i): i for i in range(1, 12) if case.key(i) in stored}
    found = {}
    for row in rows:
        rest = dict(row)
        if case.match == "email":
            number = int(rest.pop("email").removeprefix("user").partition("@")[0])
            assert rest.pop("companyId") == "extid-c-1"
        else:
            number = ids[rest.pop("_id")]
        assert number not in found
        found[number] = rest
    return found


def test_the_cases_are_the_twelve_objects() -> None:
    names = "asset campaign company conversation enduser invoice issue license note opportunity project sale"
    for cases in (CASES, FIRST_KEYS, LAST_KEYS):
        assert {case.object for case in cases} == set(names.split())
    assert len(FIRST_KEYS) == len(LAST_KEYS) == 12


@pytest.mark.sampled(4)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_first_load_nothing_to_do_and_changes(case: Case, project: Project) -> None:
    changing = case.changing
    every = range(1, len(changing) + 3)
    path = f"/{case.path}"
    case.load(project, rows=len(every))
    outcome = project.sync()
    verb = "PUT" if case.match else "POST"
    definitions = ["GET /customfields"] if case.has_custom else []
    assert outcome.kinds == definitions + [f"{verb} {path}"] * (1 if case.match else len(every))
    assert outcome.sent(path, verb) == [case.payload(i) for i in every]
    assert outcome.counts(case.sync) == {"inserted": len(every)}
    assert outcome.status(case.sync) == "success"
    assert case.stored(project) == {case.key(i): case.record(project, i) for i in every}
    # A bulk answer names no e-mail, so these ids are looked up when they are needed (DESIGN §15).
    ids = {case.key(i): None if case.match == "email" else case.id_of(project, i) for i in every}
    assert project.snapshot(case.sync, "_planhat_id") == ids
    project.quiet()

    changed = dict(enumerate(changing, start=2))  # row 2 changes in the first column, row 3 in the second …

    def others(i: int) -> dict[str, bool]:
        return {changed[i].name: True} if i in changed else {}

    project.replace(case.sync, [case.row(i, **others(i)) for i in every])
    outcome = project.sync()
    assert outcome.kinds == [*definitions, f"PUT {path}"]
    expected = {i: case.change(column, i) for i, column in changed.items()}
    assert by_number(case, project, outcome.sent(path)) == expected
    assert outcome.counts(case.sync) == {"updated": len(changing)}
    assert case.stored(project) == {case.key(i): case.record(project, i, **others(i)) for i in every}
    project.quiet()


@pytest.mark.sampled(2)
@together
def test_new_changed_and_removed_rows_in_one_run(cases: tuple[Case, ...], project: Project) -> None:
    load_together(project, cases, rows=4, on_removed="delete")
    project.sync()
    gone = {case.object: case.id_of(project, 2) for case in cases}
    for case in cases:
        other = {case.changing[-1].name: True}
        project.replace(case.sync, [case.row(1), case.row(3, **other), case.row(4), case.row(5)])
    outcome = project.sync()
    for case in cases:
        assert outcome.counts(case.sync) == {"inserted": 1, "updated": 1, "deleted": 1}, case
        assert f"DELETE /{case.path}/{gone[case.object]}" in outcome.kinds
        column = case.changing[-1]
        wanted = {case.key(i): case.record(project, i, **{column.name: i == 3}) for i in (1, 3, 4, 5)}
        assert case.stored(project) == wanted
    project.quiet()


@pytest.mark.sampled(2)
@together
def test_records_deleted_in_planhat_are_sent_whole_again(cases: tuple[Case, ...], project: Project) -> None:
    """A partial update must not create a stump (DESIGN §5): the whole row follows in the same run."""
    load_together(project, cases)
    project.sync()
    gone = {case.object: case.id_of(project, 2) for case in cases}
    for case in cases:
        project.sandbox.tenant.remove(case.path, gone[case.object])
        other = {case.changing[-1].name: True}
        project.replace(case.sync, [case.row(i, **(other if i in (2, 4) else {})) for i in range(1, 6)])
    outcome = project.sync(legal=False)
    assert {v.rule for v in project.sandbox.violations} == {"unknown_id"}
    for case in cases:
        column = case.changing[-1].name
        assert outcome.counts(case.sync) == {"updated": 2}, case
        wanted = {case.key(i): case.record(project, i, **{column: i in (2, 4)}) for i in range(1, 6)}
        assert case.stored(project) == wanted
        again = case.id_of(project, 2)
        assert again != gone[case.object]
        known = project.snapshot(case.sync, "_planhat_id")
        assert known[case.key(2)] in (again, None), case  # never the id of the deleted record
        assert known[case.key(4)] in (case.id_of(project, 4), None), case
    project.quiet()
    for case in cases:  # and the new record is the one that is updated from now on
        project.replace(case.sync, [case.row(i) for i in range(1, 6)])
    project.sync()
    for case in cases:
        assert case.stored(project) == {case.key(i): case.record(project, i) for i in range(1, 6)}, case


MANY = 1100
"""More rows than a statement names one by one."""


def test_many_rows_that_the_warehouse_does_not_write(project: Project) -> None:
    block = {
        "object": "company",
        "match": {"externalId": "id"},
        "fields": {"name": "name", "custom": {"Big": "big"}},
    }
    rows = [(f"c-{i}", f"Company {i}", i if i % 10 == 0 else 2**53 + i) for i in range(MANY)]
    project.model("companies", block, {"id": "varchar", "name": "varchar", "big": "bigint"}, rows)
    assert project.sync().counts("companies") == {"inserted": MANY}
    stored = {r["externalId"]: r["custom"]["Big"] for r in project.sandbox.tenant.records("companies")}
    # No double holds the larger ones: they travel as text.
    assert stored == {key: big if big <= 2**53 else str(big) for key, _, big in rows}
    project.quiet()


def test_many_records_deleted_in_planhat_are_sent_whole_again(project: Project) -> None:
    add_companies(project, MANY)
    project.sync()
    for record in project.sandbox.tenant.records("companies")[1:]:
        project.sandbox.tenant.remove("companies", record["_id"])
    project.replace("companies", [company(i, seats=i + 1) for i in range(1, MANY + 1)])
    assert project.sync(legal=False).counts("companies") == {"updated": MANY}
    assert mirrors(project)
    project.quiet()
