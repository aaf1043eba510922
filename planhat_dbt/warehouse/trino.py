"""Trino: a connection made by the dbt adapter, spoken to through Trino's own client.

Each statement is committed by itself, so changes are written in steps (decision 43). Tables are made, changed and
renamed as the Iceberg connector can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trino.exceptions import TrinoConnectionError, TrinoQueryError

from planhat_dbt.warehouse.driver import DriverSession, DriverWarehouse, parts_of, shortened
from planhat_dbt.warehouse.error import WarehouseError
from planhat_dbt.warehouse.port import Column
from planhat_dbt.warehouse.trino_dialect import TrinoDialect

if TYPE_CHECKING:
    from planhat_dbt.warehouse.dbt_adapter import Adapter
    from planhat_dbt.warehouse.stepwise import Stepping

_CONFLICTS: Final = ("ICEBERG_COMMIT_ERROR", "TRANSACTION_CONFLICT")
"""Another statement changed the table first; nothing of ours was."""
_HINTS: Final = {
    "PERMISSION_DENIED": "Let an owner allow the user of the profile to read the models, and to create schema "
    "and own tables in that of the state tables.",
    "NOT_SUPPORTED": "State tables need a catalog of the Iceberg connector: see docs/warehouses.md.",
}
_VERSIONS: Final = {
    "iceberg": ("snapshots", "max_by(snapshot_id, committed_at)", "operation <> 'replace'"),
    "delta_lake": ("history", "max(version)", "operation not in ('OPTIMIZE', 'VACUUM START', 'VACUUM END')"),
}
"""By connector: the metadata table that tells states of a table apart, how, and without what maintenance did."""


class TrinoSession(DriverSession):
    """One connection in use."""

    longest = 900_000  # of `query.max-length`, a million unless the server says more

    def __init__(self, connection: Any, dialect: TrinoDialect, stepping: Stepping, connector: str) -> None:
        super().__init__(connection, dialect, stepping)
        self._connector = connector

    def _run(self, sql: str) -> None:
        self._fetch(sql)  # a statement is carried out as its result is fetched

    def columns(self, relation: str) -> tuple[Column, ...] | None:
        """Describe a table or view; None if it does not exist."""
        database, schema, table = parts_of(relation)
        found = self._described(database, schema, f"and table_name = {self._dialect.literal(table.lower())}")
        return next(iter(found.values()), None)

    def tables(self, database: str, schema: str) -> dict[str, tuple[Column, ...]]:
        """Describe all tables of a schema, by name; empty if there is no such schema."""
        return self._described(database, schema)

    def _described(self, database: str, schema: str, more: str = "") -> dict[str, tuple[Column, ...]]:
        place = f"{self._dialect.quote(database)}.information_schema.columns"
        rows = self.rows(
            f"select table_name, column_name, data_type from {place} where table_schema = "
            f"{self._dialect.literal(schema.lower())} {more} order by table_name, ordinal_position"
        )
        found: dict[str, list[Column]] = {}
        for table, name, kind in rows:
            found.setdefault(table, []).append(Column(name, kind, self._dialect.kind(kind)))
        return {table: tuple(columns) for table, columns in found.items()}

    def _version(self, table: str) -> str:
        if told := _VERSIONS.get(self._connector):
            metadata, latest, changes = told
            place, _, name = table.rpartition(".")
            source = f'{place}."{name.strip(chr(34))}${metadata}"'
            ((version,),) = self.rows(f"select {latest} from {source} where {changes}")
            return str(version)
        names = ", ".join(self._dialect.quote(c.name) for c in self.columns(table) or ())
        ((rows, content),) = self.rows(f"select count(*), to_hex(checksum(row({names}))) from {table}")
        return f"{rows} {content}"

    def _is_conflict(self, error: WarehouseError) -> bool:
        return getattr(error.__cause__, "error_name", None) in _CONFLICTS

    def _is_refusal(self, error: WarehouseError) -> bool:
        return isinstance(error.__cause__, TrinoQueryError)

    def _refusal(self, error: Exception) -> WarehouseError:
        if isinstance(error, TrinoQueryError):
            return WarehouseError(shortened(error.message), hint=_HINTS.get(error.error_name or "", ""))
        told = super()._refusal(error)
        if isinstance(error, TrinoConnectionError):
            hint = (
                "Check it with `dbt debug`, then run the command again; whatever was sent is compared anew."
            )
            return WarehouseError(f"the connection broke ({told.reason})", hint=hint)
        return told


class TrinoWarehouse(DriverWarehouse[TrinoSession]):
    """A catalog of a Trino cluster."""

    dialect = TrinoDialect()
    _connector = ""

    def _session(self, connection: Any) -> TrinoSession:
        return TrinoSession(connection, self.dialect, self._stepping, self._connector)

    def _set_up(self, connection: Any) -> None:
        if not self._connector:
            name = self.dialect.literal(self.database.lower())
            rows = self._session(connection).rows(
                f"select connector_name from system.metadata.catalogs where catalog_name = {name}"
            )
            self._connector = rows[0][0] if rows else "unknown"


def connected(adapter: Adapter) -> Any:
    """Make a connection of Trino's client, which sends no statement twice: an answer that got lost is no answer."""
    adapter.default("cert", True)  # noqa: FBT003 - as its `require_certificate_validation`, a flag of dbt's own
    connection = adapter.connect().handle
    connection.max_attempts = 1
    try:
        connection.cursor().execute("select 1").fetchall()  # until then nothing was connected
    except TrinoConnectionError as error:
        raise adapter.unreachable(error) from error
    return connection
