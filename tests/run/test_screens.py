"""What the screens of the commands say of runs that did not go through: counts by their names, and reasons."""

from __future__ import annotations

import json
import re
from socket import gethostname

import pytest
from harness import Project

from planhat_dbt.sandbox import Fault, FaultKind
from run.shop import add_companies, add_endusers, company, enduser


@pytest.mark.parametrize("options", [("--discard", "--resend"), ("--resend", "--discard"), ()])
def test_resolve_takes_one_decision(project: Project, options: tuple[str, ...]) -> None:
    add_companies(project, 1)
    outcome = project.cli("resolve", "companies", *options)
    assert outcome.code == 2
    assert "Give one: planhat-dbt resolve companies --resend, or --discard" in outcome.err


def test_status_says_why_a_sync_did_not_go_through(project: Project) -> None:
    add_companies(project, 30, on_removed="clear")
    project.sync()
    project.replace("companies", [])
    project.sync(code=3)
    shown = project.cli("status").out
    assert "companies refused: The model companies is empty" in shown
    assert "rows sent" in shown
    assert "Under way" not in shown


def test_what_only_looks_goes_on_beside_a_faulty_declaration(project: Project) -> None:
    add_companies(project, 2)
    add_endusers(project, [enduser(1, account="c-9")])
    project.sync()
    add_companies(project, 2, mode="upsrt")
    outcome = project.cli("failures")
    assert (
        "Left out is what has faults in the declarations of companies: see `planhat-dbt validate`."
        in outcome.err
    )
    assert "parent_missing" in outcome.out
    assert "endusers" in project.cli("status").out
    assert json.loads(project.cli("failures", "--output", "json").out)["left_out"] == ["companies"]
    refused = project.cli("sync")
    assert refused.code == 2
    assert "upsrt" in refused.err
    add_endusers(project, [], mode="upsrt")
    for command in ("failures", "status"):
        outcome = project.cli(command)
        assert "companies, endusers" in outcome.err
        assert "No row is held" not in outcome.out
        assert "Add a `planhat` block" not in outcome.err


def test_status_shows_the_run_under_way_and_the_one_that_was_killed(project: Project) -> None:
    add_companies(project, 3)
    project.sandbox.faults.add(Fault(kind=FaultKind.DELAY, seconds=5, method="PUT"))
    process = project.start("sync")
    try:
        project.wait_for_calls(2, process)
        assert (
            f"Under way: `planhat-dbt sync` on {gethostname()} (PID {process.pid})"
            in project.cli("status").out
        )
        told = json.loads(project.cli("status", "--output", "json").out)["open_run"]
        assert (told["command"], told["holder"]["pid"]) == ("sync", process.pid)
    finally:
        process.kill()
        process.communicate()
    assert "`planhat-dbt sync`, begun " in project.cli("status").out
    project.sandbox.faults.clear()
    project.sync()
    told = json.loads(project.cli("status", "--output", "json").out)
    assert told["open_run"] is None


def test_a_child_that_waits_is_told_what_for(project: Project) -> None:
    add_companies(project, 1)
    add_endusers(project, [enduser(1, account="c-9")])
    project.sync()
    assert "It is sent once its parent is in Planhat" in project.cli("failures").out


@pytest.mark.parametrize("command", ["sync", "plan", "status", "failures", "list"])
def test_a_selection_that_leaves_nothing_is_told(project: Project, command: str) -> None:
    add_companies(project, 1)
    assert "The selection leaves out the one declared sync." in project.cli(command, "--exclude", "*").told
    add_endusers(project, [])
    outcome = project.cli(command, "--exclude", "*")
    assert outcome.code == 0
    assert "The selection leaves none of the 2 declared syncs." in outcome.told
    assert "object" not in outcome.out, "no heads of an empty table"
    add_companies(project, 1, enabled=False)
    add_endusers(project, [], enabled=False)
    assert "All 2 declared syncs are disabled (`enabled: false`)." in project.cli(command).told


def test_no_name_is_no_line(project: Project) -> None:
    add_companies(project, 1)
    assert project.cli("list", "--output", "name").out == "companies\n"
    assert project.cli("list", "--output", "name", "--exclude", "*").out == ""


def test_removals_count_on_from_the_changes(project: Project) -> None:
    add_companies(project, 3, on_removed="clear")
    project.sync()
    project.replace("companies", [company(1), company(2, name="B"), company(4)])
    told = [line for line in project.sync().err.splitlines() if " rows" in line]
    assert told == ["companies: 2 of 3 rows", "companies: 3 of 3 rows"]


def test_retries_that_last_are_told(project: Project) -> None:
    add_companies(project, 1)
    # Four waits are 7.5 s at least: it is told before the fourth, whatever the chance in them.
    outcome = project.sync(code=1, env={"PLANHAT_API_URL": "http://127.0.0.1:9"}, max_wait=20, max_tries=5)
    told = [
        line for line in outcome.err.splitlines() if line.startswith("Note: GET /customfields at 127.0.0.1:9")
    ]
    assert told
    assert re.search(r": .*refused.*; attempt \d of 5 in \d+ s\.$", told[0]), told


def test_a_refused_token_is_told_once(project: Project) -> None:
    add_companies(project, 1)
    outcome = project.sync(code=1, env={"PLANHAT_API_TOKEN": "x" * 40})
    assert "(401 on GET /customfields): Unauthorized. Check that" in outcome.out
    assert outcome.told.count("Check that PLANHAT_API_TOKEN is whole") == 1


def test_a_missing_column_may_be_one_of_a_stale_table(project: Project) -> None:
    add_companies(project, 1)
    project.sql("alter table companies drop column phase")
    told = " ".join(project.sync(code=2).err.split())
    assert "has no column `phase`" in told
    assert (
        "If the model has it, the table is older than the model: run `dbt build --select companies`." in told
    )
