"""Snowflake: a connection made by the dbt adapter, spoken to through Snowflake's connector."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from snowflake.connector.errors import Error

from planhat_dbt.warehouse.error import WarehouseError
from planhat_dbt.warehouse.port import Column, Row
from planhat_dbt.warehouse.prepared import PreparedConnection, PreparedSession
from planhat_dbt.warehouse.server import ServerWarehouse
from planhat_dbt.warehouse.snowflake_dialect import SnowflakeDialect, folded, type_name, unquoted
from planhat_dbt.warehouse.text import escaped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_MISSING: Final = 2003
"""Does not exist, or the role may not see it."""
_DENIED: Final = 3001
_SETUP: Final = (
    "alter session set timezone = 'UTC'",
    "alter session set quoted_identifiers_ignore_case = false",
)
_LONGEST: Final = 300
"""Characters of a message that are shown; it may go on with the statement."""


@dataclass(slots=True, kw_only=True)
class SnowflakeConnection(PreparedConnection):
    """A connection of the driver, and what of ours stands on it."""

    driver: Any


class SnowflakeSession(PreparedSession):
    """One connection in use."""

    def __init__(
        self,
        connection: SnowflakeConnection,
        dialect: SnowflakeDialect,
        scratch: Mapping[str, Mapping[str, str]],
        schema: str,
    ) -> None:
        super().__init__(connection, dialect, scratch)
        self._connection = connection
        self._schema = schema

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Run a query with a small result."""
        with self._told(), self._connection.driver.cursor() as cursor:
            _execute(cursor, *_bound(sql, parameters))
            return [tuple(row) for row in cursor.fetchall()]

    def stream(self, sql: str, size: int) -> Iterator[list[Row]]:
        """Hand out a large result in parts; the driver fetches it in parts, too."""
        with self._told(), self._connection.driver.cursor() as cursor:
            _execute(cursor, sql)
            while part := cursor.fetchmany(size):
                yield [tuple(row) for row in part]

    def _make(self, sql: str) -> None:
        # Scratch tables stand in the schema of the session: that of the state tables, where we may make some.
        if not self._begun:
            self._run(f"use schema {self._schema}")
        super()._make(sql)

    def columns(self, relation: str) -> tuple[Column, ...] | None:
        """Describe a table or view; None if it does not exist."""
        try:
            found = self.rows(f"describe table {relation}")
        except WarehouseError as error:
            if getattr(error.__cause__, "errno", None) == _MISSING:
                return None
            raise
        return tuple(self._column(name, type_name(printed)) for name, printed, *_ in found)

    def tables(self, database: str, schema: str) -> dict[str, tuple[Column, ...]]:
        """Describe all tables of a schema, by name; empty if there is no such schema."""
        rows = self.rows(
            "select table_name, column_name, data_type, numeric_precision, numeric_scale "
            f"from {self._dialect.quote(database)}.information_schema.columns "
            f"where table_schema = {self._dialect.placeholder} order by table_name, ordinal_position",
            [folded(schema)],
        )
        found: dict[str, list[Column]] = {}
        for table, name, kind, precision, scale in rows:
            printed = f"NUMBER({precision},{scale})" if kind == "NUMBER" else type_name(kind)
            found.setdefault(folded(table), []).append(self._column(name, printed))
        return {table: tuple(columns) for table, columns in found.items()}

    def _column(self, name: str, printed: str) -> Column:
        printed = "VARCHAR" if printed == "TEXT" else printed
        return Column(folded(name), printed, self._dialect.kind(printed))

    def lock(self, table: str) -> None:
        """Change a row of `meta` that all runs share: there is no other lock, and a statement waits for it."""
        self.execute(f"update {table} set setting = setting where setting = 'schema_version'")

    def index(self, table: str, *columns: str) -> None:
        """Nothing: Snowflake has none, and needs none."""

    def wait_for_locks(self, seconds: float) -> None:
        """Say how long statements wait for another session to let go of a table."""
        self._run(f"alter session set lock_timeout = {max(int(seconds), 1)}")

    def _begin(self) -> None:
        """As ever, but there may be no schema yet: the first transactions make it."""
        with contextlib.suppress(WarehouseError):
            super()._begin()

    def _run(self, sql: str, parameters: Sequence[object] = ()) -> None:
        with self._told(), self._connection.driver.cursor() as cursor:
            _execute(cursor, *_bound(sql, parameters))

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except Error as error:
            raise _refusal(error) from error


class SnowflakeWarehouse(ServerWarehouse[SnowflakeConnection, SnowflakeSession]):
    """A Snowflake database."""

    dialect = SnowflakeDialect()

    def __init__(
        self,
        database: str,
        connect: Callable[[], Any],
        scratch: Mapping[str, Mapping[str, str]],
        schema: str,
        *,
        lock_wait: float = 60.0,
    ) -> None:
        """Make one; nothing is connected yet.

        Args:
            database: Its name, as the profile has it.
            connect: Makes a new connection; raises what tells why it cannot.
            scratch: The scratch tables that are filled inside transactions.
            schema: The schema of the state tables.
            lock_wait: Seconds that a statement waits for another session to let go of a table.
        """
        super().__init__(
            unquoted(database), lambda: SnowflakeConnection(driver=connect()), lock_wait=lock_wait
        )
        quote = self.dialect.quote
        self._scratch = scratch
        self._schema = f"{quote(self.database)}.{quote(schema)}"

    def _session(self, connection: SnowflakeConnection) -> SnowflakeSession:
        return SnowflakeSession(connection, self.dialect, self._scratch, self._schema)

    def _set_up(self, connection: SnowflakeConnection) -> None:
        session = self._session(connection)
        for statement in _SETUP:
            session.execute(statement)

    def _answers(self, connection: SnowflakeConnection) -> bool:
        try:
            self._session(connection).rows("select 1")
        except WarehouseError:
            return False
        return True

    def _tidy(self, connection: SnowflakeConnection) -> bool:
        return not connection.driver.is_closed()

    def _close(self, connection: SnowflakeConnection) -> None:
        with contextlib.suppress(Error):
            connection.driver.close()


def _execute(cursor: Any, *statement: Any) -> None:
    """Run a statement to its end, whatever signal comes meanwhile.

    In the main thread the driver sets a handler for SIGINT that cancels the statement: what had been sent to Planhat
    would go unrecorded. Ours only says that the run ends.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="planhat-dbt-statement") as thread:
        thread.submit(cursor.execute, *statement).result()


def _bound(sql: str, parameters: Sequence[object]) -> tuple[Any, ...]:
    return (escaped(sql), list(parameters)) if parameters else (sql,)


def _refusal(error: Error) -> WarehouseError:
    message = " ".join(str(error).split())[:_LONGEST]
    hint = ""
    if error.errno == _DENIED:
        hint = (
            "Let an owner run, for the role of the profile: grant usage, create schema on database …; "
            "grant select on all tables in schema …; (state tables belong to the role that runs planhat-dbt)"
        )
    return WarehouseError(message, hint=hint)
