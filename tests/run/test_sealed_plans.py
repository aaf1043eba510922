"""A sealed plan is applied as it was looked at, or not at all (DESIGN §8; `plan --out`, `sync --plan`)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness import Outcome, Project

from planhat_dbt.sandbox import Fault, FaultKind, Rules
from run.shop import COMPANIES, add_companies, add_endusers, company, enduser, mirrors


@pytest.fixture
def sealed(project: Project) -> Path:
    """Of 20 companies and 3 endusers that Planhat holds, some changed; the plan for it."""
    add_companies(project, 20, on_removed="delete")
    add_endusers(project, [enduser(i) for i in range(1, 4)])
    project.sync()
    project.sql(
        "update companies set phase = 'Risk' where id in ('c-1', 'c-2')",
        "delete from companies where id = 'c-20'",
        "update endusers set role = 'CEO' where id = 'u-1'",
    )
    project.insert("companies", [company(21)])
    project.insert("endusers", [enduser(4, account="c-21")])
    return seal(project)


def seal(project: Project, *arguments: str) -> Path:
    path = project.directory / "plan.json"
    outcome = project.cli("plan", "--out", str(path), *arguments)
    assert outcome.code == 0, outcome.told
    assert f"planhat-dbt sync --plan {path}" in outcome.told
    return path


def refused(project: Project, path: Path) -> Outcome:
    outcome = project.sync("--plan", str(path), code=3)
    assert outcome.kinds == []
    assert "Nothing was sent" in outcome.told
    assert "planhat-dbt plan --out" in outcome.told
    assert project.query("select count(*) from planhat_sync.meta where setting = 'lease'") == [(0,)]
    return outcome


def test_what_was_sealed_is_sent(project: Project, sealed: Path) -> None:
    outcome = project.sync("--plan", str(sealed))
    assert outcome.counts("companies") == {"inserted": 1, "updated": 2, "deleted": 1}
    assert outcome.counts("endusers") == {"inserted": 1, "updated": 1}
    assert mirrors(project)
    tables = project.query(
        "select table_name from information_schema.tables where table_name like 'sealed__%'"
    )
    assert tables == []
    project.quiet()


def test_it_holds_no_value_of_a_row(project: Project, sealed: Path) -> None:
    text = sealed.read_text(encoding="utf-8")
    assert "Risk" not in text
    assert "c-21" not in text
    document = json.loads(text)
    assert document["target"] == "dev"
    assert document["syncs"][0]["operations"] == {"insert": 1, "update": 2, "delete": 1}


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("update companies set phase = 'Lost' where id = 'c-3'", "now 1 insert, 3 update, 1 delete"),
        ("update companies set phase = 'Lost' where id = 'c-1'", "but other rows, values or fields"),
        ("update companies set phase = 'Live' where id = 'c-1'", "now 1 insert, 1 update, 1 delete"),
        ("update companies set id = 'c-22' where id = 'c-21'", "but other rows, values or fields"),
        ("delete from companies where id = 'c-19'", "now 1 insert, 2 update, 2 delete"),
        ("update endusers set role = 'CFO' where id = 'u-2'", "endusers: sealed 1 insert, 1 update; now"),
        (
            "update planhat_sync.snapshot__companies set name = 'Old' where _key = 'c-5'",
            "now 1 insert, 3 update",
        ),
    ],
)
def test_data_or_state_that_moved(project: Project, sealed: Path, change: str, told: str) -> None:
    project.sql(change)
    assert told in refused(project, sealed).told


def test_a_run_in_between(project: Project, sealed: Path) -> None:
    project.sync()
    assert "sealed 1 insert, 2 update, 1 delete; now no rows" in refused(project, sealed).told


def test_a_mapping_that_moved(project: Project, sealed: Path) -> None:
    project.declare(
        "companies", {**COMPANIES, "on_removed": "delete", "fields": {**COMPANIES["fields"], "city": "phase"}}
    )
    refused(project, sealed)


def test_a_removed_field_moves_the_mapping_though_the_same_is_sent(project: Project, sealed: Path) -> None:
    fields = {k: v for k, v in COMPANIES["fields"].items() if k != "custom"}
    project.declare("companies", {**COMPANIES, "on_removed": "delete", "fields": fields})
    refused(project, sealed)


def test_a_sync_that_is_gone(project: Project, sealed: Path) -> None:
    project.models.pop("endusers")
    project.build()
    assert "sync endusers is not in the project" in refused(project, sealed).told


def test_a_model_that_failed_since(project: Project, sealed: Path) -> None:
    project.build(statuses={"endusers": "error"})
    assert "endusers: it was not gated when it was sealed, and is now" in refused(project, sealed).told


def test_another_target(project: Project, sealed: Path) -> None:
    outcome = project.sync("--plan", str(sealed), "--target", "prod", code=3)
    assert "it is of target dev" in outcome.told
    assert outcome.kinds == []


def test_only_the_syncs_that_were_sealed(project: Project, sealed: Path) -> None:
    path = seal(project, "--select", "companies")
    outcome = project.sync("--plan", str(path))
    assert "PUT /endusers" not in outcome.kinds
    assert outcome.counts("companies") == {"inserted": 1, "updated": 2, "deleted": 1}


def test_children_of_a_parent_that_was_refused_are_held(project: Project, sealed: Path) -> None:
    project.sandbox.rules = Rules(denied=("companies:create",))
    outcome = project.sync("--plan", str(sealed), code=1)
    assert outcome.counts("endusers") == {"updated": 1, "held": 1}


def test_a_model_that_changes_under_way(project: Project, sealed: Path) -> None:
    """Its sync is refused; what was sent before stays sent and recorded."""
    project.sandbox.faults.add(Fault(kind=FaultKind.DELAY, method="PUT", path="/companies", seconds=2))
    process = project.start("sync", "--plan", str(sealed))
    project.wait_for_calls(2, process)  # the custom fields, and the first that writes
    project.sql("update endusers set role = 'CFO' where id = 'u-2'")
    told = "".join(process.communicate(timeout=30))
    assert process.returncode == 3, told
    assert "1 of its rows are not in the sealed plan" in told
    assert mirrors(project)
    assert {r["externalId"]: r["position"] for r in project.sandbox.tenant.records("endusers")} == {
        "u-1": "CTO", "u-2": "CTO", "u-3": "CTO",
    }  # fmt: skip
    assert project.sync().counts("endusers") == {"inserted": 1, "updated": 2}


def test_a_guard_counts_for_sealed_plans_too(project: Project) -> None:
    add_companies(project, 100, on_removed="delete")
    project.sync()
    project.sql("delete from companies where id <> 'c-1'")
    path = seal(project)
    outcome = project.sync("--plan", str(path), code=3)
    assert outcome.kinds == []
    assert "--allow-removals companies" in outcome.told
    assert project.sync("--plan", str(path), "--allow-removals", "companies").counts("companies") == {
        "deleted": 99
    }


def test_resync_is_part_of_the_plan(project: Project) -> None:
    add_companies(project, 3)
    project.sync()
    path = seal(project, "--resync", "companies")
    assert project.sync("--plan", str(path)).counts("companies") == {"updated": 3}


@pytest.mark.parametrize(
    "options", [("--select", "companies"), ("--dry-run",), ("--resync", "companies"), ("--exclude", "x")]
)
def test_options_that_belong_to_the_plan(project: Project, sealed: Path, options: tuple[str, ...]) -> None:
    outcome = project.sync("--plan", str(sealed), *options, code=2)
    assert f"--plan FILE and {options[0]} do not go together" in outcome.told


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        ("nonsense", "is not a sealed plan: it is not JSON"),
        ("[]", "is not a sealed plan"),
        ('{"planhat_dbt_plan": 99}', "another version"),
        ("edited", "was changed after it was sealed"),
        ("cut", "it is not JSON"),
    ],
)
def test_a_file_that_is_no_sealed_plan(
    project: Project, sealed: Path, content: str | None, told: str
) -> None:
    text = sealed.read_text(encoding="utf-8")
    if content is None:
        sealed.unlink()
    else:
        sealed.write_text(
            {"edited": text.replace('"delete": 1', '"delete": 2'), "cut": text[:99]}.get(content, content)
        )
    outcome = project.sync("--plan", str(sealed), code=2)
    assert told in outcome.told
    assert outcome.kinds == []


def test_a_file_that_cannot_be_written(project: Project) -> None:
    add_companies(project, 1)
    outcome = project.cli("plan", "--out", str(project.directory / "no" / "plan.json"))
    assert outcome.code == 1
    assert "cannot be written" in outcome.told
