"""Records that somebody deleted in Planhat meanwhile, and children of emptied or unbuilt parents (DESIGN §5)."""

from __future__ import annotations

import pytest
from harness import Project

from planhat_dbt.sandbox import Fault, FaultKind, Rules
from run.shop import add_companies, add_endusers, company, enduser, mirrors, seed_company
from run.test_notes import BLOCK, add_notes, subjects

BY_EMAIL = {"match": {"email": "email"}, "fields": {"companyId": {"company": "account"}, "position": "role"}}


def held_before(project: Project, model: str, *, position: str = "CTO") -> str:
    """A record that Planhat holds before our first load, equal to the row: no answer ever names its id."""
    tenant = project.sandbox.tenant
    if model == "companies":
        row = {"externalId": "c-2", "name": "Acme 2", "phase": "Live", "custom": {"Seats": 2}}
        return tenant.seed("companies", [row])[0]
    seed_company(project, "c-1")
    row = {"externalId": "u-2", "email": "u2@example.com", "position": position, "companyId": "extid-c-1"}
    return tenant.seed("endusers", [row])[0]


def load(project: Project, model: str, **more: object) -> None:
    if model == "companies":
        add_companies(project, 3, **more)
    else:
        add_endusers(project, [enduser(i) for i in (1, 2, 3)], **more)


def leave(project: Project, model: str) -> None:
    project.sql(f"delete from {model} where id like '%-2'")


def keys(project: Project, path: str, name: str = "externalId") -> list[str]:
    return sorted(str(r.get(name)) for r in project.sandbox.tenant.records(path))


# -- clears


def test_clear_of_a_record_that_is_gone_is_done(project: Project) -> None:
    load(project, "companies", on_removed="clear")
    project.sync()
    project.sandbox.tenant.remove("companies", project.snapshot("companies", "_planhat_id")["c-2"])
    leave(project, "companies")
    outcome = project.sync(legal=False)
    assert outcome.counts("companies") == {"cleared": 1}
    assert outcome.status("companies") == "success"
    assert project.failures() == {}
    assert mirrors(project)
    assert project.snapshot("companies")["c-2"] == "cleared"
    project.quiet()


def test_clear_of_a_note_that_is_gone_is_done(project: Project) -> None:
    add_notes(project, 3)
    project.declare("notes", {**BLOCK, "on_removed": "clear"})
    project.sync()
    project.sandbox.tenant.remove("conversations", project.snapshot("notes", "_planhat_id")["n-2"])
    leave(project, "notes")
    assert project.sync(legal=False).counts("notes") == {"cleared": 1}
    assert subjects(project) == ["Note 1", "Note 3"]
    project.quiet()


@pytest.mark.parametrize("model", ["companies", "endusers", "endusers by email"])
def test_clear_of_a_record_of_unknown_id_that_is_gone_is_done(project: Project, model: str) -> None:
    model, _, by_email = model.partition(" ")
    planhat_id = held_before(project, model)
    load(project, model, on_removed="clear", **(BY_EMAIL if by_email else {}))
    project.sync()
    key = "u2@example.com" if by_email else "c-2" if model == "companies" else "u-2"
    assert project.snapshot(model, "_planhat_id")[key] is None
    project.sandbox.tenant.remove(model, planhat_id)
    leave(project, model)
    outcome = project.sync()
    assert {kind.partition(" ")[0] for kind in outcome.kinds} == {"GET"}
    assert outcome.counts(model) == {"cleared": 1}
    assert len(project.sandbox.tenant.records(model)) == 2
    assert project.failures() == {}
    project.quiet()


@pytest.mark.parametrize("id_known", [True, False])
def test_a_refused_clear_of_a_record_that_is_there_stays_rejected(project: Project, id_known: bool) -> None:
    if not id_known:
        held_before(project, "companies")
    load(project, "companies", on_removed="clear")
    project.sync()
    leave(project, "companies")
    project.sandbox.rules = Rules(denied=("companies:update",))
    for _ in range(2):
        assert project.sync(code=1).counts("companies") == {"rejected": 1}
        assert project.failures() == {"c-2": ("rejected", "permission")}
        assert project.snapshot("companies")["c-2"] == "synced"
    project.sandbox.rules = Rules()
    assert project.sync("--retry-rejected").counts("companies") == {"cleared": 1}
    assert "phase" not in {
        k for k, v in project.sandbox.tenant.record("companies", externalId="c-2").items() if v
    }
    project.quiet()


# -- updates


