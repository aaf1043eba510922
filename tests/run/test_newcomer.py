"""What a newcomer ran into: deletes that take children along, first tries at a wrong host, decisions key by key."""

from __future__ import annotations

from typing import Any

import pytest
from harness import Project

from planhat_dbt.sandbox import Fault, FaultKind
from run.shop import COMPANIES, add_companies, add_endusers, company, enduser, mirrors, seed_company
from run.test_events import METRIC_BLOCK, METRICS, metric, points

PEOPLE = [enduser(i, account=f"c-{1 + i % 5}") for i in range(1, 11)]


def people(project: Project) -> int:
    return len(project.sandbox.tenant.records("endusers"))


BY_OWN_KEY: dict[str, Any] = {}
BY_ANOTHER_KEY: dict[str, Any] = {
    "match": {"sourceId": "name"},
    "fields": {"externalId": "id", "name": "name", "phase": "phase", "custom": {"Seats": "seats"}},
}
BY_ID = {"companyId": {"company": "account", "by": "_id"}, "email": "email"}


@pytest.mark.parametrize("declared", [BY_OWN_KEY, BY_ANOTHER_KEY], ids=["own key", "another key"])
def test_children_that_planhat_deletes_with_a_company_come_back_with_it(
    project: Project, declared: dict[str, Any]
) -> None:
    add_companies(project, 5, on_removed="delete", **declared)
    add_endusers(project, PEOPLE)
    project.sync()
    assert people(project) == 10
    project.replace("companies", [company(i) for i in (1, 2, 3, 4)])
    project.sync()
    assert people(project) == 8
    # The next run knows that they are gone, and that they cannot be brought back without their company.
    held = project.sync()
    assert held.counts("endusers") == {"held": 2}
    assert {code for _, code in project.failures().values()} == {"parent_missing"}
    project.replace("companies", [company(i) for i in (1, 2, 3, 4, 5)])
    assert project.sync().counts("endusers") == {"inserted": 2}
    assert people(project) == 10
    assert mirrors(project)
    project.quiet()


def test_children_named_by_id_are_known_to_be_gone(project: Project) -> None:
    add_companies(project, 2, on_removed="delete")
    project.sync()
    ids = project.snapshot("companies", "_planhat_id")
    people = [enduser(i, account=ids[f"c-{i}"]) for i in (1, 2)]
    add_endusers(project, people, fields=BY_ID)
    project.sync()
    project.replace("companies", [company(1)])
    project.sync()
    assert project.snapshot("endusers") == {"u-1": "synced", "u-2": "deleted"}


@pytest.mark.parametrize("mapped", [True, False])
def test_children_wait_for_a_company_by_a_key_that_is_mapped(project: Project, mapped: bool) -> None:
    fields = {k: v for k, v in BY_ANOTHER_KEY["fields"].items() if mapped or k != "externalId"}
    add_companies(project, 1, **{**BY_ANOTHER_KEY, "fields": fields})
    project.sync()
    project.declare("companies", {**COMPANIES, **BY_ANOTHER_KEY})
    add_endusers(project, [enduser(1), enduser(2, account="c-2")])
    outcome = project.sync("--select", "endusers")
    assert outcome.counts("endusers") == ({"inserted": 1, "held": 1} if mapped else {"held": 2})
    project.insert("companies", [company(2)])
    assert project.sync().counts("endusers") == {"inserted": 1 if mapped else 2}
    project.quiet()


def test_children_of_a_company_that_somebody_deleted_come_back_with_it(project: Project) -> None:
    add_companies(project, 3)
    add_endusers(project, [enduser(1, account="c-2"), enduser(2, account="c-3")])
    project.sync()
    gone = project.sandbox.tenant.record("companies", externalId="c-2")["_id"]
    project.sandbox.tenant.remove("companies", gone)
    assert people(project) == 1
    project.replace("companies", [company(1), company(2, name="Renamed"), company(3)])
    outcome = project.sync(legal=False)  # nobody could know that this _id is no more
    assert outcome.counts("endusers") == {"inserted": 1}
    assert people(project) == 2
    assert mirrors(project)


def test_a_first_try_at_a_wrong_host_binds_nothing(project: Project) -> None:
    add_companies(project, 2)
    wrong = {"PLANHAT_API_URL": "http://127.0.0.1:9"}
    first = project.sync(code=1, env=wrong, max_tries=1)
    assert "127.0.0.1:9" in first.out
    assert project.sync().counts("companies") == {"inserted": 2}
    refused = project.sync(code=3, env=wrong)
    assert "another Planhat host than 127.0.0.1:9, with the same tenant" in refused.err
    assert refused.kinds == []


def test_events_are_never_resynced(project: Project) -> None:
    seed_company(project, "c-1")
    project.model("usage", METRIC_BLOCK, METRICS, [metric(i) for i in (1, 2)])
    project.sync()
    outcome = project.cli("sync", "--resync", "usage")
    assert (outcome.code, outcome.kinds) == (2, [])
    assert "events are sent once" in outcome.err
    assert len(points(project)) == 2


def test_doubt_is_decided_key_by_key(project: Project) -> None:
    seed_company(project, "c-1")
    project.model("usage", METRIC_BLOCK, METRICS, [metric(i) for i in range(1, 9)])
    project.sandbox.faults.add(Fault(kind=FaultKind.RESET_BEFORE, method="POST"))
    project.sync(code=1)
    shown = project.cli("failures", "--keys", "100").out
    assert all(f"m-{i}" in shown for i in range(1, 9))
    assert "resolve usage --resend" in shown
    assert (
        "Taken as done: 2 rows"
        in project.cli("resolve", "usage", "--discard", "--key", "m-1", "--key", "m-2").out
    )
    assert "6 rows" in project.cli("resolve", "usage", "--resend").out
    assert project.sync().counts("usage") == {"inserted": 6}
    assert len(points(project)) == 6


def test_upserts_in_doubt_need_no_decision(project: Project) -> None:
    add_companies(project, 3)
    project.sandbox.faults.add(Fault(kind=FaultKind.RESET_BEFORE, method="PUT", count=None))
    project.sync(code=1, max_tries=1)
    assert "Each sync compares and sends it again" in project.cli("failures").out
    assert "no rows of unknown outcome" in project.cli("resolve", "companies", "--discard").out
    mistyped = project.cli("resolve", "companies", "--discard", "--key", "nope")
    assert mistyped.code == 2
    assert "no row of unknown outcome with this key" in mistyped.err
    assert "planhat-dbt failures -s companies" in mistyped.err
    project.sandbox.faults.clear()
    assert project.sync().counts("companies") == {"inserted": 3}
    assert mirrors(project)


def test_every_reason_is_told(project: Project) -> None:
    add_companies(project, 3)
    project.replace("companies", [company(1, name=None), company(2, id=None), company(3)])
    project.sync(code=1)
    shown = project.cli("failures").out
    assert "name is NULL, Planhat requires it" in shown
    assert "the key is NULL or empty" in shown


def test_data_cannot_speak_to_the_terminal(project: Project) -> None:
    add_companies(project, 1)
    project.replace("companies", [company(1, id="x\x1b[31mRED", name="two\nlines")])
    shown = project.cli("plan").out
    assert "\x1b" not in shown
    assert "x\\x1b[31mRED" in shown
    assert "two\\nlines" in shown
