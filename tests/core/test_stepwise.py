"""Transactions on an engine that has none: each list of steps is carried out once, wherever it was cut off."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from harness.stepwise import StepwiseDuckDB, StepwiseDuckDBWarehouse

from planhat_dbt.errors import RefusedError
from planhat_dbt.state.layout import StateTables, ensure_tables, existing_tables
from planhat_dbt.state.lease import Lease
from planhat_dbt.warehouse import stepwise
from planhat_dbt.warehouse.error import WarehouseError
from planhat_dbt.warehouse.profile import DuckDBTarget

PLACE = '"shop"."planhat_sync"'
BEFORE = [("a", 1), ("b", 2), ("c", 3)]
AFTER = [("a", 12), ("c", 11), ("d", 9), ("n", 5)]


class KilledError(BaseException):
    """The end of a process, as far as its statements go."""


class Tape:
    """Counts statements, and ends the process before one of them."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.deadly: int | None = None

    def play(self, deadly: int | None) -> None:
        self.statements, self.deadly = [], deadly


@pytest.fixture
def tape(monkeypatch: pytest.MonkeyPatch) -> Tape:
    tape, run = Tape(), StepwiseDuckDB._run

    def noted(self: StepwiseDuckDB, sql: str) -> None:
        if len(tape.statements) == tape.deadly:
            raise KilledError
        tape.statements.append(sql)
        run(self, sql)

    monkeypatch.setattr(StepwiseDuckDB, "_run", noted)
    return tape


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.duckdb"
    fill(path)
    return path


def fill(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"drop schema if exists {PLACE} cascade")
        connection.execute(f"create schema {PLACE}")
        connection.execute(f"create table {PLACE}.t (k varchar, n integer)")
        connection.executemany(f"insert into {PLACE}.t values (?, ?)", BEFORE)


def content(path: Path) -> list[tuple[str, int]]:
    with duckdb.connect(str(path)) as connection:
        return connection.execute(f"select k, n from {PLACE}.t order by k").fetchall()


def left(path: Path) -> list[str]:
    """Tables but our own, and steps that are not done."""
    with duckdb.connect(str(path)) as connection:
        tables = [
            name
            for (name,) in connection.execute("select table_name from duckdb_tables() order by 1").fetchall()
        ]
        steps = (
            connection.execute(f"select list_id from {PLACE}.steps").fetchall() if "steps" in tables else []
        )
    return [name for name in tables if name not in ("t", "steps")] + [str(step) for step in steps]


@contextmanager
def opened(path: Path) -> Iterator[StepwiseDuckDB]:
    with StepwiseDuckDBWarehouse(DuckDBTarget("dev", str(path), "shop")).open() as session:
        yield session


def change(session: StepwiseDuckDB) -> None:
    """Statements of which none may be run twice, and that read what was read before them."""
    with session.transaction():
        session.load("planhat_new", {"k": "varchar", "n": "integer"}, [["d", "n"], [9, 5]])
        session.execute(f"delete from {PLACE}.t where k = ?", ["b"])
        session.execute(f"insert into {PLACE}.t select k, n from planhat_new where k = 'd'")
        session.execute(f"update {PLACE}.t set n = n + 10 where k = 'a' or k = 'c'")
        session.execute(
            f"update {PLACE}.t set n = case k when 'a' then n + 1 else n - 2 end where k in ('a', 'c')"
        )
        session.execute(f"insert into {PLACE}.t select k, n from planhat_new where k = 'n'")


def change_and_close(path: Path) -> None:
    with opened(path) as session:
        change(session)


def finish_and_die(path: Path) -> None:
    with opened(path) as session:
        session.finish()
        raise KilledError


def fail_half_way(warehouse: StepwiseDuckDBWarehouse) -> None:
    with warehouse.open() as session, session.transaction():
        session.execute(f"delete from {PLACE}.t where k = 'a'")
        session.execute(f"insert into {PLACE}.later values (1)")


def test_what_is_read_inside_is_the_state_before(file: Path) -> None:
    with opened(file) as session:
        with session.transaction():
            session.execute(f"delete from {PLACE}.t")
            assert session.rows(f"select count(*) from {PLACE}.t") == [(3,)]
        assert session.rows(f"select count(*) from {PLACE}.t") == [(0,)]


