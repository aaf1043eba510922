"""PostgreSQL: a connection made by the dbt adapter, spoken to through psycopg2 (dbt-notes §4).

The adapter connects, so every setting of the profile counts; its begin and commit are not used, as they do not make
transactions.
"""

from __future__ import annotations

import contextlib
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import psycopg2

from planhat_dbt.warehouse.error import WarehouseError, first_line
from planhat_dbt.warehouse.grants import grants
from planhat_dbt.warehouse.port import Column, ColumnKind, Row
from planhat_dbt.warehouse.postgres_dialect import PostgresDialect
from planhat_dbt.warehouse.server import ServerSession, ServerWarehouse
from planhat_dbt.warehouse.text import escaped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

_DENIED: Final = "42501"
_LOCKED: Final = "55P03"
_SETUP: Final = (
    "set timezone = 'UTC'",
    "set datestyle = 'ISO'",
    "set intervalstyle = 'postgres'",
    "set standard_conforming_strings = on",
    "set extra_float_digits = 1",
)
_DESCRIBE: Final = """
with recursive described as (
  select c.relname, a.attnum, a.attname, a.atttypid as type, a.atttypmod as modifier
  from pg_catalog.pg_class c join pg_catalog.pg_attribute a on a.attrelid = c.oid
  where {where} and c.relkind in ('r', 'v', 'm', 'p', 'f') and a.attnum > 0 and not a.attisdropped
), based as (
  select * from described
  union all
  select b.relname, b.attnum, b.attname, t.typbasetype, t.typtypmod
  from based b join pg_catalog.pg_type t on t.oid = b.type where t.typtype = 'd'
)
select b.relname, b.attname, pg_catalog.format_type(b.type, b.modifier), t.typtype, e.typtype, e.typname
from based b join pg_catalog.pg_type t on t.oid = b.type
left join pg_catalog.pg_type e on e.oid = t.typelem and t.typcategory = 'A'
where t.typtype <> 'd' order by b.relname, b.attnum
"""
"""Columns by table; a domain counts as what it is based on."""


