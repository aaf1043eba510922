"""Guards and gate: what is refused before any call, what it says, and how it is allowed once (DESIGN §7, §8)."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from harness import Project
from harness.artifacts import TestNode

from run.shop import add_companies, add_endusers, enduser, mirrors


@pytest.mark.parametrize(
    ("limit", "rows", "left", "refused"),
    [
        ("10%", 200, 180, False),
        ("10%", 200, 179, True),
        ("10%", 40, 30, False),  # up to ten rows are below any share
        ("10%", 40, 29, True),
        (5, 40, 35, False),
        (5, 40, 34, True),
        (0, 40, 39, True),
        ("100%", 40, 1, False),
        ("100%", 40, 0, True),  # an empty model is refused at any size
        ("10%", 3, 0, True),
        (5, 3, 0, True),
    ],
)
@pytest.mark.parametrize("on_removed", ["clear", "delete"])
def test_max_removals(
    project: Project, on_removed: str, limit: object, rows: int, left: int, refused: bool
) -> None:
    add_companies(project, rows, on_removed=on_removed, max_removals=limit)
    project.sync()
    project.sql(f"delete from companies where seats > {left}")
    outcome = project.sync(code=3 if refused else 0, max_calls_per_minute=5000)
    if not refused:
        assert outcome.counts("companies") == {"cleared" if on_removed == "clear" else "deleted": rows - left}
        return
    assert outcome.kinds == []
    assert outcome.status("companies") == "refused"
    assert "--allow-removals companies" in outcome.out
    assert str(rows - left) in outcome.out
    assert set(project.snapshot("companies").values()) == {"synced"}


def test_removals_allowed_once(project: Project) -> None:
    add_companies(project, 30, on_removed="delete")
    project.sync()
    project.sql("delete from companies")
    assert project.sync(code=3).kinds == []
    assert project.sync("--allow-removals", "companies").counts("companies") == {"deleted": 30}
    project.quiet()


def test_one_refused_sync_does_not_stop_the_others(project: Project) -> None:
    add_companies(project, 30, on_removed="delete")
    block = {
        "object": "asset",
        "match": {"externalId": "id"},
        "fields": {"name": "id", "companyId": {"company": "c"}},
    }
    project.model("assets", block, {"id": "varchar", "c": "varchar"}, [("a-1", "c-1")])
    project.sync()
    project.sql("delete from companies where seats > 3", "insert into assets values ('a-2', 'c-1')")
    outcome = project.sync(code=3)
    assert outcome.kinds == ["PUT /assets"]
    assert (outcome.status("companies"), outcome.status("assets")) == ("refused", "success")


@pytest.mark.parametrize(
    ("limit", "changed", "refused"), [("10%", 4, False), ("10%", 5, True), (5, 5, False), (5, 6, True)]
)
def test_max_changes(project: Project, limit: object, changed: int, refused: bool) -> None:
    add_companies(project, 40, max_changes=limit)
    project.sync()  # the first load is exempt
    project.sql(f"update companies set phase = 'Risk' where seats <= {changed}")
    outcome = project.sync(code=3 if refused else 0)
    if refused:
        assert outcome.kinds == []
        assert "--allow-changes companies" in outcome.out
        assert project.sync("--allow-changes", "companies").counts("companies") == {"updated": changed}
    assert mirrors(project)


def test_allow_targets(project: Project) -> None:
    project.settings(allow_targets=["prod"])
    add_companies(project, 2)
    outcome = project.sync(code=3)
    assert outcome.kinds == []
    assert "allow_targets" in outcome.err
    assert project.cli("plan").code == 0
    outcome = project.sync("--target", "prod", code=3)
    assert "target dev" in outcome.err, "what dbt built for dev does not go out as prod"
    assert "dbt build --target prod" in outcome.err
    project.build(target="prod")
    assert project.sync("--target", "prod").counts("companies") == {"inserted": 2}


def test_dry_run_and_plan_send_nothing_and_need_no_token(project: Project) -> None:
    add_companies(project, 2)
    for command in (
        ["plan"],
        ["sync", "--dry-run"],
        ["plan", "--output", "json"],
        ["plan", "--output", "markdown"],
    ):
        outcome = project.cli(*command, env={"PLANHAT_API_TOKEN": None})
        assert (outcome.code, outcome.kinds) == (0, []), outcome.told
    project.sync()
    assert mirrors(project)


@pytest.mark.parametrize("status", ["error", "skipped", ""])
def test_a_model_that_was_not_built_is_gated(project: Project, status: str) -> None:
    add_companies(project, 3, on_removed="delete")
    block = {
        "object": "asset",
        "match": {"externalId": "id"},
        "fields": {"name": "id", "companyId": {"company": "c"}},
    }
    project.model("assets", block, {"id": "varchar", "c": "varchar"}, [("a-1", "c-1")])
    project.sync()
    project.sql("delete from companies", "insert into assets values ('a-2', 'c-1')")
    project.build(statuses={"companies": status})
    outcome = project.sync(code=3)
    assert (outcome.status("companies"), outcome.status("assets")) == ("gated", "success")
    assert "companies" in outcome.result("companies")["reason"]
    assert outcome.kinds == ["PUT /assets"]
    assert set(project.snapshot("companies").values()) == {"synced"}


@pytest.mark.parametrize(
    ("declared", "status", "attached", "gated"),
    [
        ("error", "fail", True, True),
        ("error", "error", True, True),
        ("error", "skipped", True, True),
        ("error", "fail", False, True),
        ("error", "warn", True, False),
        ("error", "pass", True, False),
        ("warn", "warn", True, True),
        ("warn", "pass", True, False),
        ("ignore", "fail", True, False),
    ],
)
def test_failed_tests_gate(project: Project, declared: str, status: str, attached: bool, gated: bool) -> None:
    add_companies(project, 2, tests=declared)
    project.build(tests=[TestNode("unique_companies_id", "companies", status, attached=attached)])
    outcome = project.sync(code=3 if gated else 0)
    assert outcome.status("companies") == ("gated" if gated else "success")
    if gated:
        assert "unique_companies_id" in outcome.out
        assert outcome.kinds == []


def test_a_failed_test_of_the_model_below_gates(project: Project) -> None:
    project.model("staging", None, {"id": "varchar"})
    add_companies(project, 2)
    project.declare("companies", project.models["companies"].block, depends_on=["staging"])
    project.build(tests=[TestNode("not_null_staging_id", "staging", "fail")])
    assert project.sync(code=3).status("companies") == "gated"
    project.build(tests=[TestNode("not_null_staging_id", "staging", "pass")])
    assert project.sync().status("companies") == "success"


@pytest.mark.parametrize(("args", "word"), [({"empty": True}, "--empty"), ({"sample": "3 days"}, "--sample")])
def test_empty_and_sampled_builds_are_refused(project: Project, args: dict[str, Any], word: str) -> None:
    add_companies(project, 3)
    project.sync()
    project.sql("delete from companies")
    project.build(**args)
    outcome = project.sync("--allow-removals", "companies", code=3)
    assert outcome.kinds == []
    assert word in outcome.err


@pytest.mark.parametrize("command", ["compile", "docs", "parse", "show", "generate"])
def test_results_of_commands_that_build_nothing_gate(project: Project, command: str) -> None:
    add_companies(project, 2)
    project.build(which=command)
    outcome = project.sync(code=3)
    assert outcome.status("companies") == "gated"
    assert outcome.kinds == []
    assert "dbt build" in outcome.out


def test_a_model_that_dbt_was_not_asked_for_is_no_fault(project: Project) -> None:
    """An hourly `dbt build --select x` must not fail for the models of another schedule (decision 30)."""
    add_companies(project, 2)
    project.build({"companies": ""}, select=["tag:hourly"])
    outcome = project.sync()
    assert outcome.status("companies") == "gated"
    assert "not built now" in outcome.out
    assert outcome.kinds == []
    assert project.sync("--select", "companies", code=3).status("companies") == "gated"
    project.build({"companies": ""})
    assert project.sync(code=3).status("companies") == "gated"
    project.build()
    assert project.sync().counts("companies") == {"inserted": 2}


def test_without_run_results_syncs_run_and_say_so(project: Project) -> None:
    add_companies(project, 2)
    (project.target / "run_results.json").unlink()
    outcome = project.sync()
    assert outcome.status("companies") == "success"
    assert "run_results.json" in outcome.err


def parse(project: Project) -> None:
    """Write the manifest anew and leave the results alone, as `dbt parse` and `dbt ls` do."""
    path = project.target / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    later = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)
    manifest["metadata"] |= {
        "invocation_id": "another",
        "generated_at": later.isoformat().replace("+00:00", "Z"),
    }
    path.write_text(json.dumps(manifest), encoding="utf-8")


def test_a_parse_in_between_changes_nothing(project: Project) -> None:
    add_companies(project, 2)
    add_endusers(project, [enduser(1)])
    failed = [TestNode("unique", "endusers", "fail")]
    project.build(tests=failed)
    parse(project)
    outcome = project.sync(code=3)
    assert outcome.status("companies") == "success"
    assert outcome.status("endusers") == "gated"
    assert "dbt tests did not pass: unique (fail)" in outcome.out
    found = json.loads(project.cli("doctor", "--output", "json").out)["findings"]
    (told,) = [f["text"] for f in found if f["check"] == "run results"]
    assert "1 of 2 syncs gated (endusers)" in told
    project.build(statuses={"companies": "error"}, tests=failed)
    parse(project)
    assert project.sync(code=3).status("companies") == "gated"
    project.build()
    parse(project)
    assert project.sync().counts("endusers") == {"inserted": 1}


@pytest.mark.parametrize("variable", ["PLANHAT_TENANT_UUID", "PLANHAT_API_URL"])
def test_the_state_of_another_tenant_is_not_used(project: Project, variable: str) -> None:
    add_companies(project, 2)
    project.sync()
    other = {
        "PLANHAT_TENANT_UUID": "5a0d0b0c-0000-4000-8000-00000000ffff",
        "PLANHAT_API_URL": "http://127.0.0.1:9",
    }
    outcome = project.sync(code=3, env={variable: other[variable]})
    assert outcome.kinds == []
    assert other["PLANHAT_TENANT_UUID"] not in outcome.told
    assert "tenant" in outcome.err
    project.quiet()
