"""Spark and Databricks: a connection made by the dbt adapter, and statements on it.

Each statement is committed by itself, so changes are written in steps (decision 43). State tables are Delta tables on
Databricks and Iceberg tables on Spark: both change single rows, also by a condition that reads other tables.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

from planhat_dbt.warehouse.driver import DriverSession, DriverWarehouse, parts_of, shortened
from planhat_dbt.warehouse.error import WarehouseError
from planhat_dbt.warehouse.port import Column
from planhat_dbt.warehouse.spark_dialect import SparkDialect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from planhat_dbt.warehouse.dbt_adapter import Adapter
    from planhat_dbt.warehouse.port import Row

CATALOG: Final = "spark_catalog"
"""Spark's own name of the catalog of its session, which dbt-spark works in."""
_NAME: Final = r"`(?:[^`]|``)+`(?:\.`(?:[^`]|``)+`)*"
_PLAIN: Final = r"(?:[^()`]|`(?:[^`]|``)*`)"
_MADE: Final = re.compile(
    rf"(create table (?:if not exists )?{_NAME}(?: \({_PLAIN}*(?:\({_PLAIN}*\){_PLAIN}*)*\))?)", re.IGNORECASE
)
_MISSING: Final = re.compile(
    r"TABLE_OR_VIEW_NOT_FOUND|SCHEMA_NOT_FOUND|NO_SUCH_CATALOG|(Table or view|Database) .* not found"
)
_CONFLICT: Final = re.compile(
    r"Concurrent\w+Exception|DELTA_CONCURRENT_\w+|MetadataChangedException|DELTA_METADATA_CHANGED|CommitFailedException|"
    r"ValidationException: Found (new )?conflicting"
)
"""Another statement changed the table first; nothing of ours was."""
_IN_DOUBT: Final = "CommitStateUnknownException"
_REFUSED: Final = re.compile(
    r"\[[A-Z][A-Z0-9_.]+\]|SQLSTATE|AnalysisException|ParseException|ValidationException"
)
"""What Spark itself says; else the way to it may have broken while it went on."""
_MAINTENANCE: Final = ("OPTIMIZE", "VACUUM START", "VACUUM END", "ANALYZE", "COMPUTE STATS", "FSCK")
"""Entries of a history that changed no row; Databricks makes some by itself."""
_LATEST: Final = 50
"""Entries that are looked at."""
_DENIED: Final = re.compile(
    r"INSUFFICIENT_PERMISSIONS|PERMISSION_DENIED|does not have (permission|privilege)", re.IGNORECASE
)


class SparkSession(DriverSession):
    """One connection in use."""

    storage: ClassVar[str] = "using iceberg"
    """What stands after the columns of a new table."""
    is_cached: ClassVar[bool] = True
    """Whether a session may read a table as it was: Iceberg's catalog keeps what it loaded for half a minute."""

    def columns(self, relation: str) -> tuple[Column, ...] | None:
        """Describe a table or view; None if it does not exist."""
        try:
            rows = self.rows(f"describe {'.'.join(map(self._dialect.quote, parts_of(relation)))}")
        except WarehouseError as error:
            if _MISSING.search(str(error.__cause__)):
                return None
            raise
        found = []
        for name, kind, *_ in rows:
            if not name or name.startswith("#"):  # partitions are told below the columns
                break
            found.append(Column(name, kind, self._dialect.kind(kind)))
        return tuple(found)

    def tables(self, database: str, schema: str) -> dict[str, tuple[Column, ...]]:
        """Describe all tables of a schema, by name; empty if there is no such schema."""
        place = f"{self._dialect.quote(database)}.{self._dialect.quote(schema)}"
        try:
            rows = self.rows(f"show tables in {place}")
        except WarehouseError as error:
            if _MISSING.search(str(error.__cause__)):
                return {}
            raise
        names = [name for _, name, *_ in rows]
        return {name: self.columns(f"{place}.{self._dialect.quote(name)}") or () for name in names}

    def _fetch(self, sql: str) -> list[Row]:
        if (
            self.is_cached and self._stepping.meta in sql
        ):  # a lease that another application took would go unseen
            self._run(f"refresh table {self._stepping.meta}")
        return super()._fetch(sql)

    def _version(self, table: str) -> str:
        ((version,),) = self.rows(
            f"select max_by(snapshot_id, committed_at) from {table}.snapshots where operation <> 'replace'"
        )
        return str(version)

    def _run(self, sql: str) -> None:
        super()._run(
            _MADE.sub(rf"\1 {self.storage}", sql, count=1) if sql.startswith("create table") else sql
        )

    def _is_conflict(self, error: WarehouseError) -> bool:
        told = str(error.__cause__)
        return bool(_CONFLICT.search(told)) and _IN_DOUBT not in told

    def _is_refusal(self, error: WarehouseError) -> bool:
        told = str(error.__cause__)
        return bool(_REFUSED.search(told)) and _IN_DOUBT not in told

    def _refusal(self, error: Exception) -> WarehouseError:
        message = shortened(str(error))
        if _DENIED.search(str(error)):
            return WarehouseError(message, hint=_GRANTS)
        return WarehouseError(message)

    @contextmanager
    def _ran(self, sql: str) -> Iterator[Any]:
        # The cursor of dbt-spark is the connection itself: it is not closed.
        cursor = self._connection.cursor()
        cursor.execute(sql)
        yield _Rows(cursor)


