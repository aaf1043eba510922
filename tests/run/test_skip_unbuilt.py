"""`skip_unbuilt`: a sync that was clean of the build that stands is not compared again; in any doubt it is."""

from __future__ import annotations

import json

import pytest
from harness import Outcome, Project

from planhat_dbt.sandbox import Fault, FaultKind
from run.shop import COMPANIES, add_companies, add_endusers, company, enduser, mirrors


@pytest.fixture
def shop(project: Project) -> Project:
    project.settings(skip_unbuilt=True)
    add_companies(project, 3)
    return project


def reason(outcome: Outcome, sync: str = "companies") -> str:
    return str(outcome.result(sync)["reason"])


def is_skipped(outcome: Outcome, sync: str = "companies") -> bool:
    skipped = reason(outcome, sync).startswith("not compared: ")
    assert not skipped or outcome.result(sync)["status"] == "nothing_to_do"
    return skipped


def marks(project: Project) -> list[str]:
    found = project.query("select setting from planhat_sync.meta where setting like 'clean:%' order by 1")
    return [setting for (setting,) in found]


def test_the_same_build_is_compared_once(shop: Project) -> None:
    assert not is_skipped(shop.sync())
    outcome = shop.sync()
    assert is_skipped(outcome)
    assert reason(outcome) == "not compared: companies was not rebuilt since this sync was last clean"
    assert outcome.calls == ()
    assert "not rebuilt" in outcome.out
    shop.build()
    assert not is_skipped(shop.sync())
    assert is_skipped(shop.sync())
    assert mirrors(shop)


def test_without_the_setting_all_is_compared_and_nothing_marked(shop: Project) -> None:
    shop.settings()
    shop.sync()
    assert not is_skipped(shop.sync())
    assert marks(shop) == []


def test_a_mark_does_not_outlive_a_run_without_the_setting(shop: Project) -> None:
    shop.sync()
    assert marks(shop) == ["clean:companies"]
    shop.settings()
    shop.sync()
    assert marks(shop) == []


def test_a_row_of_the_build_is_sent_once_it_is_built(shop: Project) -> None:
    shop.sync()
    shop.insert("companies", [company(4)])
    shop.build()
    assert shop.sync().counts("companies") == {"inserted": 1}
    assert mirrors(shop)


def test_a_sync_that_was_named_is_compared(shop: Project) -> None:
    shop.sync()
    assert not is_skipped(shop.sync("--select", "companies"))
    assert is_skipped(shop.sync())


def test_another_declaration_is_compared(shop: Project) -> None:
    shop.sync()
    manifest = shop.target / "manifest.json"
    document = json.loads(manifest.read_text())
    document["nodes"]["model.shop.companies"]["config"]["meta"]["planhat"]["max_removals"] = "100%"
    manifest.write_text(json.dumps(document))
    assert not is_skipped(shop.sync())
    assert is_skipped(shop.sync())


@pytest.mark.parametrize("materialized", ["view", "materialized_view", "dynamic_table"])
def test_what_changes_without_a_build_is_compared(project: Project, materialized: str) -> None:
    project.settings(skip_unbuilt=True)
    add_companies(project, 2)
    project.declare("companies", COMPANIES, materialized=materialized)
    project.sync()
    assert marks(project) == []
    assert not is_skipped(project.sync())


@pytest.mark.parametrize("status", ["reused", "no-op"])
def test_a_build_that_wrote_nothing_names_no_build(shop: Project, status: str) -> None:
    shop.sync()
    shop.build(statuses={"companies": status})
    assert not is_skipped(shop.sync())
    assert not is_skipped(shop.sync())


def test_a_sync_that_left_rows_over_is_compared(shop: Project) -> None:
    shop.insert("companies", [company(9), company(9)])
    shop.sync(code=1)
    assert marks(shop) == []
    assert not is_skipped(shop.sync(code=1))


def test_a_sync_that_failed_is_compared(shop: Project) -> None:
    fault = Fault(kind=FaultKind.STATUS, status=503, path="/companies", method="PUT", count=None)
    shop.sandbox.faults.add(fault)
    shop.sync(code=None)
    shop.sandbox.faults.clear()
    assert not is_skipped(shop.sync())
    assert mirrors(shop)


def test_children_that_went_with_their_parent_are_compared(shop: Project) -> None:
    add_companies(shop, 3, on_removed="delete", max_removals="100%")
    add_endusers(shop, [enduser(1, account="c-3"), enduser(2)])
    shop.sync()
    shop.sql("delete from companies where id = 'c-3'")
    shop.build(statuses={"endusers": ""}, which="build", select=["companies"])
    outcome = shop.sync("--select", "companies")
    assert outcome.counts("companies") == {"deleted": 1}
    assert marks(shop) == ["clean:companies"]
    shop.insert("companies", [company(3)])
    shop.build()
    outcome = shop.sync()
    assert outcome.counts("companies") == {"inserted": 1}
    assert outcome.counts("endusers") == {"inserted": 1}


def test_children_of_a_record_made_anew_are_compared_in_the_same_run(shop: Project) -> None:
    shop.insert("companies", [company(9), company(9)])  # so that companies are compared each time
    shop.build()
    add_endusers(shop, [enduser(1, account="c-3"), enduser(2)])
    shop.sync(code=1)
    outcome = shop.sync(code=1)
    assert is_skipped(outcome, "endusers")
    (gone,) = [r["_id"] for r in shop.sandbox.tenant.records("companies") if r["externalId"] == "c-3"]
    shop.sandbox.tenant.remove("companies", gone)
    shop.sql("update companies set name = 'Anew' where id = 'c-3'")
    outcome = shop.sync(code=1, legal=False)  # the record that is gone is asked for
    assert not is_skipped(outcome, "endusers")
    assert outcome.counts("endusers") == {"inserted": 1}
    assert {r["externalId"] for r in shop.sandbox.tenant.records("endusers")} == {"u-1", "u-2"}


def test_a_plan_says_so_and_a_sealed_plan_compares(shop: Project) -> None:
    shop.sync()
    assert "not rebuilt" in shop.cli("plan").out
    sealed = shop.directory / "plan.json"
    assert shop.cli("plan", "--out", str(sealed)).code == 0
    outcome = shop.cli("sync", "--plan", str(sealed))
    assert outcome.code == 0
    assert not is_skipped(outcome)


@pytest.mark.duckdb("of commands as processes of their own")
def test_a_mark_is_the_same_in_every_process(shop: Project) -> None:
    for seed in ("1", "2"):
        shop.env["PYTHONHASHSEED"] = seed
        out, err = shop.start("sync").communicate()
    assert "not rebuilt" in out, out + err


def test_a_state_that_is_made_afresh_is_compared(shop: Project) -> None:
    shop.sync()
    shop.sql(
        "drop table planhat_sync.snapshot__companies",
        "delete from planhat_sync.meta where setting = 'mapping:companies'",
    )
    assert shop.sync().counts("companies") == {"inserted": 3}
