"""State that cannot be written after the calls were made: kept in a file, entered by the next run (DESIGN §9)."""

from __future__ import annotations

import contextlib
import json
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Project
from harness.postgres import server
from harness.warehouses import ON, holder

from planhat_dbt.sandbox import Fault, FaultKind

COMPANY = {
    "object": "company",
    "match": {"externalId": "id"},
    "on_removed": "delete",
    "fields": {"name": "name"},
}
METRIC = {
    "object": "metric",
    "key": "id",
    "fields": {"dimensionId": {"value": "logins"}, "externalId": "account", "value": "amount"},
}
ACTIVITY = {
    "object": "user_activity",
    "key": "id",
    "fields": {"externalId": "person", "companyExternalId": "account", "action": {"value": "login"}},
}
NOTE = {
    "object": "note",
    "mode": "insert",
    "key": "id",
    "fields": {"companyId": {"company": "account"}, "subject": "name"},
}
TEXTS = {"id": "varchar", "name": "varchar"}
SLOW = 1.5


def companies(project: Project, *rows: tuple[str, str]) -> None:
    project.model("companies", COMPANY, TEXTS, rows)


def mirror(project: Project) -> dict[str, Any]:
    return {r["externalId"]: r["name"] for r in project.sandbox.tenant.records("companies")}


def kept(project: Project) -> list[Path]:
    return sorted((project.directory / "planhat_recovery").glob("*.json"))


@contextlib.contextmanager
def lockable(project: Project) -> Iterator[Callable[[], object]]:
    """Gives what makes another program open the file, and keep it; what takes a server down for a while."""
    if ON in ("postgres", "redshift"):
        with contextlib.ExitStack() as down:

            def stop() -> None:
                server().stop()
                down.callback(server().start)

            yield stop
        return
    if ON in ("snowflake", "bigquery"):
        pytest.skip("the emulator keeps all in memory: it cannot be down for a while")
    with holder(project.file) as open_file:

        def lock() -> None:
            with project.connect():
                pass
            open_file()

        yield lock


def fail_to_write(project: Project, path: str = "/companies", skip: int = 0) -> str:
    """Run a sync that finds its file locked when a call has been answered, until it gives up; returns what it said."""
    project.settings(duckdb_lock_wait=0.3, read_timeout=20, read_back_after=0)
    project.sandbox.faults.add(Fault(kind=FaultKind.DELAY, path=path, seconds=SLOW, skip=skip))
    with lockable(project) as lock:
        process = project.start("sync")
        project.wait_for_calls(1 + skip, process)
        lock()
        out, err = process.communicate(timeout=30)
    assert process.returncode == 1, out + err
    assert "Traceback" not in err
    return out + err


def test_a_locked_file_loses_no_outcome(project: Project) -> None:
    companies(project, ("a", "A"), ("b", "B"))
    told = fail_to_write(project)
    (path,) = kept(project)
    assert str(path) in told
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert mirror(project) == {"a": "A", "b": "B"}
    assert project.snapshot("companies") == {}
    outcome = project.sync()
    assert outcome.kinds == [], "what was sent is known, and not sent again"
    assert "entered what run" in outcome.err
    assert kept(project) == []
    ids = {r["externalId"]: r["_id"] for r in project.sandbox.tenant.records("companies")}
    assert project.snapshot("companies", "_planhat_id") == ids
    assert project.query("select key, status from planhat_sync.changes order by key") == [
        ("a", "accepted"), ("b", "accepted"),
    ]  # fmt: skip
    project.quiet()


def test_deletes_and_updates_are_entered_too(project: Project) -> None:
    companies(project, ("a", "A"), ("b", "B"), ("c", "C"))
    project.sync()
    companies(project, ("a", "A2"), ("b", "B"))
    fail_to_write(project, skip=1)
    assert mirror(project) == {"a": "A2", "b": "B"}
    outcome = project.sync()
    assert outcome.kinds == []
    assert project.snapshot("companies") == {"a": "synced", "b": "synced", "c": "deleted"}
    project.quiet()


def test_plan_and_resolve_enter_it_first(project: Project) -> None:
    companies(project, ("a", "A"))
    fail_to_write(project)
    outcome = project.cli("plan", "--output", "json")
    assert outcome.code == 0
    assert kept(project) == []
    assert project.snapshot("companies") == {"a": "synced"}
    project.quiet()


def test_refused_rows_are_among_it(project: Project) -> None:
    companies(project, ("a", "A"), ("b", ""))
    fail_to_write(project)
    outcome = project.sync(code=1)
    assert project.failures()["b"][0] == "rejected"
    assert outcome.counts("companies").get("inserted", 0) == 0
    assert mirror(project) == {"a": "A"}


def points(project: Project, number: int) -> None:
    rows = [(f"p{i}", "a", float(i)) for i in range(number)]
    project.model("points", METRIC, {"id": "varchar", "account": "varchar", "amount": "double"}, rows)


def visits(project: Project, number: int) -> None:
    rows = [(f"v{i}", "u", "a") for i in range(number)]
    project.model("visits", ACTIVITY, {"id": "varchar", "person": "varchar", "account": "varchar"}, rows)


def notes(project: Project, number: int) -> None:
    rows = [(f"n{i}", "a", f"N{i}") for i in range(number)]
    project.model("notes", NOTE, {"id": "varchar", "account": "varchar", "name": "varchar"}, rows)


def count(project: Project, name: str) -> int:
    tenant = project.sandbox.tenant
    if name == "points":
        return len(tenant.metrics)
    return len(tenant.activities if name == "visits" else tenant.records("conversations"))


