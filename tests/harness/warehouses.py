"""The warehouses that a test project can stand on: a DuckDB file, or a database of a PostgreSQL server.

Tests speak DuckDB's SQL; for PostgreSQL it is translated. `PLANHAT_DBT_TEST_ON=postgres` puts every project there,
`snowflake` and `bigquery` on an emulator, `redshift` on a stand-in that is PostgreSQL, `steps` on DuckDB files that are
written without transactions.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

import duckdb
import sqlglot

from harness.postgres import server
from planhat_dbt.warehouse.dbt_adapter import Adapter
from planhat_dbt.warehouse.duckdb import DuckDBSession, DuckDBWarehouse
from planhat_dbt.warehouse.port import Session
from planhat_dbt.warehouse.port import Warehouse as Opened
from planhat_dbt.warehouse.postgres import PostgresSession, PostgresWarehouse
from planhat_dbt.warehouse.profile import AdapterTarget, DuckDBTarget

ON: Final = os.environ.get("PLANHAT_DBT_TEST_ON", "duckdb")
ALL: Final = ON != "duckdb" or os.environ.get("PLANHAT_DBT_TEST_ALL") == "1"
"""Whether all of each matrix runs (see `harness.share`)."""
DATABASE: Final = "shop"
_REPLACED: Final = re.compile(
    r'^\s*create or replace (temp )?(table|view) ("(?:[^"]|"")+"|[\w.]+)', re.IGNORECASE
)

_RANGE: Final = (
    "create function public.range(integer, integer default null) returns setof integer language sql immutable as "
    "'select generate_series(case when $2 is null then 0 else $1 end, coalesce($2, $1) - 1)'"
)
"""DuckDB's `range`."""

_WIDE: Final = re.compile(r"\b(U?INT128|UINT64|BIGNUM)\b")
_SMALL: Final = re.compile(r"\bU(TINYINT|SMALLINT)\b")
"""Types that PostgreSQL lacks."""


class Warehouse(Protocol):
    """Where the tables of a test project are."""

    database: str
    session: type[Session]
    """The class of what a run opens."""

    @property
    def profile(self) -> dict[str, Any]:
        """The target of the dbt profile."""

    @property
    def opened(self) -> Opened:
        """The same warehouse as a run opens it."""

    def connect(self) -> contextlib.AbstractContextManager[Any]:
        """Connect; the connection has `execute` and `executemany` as DuckDB's."""

    def relation(self, model: str) -> str:
        """A model's name as dbt writes it."""

    def save(self) -> None:
        """Keep what it holds now."""

    def restore(self) -> None:
        """Put it back to what it held then."""


