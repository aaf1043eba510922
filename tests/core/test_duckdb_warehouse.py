"""DuckDB behind the port: the file lock, streams, transactions, descriptions, types (dbt-notes §4, §5)."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time

import duckdb
import pytest

from planhat_dbt.errors import FailedError, UsageError
from planhat_dbt.warehouse.duckdb import DuckDBWarehouse, WarehouseError
from planhat_dbt.warehouse.duckdb_dialect import DuckDBDialect
from planhat_dbt.warehouse.port import ColumnKind
from planhat_dbt.warehouse.profile import DuckDBTarget
from planhat_dbt.warehouse.repeat import in_transaction


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "my shop.duckdb"
    duckdb.connect(str(file)).close()
    return file


def warehouse(path, *, lock_wait: float = 5.0, on_wait=None, **target) -> DuckDBWarehouse:
    return DuckDBWarehouse(
        DuckDBTarget("dev", str(path), path.stem, **target), lock_wait=lock_wait, on_wait=on_wait
    )


@pytest.fixture
def session(path):
    with warehouse(path).open() as session:
        yield session


# -- the file

HOLDER = textwrap.dedent("""
    import duckdb, sys, time
    connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "ro")
    print("held", flush=True)
    sys.stdin.readline()
""")


@pytest.fixture
def hold(path):
    held = []

    def start(mode: str = "rw") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path), mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        held.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in held:
        process.communicate("\n", timeout=20)


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_a_lock_that_lasts_names_its_holder(path, hold, mode):
    process = hold(mode)
    waits: list[str] = []
    taken = warehouse(path, lock_wait=0.5, on_wait=waits.append).open()
    with pytest.raises(FailedError, match=rf"is locked by python.* \(PID {process.pid}\)") as caught, taken:
        pass
    assert "close that program" in caught.value.hint
    assert len(waits) == 1
    assert f"PID {process.pid}" in waits[0]


def test_a_lock_that_ends_is_waited_for(path, hold):
    process = hold()
    waits: list[str] = []

    def release(text: str) -> None:
        waits.append(text)
        process.stdin.write("\n")
        process.stdin.flush()

    with warehouse(path, lock_wait=20, on_wait=release).open() as session:
        assert session.rows("select 1") == [(1,)]
    assert len(waits) == 1


def test_the_file_is_free_between_two_opens(path, hold):
    with warehouse(path).open() as session:
        session.execute("create table t as select 1 as a")
    hold("ro")


def test_no_file_is_made_where_there_is_none(tmp_path):
    with (
        pytest.raises(UsageError, match="does not exist") as caught,
        warehouse(tmp_path / "no.duckdb").open(),
    ):
        pass
    assert "dbt build" in caught.value.hint
    assert not (tmp_path / "no.duckdb").exists()


def test_a_file_that_is_no_database_is_said_so_at_once(tmp_path):
    file = tmp_path / "x.duckdb"
    file.write_text("not a database at all " * 500)
    started = time.monotonic()
    with pytest.raises(FailedError, match="cannot open"), warehouse(file, lock_wait=30).open():
        pass
    assert time.monotonic() - started < 5


def test_attached_databases_and_settings(path, tmp_path):
    other = tmp_path / "other.duckdb"
    with duckdb.connect(str(other)) as connection:
        connection.execute("create table t as select 7 as a")
    target = {"setup": (f"attach if not exists '{other}' as \"o t h\" (read_only)", "set threads = '1'"),
              "settings": (("memory_limit", "500MB"),)}  # fmt: skip
    with warehouse(path, **target).open() as session:
        assert session.rows('select a from "o t h".main.t') == [(7,)]
        assert session.columns('"o t h"."main"."t"')[0].name == "a"
        assert session.rows("select current_setting('threads')") == [(1,)]


# -- statements


def test_a_stream_goes_on_while_other_statements_run(session):
    """A second statement on one connection silently ends the first result (dbt-notes §4)."""
    session.execute("create table t as select i from range(30000) r(i)")
    seen = 0
    for part in session.stream("select i from t order by i", 1000):
        assert part[0][0] == seen
        seen += len(part)
        session.execute("create or replace table u as select 1 as a")
        assert session.rows("select count(*) from t") == [(30000,)]
    assert seen == 30000


def test_a_stream_left_early_ends_its_cursor(session):
    session.execute("create table t as select i from range(30000) r(i)")
    stream = session.stream("select i from t", 10)
    next(stream)
    stream.close()
    session.execute("drop table t")


def test_times_are_utc_on_every_connection(session):
    query = "select cast(timestamptz '2024-06-01 12:00:00+02' as varchar)"
    assert session.rows(query) == [("2024-06-01 10:00:00+00",)]
    assert next(session.stream(query, 1)) == [("2024-06-01 10:00:00+00",)]


def test_a_transaction_is_all_or_nothing(path):
    with warehouse(path).open() as session:
        session.execute("create table t (a integer)")
        with session.transaction():
            session.execute("insert into t values (1)")
        with pytest.raises(KeyboardInterrupt), session.transaction():  # noqa: PT012 - one transaction
            session.execute("insert into t values (2)")
            session.execute("create table u as select 1 as a")
            raise KeyboardInterrupt
        with pytest.raises(WarehouseError), session.transaction():  # noqa: PT012 - one transaction
            session.execute("insert into t values (3)")
            session.execute("insert into t values ('x')")
    with warehouse(path).open() as session:
        assert session.rows("select a from t") == [(1,)]
        assert session.columns("u") is None


def test_a_refused_statement_is_told_in_one_line(session):
    with pytest.raises(WarehouseError, match="refused a statement: Catalog Error") as caught:
        session.rows("select * from nowhere")
    assert "\n" not in caught.value.message
    with pytest.raises(WarehouseError):
        list(session.stream("select cast('x' as integer)", 1))


def test_inserting_many_rows_and_odd_values(session):
    session.execute('create table t ("a b" integer, c varchar)')
    rows = [[i, None if i % 2 else 'it\'s "é"\n'] for i in range(2500)]
    session.insert("t", ["a b", "c"], rows)
    assert session.rows('select count(*), count(c), max("a b") from t') == [(2500, 1250, 2499)]
    session.insert("t", ["a b", "c"], [])


def test_scratch_tables_of_lists(session):
    session.load("s", {"a": "bigint", "b": "varchar"}, [[1, 2, 3], ["x", None, "z"]])
    assert session.rows("select a, b from s order by a") == [(1, "x"), (2, None), (3, "z")]
    session.load("s", {"a": "bigint", "b": "varchar"}, [[], []])
    assert session.rows("select count(*) from s") == [(0,)]
    session.scratch("s", "select 9 as c")
    assert session.rows("select c from s") == [(9,)]


# -- descriptions


@pytest.mark.parametrize(
    "lists",
    [
        [[], [], []],
        [[1], ["a"], [True]],
        [[1, 1], ["a", "a"], [True, True]],
        [[1, 1, 2, 2], ["a", "b", "b", "b"], [True, True, False, None]],
        [[2, 2, 1, 2], [None, None, "x", "y"], [None, None, None, True]],
        [[*range(30)], ["same"] * 30, [True, False] * 15],
    ],
)
def test_lists_are_handed_in_whole_however_alike_they_are(session, lists):
    session.load("given", {"n": "integer", "t": "varchar", "b": "boolean"}, lists)
    assert session.rows("select n, t, b from given order by rowid") == list(zip(*lists, strict=True))


def test_columns_of_tables_views_and_nothing(session):
    session.execute('create table "T" (id integer, "a ""b" varchar)')
    session.execute('create view v as select id, 1.5::decimal(10,2) as d from "T"')
    assert [(c.name, c.type) for c in session.columns('"T"')] == [("id", "INTEGER"), ('a "b', "VARCHAR")]
    assert [(c.name, c.kind) for c in session.columns("main.v")] == [
        ("id", ColumnKind.INTEGER),
        ("d", ColumnKind.DECIMAL),
    ]
    for missing in ("nope", '"main"."nope"', '"no_schema"."t"', '"no_db"."main"."t"'):
        assert session.columns(missing) is None


def test_a_view_over_a_dropped_table_is_not_taken_for_missing_work(session):
    session.execute("create table t as select 1 as a")
    session.execute("create view v as select * from t")
    session.execute("drop table t")
    assert session.columns("v") is None


def test_tables_of_a_schema(session, path):
    session.execute("create schema s")
    session.execute("create table s.b (y integer, x varchar)")
    session.execute("create table s.a (z json)")
    session.execute("""create table s."it's ""odd"".one" (k enum('a', 'it''s'), v struct(b integer)[])""")
    session.execute("create table main.b (elsewhere integer)")
    found = session.tables(path.stem, "S")
    assert {t: [c.name for c in cs] for t, cs in found.items()} == {
        "b": ["y", "x"],
        "a": ["z"],
        'it\'s "odd".one': ["k", "v"],
    }
    assert found['it\'s "odd".one'] == session.columns("""s."it's ""odd"".one\"""")
    assert session.tables(path.stem, "none") == {}