def test_nothing_is_done_where_it_fails_inside(file: Path) -> None:
    def fail_inside() -> None:
        with opened(file) as session, session.transaction():
            session.execute(f"delete from {PLACE}.t")
            raise RefusedError("no")

    with pytest.raises(RefusedError):
        fail_inside()
    assert content(file) == BEFORE


def test_killed_before_any_statement_it_is_finished_once(file: Path, tape: Tape) -> None:
    tape.play(None)
    change_and_close(file)
    assert (content(file), left(file)) == (AFTER, [])
    points = len(tape.statements)
    kept = next(i for i, s in enumerate(tape.statements) if s.startswith(f'insert into {PLACE}."steps"'))
    assert points > 2 * 5
    for point in range(points):
        fill(file)
        tape.play(point)
        with pytest.raises(KilledError):
            change_and_close(file)
        tape.play(None)
        with opened(file) as session:
            session.finish()
        assert content(file) == (AFTER if point > kept else BEFORE), tape.statements
        if point > kept:
            assert left(file) == [], point


def test_killed_while_it_is_finished_it_is_finished_by_the_next(file: Path, tape: Tape) -> None:
    for deadly in range(1, 12):
        fill(file)
        tape.play(8)
        with pytest.raises(KilledError):
            change_and_close(file)
        tape.play(deadly)
        with pytest.raises(KilledError):
            finish_and_die(file)
        tape.play(None)
        with opened(file) as session:
            session.finish()
        assert (content(file), left(file)) == (AFTER, [])


def test_a_list_that_is_longer_than_a_statement_stands_whole_or_not_at_all(
    file: Path, tape: Tape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StepwiseDuckDB, "longest", 1500)
    tape.play(None)
    change_and_close(file)
    assert content(file) == AFTER
    assert max(map(len, tape.statements)) <= 1500
    parts = [i for i, s in enumerate(tape.statements) if s.startswith(f'insert into {PLACE}."steps"')]
    assert len(parts) > 2
    for point in parts:
        fill(file)
        tape.play(point)
        with pytest.raises(KilledError):
            change_and_close(file)
        tape.play(None)
        with opened(file) as session:
            session.finish()
        assert (content(file), left(file)) == (BEFORE, [])


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ('insert into "a"."b"."c" (x) select 1', '"a"."b"."c"'),
        ("insert into `a`.`b``.x`.`c` values (1)", "`a`.`b``.x`.`c`"),
        ('delete from "a"."b"."c" where x = 1', '"a"."b"."c"'),
        ('update "a"."b"."c" set x = 1', '"a"."b"."c"'),
        (
            "merge into `a`.`b`.`c` using (select 1 as y) s on x = y when matched then update set x = y",
            "`a`.`b`.`c`",
        ),
        ('alter table "a"."b"."c" rename to "a"."b"."d"', '"a"."b"."c"'),
        ('drop table if exists "a"."b"."c"', '"a"."b"."c"'),
        ('create table if not exists "a"."b"."c" (x bigint)', '"a"."b"."c"'),
        ('create table "a"."b"."c" as\nselect 1', '"a"."b"."c"'),
        ('create or replace table "a"."b"."c" as select 1', '"a"."b"."c"'),
    ],
)
def test_which_table_a_statement_writes(statement: str, table: str) -> None:
    assert stepwise._target(statement) == table


def test_many_rows_are_written_in_several_statements(
    file: Path, tape: Tape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StepwiseDuckDB, "longest", 4000)
    rows = [(f"k{i}'?", i) for i in range(300)]
    with opened(file) as session:
        tape.play(None)
        session.insert(f"{PLACE}.t", ["k", "n"], rows)
        session.load(
            "planhat_ids",
            {"k": "varchar", "n": "integer"},
            [list(column) for column in zip(*rows, strict=True)],
        )
        assert session.rows("select count(*), sum(n) from planhat_ids") == [(300, sum(range(300)))]
    assert max(map(len, tape.statements)) <= 1200
    assert content(file) == sorted([*BEFORE, *rows])


