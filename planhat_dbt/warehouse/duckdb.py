"""DuckDB, opened natively: no dbt import, and the file is not held while a call is under way.

DuckDB lets one process write at a time. A file locked by another program is waited for; then the message names
the program and its PID (dbt-notes §5).
"""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager, suppress
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb

from planhat_dbt.errors import FailedError, UsageError
from planhat_dbt.warehouse.duckdb_dialect import DuckDBDialect
from planhat_dbt.warehouse.duckdb_memory import MemoryLimit, is_shortage
from planhat_dbt.warehouse.error import MemoryShortageError, WarehouseError, first_line
from planhat_dbt.warehouse.port import Column, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from planhat_dbt.warehouse.profile import DuckDBTarget

_HOLDER: Final = re.compile(r"Conflicting lock is held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")
_RETRY_SECONDS: Final = 0.2
_CHECKPOINT: Final = "wal_autocheckpoint"
_CHECKPOINT_SIZE: Final = "256MB"
"""Of writes that wait in DuckDB's log: by default every 16 MB are moved into the file, which slows each commit down."""


_MOST_PARTS: Final = 8
"""Into which lists are cut to be handed in."""
_DESCRIBED_AT_ONCE: Final = 50
"""Tables."""
_CHANGES_TABLES: Final = re.compile(r"\s*(create|alter|drop)\b", re.IGNORECASE)


