"""A renamed sync takes its state along, all of it or nothing (docs/decisions/0016)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from harness.warehouses import leave

from core.workbench import Bench
from planhat_dbt.errors import UsageError
from planhat_dbt.outcome import RowStatus
from planhat_dbt.state.rename import is_renamed, rename
from planhat_dbt.warehouse.duckdb import DuckDBSession
from planhat_dbt.warehouse.duckdb_memory import MemoryLimit

pytestmark = pytest.mark.usefixtures("narrowed_alike")

OLD = """
a: {name: a, object: company, match: {externalId: id}, fields: {name: name, phase: phase}}
"""
NEW = OLD.replace("name: a,", "name: b, previous_name: a,")
ROWS = "select unnest(['k1', 'k2', 'k3']) as id, 'n' as name, 'Live' as phase"


@pytest.fixture
def started(bench: Bench) -> Bench:
    """Two accepted rows and a rejected one under the old name, and some settings of it."""
    bench.declare(OLD)
    bench.table("a", ROWS)
    bench.accept("a", ids={"k1": "id-1", "k2": "id-2"}, bad={"k3": (RowStatus.REJECTED, "refused")})
    bench.sql(
        "insert into planhat_sync.meta values ('tenant:a', 'x:y', now()), ('colour:a', 'red', now()), "
        "('tenant:ba', 'x:z', now()), ('a', 'alone', now()), ('b:a:c', 'other', now())"
    )
    return bench


def state(bench: Bench) -> dict[str, object]:
    """All that a rename may touch, except times."""
    tables = {
        r["table_name"]: r["n"]
        for r in bench.rows(
            "select table_name, estimated_size as n from duckdb_tables() where schema_name = 'planhat_sync'"
        )
        if "__" in r["table_name"]
    }
    settings = {r["setting"]: r["value"] for r in bench.rows("select * from planhat_sync.meta")}
    settings.pop("lease", None)
    failures = sorted((r["sync"], r["key"]) for r in bench.rows("select * from planhat_sync.failures"))
    return {"tables": tables, "settings": settings, "failures": failures}


def renamed(before: dict[str, object]) -> dict[str, object]:
    settings = before["settings"]
    assert isinstance(settings, dict)
    ours = {"mapping:a": "mapping:b", "tenant:a": "tenant:b", "colour:a": "colour:b"}
    return {
        "tables": {"snapshot__b": 2},
        "settings": {ours.get(setting, setting): value for setting, value in settings.items()},
        "failures": [("b", "k3")],
    }


def do_rename(bench: Bench, session: DuckDBSession) -> None:
    bench.declare(NEW)
    present = session.tables("shop", "planhat_sync")
    sync = bench.sync_named("b")
    assert is_renamed(session, bench.tables, sync, present)
    rename(session, bench.tables, [sync])


def test_table_settings_and_failures_move(started: Bench) -> None:
    before = state(started)
    with started.session() as session:
        do_rename(started, session)
    assert state(started) == renamed(before)
    assert started.by_key("b") == {"k3": "insert"}
    assert started.snapshot("b")["k1"]["_planhat_id"] == "id-1"


def test_the_past_keeps_its_name(started: Bench) -> None:
    tables = ("changes", "batches")
    before = [started.rows(f"select * from planhat_sync.{t} order by all") for t in tables]
    started.declare(NEW)
    started.plans()
    assert [started.rows(f"select * from planhat_sync.{t} order by all") for t in tables] == before
    assert {r["sync"] for r in before[0]} == {"a"}


def test_the_key_may_stay_or_go_afterwards(started: Bench) -> None:
    started.declare(NEW)
    started.plans()
    after = state(started)
    for text in (NEW, NEW.replace(" previous_name: a,", "")):
        started.declare(text)
        started.plans()
        assert state(started) == after


def test_without_state_nothing_is_renamed(bench: Bench) -> None:
    bench.declare(NEW)
    bench.table("a", ROWS)
    assert bench.by_key("b") == dict.fromkeys(("k1", "k2", "k3"), "insert")
    assert bench.rows("select * from planhat_sync.meta where setting like '%:a'") == []


def test_what_a_dropped_sync_left_under_the_new_name_goes_but_its_doubts(started: Bench) -> None:
    started.sql(
        "insert into planhat_sync.meta values ('mapping:b', 'old', now()), ('tenant:b', 'old', now())",
        "insert into planhat_sync.failures (sync, key, operation, status, code) values "
        "('b', 'k3', 'insert', 'held', 'not_sent'), ('b', 'k9', 'insert', 'unknown', 'unknown_outcome')",
    )
    started.declare(NEW)
    started.plans()
    settings = state(started)["settings"]
    assert isinstance(settings, dict)
    assert (settings["tenant:b"], settings["colour:b"]) == ("x:y", "red")
    found = started.rows("select key, code from planhat_sync.failures where sync = 'b' order by key")
    assert [tuple(r.values()) for r in found] == [("k3", "refused"), ("k9", "unknown_outcome")]


def test_an_empty_table_of_the_new_name_gives_way(started: Bench) -> None:
    """Who sees in the plan that all would be sent again, adds `previous_name` then."""
    before = state(started)
    started.declare(NEW.replace(" previous_name: a,", ""))
    assert len(started.by_key("b")) == 3
    with started.session() as session:
        do_rename(started, session)
    assert state(started) == renamed(before)


@pytest.mark.parametrize("used", ["snapshot", "batches", "failures"])
def test_two_tables_in_use_are_refused(started: Bench, used: str) -> None:
    started.declare(NEW.replace(" previous_name: a,", ""))
    started.plans()
    if used == "snapshot":
        started.sql("insert into planhat_sync.snapshot__b (_key, _state) values ('k1', 'synced')")
    elif used == "batches":
        started.sql(
            "insert into planhat_sync.batches (run_id, sync, batch, state) values ('r', 'b', 1, 'unknown')"
        )
    else:
        started.sql("insert into planhat_sync.failures (sync, key, status) values ('b', 'k1', 'unknown')")
    before = state(started)
    started.declare(NEW)
    with pytest.raises(UsageError, match="either name") as caught:
        started.plans()
    assert "take `previous_name` out" in caught.value.hint
    assert "drop snapshot__b" in caught.value.hint
    assert state(started) == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (NEW.replace("externalId", "sourceId"), "company matched on externalId"),
        (
            NEW.replace("company,", "asset,").replace("phase: phase", "companyId: {company: id}"),
            "now says asset matched on externalId",
        ),
    ],
)
def test_another_object_or_key_is_refused_and_nothing_is_renamed(
    started: Bench, text: str, words: str
) -> None:
    before = state(started)
    started.declare(text)
    with pytest.raises(UsageError, match=words) as caught:
        started.plans()
    assert "Sync a (`previous_name` of b)" in caught.value.message
    assert "Take `previous_name` out" in caught.value.hint
    assert state(started) == before


def test_a_table_that_is_not_ours_or_has_no_mapping_is_left_alone(started: Bench) -> None:
    started.declare(NEW)
    started.sql("update planhat_sync.meta set setting = 'kept' where setting = 'mapping:a'")
    with pytest.raises(UsageError, match=r"snapshot__a .* has no record of its mapping"):
        started.plans()
    started.sql("create or replace table planhat_sync.snapshot__a as select 42 as mine")
    with pytest.raises(UsageError, match="snapshot__a is not a table of planhat_dbt"):
        started.plans()
    assert started.rows("select * from planhat_sync.snapshot__a") == [{"mine": 42}]


SECOND = """
c:
  {name: d, previous_name: c, object: asset, match: {externalId: id}, fields: {name: n, companyId: {company: a}}}