class DuckDBFile:
    """A DuckDB file of the project's folder."""

    session = DuckDBSession

    def __init__(self, file: Path) -> None:
        self.file = file
        self.database = file.stem
        self._keeps = not ALL

    @property
    def profile(self) -> dict[str, Any]:
        return {"type": "duckdb", "path": str(self.file), "threads": 1}

    @property
    def opened(self) -> DuckDBWarehouse:
        return DuckDBWarehouse(DuckDBTarget("dev", str(self.file), self.database), lock_wait=5.0)

    def relation(self, model: str) -> str:
        return f'"{self.database}"."main"."{model}"'

    def save(self) -> None:
        leave()
        shutil.copyfile(self.file, self.file.with_suffix(".saved"))

    def restore(self) -> None:
        leave()
        self.file.with_suffix(".duckdb.wal").unlink(missing_ok=True)
        shutil.copyfile(self.file.with_suffix(".saved"), self.file)

    @contextlib.contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Connect; waits for a run that holds the file."""
        connection = _open(self.file).cursor()
        try:
            connection.execute("set timezone = 'UTC'")
            yield connection
        finally:
            connection.close()
            if not self._keeps:
                leave()

    def share(self) -> None:
        """Close the file, from now on after each use: other processes want it, or this one opens it in another way."""
        self._keeps = False
        leave()


_opened: dict[Path, duckdb.DuckDBPyConnection] = {}


def _open(file: Path) -> duckdb.DuckDBPyConnection:
    """Open a file, and no other: it stays open in this process, where a command then need not open it again.

    That is a fifth of what most tests take. With `make test-all` each command opens and closes the file.
    """
    if file not in _opened:
        leave()
        give_up = time.monotonic() + 10
        while file not in _opened:
            try:
                _opened[file] = duckdb.connect(file)
                if not ALL:  # small tables gain nothing by more, and other tests want the processors
                    _opened[file].execute("set threads = 1")
            except duckdb.IOException:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.02)
    return _opened[file]


def leave() -> None:
    """Close the file that is open, for another process to open it."""
    while _opened:
        _opened.popitem()[1].close()


class PostgresDatabase:
    """A database of this test process's server; dbt's schema is `main`, as on DuckDB."""

    session = PostgresSession

    def __init__(self) -> None:
        self._saved = ""
        self.database = server().database()
        with self.connect() as connection:
            connection.execute("create schema if not exists main")
            connection.raw(_RANGE)

    @property
    def profile(self) -> dict[str, Any]:
        return server().profile(self.database)

    @property
    def opened(self) -> PostgresWarehouse:
        adapter = Adapter(AdapterTarget("dev", "postgres", self.profile))
        return PostgresWarehouse(adapter.database, adapter.connect)

    def relation(self, model: str) -> str:
        return f'"{self.database}"."main"."{model}"'

    def save(self) -> None:
        self._saved = server().database(template=self.database)

    def restore(self) -> None:
        server().drop(self.database)
        server().database(self.database, template=self._saved)

    @contextlib.contextmanager
    def connect(self) -> Iterator[Translated]:
        connection = server().connect(self.database)
        try:
            cursor = connection.cursor()
            cursor.execute("set search_path = main, public")
            yield Translated(cursor)
        finally:
            connection.close()


class Translated:
    """A PostgreSQL cursor that takes DuckDB's statements, and answers as DuckDB's connection."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def execute(self, sql: str, parameters: Any = None) -> Any:
        """Run statements, translated."""
        for statement in translated(sql):
            if parameters:
                self._cursor.execute(statement, parameters)  # sqlglot writes `%s` for `?`
            else:
                self._cursor.execute(statement)
        return self._cursor

    def raw(self, sql: str) -> None:
        """Run a statement as it is."""
        self._cursor.execute(sql)

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for many rows."""
        for row in rows:
            self.execute(sql, row)


@lru_cache(maxsize=4096)
def translated(sql: str) -> tuple[str, ...]:
    """A statement in PostgreSQL's words."""
    found = _REPLACED.match(sql)
    before = ()
    if found:
        kind, name = found[2].lower(), found[3]
        before = (f"drop {kind} if exists {name} cascade",)
        sql = f"create {kind} {name}{sql[found.end() :]}"
    if not found and sql.lstrip().lower().startswith(
        ("create schema", "drop schema", "create role", "grant", "set ")
    ):
        return (sql,)
    statements = sqlglot.transpile(sql, read="duckdb", write="postgres")
    return (
        *before,
        *(_WIDE.sub("numeric", _SMALL.sub("smallint", s)).replace("ARRAY[]", "'{}'") for s in statements),
    )


@contextlib.contextmanager
def holder(file: Path) -> Iterator[Callable[[], int]]:
    """Another program, begun already, that opens a DuckDB file when it is told to, and keeps it.

    Gives what tells it, which gives its process id.
    """
    steps = [
        "sys.stdin.readline()",
        f"c = duckdb.connect({str(file)!r})",
        "print(flush=True)",
        "sys.stdin.read()",
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", "; ".join(["import duckdb, sys", "print(flush=True)", *steps])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    told, heard = process.stdin, process.stdout
    assert told
    assert heard
    heard.readline()

    def open_file() -> int:
        leave()
        told.write("\n")
        told.flush()
        heard.readline()
        return process.pid

    try:
        yield open_file
    finally:
        process.communicate()


@contextlib.contextmanager
def held(file: Path) -> Iterator[int]:
    """Another program opens a DuckDB file and keeps it; gives its process id."""
    with holder(file) as open_file:
        yield open_file()


def warehouse(directory: Path, on: str | None = None) -> Warehouse:
    """A new, empty warehouse."""
    match on or ON:
        case "postgres":
            return PostgresDatabase()
        case "snowflake":
            from harness.emulated_snowflake import SnowflakeDatabase  # noqa: PLC0415 - its connector is in an environment of its own

            return SnowflakeDatabase()
        case "bigquery":
            from harness.emulated_bigquery import BigQueryProject  # noqa: PLC0415 - its client is in an environment of its own

            return BigQueryProject()
        case "redshift":
            from harness.translated_redshift import RedshiftDatabase  # noqa: PLC0415 - it makes errors of a driver that is not there

            return RedshiftDatabase()
        case "trino":
            from harness.translated_trino import TrinoCatalog  # noqa: PLC0415 - a second, of which few tests need it

            return TrinoCatalog()
        case "databricks":
            from harness.translated_spark import DatabricksCatalog  # noqa: PLC0415 - likewise

            return DatabricksCatalog()
        case "spark":
            from harness.spark_engine import SparkSchemas  # noqa: PLC0415 - Spark is in an environment of its own

            return SparkSchemas()
        case "steps":
            from harness.stepwise import StepwiseFile  # noqa: PLC0415 - it stands on this module

            file: DuckDBFile = StepwiseFile(directory / f"{DATABASE}.duckdb")
        case _:
            file = DuckDBFile(directory / f"{DATABASE}.duckdb")
    with file.connect():
        return file
