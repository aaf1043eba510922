"""BigQuery: a client made by the dbt adapter, and a session of BigQuery's own for each connection.

Transactions and temporary tables need such a session (its reference, "Multi-statement transactions"). Nothing waits
for a lock: of two transactions that change the same table, one fails.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from google.api_core.exceptions import Forbidden, GoogleAPIError, NotFound
from google.auth.exceptions import GoogleAuthError
from google.cloud.bigquery import ConnectionProperty, QueryJobConfig, ScalarQueryParameter
from google.cloud.bigquery.retry import DEFAULT_RETRY

from planhat_dbt.warehouse.bigquery_dialect import BigQueryDialect, by_last_name, type_name
from planhat_dbt.warehouse.error import WarehouseError, first_line
from planhat_dbt.warehouse.port import Column, Row
from planhat_dbt.warehouse.prepared import PreparedConnection, PreparedSession
from planhat_dbt.warehouse.server import ServerWarehouse, portions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from planhat_dbt.warehouse.dbt_adapter import Adapter

_REFUSALS: Final = (GoogleAPIError, GoogleAuthError, OSError)
"""What the client raises; a connection that breaks is an `OSError`."""
_MARKS: Final = re.compile(r"('(?:[^'\\]|\\.)*'|`[^`]*`)|\?")
"""A text or name, or a mark of a parameter."""
_ROWS_AT_ONCE: Final = 1000
_MOST_PARAMETERS: Final = 10_000
_MOST_TEXT: Final = 2_000_000
"""Characters of values in one statement; a request may have ten megabytes."""
_LONGEST: Final = 300
"""Characters of a message that are shown."""
_PATIENCE: Final = 60.0
"""Seconds for which a request that found no answer is sent again; the client would take ten minutes."""
_PAUSE: Final = 1.0
"""Seconds before a lock is tried again."""
_TYPES: Final[dict[type, str]] = {
    bool: "BOOL",
    int: "INT64",
    float: "FLOAT64",
    Decimal: "BIGNUMERIC",
    str: "STRING",
    dt.datetime: "DATETIME",
    dt.date: "DATE",
    dt.time: "TIME",
}


class ConflictError(WarehouseError):
    """Another session changed the same table meanwhile."""


@dataclass(frozen=True, slots=True)
class BigQuerySettings:
    """What a profile says of its queries."""

    dataset: str = ""
    """Where dbt builds models; where it is, everything runs, unless the profile names a location."""
    maximum_bytes_billed: int | None = None
    timeout: float | None = None
    """Seconds that a statement may take."""
    batch: bool = False
    """Whether statements may wait for idle slots."""

    def job(self) -> dict[str, Any]:
        """Spell them for the client."""
        found: dict[str, Any] = {"use_legacy_sql": False}
        if self.maximum_bytes_billed:
            found["maximum_bytes_billed"] = self.maximum_bytes_billed
        if self.timeout:
            found["job_timeout_ms"] = int(self.timeout * 1000)
        if self.batch:
            found["priority"] = "BATCH"
        return found


def settings_of(adapter: Adapter) -> BigQuerySettings:
    """Read them from the profile, as the adapter understands it."""
    return BigQuerySettings(
        dataset=f"{adapter.database}.{adapter.setting('schema')}",
        maximum_bytes_billed=adapter.setting("maximum_bytes_billed"),
        timeout=adapter.setting("job_execution_timeout_seconds"),
        batch=adapter.setting("priority") == "batch",
    )


@dataclass(slots=True, kw_only=True)
class BigQueryConnection(PreparedConnection):
    """A client, and what of ours stands behind it."""

    client: Any
    session: str = ""
    """The id of BigQuery's session."""
    location: str | None = None
    lock_wait: float = 60.0