def test_tables_are_described_as_they_are_after_each_change_of_the_session(session, path):
    def names() -> list[str]:
        return [*session.tables(path.stem, "s")]

    assert names() == []
    session.execute("create schema s")
    session.execute("create table s.a (x integer)")
    assert names() == ["a"]
    session.tables(path.stem, "s").clear()  # the caller's own
    assert names() == ["a"]
    session.execute("  alter table s.a rename to b")
    assert names() == names() == ["b"]

    def drop_and_fail() -> None:
        with session.transaction():
            session.execute("drop table s.b")
            assert names() == []
            session.execute("this is no statement")

    with pytest.raises(FailedError):
        drop_and_fail()
    assert names() == ["b"]
    session.execute("alter table s.b add column y date")
    assert [c.name for c in session.tables(path.stem, "s")["b"]] == ["x", "y"]
    session.execute("DROP TABLE s.b")
    assert names() == []


def test_more_tables_than_are_described_at_once(session, path):
    session.execute("create schema s")
    for i in range(120):
        session.execute(f"create table s.t{i:03} (c{i} integer, d date)")
    found = session.tables(path.stem, "s")
    assert [*found] == [f"t{i:03}" for i in range(120)]
    assert all([c.name for c in found[f"t{i:03}"]] == [f"c{i}", "d"] for i in range(120))


