"""A connection of dbt-trino: what is told of refusals, what is sent once, and which types come back."""

from __future__ import annotations

import datetime as dt

import pytest
from harness import Project
from harness.translated_trino import TrinoCatalog, server
from run.shop import add_companies

from planhat_dbt.bootstrap import open_warehouse
from planhat_dbt.errors import FailedError, UsageError
from planhat_dbt.settings import ProjectSettings
from planhat_dbt.warehouse.error import WarehouseError
from planhat_dbt.warehouse.port import Column, ColumnKind, WireForm
from planhat_dbt.warehouse.profile import AdapterTarget


def test_without_consent_nothing_is_opened() -> None:
    target = AdapterTarget("prod", "trino", {"type": "trino", "host": "no.such.host"}, "profiles.yml")
    with pytest.raises(UsageError) as told:
        open_warehouse(target, ProjectSettings())
    assert "never been run on a real one" in told.value.message
    assert "unproven_warehouse: true" in told.value.hint


def test_without_consent_a_command_ends_with_two(project: Project, statements: list[str]) -> None:
    add_companies(project, 1)
    outcome = project.cli("plan", "--vars", '{"planhat": {"unproven_warehouse": false}}')
    assert outcome.code == 2
    assert "docs/warehouses.md" in outcome.told
    assert statements == []


def test_doctor(project: Project) -> None:
    add_companies(project, 1)
    outcome = project.cli("doctor")
    assert "trino, database" in outcome.told
    assert "tables can be made and written in schema planhat_sync" in outcome.told
    left = f"select table_name from duckdb_tables() where database_name = '{project.warehouse.database}'"
    assert project.query(left) == [("companies",)]


def test_a_refusal_is_told_in_a_line() -> None:
    with TrinoCatalog().opened.open() as session:
        with pytest.raises(WarehouseError, match="nowhere"):
            session.rows("select * from nowhere")
        with pytest.raises(WarehouseError, match="exceeds the maximum length"):
            session.execute(f"select '{'x' * 1_000_000}'")


def test_a_server_that_is_not_there_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = TrinoCatalog()
    profile = catalog.profile | {"port": 1}
    monkeypatch.setattr(TrinoCatalog, "profile", profile)
    with pytest.raises(FailedError) as told, catalog.opened.open():
        pass
    assert told.value.message.startswith("Target 'dev' (trino) cannot be reached: ")
    assert "dbt debug" in told.value.hint


def test_a_statement_is_sent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with TrinoCatalog().opened.open() as session:
        answer, sent = server().answer, []

        def lost(catalog: str, sql: str) -> dict[str, object]:
            sent.append(sql)
            answer(catalog, sql)
            raise ConnectionResetError

        monkeypatch.setattr(server(), "answer", lost)
        monkeypatch.setattr(server(), "handle_error", lambda *_: None)
        with pytest.raises(WarehouseError, match="the connection broke"):
            session.execute("select 1")
        assert sent == ["select 1"]


def test_many_rows_are_written_within_the_length_of_a_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = TrinoCatalog()
    with catalog.opened.open() as session:
        session.execute(session._dialect.create_schema(catalog.database, "planhat_sync"))
        session.load("planhat_texts", {"n": "bigint", "t": "varchar"}, [[1, 2, 3, 4], ["é" * 200_000] * 4])
        assert session.rows("select count(*), max(length(t)) from planhat_texts") == [(4, 200_000)]


@pytest.mark.parametrize(
    ("kind", "value", "form", "sent"),
    [
        ("double", "0.1", WireForm.JSON, "0.1"),
        ("double", "100", WireForm.KEY, "100"),
        ("double", "0.0001234567890123456", WireForm.JSON, "0.0001234567890123456"),
        ("decimal(10,2)", "1.50", WireForm.KEY, "1.5"),
        ("decimal(10,2)", "100.00", WireForm.NUMBER, "100"),
        ("varchar", 'it\'s "x"', WireForm.JSON, '"it\'s \\"x\\""'),
        ("boolean", "true", WireForm.JSON, "true"),
        ("date", "2024-02-29", WireForm.INSTANT, "2024-02-29T00:00:00.000Z"),
        ("date", "1970-01-02", WireForm.DAY_NUMBER, 1),
        ("timestamp(6)", "2024-01-02 03:04:05.678901", WireForm.INSTANT, "2024-01-02T03:04:05.678Z"),
        ("timestamp(6)", "2024-01-02 03:04:05.500", WireForm.KEY, "2024-01-02 03:04:05.5"),
        (
            "timestamp(6) with time zone",
            "2024-01-02 03:04:05+02",
            WireForm.INSTANT,
            "2024-01-02T01:04:05.000Z",
        ),
        ("timestamp(6) with time zone", "2024-01-02 01:04:05+02", WireForm.DAY_TEXT, "2024-01-01"),
    ],
)
def test_values_in_the_form_in_which_they_are_sent(
    kind: str, value: str, form: WireForm, sent: object
) -> None:
    with TrinoCatalog().opened.open() as session:
        dialect = session._dialect
        text = dialect.literal(value)
        expression = f"cast({text} as {kind})"
        wire = dialect.wire(expression, Column("x", kind, dialect.kind(kind)), form)
        assert session.rows(f"select {wire}") == [(sent,)]


def test_times_come_back_naive_in_utc() -> None:
    with TrinoCatalog().opened.open() as session:
        ((moment, now),) = session.rows(
            "select cast('2024-01-02 03:04:05+02' as timestamp(6) with time zone), "
            + session._dialect.utc_now
        )
        assert str(moment) == "2024-01-02 01:04:05"
        assert abs(now - dt.datetime.now(dt.UTC).replace(tzinfo=None)) < dt.timedelta(minutes=1)


def test_kinds_of_the_columns_of_a_model() -> None:
    catalog = TrinoCatalog()
    with catalog.connect() as connection:
        connection.execute("create table m (id varchar, moment timestamptz, tags varchar[], raw blob)")
    with catalog.opened.open() as session:
        kinds = [c.kind for c in session.columns(catalog.relation("m")) or ()]
        assert kinds == [ColumnKind.TEXT, ColumnKind.TIMESTAMPTZ, ColumnKind.NESTED, ColumnKind.UNSUPPORTED]
        assert session.columns(catalog.relation("none")) is None


@pytest.mark.parametrize(
    "statement",
    [
        "insert into t (a) values (1)",
        "insert into t (b) select a from t",
        "insert into t (a, at_) values ('x', '2024-01-02')",
        "create table u as select null as a",
        "update t set a = s.b from (select 1 as b) s where true",
        "create temporary table u (a varchar)",
        "alter table t alter column a set data type bigint",
        "start transaction",
    ],
)
def test_the_stand_in_refuses_what_trino_would(statement: str) -> None:
    catalog = TrinoCatalog()
    place = f'"{catalog.database}"."main"'
    with catalog.opened.open() as session:
        session.execute(f"create table {place}.t (a varchar, b bigint, at_ timestamp(6))")
        with pytest.raises(WarehouseError):
            session.execute(statement.replace(" t ", f" {place}.t ").replace(" u ", f" {place}.u "))
        session.execute(f"insert into {place}.t (a, b) values (null, 1), ('x', null)")
