"""Amazon Redshift: a connection made by the dbt adapter, spoken to through Redshift's connector for Python.

What is temporary goes with the session or is dropped by name: Redshift has no `discard`. Nothing waits for locks by a
timeout of its own, so statements that wait for them get one.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from redshift_connector.error import Error, InterfaceError

from planhat_dbt.warehouse.error import WarehouseError
from planhat_dbt.warehouse.grants import grants
from planhat_dbt.warehouse.port import Column, Row
from planhat_dbt.warehouse.redshift_dialect import RedshiftDialect
from planhat_dbt.warehouse.server import ServerSession, ServerWarehouse, portions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_BROKEN: Final = (InterfaceError, OSError, struct.error)
"""What the driver raises where there is no connection any more; an answer that ends half-way cannot be unpacked."""
_DENIED: Final = "42501"
_CANCELLED: Final = "57014"
_MISSING: Final = ("42P01", "3F000")
"""No such table or view, no such schema."""
_SETUP: Final = (
    "set timezone to 'UTC'",
    "set datestyle to 'ISO'",
    "set extra_float_digits to 2",  # so many that a float reads its text back
)
_WAITS: Final = re.compile(r"\s*(lock|drop|alter)\b", re.IGNORECASE)
"""Statements that wait for whoever has the table open, and take little time by themselves."""
_ROWS_AT_ONCE: Final = 1000
"""Rows of one `insert` or `fetch`: a cluster of one node gives no more."""
_MOST_PARAMETERS: Final = 32_767
"""The driver binds no more."""
_MOST_TEXT: Final = 4_000_000
"""Characters of values in one statement, which may have 16 megabytes."""
_LONGEST: Final = 300
"""Characters of a message that are shown."""
_PROBE: Final = "planhat_described"
_CURSOR: Final = "planhat_cursor"
_PARTS: Final = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')
_DESCRIBE: Final = """
select c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid
where {where} and c.relkind in ('r', 'v') and a.attnum > 0 and not a.attisdropped
order by c.relname, a.attnum
"""
"""Columns by table or view; of late-binding views and external tables the catalog knows none."""


@dataclass(slots=True)
class RedshiftConnection:
    """A connection of the driver, and what is known of it."""

    driver: Any
    user: str = ""
    lock_wait: float = 60.0
    scratch: set[str] = field(default_factory=set)
    """Temporary tables that stand on it."""


class RedshiftSession(ServerSession):
    """One connection in use."""

    def __init__(self, connection: RedshiftConnection, dialect: RedshiftDialect, database: str) -> None:
        super().__init__(dialect)
        self._connection = connection
        self._database = database
        self._scratch_before: set[str] = set()

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> None:
        """Run one statement; one that waits for a lock for a while only."""
        if not _WAITS.match(sql):
            self._run(sql, parameters)
            return
        self._run(f"set statement_timeout to {max(int(self._connection.lock_wait * 1000), 1)}")
        try:
            self._run(sql, parameters)
        except WarehouseError as error:
            if _code(error.__cause__) == _CANCELLED:
                raise _locked(error) from error
            raise
        finally:
            with contextlib.suppress(
                WarehouseError
            ):  # after a failure inside a transaction, `_rollback` does it
                self._run("reset statement_timeout")

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Run a query with a small result."""
        return self._fetched(sql, parameters)

    def stream(self, sql: str, size: int) -> Iterator[list[Row]]:
        """Hand out a large result in parts, from a cursor of the server; the driver would fetch it whole."""
        with self.transaction():
            self._run(f"declare {_CURSOR} cursor for {sql}")
            while part := self._fetched(f"fetch forward {min(int(size), _ROWS_AT_ONCE)} from {_CURSOR}"):
                yield part
            self._run(f"close {_CURSOR}")

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Append a few rows, by statements that stay within the limits of parameters and size."""
        for part in portions(rows, min(_ROWS_AT_ONCE, _MOST_PARAMETERS // len(columns)), _MOST_TEXT):
            # A parameter that is NULL has no type, and a column of nothing else would be taken for text.
            filled = [i for i in range(len(columns)) if any(row[i] is not None for row in part)] or [0]
            super().insert(table, [columns[i] for i in filled], [[row[i] for i in filled] for row in part])

    def load(self, name: str, columns: Mapping[str, str], lists: Sequence[Sequence[object]]) -> None:
        """Fill a temporary table by rows."""
        spelt = ", ".join(f"{self._dialect.quote(column)} {kind}" for column, kind in columns.items())
        self._make(name, f"({spelt})")
        self.insert(name, list(columns), list(zip(*lists, strict=True)))

    def scratch(self, name: str, query: str) -> None:
        """Keep a query's result until the session ends."""
        self._make(name, f"as {query}")

    def _make(self, name: str, definition: str) -> None:
        if name in self._connection.scratch:
            self._run(f"drop table {name}")
        self._run(f"create temporary table {name} {definition}")
        self._connection.scratch.add(name)

    def drop_scratch(self) -> None:
        """Drop the temporary tables that stand on the connection."""
        for name in sorted(self._connection.scratch):
            self._run(f"drop table {name}")
        self._connection.scratch.clear()

    def columns(self, relation: str) -> tuple[Column, ...] | None:
        """Describe a table or view; None if it does not exist."""
        database, schema, name = (["", "", *_path(relation)])[-3:]
        if database.lower() in ("", self._database.lower()) and schema:
            where = f"n.nspname = {self._dialect.placeholder} and c.relname = {self._dialect.placeholder}"
            # A name with capitals is kept in small letters, unless the cluster's settings say otherwise.
            for spelling in dict.fromkeys(((schema, name), (schema.lower(), name.lower()))):
                if found := self._described(where, spelling):
                    return next(iter(found.values()))
        return self._probed(relation)

    def _probed(self, relation: str) -> tuple[Column, ...] | None:
        """Describe what a query of it gives: of late-binding views, external tables, and those of other databases."""
        probe = f"{_PROBE}_{secrets.token_hex(8)}"  # the catalog shows those of other sessions, too
        try:
            self._run(f"create temporary table {probe} as select * from {relation} limit 0")
        except WarehouseError as error:
            if _code(error.__cause__) in _MISSING:
                return None
            raise
        found = self._described(f"c.relname = {self._dialect.placeholder}", [probe])
        self._run(f"drop table {probe}")
        return found.get(probe, ())

    def tables(self, database: str, schema: str) -> dict[str, tuple[Column, ...]]:
        """Describe all tables of a schema, by name; empty if there is no such schema."""
        del database  # a connection writes to one
        mark = self._dialect.placeholder
        return self._described(f"n.nspname in ({mark}, {mark})", [schema, schema.lower()])

    def _described(self, where: str, parameters: Sequence[object]) -> dict[str, tuple[Column, ...]]:
        found: dict[str, list[Column]] = {}
        for table, name, printed in self.rows(_DESCRIBE.format(where=where), parameters):
            found.setdefault(table, []).append(Column(name, printed, self._dialect.kind(printed)))
        return {table: tuple(columns) for table, columns in found.items()}

    def lock(self, table: str) -> None:
        """Keep other sessions from a table until the transaction ends, from reading it, too: there is one lock."""
        self.execute(f"lock table {table}")

    def index(self, table: str, *columns: str) -> None:
        """Nothing: Redshift has none, and finds a table's order and distribution by itself."""

    def wait_for_locks(self, seconds: float) -> None:
        """Say how long statements wait for another session to let go of a table."""
        self._connection.lock_wait = seconds

    def _begin(self) -> None:
        self._scratch_before = set(self._connection.scratch)
        self._run("begin")

    def _commit(self) -> None:
        try:
            self._run("commit")
        except WarehouseError:  # a conflict may be found as late as here
            with contextlib.suppress(WarehouseError):
                self._rollback()
            raise

    def _rollback(self) -> None:
        self._run("rollback")
        self._run("reset statement_timeout")
        self._connection.scratch = self._scratch_before

    def _run(self, sql: str, parameters: Sequence[object] = ()) -> None:
        with self._cursor() as cursor:
            _send(cursor, sql, parameters)

    def _fetched(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        with self._cursor() as cursor:
            _send(cursor, sql, parameters)
            return [tuple(row) for row in cursor.fetchall()]

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[Any]:
        try:
            with self._connection.driver.cursor() as cursor:
                yield cursor
        except (Error, *_BROKEN) as error:
            raise self._refusal(error) from error

    def _refusal(self, error: Exception) -> WarehouseError:
        message = _message(error)
        if isinstance(error, _BROKEN):
            return WarehouseError(
                f"the connection broke ({message})",
                hint="Run the command again when the server answers; whatever was sent is compared anew.",
            )
        if "serializable isolation violation" in message.lower():
            return WarehouseError(
                message,
                hint="Another session wrote to the same tables at the same time. Run the command again; whatever was "
                "sent is compared anew.",
            )
        if _code(error) == _DENIED:
            return WarehouseError(
                message, hint=grants(message, self._connection.user, self._database, self._dialect)
            )
        return WarehouseError(message)


class RedshiftWarehouse(ServerWarehouse[RedshiftConnection, RedshiftSession]):
    """A Redshift database, of a cluster or serverless."""

    dialect = RedshiftDialect()

    def __init__(self, database: str, connect: Callable[[], Any], *, lock_wait: float = 60.0) -> None:
        """Make one; nothing is connected yet.

        Args:
            database: Its name, as the profile has it.
            connect: Makes a new connection of the driver; raises what tells why it cannot.
            lock_wait: Seconds that a statement waits for another session to let go of a table.
        """
        super().__init__(database, lambda: RedshiftConnection(connect()), lock_wait=lock_wait)

    def _session(self, connection: RedshiftConnection) -> RedshiftSession:
        return RedshiftSession(connection, self.dialect, self.database)

    def _set_up(self, connection: RedshiftConnection) -> None:
        driver = connection.driver
        try:
            driver.rollback()  # whatever the adapter began
        except (Error, *_BROKEN) as error:
            raise WarehouseError(_message(error)) from error
        driver.autocommit = True
        driver.max_prepared_statements = 0  # a plan that is kept would go on with tables that were dropped
        session = self._session(connection)
        for statement in _SETUP:
            session.execute(statement)
        ((connection.user,),) = session.rows("select current_user")

    def _answers(self, connection: RedshiftConnection) -> bool:
        try:
            self._session(connection).rows("select 1")
        except WarehouseError:
            return False
        return True

    def _tidy(self, connection: RedshiftConnection) -> bool:
        session = self._session(connection)
        try:
            session.execute("rollback")  # a warning where there is nothing to take back
            session.drop_scratch()
        except WarehouseError:
            return False
        return True

    def _close(self, connection: RedshiftConnection) -> None:
        with contextlib.suppress(Error, *_BROKEN):
            connection.driver.close()


def _path(relation: str) -> list[str]:
    """The parts of a name as dbt writes it, each in quotes or plain; what is plain is kept in small letters."""
    return [
        quoted.replace('""', '"') if quoted else plain.strip().lower()
        for quoted, plain in _PARTS.findall(relation)
    ]


def _send(cursor: Any, sql: str, parameters: Sequence[object]) -> None:
    """Run a statement as it is: of percent signs, the driver looks at those outside of quotes only."""
    if parameters:
        cursor.execute(sql, [_storable(value) for value in parameters])
    else:
        cursor.execute(sql)


def _storable(value: object) -> object:
    """A value without NUL characters, which Redshift keeps in no text."""
    return value.replace("\0", "") if isinstance(value, str) else value


def _told(error: BaseException | None) -> dict[str, str]:
    """What the server said, by the letters of its protocol; empty where the driver itself speaks."""
    told = error.args[0] if isinstance(error, Error) and error.args else None
    return told if isinstance(told, dict) else {}


def _code(error: BaseException | None) -> str:
    return _told(error).get("C", "")


def _message(error: Exception) -> str:
    """Message and detail in one line: of a conflict the message is a number, and the detail says what it means."""
    told = _told(error)
    if not told:
        return " ".join(str(error).split())[:_LONGEST] or type(error).__name__
    detail = " ".join(told.get("D", "").replace("-" * 47, "").split())
    message = " ".join(told.get("M", "").split())
    return (f"{message}: {detail}" if detail else message)[:_LONGEST]


def _locked(error: WarehouseError) -> WarehouseError:
    return WarehouseError(
        f"{error.reason}: another session has a table of ours open",
        hint="Look who it is: select txn_owner, pid, lock_mode, granted from svv_transactions; end that session with "
        "pg_terminate_backend(pid), then run the command again.",
    )