def test_what_failed_half_way_is_finished_by_the_next_run_and_nothing_is_written_before(file: Path) -> None:
    warehouse = StepwiseDuckDBWarehouse(DuckDBTarget("dev", str(file), "shop"))
    with pytest.raises(WarehouseError) as told:
        fail_half_way(warehouse)
    assert "the next run finishes it before anything else" in told.value.hint
    with warehouse.open() as session:
        session.execute(f"create table {PLACE}.later (n integer)")
        with pytest.raises(WarehouseError, match="stopped half-way"), session.transaction():
            session.execute(f"delete from {PLACE}.t where k = 'b'")
    assert content(file) == [("b", 2), ("c", 3)]
    with opened(file) as session:
        session.finish()
        session.scratch("planhat_mine", "select 7 as n")
        with session.transaction():
            session.execute(f"insert into {PLACE}.later select n from planhat_mine")
            session.execute(f"delete from {PLACE}.t where k = 'b'")
        assert session.rows(f"select n from {PLACE}.later order by n") == [(1,), (7,)]
    assert content(file) == [("c", 3)]


def with_lease(path: Path) -> StateTables:
    warehouse = StepwiseDuckDBWarehouse(DuckDBTarget("dev", str(path), "shop"))
    tables = StateTables(warehouse.dialect, "shop", "planhat_sync")
    with warehouse.open() as session:
        ensure_tables(session, tables, existing_tables(session, tables))
    return tables


def test_the_lease_is_renewed_at_once_and_beside_a_list(file: Path, tape: Tape) -> None:
    tables = with_lease(file)
    lease = Lease(tables, "mine", "sync", 60.0)
    with opened(file) as session:
        lease.take(session)
        (before,) = session.rows(f"select value from {tables.meta} where setting = 'lease'")
        with session.transaction():
            session.execute(f"delete from {PLACE}.t where k = 'a'")
            session.execute(f"delete from {PLACE}.t where k = 'b'")
            lease.renew(session)
            (after,) = session.rows(f"select value from {tables.meta} where setting = 'lease'")
            assert after != before
            assert len(content_of(session)) == 3
        assert len(content_of(session)) == 1
        session._stepping.left = True  # a list that failed: the lease is still renewed, and given back
        with session.transaction():
            lease.renew(session)
        lease.give_back(session)
        assert session.rows(f"select count(*) from {tables.meta} where setting = 'lease'") == [(0,)]


def run_in_one(session: StepwiseDuckDB, *statements: str) -> None:
    with session.transaction():
        for statement in statements:
            session.execute(statement)


def content_of(session: StepwiseDuckDB) -> list[object]:
    return session.rows(f"select k from {PLACE}.t")


