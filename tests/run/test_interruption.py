"""Runs that are stopped, killed, or meet each other: nothing lost, nothing twice (DESIGN §9, §14)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest
from harness import Project

from planhat_dbt.sandbox import Fault, FaultKind
from run.shop import add_companies, company, mirrors
from run.test_events import METRIC_BLOCK, METRICS, metric

SLOW = 0.4


def slow(project: Project, *, path: str = "/", skip: int = 0) -> None:
    project.sandbox.faults.add(Fault(kind=FaultKind.DELAY, seconds=SLOW, count=None, path=path, skip=skip))


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=30)
    assert "Traceback" not in err
    return process.returncode, out + err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_run_with_its_state_recorded(
    project: Project, number: signal.Signals, code: int
) -> None:
    project.settings(batch_rows=10)
    add_companies(project, 300)
    slow(project, skip=3)
    process = project.start("sync")
    project.wait_for_calls(5, process)
    process.send_signal(number)
    ended, told = end(process)
    assert ended == code, told
    project.sandbox.faults.clear()
    sent = len(project.sandbox.tenant.records("companies"))
    assert 30 <= sent < 300
    assert len(project.snapshot("companies")) == sent
    ((status, inserted),) = project.query("select status, inserted from planhat_sync.runs")
    assert (status, inserted) == ("interrupted", sent)
    document = json.loads((project.target / "planhat_results.json").read_text(encoding="utf-8"))
    assert document["metadata"]["status"] == "interrupted"
    outcome = project.sync()
    assert outcome.counts("companies") == {"inserted": 300 - sent}
    assert mirrors(project)
    assert project.failures() == {}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("after", [1, 3, 9])
def test_killed_while_sending_records(project: Project, after: int) -> None:
    """Eight batches are recorded together: the kill falls into the first, and into the second window."""
    project.settings(batch_rows=10)
    add_companies(project, 100, on_removed="delete", max_removals="100%")
    slow(project, path="/companies", skip=after - 1)
    process = project.start("sync")
    project.wait_for_calls(1 + after, process)  # the definitions of custom fields come first
    process.kill()
    process.communicate()
    project.wait_for_silence()
    project.sandbox.faults.clear()
    time.sleep(SLOW)  # the call under way is applied although nobody hears of it
    outcome = project.sync()
    assert mirrors(project)
    assert sum(outcome.counts("companies").values()) <= 100
    project.quiet()
    states = dict(project.query("select status, count(*) from planhat_sync.runs group by status"))
    assert states["interrupted"] == 1


def test_killed_while_updating_and_deleting(project: Project) -> None:
    project.settings(batch_rows=10)
    add_companies(project, 40, on_removed="delete", max_removals="100%")
    project.sync()
    for path in ("/companies", "/companies/"):  # among the updates; among the deletes
        gone = 10 if path == "/companies" else 20
        project.replace("companies", [company(i, phase=f"at {path}") for i in range(gone, 41)])
        slow(project, path=path, skip=1)
        process = project.start("sync")
        project.wait_for_calls(4, process)
        process.kill()
        process.communicate()
        project.sandbox.faults.clear()
        time.sleep(SLOW)
        project.sync()
        assert mirrors(project)
    project.quiet()


@pytest.mark.parametrize("after", [1, 2, 3])
def test_killed_while_sending_events(project: Project, after: int) -> None:
    """None is sent twice; those in doubt, two batches at most, are told and held (DESIGN §15)."""
    project.settings(batch_rows=10, read_back_calls=0)
    project.sandbox.tenant.seed("companies", [{"name": "Acme", "externalId": "c-1"}])
    project.model("usage", METRIC_BLOCK, METRICS, [metric(i) for i in range(1, 51)])
    slow(project, skip=after - 1)
    process = project.start("sync")
    project.wait_for_calls(after, process)
    process.kill()
    process.communicate()
    project.wait_for_silence()
    project.sandbox.faults.clear()
    time.sleep(SLOW)
    outcome = project.sync(code=1)
    values = [m["value"] for m in project.sandbox.tenant.records("metrics")]
    assert len(values) == len(set(values))
    doubt = {key for key, (status, _) in project.failures().items() if status == "unknown"}
    assert 0 < len(doubt) <= 20
    missing = {f"m-{i}" for i in range(1, 51)} - {f"m-{value:.0f}" for value in values}
    assert missing <= doubt
    assert outcome.counts("usage")["unknown"] == len(doubt)
    again = project.sync(code=1)
    assert again.kinds == []


def test_what_a_killed_run_left_is_not_forgotten_however_long_its_sync_rests(project: Project) -> None:
    project.settings(batch_rows=10, read_back_calls=0)
    add_companies(project, 1)
    project.sync()
    project.model("usage", METRIC_BLOCK, METRICS, [metric(i) for i in range(1, 11)])
    slow(project, path="/dimensiondata")
    process = project.start("sync", "--select", "usage")
    project.wait_for_calls(1, process)
    process.kill()
    process.communicate()
    project.wait_for_silence()
    project.sandbox.faults.clear()
    project.sql(
        "update planhat_sync.runs set started_at = started_at - interval 40 days, "
        "finished_at = finished_at - interval 40 days"
    )
    project.sync("--select", "companies")
    assert project.query("select state from planhat_sync.batches where sync = 'usage'") == [("sending",)]
    project.sync(code=1)
    assert len(project.sandbox.tenant.records("metrics")) == 10
    assert {status for status, _ in project.failures().values()} == {"unknown"}


def test_a_second_run_is_told_who_is_under_way(project: Project) -> None:
    project.settings(batch_rows=1)
    add_companies(project, 90)
    slow(project, path="/companies")
    process = project.start("sync")
    project.wait_for_calls(2, process)
    for command in ("sync", "plan"):
        refused = project.start(command)
        code, told = end(refused)
        assert code == 3, told
        assert f"PID {process.pid}" in told
        assert "planhat-dbt sync" in told
    project.sandbox.faults.clear()
    assert end(process)[0] == 0
    assert mirrors(project)
    project.quiet()


def test_a_dead_holder_is_not_waited_for(project: Project) -> None:
    add_companies(project, 2)
    slow(project, path="/companies")
    process = project.start("sync")
    project.wait_for_calls(2, process)
    process.kill()
    process.communicate()
    project.wait_for_silence()
    project.sandbox.faults.clear()
    assert project.query("select count(*) from planhat_sync.meta where setting = 'lease'") == [(1,)]
    project.sync()
    assert mirrors(project)
    assert project.query("select count(*) from planhat_sync.meta where setting = 'lease'") == [(0,)]


@pytest.mark.parametrize("alive", [True, False])
def test_a_holder_on_another_machine_counts_until_its_lease_ends(project: Project, alive: bool) -> None:
    add_companies(project, 2)
    project.cli("plan")
    until = "2999-01-01 00:00:00.000" if alive else "2026-01-01 00:00:00.000"
    holder = {
        "run_id": "another", "host": "elsewhere", "pid": os.getpid(), "command": "sync", "since": "2026-01-01 00:00:00",
        "until": until, "started": "1",
    }  # fmt: skip
    project.sql(f"insert into planhat_sync.meta values ('lease', '{json.dumps(holder)}', now())")
    outcome = project.sync(code=3 if alive else 0)
    if alive:
        assert "elsewhere" in outcome.err
        assert outcome.kinds == []


def test_a_run_of_which_a_later_one_took_the_lease_writes_no_more_state(project: Project) -> None:
    """As after a sleep of the machine longer than the lease: the run that lost it must not write over the other."""
    project.settings(batch_rows=10)
    add_companies(project, 20)
    slow(project, path="/companies")
    process = project.start("sync")
    project.wait_for_calls(2, process)
    taker = {"run_id": "another", "host": "elsewhere", "pid": 1, "command": "sync", "since": "2026-01-01 00:00:00",
             "until": "2999-01-01 00:00:00.000", "started": ""}  # fmt: skip
    project.sql(f"update planhat_sync.meta set value = '{json.dumps(taker)}' where setting = 'lease'")
    code, told = end(process)
    assert code == 3, told
    assert "lost its lease" in told
    assert project.snapshot("companies") == {}
    project.sandbox.faults.clear()
    project.sql("delete from planhat_sync.meta where setting = 'lease'")
    project.sync()
    assert mirrors(project)