TYPES = {
    ColumnKind.TEXT: "varchar, char(3), enum('a', 'b'), bit",
    ColumnKind.INTEGER: "tinyint, smallint, integer, bigint, hugeint, utinyint, usmallint, uinteger, ubigint, uhugeint",
    ColumnKind.DECIMAL: "decimal, decimal(4,1), decimal(38,0), bignum",
    ColumnKind.FLOAT: "float, double, real",
    ColumnKind.BOOLEAN: "boolean",
    ColumnKind.DATE: "date",
    ColumnKind.TIMESTAMP: "timestamp, timestamp_s, timestamp_ms, timestamp_ns",
    ColumnKind.TIMESTAMPTZ: "timestamptz",
    ColumnKind.TIME: "time",
    ColumnKind.UUID: "uuid",
    ColumnKind.JSON: "json",
    ColumnKind.NESTED: "integer[]; varchar[3]; struct(a integer); map(varchar, integer); json[]; "
    "struct(a decimal(4,1))[]; struct(\"enum(\" integer); enum('a')[]; struct(a enum('x', 'it''s)[')); "
    'struct("a ""b"", c" map(varchar, timestamptz[])[2], "struct(" varchar, date date)[]; timestamp_ns[][]',
    ColumnKind.UNSUPPORTED: "blob, interval, time with time zone; union(a integer, b varchar); blob[]; "
    "struct(a integer, b interval[]); map(varchar, blob); map(integer[], integer); "
    "struct(a map(struct(b integer), varchar)[]); union(a integer)[]",
}


def split(text: str) -> list[str]:
    if ";" in text:
        return [word for part in text.split(";") for word in ([part] if "(" in part else part.split(","))]
    found, depth, word = [], 0, ""
    for sign in text + ",":
        depth += (sign == "(") - (sign == ")")
        if sign == "," and not depth:
            found.append(word)
            word = ""
        else:
            word += sign
    return found


@pytest.mark.parametrize(
    ("kind", "name"), [(k, n.strip()) for k, names in TYPES.items() for n in split(names)]
)
def test_every_type_is_classified_and_can_be_kept(session, kind, name):
    session.execute(f"create table t (a {name})")
    (column,) = session.columns("t")
    assert column.kind is kind, column
    stored = DuckDBDialect().stored_type(column)
    session.execute(f"create table s (a {stored})")
    session.execute(f"insert into s select {DuckDBDialect().canonical('a', column)} from t")
    assert "ENUM(" not in session.columns("s")[0].type, "an enumeration may be dropped with the model"


def test_structs_whose_fields_have_no_names_have_no_json(session):
    session.execute(
        "create view v as select row(1, timestamptz '2024-01-01 00:00:00Z') as a, [row(1, 2)] as b"
    )
    assert [c.kind for c in session.columns("v")] == [ColumnKind.UNSUPPORTED] * 2


def test_the_null_type_is_text(session):
    session.execute("create view v as select null as a")
    assert session.columns("v")[0].kind is ColumnKind.TEXT


@pytest.mark.parametrize("text", ["", "it's", 'a "b"', "back\\slash", "new\nline", "ünï 🙂", "''"])
def test_literals_and_names_are_quoted(session, text):
    dialect = DuckDBDialect()
    assert session.rows(f"select {dialect.literal(text)}") == [(text,)]
    if text:
        session.execute(f"create table q ({dialect.quote(text)} integer)")
        assert session.columns("q")[0].name == text