@pytest.mark.parametrize("id_known", [True, False])
@pytest.mark.parametrize("kind", [FaultKind.RESET_AFTER, FaultKind.TRUNCATED])
def test_a_repeated_update_of_a_record_that_is_gone_leaves_no_stump(
    project: Project, id_known: bool, kind: FaultKind
) -> None:
    """The lost first try made a record of the changed field alone; to the second it looks like an update."""
    if not id_known:
        held_before(project, "endusers")
    else:
        seed_company(project, "c-1")
    load(project, "endusers")
    project.sync()
    assert (project.snapshot("endusers", "_planhat_id")["u-2"] is not None) is id_known
    gone = project.sandbox.tenant.record("endusers", externalId="u-2")["_id"]
    project.sandbox.tenant.remove("endusers", gone)
    project.sql("update endusers set role = 'CEO' where id <> 'u-3'")
    project.sandbox.faults.add(Fault(kind=kind, method="PUT"))
    project.sync(legal=False)
    stored = {
        r["externalId"]: (r.get("email"), r.get("position"))
        for r in project.sandbox.tenant.records("endusers")
    }
    assert stored == {
        "u-1": ("u1@example.com", "CEO"),
        "u-2": ("u2@example.com", "CEO"),
        "u-3": ("u3@example.com", "CTO"),
    }
    assert keys(project, "endusers") == ["u-1", "u-2", "u-3"]
    new = project.sandbox.tenant.record("endusers", externalId="u-2")["_id"]
    assert project.snapshot("endusers", "_planhat_id")["u-2"] in (new, None)
    project.quiet()


@pytest.mark.parametrize("on_removed", ["clear", "delete"])
def test_the_id_of_a_record_that_is_gone_is_forgotten_though_its_key_is_there_again(
    project: Project, on_removed: str
) -> None:
    """A run made it anew and died before it recorded that: sent whole, it reads as unchanged, and no id is told."""
    add_companies(project, 3, on_removed=on_removed)
    project.sync()
    tenant = project.sandbox.tenant
    tenant.remove("companies", project.snapshot("companies", "_planhat_id")["c-2"])
    row = {"externalId": "c-2", "name": "Acme 2", "phase": "Risk", "custom": {"Seats": 2}}
    (new,) = tenant.seed("companies", [row])
    project.sql("update companies set phase = 'Risk' where id = 'c-2'")
    assert project.sync(legal=False).counts("companies") == {"updated": 1}
    assert project.snapshot("companies", "_planhat_id")["c-2"] is None
    leave(project, "companies")
    project.sync()
    left = {r["_id"]: r.get("phase") for r in tenant.records("companies")}
    assert left.get(new) is None, "neither emptied nor deleted"
    assert (new in left) is (on_removed == "clear")
    project.quiet()


@pytest.mark.parametrize("named", [True, False])
def test_an_update_by_key_that_lacks_what_a_create_needs_is_sent_whole(project: Project, named: bool) -> None:
    """Two companies of unknown id, one of them gone: without its name, Planhat cannot make it anew."""
    project.sandbox.rules = Rules(error_items="object" if named else "string")
    gone = held_before(project, "companies")
    others = [
        {"externalId": f"c-{i}", "name": f"Acme {i}", "phase": "Live", "custom": {"Seats": i}} for i in (1, 3)
    ]
    project.sandbox.tenant.seed("companies", others)
    load(project, "companies")
    project.sync()
    assert set(project.snapshot("companies", "_planhat_id").values()) == {None}
    project.sandbox.tenant.remove("companies", gone)
    project.sql("update companies set phase = 'Risk'")
    outcome = project.sync()
    assert outcome.counts("companies") == {"updated": 3}
    assert mirrors(project)
    assert project.failures() == {}
    project.quiet()


# -- parents


def test_children_of_a_cleared_company_are_not_held(project: Project) -> None:
    """It is emptied, not gone: Planhat still has the record they refer to."""
    add_companies(project, 3, on_removed="clear")
    add_endusers(project, [enduser(1), enduser(2, account="c-2")])
    project.sync()
    leave(project, "companies")
    project.insert("endusers", [enduser(3, account="c-2")])
    project.sync()
    assert project.snapshot("companies")["c-2"] == "cleared"
    project.insert("endusers", [enduser(4, account="c-2")])
    project.sql("update endusers set role = 'CEO' where id = 'u-2'")
    outcome = project.sync()
    assert outcome.counts("endusers") == {"inserted": 1, "updated": 1}
    assert keys(project, "endusers") == ["u-1", "u-2", "u-3", "u-4"]


def test_children_of_a_deleted_company_are_held(project: Project) -> None:
    add_companies(project, 3, on_removed="delete")
    add_endusers(project, [enduser(1)])
    project.sync()
    leave(project, "companies")
    project.sync()
    project.insert("endusers", [enduser(2, account="c-2")])
    assert project.sync().counts("endusers") == {"held": 1}
    assert project.failures() == {"u-2": ("held", "parent_missing")}
    project.insert("companies", [company(2)])
    assert project.sync().counts("endusers") == {"inserted": 1}


@pytest.mark.parametrize("selected", [False, True])
def test_children_of_a_company_whose_model_was_never_built_are_held(project: Project, selected: bool) -> None:
    """The parent's sync is gated (exit code 3), or not even part of the run (0): either way its rows are not there."""
    add_endusers(project, [enduser(1)])
    add_companies(project, 1)
    project.sql("drop table companies")
    project.build(statuses={"companies": "error"})
    options = ("--select", "endusers") if selected else ()
    outcome = project.sync(*options, code=0 if selected else 3)
    assert outcome.kinds == []
    assert outcome.counts("endusers") == {"held": 1}
    assert outcome.status("endusers") == "partial"
    assert project.failures() == {"u-1": ("held", "parent_missing")}
    plan = project.cli("plan", *options)
    assert plan.code == 0, plan.told