def test_a_list_stops_where_another_run_took_the_lease(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = with_lease(file)
    monkeypatch.setattr(stepwise, "_LOOK_AGAIN", -1.0)
    run = StepwiseDuckDB._run

    def taken_over(self: StepwiseDuckDB, sql: str) -> None:
        run(self, sql)
        if sql.startswith(f"delete from {PLACE}.t where k = 'a'"):
            run(
                self,
                f"update {tables.meta} set value = replace(value, 'mine', 'theirs') where setting = 'lease'",
            )

    with opened(file) as session:
        Lease(tables, "mine", "sync", 60.0).take(session)
        monkeypatch.setattr(StepwiseDuckDB, "_run", taken_over)
        with pytest.raises(WarehouseError, match="changed hands") as told:
            run_in_one(
                session, f"delete from {PLACE}.t where k = 'a'", f"delete from {PLACE}.t where k = 'b'"
            )
        assert "mine" in told.value.message
    assert content(file) == [("b", 2), ("c", 3)]
    with opened(file) as session:  # the other run
        session.finish()
    assert content(file) == [("c", 3)]


def test_where_the_answer_to_the_last_row_of_a_list_is_lost_its_scratch_tables_stay(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = StepwiseDuckDB._run

    def lost(self: StepwiseDuckDB, sql: str) -> None:
        run(self, sql)
        if sql.startswith(f'insert into {PLACE}."steps"'):
            raise WarehouseError("the connection broke")

    monkeypatch.setattr(StepwiseDuckDB, "_run", lost)
    with opened(file) as session, pytest.raises(WarehouseError, match="broke"):
        change(session)
    monkeypatch.setattr(StepwiseDuckDB, "_run", run)
    assert content(file) == BEFORE
    with opened(file) as session:
        session.finish()
    assert (content(file), left(file)) == (AFTER, [])


def test_a_step_of_which_nobody_knows_is_not_taken_for_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks, and the server carries the statement out a moment later."""
    run, late = StepwiseDuckDB._run, []

    def broken(self: StepwiseDuckDB, sql: str) -> None:
        if sql.startswith(f"insert into {PLACE}.t"):
            late.append(sql)
            raise WarehouseError("the connection broke")
        run(self, sql)

    monkeypatch.setattr(StepwiseDuckDB, "_is_refusal", lambda _self, _error: False)
    monkeypatch.setattr(StepwiseDuckDB, "_run", broken)
    with opened(file) as session, pytest.raises(WarehouseError, match="broke"):
        run_in_one(session, f"delete from {PLACE}.t where k = 'a'", f"insert into {PLACE}.t values ('x', 1)")
    monkeypatch.setattr(StepwiseDuckDB, "_run", run)
    with opened(file) as session:
        session._run(late[0])
    with opened(file) as session:
        session.finish()
    assert content(file) == [("b", 2), ("c", 3), ("x", 1)]


def test_a_conflict_is_tried_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepwise, "_PATIENCE", (0.0, 0.0))
    run, tries = StepwiseDuckDB._run, []

    def in_the_way(self: StepwiseDuckDB, sql: str) -> None:
        tries.append(sql)
        if len(tries) < 3:
            raise WarehouseError("concurrent append")
        run(self, sql)

    monkeypatch.setattr(StepwiseDuckDB, "_run", in_the_way)
    with opened(file) as session:
        with pytest.raises(WarehouseError, match="concurrent append"):
            session.execute(f"delete from {PLACE}.t where k = 'a'")
        monkeypatch.setattr(StepwiseDuckDB, "_is_conflict", lambda _self, error: "concurrent" in error.reason)
        tries.clear()
        session.execute(f"delete from {PLACE}.t where k = 'a'")
    assert len(tries) == 3
    assert content(file) == BEFORE[1:]


def test_texts_are_left_alone(file: Path) -> None:
    with opened(file) as session:
        session.scratch("planhat_ids", "select 'planhat_ids ?' as k")
        rows = session.rows(
            "select k, '?', ?, ? from planhat_ids where k = 'planhat_ids ?'", ["it's ?", None]
        )
    assert rows == [("planhat_ids ?", "?", "it's ?", None)]


def test_of_runs_that_begin_at_once_one_goes_on_at_most(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = StepwiseDuckDBWarehouse(DuckDBTarget("dev", str(file), "shop"))
    monkeypatch.setattr(StepwiseDuckDB, "lease_settles", 0.3)
    tables = StateTables(warehouse.dialect, "shop", "planhat_sync")
    with warehouse.open() as session:
        ensure_tables(session, tables, existing_tables(session, tables))
    looked, entries = threading.Barrier(2), Lease._enter

    def both_have_looked(self: Lease, *rest: object) -> None:
        looked.wait(10)
        entries(self, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Lease, "_enter", both_have_looked)
    won: list[str] = []

    faults: list[BaseException] = []

    def begin(run: str) -> None:
        with warehouse.open() as session:
            try:
                Lease(tables, run, "sync", 60.0).take(session)
                won.append(run)
            except RefusedError:
                pass
            except BaseException as error:  # noqa: BLE001 - told below
                faults.append(error)

    for held in (False, True):
        won.clear()
        if held:  # by a run that is no more
            with warehouse.open() as session:
                session.execute(f"update {tables.meta} set value = replace(value, '\"pid\":', '\"pid\":9')")
        threads = [threading.Thread(target=begin, args=(f"{run}-{held}",)) for run in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) <= 1
        assert faults == []