class PostgresSession(ServerSession):
    """One connection in use."""

    def __init__(self, connection: Connection, dialect: PostgresDialect) -> None:
        super().__init__(dialect)
        self._connection = connection
        self._cursors = count(1)

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> None:
        """Run one statement."""
        with self._cursor() as cursor:
            cursor.execute(*_bound(sql, parameters))

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Run a query with a small result."""
        with self._cursor() as cursor:
            cursor.execute(*_bound(sql, parameters))
            return list(cursor.fetchall())

    def stream(self, sql: str, size: int) -> Iterator[list[Row]]:
        """Hand out a large result in parts, from a cursor of the server."""
        name = f"planhat_cursor_{next(self._cursors)}"
        with self.transaction(), self._cursor() as cursor:
            cursor.execute(f"declare {name} no scroll cursor for {sql}")
            while True:
                cursor.execute(f"fetch {int(size)} from {name}")
                part = cursor.fetchall()
                if not part:
                    break
                yield part
            cursor.execute(f"close {name}")

    def load(self, name: str, columns: Mapping[str, str], lists: Sequence[Sequence[object]]) -> None:
        """Bind one list per column and unnest them side by side."""
        mark = self._dialect.placeholder
        parts = ", ".join(f"cast({mark} as {kind}[])" for kind in columns.values())
        query = f"select * from unnest({parts}) planhat_lists({', '.join(columns)})"
        self._scratch(name, query, [list(part) for part in lists])

    def scratch(self, name: str, query: str) -> None:
        """Keep a query's result until the session ends."""
        self._scratch(name, query, ())

    def _scratch(self, name: str, query: str, parameters: Sequence[object]) -> None:
        self.execute(f"drop table if exists pg_temp.{name}")
        self.execute(f"create temporary table {name} as {query}", parameters)
        self.execute(f"analyze pg_temp.{name}")

    def columns(self, relation: str) -> tuple[Column, ...] | None:
        """Describe a table or view; None if it does not exist."""
        mark = self._dialect.placeholder
        ((found,),) = self.rows(f"select cast(to_regclass({mark}) as oid)", [relation])
        if found is None:
            return None
        tables = self._described(f"c.oid = {int(found)}", ())
        return next(iter(tables.values()), ())

    def tables(self, database: str, schema: str) -> dict[str, tuple[Column, ...]]:
        """Describe all tables of a schema, by name; empty if there is no such schema."""
        del database  # a connection sees one
        namespace = "c.relnamespace = (select n.oid from pg_catalog.pg_namespace n where n.nspname = {})"
        return self._described(namespace.format(self._dialect.placeholder), [schema])

    def _described(self, where: str, parameters: Sequence[object]) -> dict[str, tuple[Column, ...]]:
        found: dict[str, list[Column]] = {}
        rows = self.rows(_DESCRIBE.format(where=where), parameters)
        for table, name, printed, form, item_form, item in rows:
            kind = self._kind(printed, form, item_form, item)
            found.setdefault(table, []).append(Column(name, printed, kind))
        return {table: tuple(columns) for table, columns in found.items()}

    def _kind(self, printed: str, form: str, item_form: str | None, item: str | None) -> ColumnKind:
        if item_form is not None and item_form != "b":  # of enumerations, domains, composite types
            return ColumnKind.NESTED if item_form in ("e", "d", "c") else ColumnKind.UNSUPPORTED
        if form == "b" and item == "citext":
            return ColumnKind.NESTED
        return {"e": ColumnKind.TEXT, "c": ColumnKind.NESTED}.get(form) or self._dialect.kind(printed)

    def lock(self, table: str) -> None:
        """Keep other sessions from writing a table until the transaction ends."""
        self.execute(f"lock table {table} in share row exclusive mode")

    def index(self, table: str, *columns: str) -> None:
        """Make rows of a new table quick to find by each of these columns."""
        for column in columns:
            self.execute(f"create index on {table} ({self._dialect.quote(column)})")
        self.execute(f"analyze {table}")

    def wait_for_locks(self, seconds: float) -> None:
        """Say how long statements wait for another session to let go of a table."""
        self.execute(f"set lock_timeout = {max(int(seconds * 1000), 1)}")

    def _begin(self) -> None:
        self.execute("begin")

    def _commit(self) -> None:
        self.execute("commit")

    def _rollback(self) -> None:
        self.execute("rollback")

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        try:
            with self._connection.cursor() as cursor:
                yield cursor
        except psycopg2.Error as error:
            raise self._refusal(error) from error

    def _refusal(self, error: psycopg2.Error) -> WarehouseError:
        message = first_line(error)
        if self._connection.closed:
            return WarehouseError(
                f"the connection broke ({message})",
                hint="Run the command again when the server answers; whatever was sent is compared anew.",
            )
        if error.pgcode == _LOCKED:
            return WarehouseError(
                f"{message}: another session has a table of ours open",
                hint="Look who it is: select pid, usename, application_name, query from pg_stat_activity where state "
                "like 'idle in transaction%'; end that session, then run the command again.",
            )
        if error.pgcode == _DENIED:
            info = self._connection.info
            return WarehouseError(message, hint=grants(message, info.user, info.dbname, self._dialect))
        return WarehouseError(message)


class PostgresWarehouse(ServerWarehouse["Connection", PostgresSession]):
    """A PostgreSQL database."""

    dialect = PostgresDialect()

    def _session(self, connection: Connection) -> PostgresSession:
        return PostgresSession(connection, self.dialect)

    def _set_up(self, connection: Connection) -> None:
        try:
            connection.rollback()  # whatever the adapter began
            connection.autocommit = True
        except psycopg2.Error as error:
            raise WarehouseError(first_line(error)) from error
        session = self._session(connection)
        for statement in _SETUP:
            session.execute(statement)

    def _answers(self, connection: Connection) -> bool:
        try:
            self._session(connection).execute("select 1")
        except WarehouseError:
            return False
        return True

    def _tidy(self, connection: Connection) -> bool:
        session = self._session(connection)
        try:
            session.execute("rollback" if _in_transaction(connection) else "select 1")
            session.execute("discard temporary")
        except WarehouseError:
            return False
        return True

    def _close(self, connection: Connection) -> None:
        with contextlib.suppress(psycopg2.Error):
            connection.close()


def _in_transaction(connection: Connection) -> bool:
    return bool(connection.info.transaction_status != psycopg2.extensions.TRANSACTION_STATUS_IDLE)


def _bound(sql: str, parameters: Sequence[object]) -> tuple[str, list[object] | None]:
    """Parameters without NUL characters, which PostgreSQL keeps in no text; percent signs of the statement escaped."""
    if not parameters:
        return sql, None
    return escaped(sql), [_storable(value) for value in parameters]


def _storable(value: object) -> object:
    if isinstance(value, list):
        return [_storable(item) for item in value]
    return value.replace("\0", "") if isinstance(value, str) else value