class DuckDBSession:
    """One DuckDB connection in use."""

    lease_settles = 0.0
    takes_back = True

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        dialect: DuckDBDialect,
        memory: MemoryLimit,
        *,
        alone: bool = False,
    ) -> None:
        """Wrap a connection.

        Args:
            connection: DuckDB's.
            dialect: Its dialect.
            memory: The limit of the file.
            alone: Whether no other process can change a table while the session is open.
        """
        self._connection = connection
        self._dialect = dialect
        self._memory = memory
        self._in_transaction = False
        self._alone = alone
        self._described: dict[tuple[str, str], dict[str, tuple[Column, ...]]] = {}

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> None:
        """Run one statement."""
        with _named_failures():
            self._run(self._connection, sql, parameters)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Run a query with a small result."""
        with _named_failures():
            return self._run(self._connection, sql, parameters, fetch=True)

    def _run(
        self,
        connection: duckdb.DuckDBPyConnection,
        sql: str,
        parameters: Sequence[object] = (),
        *,
        fetch: bool = False,
    ) -> list[Row]:
        if _CHANGES_TABLES.match(sql):
            self._described.clear()
        while True:
            try:
                found = connection.execute(sql, list(parameters) or None)
                return found.fetchall() if fetch else []
            except (duckdb.OutOfMemoryException, duckdb.TransactionException) as error:
                if self._in_transaction or not is_shortage(error) or not self._memory.raised(connection):
                    raise

    def stream(self, sql: str, size: int) -> Iterator[list[Row]]:
        """Hand out a large result in parts, on a cursor of its own (results of one connection end each other)."""
        cursor = self._connection.cursor()
        try:
            with _named_failures():
                cursor.execute("set timezone = 'UTC'")
                self._run(cursor, sql)
                while part := cursor.fetchmany(size):
                    yield part
        except MemoryShortageError as error:  # of the later parts
            self._raise_memory(error)
            raise
        finally:
            cursor.close()

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Append a few rows with one statement each thousand."""
        names = ", ".join(self._dialect.quote(c) for c in columns)
        slots = "(" + ", ".join("?" * len(columns)) + ")"
        for start in range(0, len(rows), 1000):
            part = rows[start : start + 1000]
            values = ", ".join([slots] * len(part))
            self.execute(f"insert into {table} ({names}) values {values}", [v for row in part for v in row])

    def load(self, name: str, columns: Mapping[str, str], lists: Sequence[Sequence[object]]) -> None:
        """Bind one list per column and unnest them side by side; what is alike in a part of the rows is bound once."""
        queries: list[str] = []
        bound: list[object] = []
        for part in _parts(lists):
            alike = [len(values) > 1 and values.count(values[0]) == len(values) for values in part]
            if all(alike):  # then nothing would say how many rows there are
                alike = [False] * len(part)
            slots = zip(columns.items(), alike, strict=True)
            selected = (
                f"{f'cast(? as {kind})' if same else f'unnest(cast(? as {kind}[]))'} as {column}"
                for (column, kind), same in slots
            )
            queries.append(f"select {', '.join(selected)}")
            bound += [values[0] if same else values for values, same in zip(part, alike, strict=True)]
        self.execute(f"create or replace temp table {name} as {' union all '.join(queries)}", bound)

    def scratch(self, name: str, query: str) -> None:
        """Keep a query's result until the session ends."""
        self.execute(f"create or replace temp table {name} as {query}")

    def columns(self, relation: str) -> tuple[Column, ...] | None:
        """Describe a table or view; None if it does not exist."""
        try:
            found = self._connection.execute(f"describe select * from {relation}").fetchall()
        except duckdb.CatalogException:
            return None
        except duckdb.BinderException as error:
            if "does not exist" in str(error):
                return None
            raise WarehouseError(first_line(error)) from error
        except duckdb.Error as error:
            raise WarehouseError(first_line(error)) from error
        return tuple(Column(name, kind, self._dialect.kind(kind)) for name, kind, *_ in found)

    def tables(self, database: str, schema: str) -> dict[str, tuple[Column, ...]]:
        """Describe all tables of a schema, by name; empty if there is no such schema."""
        place = database, schema
        if self._in_transaction or not self._alone:
            return self._describe(*place)
        if place not in self._described:
            self._described[place] = self._describe(*place)
        return dict(self._described[place])

    def _describe(self, database: str, schema: str) -> dict[str, tuple[Column, ...]]:
        names = self.rows(
            "select database_name, schema_name, table_name from duckdb_tables() "
            "where lower(database_name) = lower(?) and lower(schema_name) = lower(?) order by table_name",
            [database, schema],
        )
        found: dict[str, list[Column]] = {table: [] for *_, table in names}
        for start in range(0, len(names), _DESCRIBED_AT_ONCE):
            part = names[start : start + _DESCRIBED_AT_ONCE]
            described = self.rows(" union all ".join(map(self._describing, part)))
            for table, _, name, kind in sorted(described, key=itemgetter(0, 1)):
                found[table].append(Column(name, kind, self._dialect.kind(kind)))
        return {table: tuple(columns) for table, columns in found.items()}

    def _describing(self, path: Row) -> str:
        """A query of a table's columns: `duckdb_columns()` reads all views there are, DuckDB's own 50 included."""
        table, place = self._dialect.literal(path[-1]), ".".join(self._dialect.quote(part) for part in path)
        return f"select {table}, cid, name, type from pragma_table_info({self._dialect.literal(place)})"

    def lock(self, table: str) -> None:
        """Nothing to do: one process writes, and of two transactions that meet, one fails."""

    def index(self, table: str, *columns: str) -> None:
        """Nothing to do: a scan is as quick."""

    def finish(self) -> None:
        """Nothing to do: what was not committed is gone."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done inside, or nothing of it."""
        with _named_failures():
            self._connection.begin()
        self._in_transaction = True
        try:
            yield
        except BaseException as error:
            with suppress(duckdb.Error):  # dead after a fatal error
                self._connection.rollback()
            self._raise_memory(error)
            raise
        finally:
            self._in_transaction = False
        try:
            with _named_failures():
                self._connection.commit()
        except MemoryShortageError as error:
            self._raise_memory(error)
            raise

    def _raise_memory(self, error: BaseException) -> None:
        if isinstance(error, MemoryShortageError) and not error.again:
            error.again = self._memory.raised(self._connection)


