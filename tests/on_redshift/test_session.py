"""What a session does and says: locks, rights, conflicts, breaks; what it leaves behind; how it describes tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from harness import Project
from harness.postgres import server
from harness.translated_redshift import ProgrammingError, StandInCursor
from run.shop import add_companies, mirrors

from planhat_dbt.warehouse import redshift
from planhat_dbt.warehouse.error import WarehouseError
from planhat_dbt.warehouse.port import Column, ColumnKind
from planhat_dbt.warehouse.redshift import RedshiftWarehouse

ROLE = "Reporter"
ROLE_PASSWORD = "the-secret-of-the-reporter"


@pytest.fixture
def warehouse(project: Project) -> RedshiftWarehouse:
    return project.warehouse.opened


def meta(project: Project) -> str:
    add_companies(project, 1)
    project.sync()
    return f'"{project.warehouse.database}"."planhat_sync"."meta"'


def test_two_sessions_exclude_each_other(project: Project, warehouse: RedshiftWarehouse) -> None:
    table = meta(project)
    with warehouse.open() as one, warehouse.open() as two:
        two.wait_for_locks(0.05)
        with one.transaction():
            one.lock(table)
            with pytest.raises(WarehouseError) as told, two.transaction():
                two.lock(table)
            assert "another session has a table of ours open" in told.value.message
            assert "svv_transactions" in told.value.hint
        with two.transaction():
            two.lock(table)
            assert two.rows(f"select count(*) from {table}") != [(0,)]
        assert two.rows("show statement_timeout") == [("0",)]


def test_what_waits_for_no_lock_has_no_limit(project: Project, warehouse: RedshiftWarehouse) -> None:
    table = meta(project)
    with warehouse.open() as session:
        session.wait_for_locks(0.001)
        with session.transaction():
            session.lock(table)
            assert session.rows("show statement_timeout") == [("0",)]


@pytest.mark.parametrize("fails", [False, True])
def test_a_transaction_takes_scratch_tables_back(warehouse: RedshiftWarehouse, *, fails: bool) -> None:
    with warehouse.open() as session:
        session.load("planhat_done", {"_key": "varchar(65535)"}, [["a", None, "b\0c"]])
        try:
            with session.transaction():
                session.scratch("planhat_asked", "select 1 as n")
                session.load("planhat_done", {"_key": "varchar(65535)"}, [["z"]])
                if fails:
                    session.execute("select 1 / 0")
        except WarehouseError:
            assert fails
        found = session.rows("select _key from planhat_done order by _key")
        assert found == ([("a",), ("bc",), (None,)] if fails else [("z",)])
        session.scratch("planhat_asked", "select 2 as n")
        assert session.rows("select n from planhat_asked") == [(2,)]


def test_a_conflict_that_is_found_at_the_end(
    warehouse: RedshiftWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = StandInCursor.execute

    def refuse(self: Any, sql: str, args: Any = None) -> None:
        execute(self, "rollback" if sql == "commit" else sql, args)
        if sql == "commit":
            raise ProgrammingError(
                {"M": "1023", "C": "XX000", "D": "Serializable isolation violation on table - 1"}
            )

    with warehouse.open() as session:
        with monkeypatch.context() as patch:
            patch.setattr(StandInCursor, "execute", refuse)
            with pytest.raises(WarehouseError, match="Serializable") as told, session.transaction():
                session.scratch("planhat_asked", "select 1 as n")
        assert "Run the command again" in told.value.hint
        session.scratch("planhat_asked", "select 2 as n")
        assert session.rows("select n from planhat_asked") == [(2,)]


def test_a_kept_connection_is_left_without_scratch_tables(warehouse: RedshiftWarehouse) -> None:
    with warehouse.kept():
        with warehouse.open() as session:
            session.scratch("planhat_asked", "select 1 as n")
        with warehouse.open() as session, pytest.raises(WarehouseError, match="does not exist"):
            session.rows("select n from planhat_asked")


def test_a_large_result_comes_in_parts(warehouse: RedshiftWarehouse) -> None:
    with warehouse.open() as session:
        session.load("planhat_asked", {"n": "integer"}, [list(range(2500))])
        parts = list(session.stream("select n from planhat_asked order by n", 2000))
        assert [len(part) for part in parts] == [1000, 1000, 500]
        assert [n for part in parts for (n,) in part] == list(range(2500))


def test_inserts_stay_within_the_limits(
    warehouse: RedshiftWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    execute = StandInCursor.execute

    def listen(self: Any, sql: str, args: Any = None) -> None:
        if args:
            seen.append(len(args))
        execute(self, sql, args)

    monkeypatch.setattr(StandInCursor, "execute", listen)
    monkeypatch.setattr(redshift, "_MOST_PARAMETERS", 100)
    monkeypatch.setattr(redshift, "_MOST_TEXT", 1000)
    with warehouse.open() as session:
        columns = {f"c{i}": "integer" for i in range(40)}
        session.load("planhat_asked", columns, [[1] * 5] * 40)
        session.load("planhat_done", {"_key": "varchar(65535)"}, [["x" * 300] * 7])
    assert seen == [80, 80, 40, 3, 3, 1]


def test_a_column_of_nulls_alone_is_left_out(warehouse: RedshiftWarehouse, statements: list[str]) -> None:
    with warehouse.open() as session:
        columns = {"a": "integer", "b": "timestamp", "c": "integer"}
        session.load("planhat_asked", columns, [[1, None], [None, None], [None, 2]])
        assert [s for s in statements if s.startswith("insert")] == [
            'insert into planhat_asked ("a", "c") values (%s, %s), (%s, %s)'
        ]
        assert session.rows("select * from planhat_asked order by a") == [(1, None, None), (None, None, 2)]
        session.load("planhat_asked", columns, [[None], [None], [None]])
        assert session.rows("select * from planhat_asked") == [(None, None, None)]


TYPES = {
    "a": ("varchar(20)", "character varying(20)", ColumnKind.TEXT),
    "B": ("numeric(12,2)", "numeric(12,2)", ColumnKind.DECIMAL),
    "c": ("super", "super", ColumnKind.JSON),
    "d": ("timestamptz", "timestamp with time zone", ColumnKind.TIMESTAMPTZ),
    "e": ("bytea", "bytea", ColumnKind.UNSUPPORTED),
}


def test_how_tables_and_views_are_described(project: Project, warehouse: RedshiftWarehouse) -> None:
    with server().connect(project.warehouse.database).cursor() as cursor:
        columns = ", ".join(f'"{name.lower()}" {kind}' for name, (kind, *_) in TYPES.items())
        cursor.execute(f"create table main.accounts ({columns})")
        cursor.execute("create view main.late as select * from main.accounts")
    expected = tuple(Column(name.lower(), printed, kind) for name, (_, printed, kind) in TYPES.items())
    database = project.warehouse.database
    with warehouse.open() as session:
        for relation in ("accounts", "late", "Accounts"):
            assert session.columns(f'"{database}"."main"."{relation}"') == expected
        assert session.columns(f"{database}.main.accounts") == expected
        assert session.columns(f'"{database}"."main"."nothing"') is None
        assert session.columns(f'"{database}"."nowhere"."nothing"') is None
        assert session.tables(database, "main") == {"accounts": expected, "late": expected}
        assert session.tables(database, "nowhere") == {}


def test_what_the_catalog_does_not_know_is_described_by_a_query(
    project: Project, warehouse: RedshiftWarehouse
) -> None:
    """Late-binding views, external tables, other databases: here a temporary table, which has no schema."""
    with warehouse.open() as session:
        session.load("planhat_asked", {"n": "integer", "at": "timestamp"}, [[1], [None]])
        found = session.columns("planhat_asked")
        assert found == (
            Column("n", "integer", ColumnKind.INTEGER),
            Column("at", "timestamp without time zone", ColumnKind.TIMESTAMP),
        )


@pytest.fixture
def reporter(project: Project) -> Iterator[Project]:
    """A project whose role may connect, and nothing else."""
    add_companies(project, 2)
    raw(
        project,
        f"create role \"{ROLE}\" login password '{ROLE_PASSWORD}'",
        "revoke all on schema main from public",
        f'revoke create, temporary on database "{project.warehouse.database}" from public',
    )
    output = {**project.warehouse.profile, "user": ROLE, "password": ROLE_PASSWORD}
    document = {"shop": {"target": "dev", "outputs": {"dev": output}}}
    (project.directory / "profiles.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    yield project
    server().drop(project.warehouse.database)
    with server().connect("postgres").cursor() as cursor:
        cursor.execute(f'drop role "{ROLE}"')


def raw(project: Project, *statements: str) -> None:
    with project.connect() as connection:
        for statement in statements:
            connection.raw(statement)


def test_what_a_role_lacks_is_told_as_statements(reporter: Project) -> None:
    """Run what each message says, as an owner would, until it goes through."""
    run = []
    for _ in range(8):
        outcome = reporter.cli("sync")
        assert ROLE_PASSWORD not in outcome.told
        if outcome.code == 0:
            break
        _, told, rest = outcome.told.partition("Let an owner run: ")
        assert told, outcome.told
        statement = " ".join(rest.split()).partition(";")[0]
        run.append(statement)
        raw(reporter, statement)
    assert mirrors(reporter)
    database = reporter.warehouse.database
    assert f'grant select on "companies" to "{ROLE}"' in run
    assert f'grant create on database "{database}" to "{ROLE}"' in run
    assert f'grant temporary on database "{database}" to "{ROLE}"' in run


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        (
            {"M": "1023", "C": "XX000", "D": "Serializable isolation violation on table - 100160"},
            "1023: Serializable isolation violation on table - 100160",
            "Run the command again",
        ),
        (
            {"M": "Value too long for character type", "C": "XX000", "D": "-" * 47 + "\n  code:  8001\n"},
            "Value too long for character type: code: 8001",
            "",
        ),
        (
            {"M": "permission denied for relation accounts", "C": "42501"},
            "permission denied for relation accounts",
            'grant select on "accounts" to "planhat"',
        ),
        ({"M": "x" * 500, "C": "XX000"}, "x" * 300, ""),
    ],
)
def test_what_is_told_of_a_refusal(
    warehouse: RedshiftWarehouse,
    monkeypatch: pytest.MonkeyPatch,
    said: dict[str, str],
    message: str,
    hint: str,
) -> None:
    with warehouse.open() as session:

        def refuse(*_: object) -> None:
            raise ProgrammingError({"S": "ERROR", **said})

        with monkeypatch.context() as patch:
            patch.setattr(StandInCursor, "execute", refuse)
            with pytest.raises(WarehouseError) as told:
                session.execute("select 1")
    assert told.value.reason == message
    assert hint in told.value.hint


def test_a_connection_that_broke(project: Project, warehouse: RedshiftWarehouse) -> None:
    with warehouse.kept():
        with warehouse.open() as session:
            session.rows("select 1")
        end(project)
        with warehouse.open() as session:  # another one
            assert session.rows("select 1") == [(1,)]
            end(project)
            with pytest.raises(WarehouseError, match="the connection broke") as told:
                session.rows("select 1")
    assert "compared anew" in told.value.hint


def end(project: Project) -> None:
    with server().connect("postgres").cursor() as cursor:
        cursor.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s",
            [project.warehouse.database],
        )


def test_statements_are_not_kept_prepared(warehouse: RedshiftWarehouse) -> None:
    with warehouse.open() as session:
        assert session._connection.driver.max_prepared_statements == 0
        assert session._connection.driver.autocommit is True
