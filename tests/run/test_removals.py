"""Rows that leave a model and come back: keep, clear, delete (DESIGN §5), and ids that must be looked up."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Project, Row

from planhat_dbt.sandbox import Sandbox
from run.cases import CASES, FIRST_KEYS, LAST_KEYS
from run.records import Case, load_together

LEFT = (1, 3, 4, 5)
EVERY = (1, 2, 3, 4, 5)


def remove_second(project: Project, cases: tuple[Case, ...]) -> None:
    for case in cases:
        project.replace(case.sync, [case.row(i) for i in LEFT])


def bring_back(project: Project, cases: tuple[Case, ...], *, changed: bool = False) -> None:
    for case in cases:
        project.insert(case.sync, [case.row(2, **{case.changing[-1].name: changed})])


def of_sync(case: Case, project: Project) -> dict[str, Row]:
    keys = {case.key(i) for i in EVERY}
    return {key: record for key, record in case.stored(project).items() if key in keys}


def merged(record: Row, change: Row) -> Row:
    custom = {**record.get("custom", {}), **change.get("custom", {})}
    return {**record, **change, **({"custom": custom} if custom else {})}


def test_keep(project: Project) -> None:
    cases = FIRST_KEYS
    load_together(project, cases)
    project.sync()
    remove_second(project, cases)
    project.quiet()
    bring_back(project, cases)
    project.quiet()
    remove_second(project, cases)
    bring_back(project, cases, changed=True)
    outcome = project.sync()
    for case in cases:
        assert outcome.counts(case.sync) == {"updated": 1}
        column = case.changing[-1]
        assert of_sync(case, project)[case.key(2)] == case.record(project, 2, **{column.name: True})


def test_clear(project: Project) -> None:
    cases = FIRST_KEYS
    load_together(project, cases, on_removed="clear")
    project.sync()
    ids = {case.object: case.id_of(project, 2) for case in cases}
    remove_second(project, cases)
    outcome = project.sync()
    for case in cases:
        assert outcome.counts(case.sync) == {"cleared": 1}, case
        emptied = case.emptied() if case.match else {"type": "note", **case.emptied()}
        (sent,) = [r for r in outcome.sent(f"/{case.path}") if r["_id"] == ids[case.object]]
        assert sent == {"_id": ids[case.object], **emptied}, case
        if case.match:  # a cleared note has no subject by which it could be told apart
            wanted = {case.key(i): case.record(project, i) for i in LEFT}
            wanted[case.key(2)] = merged(case.record(project, 2), emptied)
            assert of_sync(case, project) == wanted
        assert project.snapshot(case.sync)[case.key(2)] == "cleared"
    project.quiet()

    bring_back(project, cases)
    outcome = project.sync()
    for case in cases:
        assert outcome.counts(case.sync) == {"updated": 1}, case
        assert of_sync(case, project) == {case.key(i): case.record(project, i) for i in EVERY}
        assert set(project.snapshot(case.sync).values()) == {"synced"}
    project.quiet()


def test_delete(project: Project) -> None:
    cases = FIRST_KEYS
    load_together(project, cases, on_removed="delete")
    project.sync()
    gone = {case.object: case.id_of(project, 2) for case in cases}
    remove_second(project, cases)
    outcome = project.sync()
    deletes = [kind for kind in outcome.kinds if kind.startswith("DELETE ")]
    assert sorted(deletes) == sorted(f"DELETE /{case.path}/{gone[case.object]}" for case in cases)
    assert not [kind for kind in outcome.kinds if kind.startswith(("PUT ", "POST "))]
    assert deletes[-1].startswith("DELETE /companies/")  # children go before their parents
    for case in cases:
        assert outcome.counts(case.sync) == {"deleted": 1}, case
        assert of_sync(case, project) == {case.key(i): case.record(project, i) for i in LEFT}
        assert project.snapshot(case.sync)[case.key(2)] == "deleted"
    project.quiet()

    bring_back(project, cases)
    outcome = project.sync()
    for case in cases:
        assert outcome.counts(case.sync) == {"inserted": 1}, case
        assert case.payload(2) in outcome.sent(f"/{case.path}", "PUT" if case.match else "POST")
        assert of_sync(case, project) == {case.key(i): case.record(project, i) for i in EVERY}
        assert case.id_of(project, 2) != gone[case.object]
    project.quiet()


@pytest.mark.sampled(2)
@pytest.mark.parametrize("cases", [FIRST_KEYS, LAST_KEYS], ids=["first keys", "last keys"])
def test_delete_looks_up_ids_it_was_never_told(
    cases: tuple[Case, ...], project: Project, sandbox: Sandbox, folder: Path
) -> None:
    """Records that Planhat held before, equal to the model: the answer names no ids (DESIGN §15)."""
    cases = tuple(case for case in cases if case.match)
    load_together(project, cases)
    project.sync()
    heir = Project(folder / "heir", sandbox)  # another project without state, against the same tenant
    load_together(heir, cases, on_removed="delete")
    outcome = heir.sync()
    assert sorted(outcome.kinds) == sorted(["GET /customfields", *(f"PUT /{case.path}" for case in cases)])
    for case in cases:
        assert set(heir.snapshot(case.sync, "_planhat_id").values()) == {None}
        assert set(heir.snapshot(case.sync, "_origin").values()) == {"matched"}
    gone = {case.object: case.id_of(heir, 2) for case in cases}
    remove_second(heir, cases)
    outcome = heir.sync()
    assert {kind.partition(" ")[0] for kind in outcome.kinds} == {"GET", "DELETE"}
    deletes = [kind for kind in outcome.kinds if kind.startswith("DELETE ")]
    assert sorted(deletes) == sorted(f"DELETE /{case.path}/{gone[case.object]}" for case in cases)
    for case in cases:
        assert outcome.counts(case.sync) == {"deleted": 1}
        assert of_sync(case, heir) == {case.key(i): case.record(heir, i) for i in LEFT}
    heir.quiet()


def test_delete_of_a_record_that_is_gone_already(project: Project) -> None:
    (case,) = (c for c in CASES if str(c) == "asset-externalId")
    case.load(project, on_removed="delete")
    project.sync()
    project.sandbox.tenant.remove("assets", case.id_of(project, 2))
    remove_second(project, (case,))
    outcome = project.sync()
    assert outcome.counts(case.sync) == {"deleted": 1}
    project.quiet()


def test_delete_never_takes_another_companys_record(project: Project, sandbox: Sandbox, folder: Path) -> None:
    """An externalId is unique only within its company (planhat-api §3.1): the one found must be the one meant."""
    (case,) = (c for c in CASES if str(c) == "asset-externalId")
    case.load(project)
    project.sync()
    heir = Project(folder / "heir", sandbox)
    case.load(heir, on_removed="delete")
    heir.sync()
    sandbox.tenant.remove("assets", case.id_of(heir, 2))
    (foreign,) = sandbox.tenant.seed("assets", [{**case.payload(2), "companyId": "extid-c-3"}])
    remove_second(heir, (case,))
    outcome = heir.sync()
    assert not [kind for kind in outcome.kinds if kind.startswith("DELETE")]
    assert outcome.counts(case.sync) == {"held": 1}
    assert heir.failures() == {case.key(2): ("held", "no_id")}
    assert sandbox.tenant.record("assets", _id=foreign)


def test_removals_wait_for_no_other_rows(project: Project) -> None:
    """Clears of a whole batch travel in one call, deletes in one call each."""
    cases = {str(c): c for c in CASES}
    asset, sale = cases["asset-externalId"], cases["sale-externalId"]
    asset.load(project, rows=30, on_removed="clear", max_removals="100%")
    sale.load(project, rows=30, on_removed="delete", max_removals="100%")
    project.sync()
    for case in (asset, sale):
        project.replace(case.sync, [case.row(1)])
    outcome = project.sync()
    assert outcome.kinds.count("PUT /assets") == 1
    assert len([k for k in outcome.kinds if k.startswith("DELETE /sales/")]) == 29
    assert outcome.kinds.count("GET /customfields") == 1
    assert len(outcome.kinds) == 31
    project.quiet()