class DuckDBWarehouse:
    """A DuckDB file, taken and given back with each `open`, or with each `release` while it is `kept`."""

    def __init__(
        self,
        target: DuckDBTarget,
        *,
        lock_wait: float = 60.0,
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        self.dialect = DuckDBDialect(remote=target.remote)
        self._target = target
        self._lock_wait = lock_wait
        self._on_wait = on_wait
        self.database = target.database
        told = [*dict(target.settings), *target.setup]
        self._memory = MemoryLimit(told, remote=target.remote)
        self._guard = threading.Lock()
        self._taken: duckdb.DuckDBPyConnection | None = None
        self._in_use = 0
        self._keeps = False
        self._leaving: threading.Timer | None = None

    @contextmanager
    def open(self) -> Iterator[DuckDBSession]:
        """Connect, waiting for other writers."""
        with self._guard:
            self._stay()
            taken = self._taken = self._taken or self._take()
            self._in_use += 1
        failed = True
        try:
            with _named_failures():
                connection = taken.cursor()
                connection.execute("set timezone = 'UTC'")
            try:
                yield DuckDBSession(connection, self.dialect, self._memory, alone=not self._target.remote)
                failed = False
            finally:
                connection.close()
        finally:
            with self._guard:
                self._in_use -= 1
                if failed or not self._keeps:  # a fatal error ends a connection: the next one is to be new
                    self._let_go()

    @contextmanager
    def spare(self) -> Iterator[DuckDBSession | None]:
        """Connect unless a session is open, which holds the file; nobody else can open one until this one ends."""
        with self._guard:
            if self._in_use:
                yield None
                return
            held = self._taken is not None
            taken = self._taken = self._taken or self._take(patient=False)
            try:
                yield DuckDBSession(taken, self.dialect, self._memory)
            finally:
                if not held:
                    self._let_go()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Opening takes longer than most of what we do: hold the file from one `open` to the next `release`."""
        self._keeps = True
        try:
            yield
        finally:
            self._keeps = False
            self.release()

    def release(self, after: float = 0.0) -> None:
        """Give the file back, unless a session is open: now, or if none is opened for so many seconds."""
        with self._guard:
            if after and self._taken and not self._leaving:
                self._leaving = threading.Timer(after, self.release)
                self._leaving.daemon = True
                self._leaving.start()
            elif not after:
                self._stay()
                self._let_go()

    def _stay(self) -> None:
        if self._leaving:
            self._leaving.cancel()
            self._leaving = None

    def _let_go(self) -> None:
        if self._taken and not self._in_use:
            self._taken.close()
            self._taken = None

    def _take(self, *, patient: bool = True) -> duckdb.DuckDBPyConnection:
        connection = self._connect(self._lock_wait if patient else 0.0)
        try:
            with _named_failures():
                if _CHECKPOINT not in dict(self._target.settings):
                    connection.execute(f"set {_CHECKPOINT} = '{_CHECKPOINT_SIZE}'")
                self._memory.apply(connection)
                for statement in self._target.setup:
                    connection.execute(statement)
                _compare_exactly(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self, lock_wait: float) -> duckdb.DuckDBPyConnection:
        path = self._target.path
        if not self._target.remote and not Path(path).exists():
            raise UsageError(
                f"The DuckDB file {path} does not exist.",
                hint="Build the models first with `dbt build`, or name the right target with --target.",
            )
        give_up = time.monotonic() + lock_wait
        told = False
        while True:
            try:
                return duckdb.connect(path, config=dict[str, Any](self._target.settings))
            except duckdb.IOException as error:
                if "lock" not in str(error).lower():
                    raise FailedError(
                        f"DuckDB cannot open {path}: {first_line(error)}", hint=_why_not_opened(error)
                    ) from error
                if time.monotonic() >= give_up:
                    raise FailedError(
                        f"{path} is locked by {_holder(error)}.",
                        hint="DuckDB lets one process write at a time: close that program (a BI tool, a notebook, "
                        "a dbt run still going) and run the command again; whatever was sent is compared anew.",
                    ) from error
                if not told and self._on_wait:
                    self._on_wait(f"{path} is locked by {_holder(error)}; waiting up to {lock_wait:g} s")
                told = True
                time.sleep(_RETRY_SECONDS)
            except duckdb.Error as error:
                raise FailedError(f"DuckDB cannot open {path}: {first_line(error)}") from error


def _why_not_opened(error: duckdb.IOException) -> str:
    if "version" in str(error):
        return "It was written by a newer DuckDB, which it needs: `pip install -U duckdb`."
    return "See that `path` in the profile is the file that dbt builds, and that you may read and write it."


def _parts(lists: Sequence[Sequence[object]]) -> Iterator[list[list[object]]]:
    """Cut lists where the first one changes, if it does so only a few times, as the numbers of batches do."""
    lengths = [len(list(run)) for _, run in groupby(lists[0])]
    if not lengths or len(lengths) > _MOST_PARTS:
        lengths = [len(lists[0])]
    start = 0
    for length in lengths:
        yield [list(values[start : start + length]) for values in lists]
        start += length


def _compare_exactly(connection: duckdb.DuckDBPyConnection) -> None:
    """Take back a default collation of the profile: by it, columns of ours would be compared, too."""
    ((collation,),) = connection.execute("select current_setting('default_collation')").fetchall()
    if collation:
        connection.execute("set default_collation = ''")


@contextmanager
def _named_failures() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        if is_shortage(error):
            raise MemoryShortageError(
                first_line(error),
                hint="Give DuckDB more memory: `config_options: {memory_limit: 2GB}` in the profile's output; "
                "or fewer `threads`.",
            ) from error
        raise WarehouseError(first_line(error)) from error


def _holder(error: duckdb.IOException) -> str:
    found = _HOLDER.search(str(error))
    if not found:
        return "another program"
    return f"{Path(found['program']).name} (PID {found['pid']})"