"""


def test_one_refusal_leaves_all_under_their_old_names(started: Bench) -> None:
    started.declare(OLD + SECOND.replace("name: d, previous_name: c", "name: c"))
    started.table("c", "select 'x' as id, 'n' as n, 'k1' as a")
    started.accept("c")
    before = state(started)
    started.declare(NEW + SECOND.replace("externalId", "sourceId"))
    with pytest.raises(UsageError, match="asset matched on externalId"):
        started.plans()
    assert state(started) == before
    started.declare(NEW + SECOND)
    started.plans()
    assert set(started.snapshot("b")) == {"k1", "k2"}
    assert set(started.snapshot("d")) == {"x"}


# -- a crash in between


class Dying(DuckDBSession):
    """A session that ends in the middle of what it was told."""

    left = 0

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> None:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        super().execute(sql, parameters)


def test_all_is_renamed_or_nothing(started: Bench) -> None:
    before, steps = state(started), 0
    while True:
        with started._connection() as connection:
            session = Dying(connection, started.warehouse.dialect, MemoryLimit((), remote=False))  # type: ignore[arg-type]
            session.left = steps
            try:
                do_rename(started, session)
            except KeyboardInterrupt:
                steps += 1
            else:
                break
        assert state(started) == before
    assert steps >= 9
    assert state(started) == renamed(before)


class Killed(DuckDBSession):
    """A session whose process is killed just before or after a commit."""

    moment = ""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with super().transaction():
            yield
            if self.moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


def die(folder: str, moment: str) -> None:
    """Rename, and be killed; run as a process of its own."""
    bench = Bench(Path(folder))
    leave()
    connection = duckdb.connect(str(bench.path), config={"wal_autocheckpoint": "1TB"})
    session = Killed(connection, bench.warehouse.dialect, MemoryLimit((), remote=False))  # type: ignore[arg-type]
    session.moment = moment
    do_rename(bench, session)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_around_the_commit(started: Bench, moment: str) -> None:
    """What was committed is read back from DuckDB's log of writes; what was not, never was."""
    before = state(started)
    leave()
    code = f"from core.test_rename import die; die({str(started.folder)!r}, {moment!r})"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == -9, ended.stderr
    assert state(started) == (renamed(before) if moment == "after" else before)