# -- memory


def limit_of(session) -> str:
    return session.rows("select current_setting('memory_limit')")[0][0]


def test_duckdb_takes_little_memory_unless_the_profile_says_otherwise(path):
    with warehouse(path).open() as session:
        ((threads,),) = session.rows("select current_setting('threads')")
        assert limit_of(session) == {1: "95.3 MiB", 2: "95.3 MiB", 4: "190.7 MiB"}.get(
            threads, limit_of(session)
        )
    with warehouse(path, settings=(("memory_limit", "1GiB"),)).open() as session:
        assert limit_of(session) == "1.0 GiB"
    with warehouse(path, setup=("set max_memory = '512MiB'",)).open() as session:
        assert limit_of(session) == "512.0 MiB"


TOO_MUCH = "create or replace table t as select list(range) as l from range(40000000)"


@pytest.mark.thorough
def test_a_statement_that_needs_more_memory_gets_it(path):
    with warehouse(path, settings=(("threads", 1),)).open() as session:
        before = limit_of(session)
        session.execute(TOO_MUCH)
        assert session.rows("select length(l) from t") == [(40_000_000,)]
        assert limit_of(session) != before


def test_more_memory_comes_by_steps(path):
    with warehouse(path, settings=(("threads", 1),)).open() as session:
        session.execute(TOO_MUCH.replace("40000000", "8000000"))
        assert limit_of(session) == "190.7 MiB"


def test_more_memory_stays_when_the_file_is_opened_anew(path):
    opened = warehouse(path, settings=(("threads", 1),))
    with opened.open() as session:
        session.execute(TOO_MUCH.replace("40000000", "8000000"))
    with opened.open() as session:
        assert limit_of(session) == "190.7 MiB"
        assert session.rows("select length(l) from t") == [(8_000_000,)]


def test_a_transaction_that_ran_out_of_memory_is_done_again(path):
    tries = []

    def work() -> str:
        tries.append(limit_of(session))
        session.execute(f"insert into done values ({len(tries)})")
        session.execute(TOO_MUCH.replace("40000000", "8000000"))
        return "done"

    with warehouse(path, settings=(("threads", 1),)).open() as session:
        session.execute("create table done (try integer)")
        assert in_transaction(session, work) == "done"
        assert tries == ["95.3 MiB", "190.7 MiB"]
        assert session.rows("select * from done") == [(2,)], "nothing stays of what ran out of memory"
        assert session.rows("select length(l) from t") == [(8_000_000,)]


@pytest.mark.thorough
def test_a_result_that_needs_more_memory_gets_it(path):
    with warehouse(path, settings=(("threads", 1),)).open() as session:
        found = session.rows(
            "select string_agg(repeat('x', 100), '') over (order by i) from range(3000) t(i)"
        )
        assert len(found) == 3000
        assert limit_of(session) != "95.3 MiB"


def test_a_checkpoint_that_runs_out_of_memory_leaves_more_to_the_next_session(path):
    """It ends the database's life in the process; nothing of that commit is there."""
    opened = warehouse(path, settings=(("threads", 2), ("wal_autocheckpoint", "1MB")))
    columns = ", ".join(f"'value {c} of row ' || i as c{c}" for c in range(400))
    kept = 0

    def fill() -> None:
        nonlocal kept
        with opened.open() as session:
            session.execute(f"create table t as select i, {columns} from range(0) r(i)")
            for _ in range(30):
                with session.transaction():
                    session.execute(f"insert into t select i, {columns} from range(1000) r(i)")
                kept += 1000

    with pytest.raises(WarehouseError, match="checkpoint") as told:
        fill()
    assert "memory_limit" in told.value.hint
    with opened.open() as session:
        assert session.rows("select count(*) from t") == [(kept,)]
        assert limit_of(session) == "190.7 MiB"


def test_nothing_is_done_again_under_a_limit_of_the_profile(path):
    tries = []

    def work() -> None:
        tries.append(1)
        session.execute(TOO_MUCH)

    with warehouse(path, settings=(("memory_limit", "100MB"),)).open() as session:
        with pytest.raises(WarehouseError, match="Out of Memory"):
            in_transaction(session, work)
        assert tries == [1]


def test_a_limit_of_the_profile_is_kept(path):
    with warehouse(path, settings=(("memory_limit", "100MB"),)).open() as session:
        with pytest.raises(WarehouseError, match="Out of Memory") as told:
            session.execute(TOO_MUCH)
        assert "memory_limit" in told.value.hint
        assert limit_of(session) == "95.3 MiB"