class BigQuerySession(PreparedSession):
    """One session of BigQuery in use."""

    def __init__(
        self,
        connection: BigQueryConnection,
        dialect: BigQueryDialect,
        scratch: Mapping[str, Mapping[str, str]],
        settings: BigQuerySettings,
    ) -> None:
        super().__init__(connection, dialect, scratch)
        self._connection = connection
        self._settings = settings

    def start(self) -> None:
        """Begin a session where the models are."""
        client, settings = self._connection.client, self._settings
        with self._told():
            self._connection.location = client.location
            if not client.location and settings.dataset:
                with contextlib.suppress(NotFound):
                    self._connection.location = client.get_dataset(settings.dataset).location
            job = self._job("select 1", QueryJobConfig(create_session=True, **settings.job()))
            job.result()
            self._connection.session = job.session_info.session_id

    def abort(self) -> None:
        """End BigQuery's session; what is temporary goes with it."""
        self._run("call bqs.abort_session()")

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Run a query with a small result."""
        with self._told():
            return [tuple(row.values()) for row in self._query(sql, parameters).result()]

    def stream(self, sql: str, size: int) -> Iterator[list[Row]]:
        """Hand out a large result in parts, each fetched when it is asked for."""
        with self._told():
            for page in self._query(sql).result(page_size=size).pages:
                if part := [tuple(row.values()) for row in page]:
                    yield part

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Append a few rows, by statements that stay within the limits of parameters and size."""
        for part in _parts(rows, len(columns)):
            super().insert(table, columns, part)

    def columns(self, relation: str) -> tuple[Column, ...] | None:
        """Describe a table or view by the API, which costs nothing; None if it does not exist."""
        try:
            with self._told():
                table = self._connection.client.get_table(".".join(_path(relation)))
        except WarehouseError as error:
            if isinstance(error.__cause__, NotFound):
                return None
            raise
        return tuple(
            self._column(f.name, "ARRAY" if f.mode == "REPEATED" else f.field_type) for f in table.schema
        )

    def tables(self, database: str, schema: str) -> dict[str, tuple[Column, ...]]:
        """Describe all tables of a dataset, by name; empty if there is no such dataset."""
        place = f"{self._dialect.quote(database)}.{self._dialect.quote(schema)}"
        try:
            rows = self.rows(
                f"select table_name, column_name, data_type from {place}.INFORMATION_SCHEMA.COLUMNS "
                "order by table_name, ordinal_position"
            )
        except WarehouseError as error:
            if isinstance(error.__cause__, NotFound):
                return {}
            raise
        found: dict[str, list[Column]] = {}
        for table, name, kind in rows:
            found.setdefault(table, []).append(self._column(name, kind))
        return {table: tuple(columns) for table, columns in found.items()}

    def _column(self, name: str, printed: str) -> Column:
        kind = type_name(printed)
        return Column(name, kind, self._dialect.kind(kind))

    def lock(self, table: str) -> None:
        """Change a row of `meta` that all runs share; where another session did, try again from the beginning.

        BigQuery cancels one of two transactions that change rows of one table instead of letting it wait. While nothing
        else was done in it, a transaction can begin anew, and then sees what the other one wrote.
        """
        until = time.monotonic() + self._connection.lock_wait
        while True:
            untouched = not (self._begun and self._changed)
            try:
                self.execute(
                    f"update {table} set updated_at = {self._dialect.utc_now} where setting = 'schema_version'"
                )
            except ConflictError:
                if not untouched or time.monotonic() > until:
                    raise
                with contextlib.suppress(WarehouseError):  # one that was cancelled may be over by itself
                    self._rollback()
                time.sleep(_PAUSE)
            else:
                return

    def index(self, table: str, *columns: str) -> None:
        """Nothing: BigQuery scans columns."""

    def wait_for_locks(self, seconds: float) -> None:
        """Say how long `lock` tries."""
        self._connection.lock_wait = seconds

    def _run(self, sql: str, parameters: Sequence[object] = ()) -> None:
        with self._told():
            self._query(sql, parameters).result()

    def _query(self, sql: str, parameters: Sequence[object] = ()) -> Any:
        text, given = _bound(sql, parameters)
        config = QueryJobConfig(
            connection_properties=[ConnectionProperty("session_id", self._connection.session)],
            query_parameters=given,
            **self._settings.job(),
        )
        return self._job(by_last_name(text), config)

    def _job(self, sql: str, config: QueryJobConfig) -> Any:
        place, retry = self._connection.location, DEFAULT_RETRY.with_timeout(_PATIENCE)
        return self._connection.client.query(sql, job_config=config, location=place, retry=retry)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except _REFUSALS as error:
            raise _refusal(error) from error


