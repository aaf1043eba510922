"""The lease while a run waits for Planhat: renewed all the time, in nobody's way, and lost for good once it is lost."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest
from harness import Project

from planhat_dbt.sandbox import Fault, FaultKind

LEASE = 0.6
SLOW = 3.0


@pytest.fixture
def waiting(project: Project) -> subprocess.Popen[str]:
    """A sync whose only call takes several times as long as its lease holds."""
    project.settings(lease_seconds=LEASE, read_timeout=20)
    block = {"object": "company", "match": {"externalId": "id"}, "fields": {"name": "name"}}
    project.model("companies", block, {"id": "varchar", "name": "varchar"}, [("a", "A"), ("b", "B")])
    project.sandbox.faults.add(Fault(kind=FaultKind.DELAY, method="PUT", path="/companies", seconds=SLOW))
    process = project.start("sync")
    project.wait_for_calls(1, process)
    return process


def lease(project: Project) -> dict[str, str]:
    ((value,),) = project.query("select value from planhat_sync.meta where setting = 'lease'")
    return json.loads(value)


def mirror(project: Project) -> dict[str, str]:
    return {r["externalId"]: r["name"] for r in project.sandbox.tenant.records("companies")}


def now(project: Project) -> str:
    return str(project.query("select cast(now() at time zone 'UTC' as varchar)")[0][0])


@pytest.mark.not_emulated("its server answers 500 where two sessions write one row; Snowflake lets one wait")
def test_it_is_renewed_while_a_call_is_under_way(project: Project, waiting: subprocess.Popen[str]) -> None:
    seen = set()
    until = time.monotonic() + SLOW * 0.8
    while time.monotonic() < until:
        assert waiting.poll() is None
        held = lease(project)
        assert held["pid"] == waiting.pid
        seen.add(held["until"])
        time.sleep(LEASE / 4)
    assert len(seen) >= 4
    assert waiting.wait(20) == 0
    assert mirror(project) == {"a": "A", "b": "B"}
    project.quiet()


@pytest.mark.duckdb("PostgreSQL has no file to lock")
def test_a_file_that_others_hold_costs_nothing_but_beats(
    project: Project, waiting: subprocess.Popen[str]
) -> None:
    """A program that keeps the file for a while is waited for when the outcome is written, and not before."""
    keep = f"import duckdb, time; c = duckdb.connect({str(project.file)!r}); time.sleep({SLOW * 0.6})"
    with project.connect():
        pass
    holder = subprocess.Popen([sys.executable, "-c", keep])
    assert waiting.wait(20) == 0, waiting.communicate()
    holder.wait()
    assert "locked" not in "".join(waiting.communicate())
    assert mirror(project) == {"a": "A", "b": "B"}
    project.quiet()


@pytest.mark.not_emulated("its server answers 500 where two sessions write one row; Snowflake lets one wait")
@pytest.mark.parametrize("asleep", [False, True])
def test_a_run_that_lost_it_sends_nothing_more(project: Project, *, asleep: bool) -> None:
    project.settings(lease_seconds=LEASE, read_timeout=20, batch_rows=1)
    block = {"object": "company", "match": {"externalId": "id"}, "fields": {"name": "name"}}
    project.model(
        "companies", block, {"id": "varchar", "name": "varchar"}, [("a", "A"), ("b", "B"), ("c", "C")]
    )
    project.sandbox.faults.add(Fault(kind=FaultKind.DELAY, method="PUT", path="/companies", seconds=SLOW))
    process = project.start("sync")
    project.wait_for_calls(1, process)
    taker = {**lease(project), "run_id": "another", "host": "elsewhere", "until": "2999-01-01 00:00:00.000"}
    project.sql(f"update planhat_sync.meta set value = '{json.dumps(taker)}' where setting = 'lease'")
    if asleep:
        process.send_signal(signal.SIGSTOP)
        time.sleep(SLOW)
        process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 3, out + err
    assert "lost its lease" in out + err
    assert len(mirror(project)) == 1, "the batch in flight was the last"
    assert project.snapshot("companies") == {}
    project.sql("delete from planhat_sync.meta where setting = 'lease'")
    project.sync()
    assert mirror(project) == {"a": "A", "b": "B", "c": "C"}
    project.quiet()