_GRANTS: Final = (
    "Let an owner run, for the user of the profile: grant use schema, select on schema …; "
    "grant create schema on catalog …; (state tables belong to the user that runs planhat-dbt)"
)


class _Rows:
    """The result of a cursor of dbt-spark, which hands out all rows at once; those below it do not."""

    def __init__(self, cursor: Any) -> None:
        below = cursor._cursor  # noqa: SLF001 - what it wraps is not told otherwise
        if hasattr(below, "fetchmany"):
            self.fetchall: Callable[[], Any] = lambda: cursor.fetchall() or []
            self.fetchmany: Callable[[int], Any] = below.fetchmany
        else:  # a Spark session in this process, which gives times as the machine's clock shows them
            frame = below._df  # noqa: SLF001 - likewise
            rows = frame.toLocalIterator()
            self.fetchall = lambda: [_with_zone(row) for row in frame.collect()]
            self.fetchmany = lambda size: [_with_zone(row) for _, row in zip(range(size), rows, strict=False)]


def _with_zone(row: Any) -> tuple[Any, ...]:
    return tuple(v.astimezone(dt.UTC) if isinstance(v, dt.datetime) and v.tzinfo is None else v for v in row)


class DatabricksSession(SparkSession):
    """One connection in use."""

    storage = "tblproperties ('delta.columnMapping.mode' = 'name')"  # else no column can be dropped
    is_cached = False

    def tables(self, database: str, schema: str) -> dict[str, tuple[Column, ...]]:
        """Describe all tables of a schema, by name; empty if there is no such schema."""
        if database == "hive_metastore":  # it has no information schema
            return super().tables(database, schema)
        place = f"{self._dialect.quote(database)}.information_schema.columns"
        rows = self.rows(
            f"select table_name, column_name, full_data_type from {place} where table_schema = "
            f"{self._dialect.literal(schema.lower())} order by table_name, ordinal_position"
        )
        found: dict[str, list[Column]] = {}
        for table, name, kind in rows:
            found.setdefault(table, []).append(Column(name, kind, self._dialect.kind(kind)))
        return {table: tuple(columns) for table, columns in found.items()}

    def _version(self, table: str) -> str:
        # Version, time, user's id and name, operation; newest first.
        history = self.rows(f"describe history {table} limit {_LATEST}")
        changes = [
            str(version) for version, _, _, _, operation, *_ in history if operation not in _MAINTENANCE
        ]
        return changes[0] if changes else "none of late"

    @contextmanager
    def _ran(self, sql: str) -> Iterator[Any]:
        yield self._connection.execute(sql)


class SparkWarehouse(DriverWarehouse[SparkSession]):
    """The catalog of a Spark session."""

    dialect = SparkDialect()

    def _session(self, connection: Any) -> SparkSession:
        return SparkSession(connection, self.dialect, self._stepping)

    def _set_up(self, connection: Any) -> None:
        self._session(connection).execute("set time zone 'UTC'")


class DatabricksWarehouse(SparkWarehouse):
    """A catalog of Databricks."""

    def _session(self, connection: Any) -> DatabricksSession:
        return DatabricksSession(connection, self.dialect, self._stepping)


def connected(adapter: Adapter) -> Any:
    """Make a connection of dbt-spark that sends no statement twice, and asks after it often.

    It would send one again where the connection broke while the statement ran, and wait five seconds for each.
    """
    logging.getLogger("SQLQueryContextLogger").setLevel(
        logging.CRITICAL
    )  # prints each refusal, told by us or looked for
    connection = adapter.connect()
    with contextlib.suppress(AttributeError):  # a Spark session in this process has neither
        connection.query_retries = 0
        connection.poll_interval = 0.5
    return connection