ONCE: dict[str, tuple[Callable[[Project, int], None], str]] = {
    "points": (points, "/dimensiondata"),
    "visits": (visits, "/analytics"),
    "notes": (notes, "/conversations"),
}


@pytest.mark.sampled(4, "plan-notes", "table-visits")
@pytest.mark.parametrize("name", ONCE)
@pytest.mark.parametrize("moved", ["", "mapping", "plan", "table"])
def test_what_must_not_be_sent_twice_is_not(project: Project, name: str, moved: str) -> None:
    """Whatever became of the plan meanwhile: the keys in the file are enough."""
    fill, path = ONCE[name]
    project.sandbox.tenant.seed("companies", [{"name": "A", "externalId": "a"}])
    fill(project, 1)
    project.sync()
    fill(project, 2)
    fail_to_write(project, path)
    assert len(kept(project)) == 1
    assert count(project, name) == 2
    if moved == "mapping":
        block = project.models[name].block
        project.declare(name, {**block, "fields": dict(list(block["fields"].items())[:-1])} if name == "notes" else {
            **block, "fields": {**block["fields"], "date": {"value": "2026-01-01"}}})  # fmt: skip
    elif moved == "plan":
        put_by(project)
        project.cli("plan")
        bring_back(project)
    elif moved == "table":
        project.sql(f'drop table planhat_sync."plan__{name}"')
    fill_again = project.models[name].block
    outcome = project.sync(legal=moved != "mapping" or name != "notes")
    assert outcome.kinds == [], outcome.told
    assert kept(project) == []
    fill(project, 3)
    project.declare(name, fill_again)
    project.sync()
    assert count(project, name) == 3
    assert project.failures() == {}
    project.quiet()


def put_by(project: Project) -> None:
    shutil.move(project.directory / "planhat_recovery", project.directory / "put_by")


def bring_back(project: Project) -> None:
    shutil.move(project.directory / "put_by", project.directory / "planhat_recovery")


def test_records_are_compared_anew_when_the_plan_is_gone(project: Project) -> None:
    companies(project, ("a", "A"))
    fail_to_write(project)
    project.sql("drop table planhat_sync.plan__companies")
    outcome = project.sync()
    assert "its rows are compared anew" in outcome.err
    assert mirror(project) == {"a": "A"}
    assert kept(project) == []
    project.quiet()


@pytest.mark.thorough
@pytest.mark.duckdb("of DuckDB's file")
def test_a_full_disk(project: Project) -> None:
    """The database file cannot grow, sooner or later in a run; what is small can still be written."""
    rows = [(f"c{i}", f"{i} " + "".join(f"{(i * k) % 997:03d}" for k in range(150))) for i in range(20_000)]
    companies(project, *rows)
    size = project.file.stat().st_size
    for more in range(0, 60, 2):
        done = limited_sync(project, size + more * 1_000_000)
        assert "Traceback" not in done.stderr
        if kept(project):
            break
        assert done.returncode == 1, "it ran through without a failure to record"
        assert mirror(project) == {}, "a failure before the calls sends nothing"
    else:
        pytest.fail("no failure to record was met")
    assert done.returncode == 1
    assert str(kept(project)[0]) in done.stdout + done.stderr
    sent = len(mirror(project))
    assert sent
    outcome = project.sync()
    assert outcome.counts("companies").get("inserted", 0) == len(rows) - sent
    assert mirror(project) == dict(rows)
    project.quiet()


def limited_sync(project: Project, limit: int) -> subprocess.CompletedProcess[str]:
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); "
        "from planhat_dbt.__main__ import main; main()"
    )
    place = ["--project-dir", str(project.directory), "--profiles-dir", str(project.directory)]
    project.share()
    return subprocess.run(
        [sys.executable, "-c", code, "sync", *place],
        env=project.environment(), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.duckdb("of DuckDB's file")
def test_a_file_that_is_gone(project: Project) -> None:
    """Nothing to write to: the outcome waits for the file to be restored."""
    companies(project, ("a", "A"))
    project.settings(duckdb_lock_wait=0.3, read_timeout=20)
    project.sandbox.faults.add(Fault(kind=FaultKind.DELAY, path="/companies", seconds=SLOW))
    process = project.start("sync")
    project.wait_for_calls(1, process)
    with project.connect():
        pass
    away = project.directory / "away.duckdb"
    shutil.move(project.file, away)
    out, err = process.communicate(timeout=30)
    assert process.returncode in (1, 2), out + err
    assert "Traceback" not in err
    assert len(kept(project)) == 1
    shutil.move(away, project.file)
    assert project.sync().kinds == []
    project.quiet()


def test_a_recovery_file_that_cannot_be_read_is_told(project: Project) -> None:
    companies(project, ("a", "A"))
    fail_to_write(project)
    (path,) = kept(project)
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole[: len(whole) // 2], encoding="utf-8")
    outcome = project.sync(code=1)
    assert str(path) in outcome.err
    assert outcome.kinds == []
    path.write_text(whole, encoding="utf-8")
    assert project.sync().kinds == []


def test_another_target_and_other_syncs_leave_it_alone(project: Project) -> None:
    companies(project, ("a", "A"))
    project.model(
        "others", {**COMPANY, "mode": "update", "on_removed": "keep", "fields": {"city": "name"}}, TEXTS, []
    )
    fail_to_write(project)
    project.sync("--select", "others")
    assert len(kept(project)) == 1
    document = json.loads(kept(project)[0].read_text(encoding="utf-8"))
    assert document["done"] == []
    assert project.sync().kinds == []
    assert kept(project) == []
