"""The warehouses of the benchmark: a DuckDB file, and a database of a PostgreSQL server that is started for it."""

from __future__ import annotations

import importlib
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import duckdb

from benchmarks import data

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TESTS = Path(__file__).parents[1] / "tests"
"""The server's code is the tests'."""


class Warehouse(Protocol):
    """Where one side keeps its models and its state."""

    database: str
    schema: str

    @property
    def output(self) -> Mapping[str, Any]:
        """The target of the dbt profile."""

    @property
    def address(self) -> str:
        """How the script is told of it."""

    def start_over(self) -> None:
        """Put it back to the models alone."""

    def run(self, *statements: str) -> None:
        """Run statements, one by one."""

    def rows(self, table: str) -> int:
        """Count the rows of a table."""


class DuckDBFile:
    """A copy of a file that holds the models."""

    schema = "main"

    def __init__(self, seed: Path, file: Path) -> None:
        self._seed = seed
        self._file = file
        self.database = file.stem

    @property
    def output(self) -> Mapping[str, Any]:
        """The target of the dbt profile."""
        return {"type": "duckdb", "path": str(self._file)}

    @property
    def address(self) -> str:
        """Its path."""
        return str(self._file)

    def start_over(self) -> None:
        """Copy the file anew."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.with_name(self._file.name + ".wal").unlink(missing_ok=True)
        shutil.copyfile(self._seed, self._file)

    def run(self, *statements: str) -> None:
        """Run statements in a process of their own: a process begins with the peak of its parent."""
        data.run(self._file, *statements)

    def rows(self, table: str) -> int:
        """Count the rows of a table."""
        with duckdb.connect(self.address, read_only=True) as connection:
            found = connection.execute(f"select count(*) from {table}").fetchone()
        return int(found[0]) if found else 0


class PostgresDatabase:
    """A database made from another that holds the models."""

    schema = "main"

    def __init__(self, server: Any, seed: str, name: str) -> None:
        self._server = server
        self._seed = seed
        self.database = name

    @property
    def output(self) -> Mapping[str, Any]:
        """The target of the dbt profile."""
        profile: Mapping[str, Any] = self._server.profile(self.database)
        return profile

    @property
    def address(self) -> str:
        """Its connection string."""
        o = self.output
        return f"postgresql://{o['user']}:{o['password']}@{o['host']}:{o['port']}/{self.database}"

    def start_over(self) -> None:
        """Make the database anew."""
        self._server.drop(self.database)
        self._server.database(self.database, template=self._seed)

    def run(self, *statements: str) -> None:
        """Run statements."""
        for statement in statements:
            self._cursor(statement)

    def rows(self, table: str) -> int:
        """Count the rows of a table."""
        return int(self._cursor(f"select count(*) from {table}").fetchone()[0])

    def _cursor(self, statement: str) -> Any:
        connection = self._server.connect(self.database)
        cursor = connection.cursor()
        cursor.execute(f"set search_path = {self.schema}")
        cursor.execute(statement)
        return cursor


@contextmanager
def duckdb_files(folder: Path, rows: int, *names: str) -> Iterator[list[Warehouse]]:
    """Make a file with the models, and a copy for each side."""
    seed = folder / "seed.duckdb"
    data.run(seed, data.ACCOUNTS.format(rows=rows), data.POINTS.format(rows=rows))
    yield [DuckDBFile(seed, folder / name / "bench.duckdb") for name in names]


@contextmanager
def postgres_databases(_: Path, rows: int, *names: str) -> Iterator[list[Warehouse]]:
    """Start a server, make a database with the models, and a copy for each side."""
    sys.path.append(str(_TESTS))
    server = importlib.import_module("harness.postgres").PostgresServer()
    try:
        seed = PostgresDatabase(server, "template0", "seed")
        seed.start_over()
        made = (data.POSTGRES_ACCOUNTS.format(rows=rows), data.POSTGRES_POINTS.format(rows=rows))
        seed.run(f"create schema {seed.schema}", *made, "vacuum analyze")
        yield [PostgresDatabase(server, seed.database, name) for name in names]
    finally:
        server.remove()


KINDS = {"duckdb": duckdb_files, "postgres": postgres_databases}