class BigQueryWarehouse(ServerWarehouse[BigQueryConnection, BigQuerySession]):
    """A project of BigQuery."""

    dialect = BigQueryDialect()

    def __init__(
        self,
        database: str,
        connect: Callable[[], Any],
        scratch: Mapping[str, Mapping[str, str]],
        settings: BigQuerySettings,
        *,
        lock_wait: float = 60.0,
    ) -> None:
        """Make one; nothing is connected yet.

        Args:
            database: The project that holds models and state.
            connect: Makes a new client; raises what tells why it cannot.
            scratch: The scratch tables that are filled inside transactions: name → column → type.
            settings: What the profile says of queries.
            lock_wait: Seconds that a run tries to lock what another session changes.
        """
        super().__init__(database, lambda: BigQueryConnection(client=connect()), lock_wait=lock_wait)
        self._scratch = scratch
        self._settings = settings

    def _session(self, connection: BigQueryConnection) -> BigQuerySession:
        return BigQuerySession(connection, self.dialect, self._scratch, self._settings)

    def _set_up(self, connection: BigQueryConnection) -> None:
        self._session(connection).start()

    def _answers(self, connection: BigQueryConnection) -> bool:
        try:
            self._session(connection).rows("select 1")
        except WarehouseError:
            return False
        return True

    def _tidy(self, connection: BigQueryConnection) -> bool:
        return bool(connection.session)

    def _close(self, connection: BigQueryConnection) -> None:
        with contextlib.suppress(WarehouseError):
            if connection.session:
                self._session(connection).abort()
        with contextlib.suppress(*_REFUSALS):
            connection.client.close()


def _path(relation: str) -> list[str]:
    """The parts of a name as dbt writes it, each in backticks or plain."""
    return [quoted or plain for quoted, plain in re.findall(r"`([^`]+)`|([^`.]+)", relation)]


def _parts(rows: Sequence[Sequence[object]], columns: int) -> Iterator[Sequence[Sequence[object]]]:
    return portions(rows, min(_ROWS_AT_ONCE, _MOST_PARAMETERS // columns), _MOST_TEXT)


def _bound(sql: str, parameters: Sequence[object]) -> tuple[str, list[Any]]:
    """A statement and its parameters; NULL has no type, and is written out."""
    if not parameters:
        return sql, []
    values = iter(parameters)
    given: list[Any] = []

    def mark(found: re.Match[str]) -> str:
        if found[1]:
            return found[1]
        value = next(values)
        if value is None:
            return "null"
        given.append(ScalarQueryParameter(None, _TYPES[type(value)], value))
        return "?"

    return _MARKS.sub(mark, sql), given


def _refusal(error: Exception) -> WarehouseError:
    message = first_line(Exception(getattr(error, "message", None) or str(error)))[:_LONGEST]
    if "concurrent update" in message.lower():
        hint = "Another session changed the same table at the same time. Run the command again."
        return ConflictError(message, hint=hint)
    return WarehouseError(message, hint=_hint(error, message))


def _hint(error: Exception, message: str) -> str:
    if isinstance(error, Forbidden) and "bytes billed" not in message:
        return (
            "Let an owner give the account of the profile: roles/bigquery.jobUser on the project that pays; "
            "roles/bigquery.dataViewer on the datasets of the models; roles/bigquery.dataEditor on the dataset of the "
            "state tables, or roles/bigquery.user on its project, so that the first run makes it."
        )
    if "partition elimination" in message:
        return (
            "A comparison reads the whole model: build it without `require_partition_filter`, or sync a view of it "
            "that has the filter."
        )
    if "bytes billed" in message:
        return "Raise `maximum_bytes_billed` in the profile, or sync a smaller model."
    return ""
