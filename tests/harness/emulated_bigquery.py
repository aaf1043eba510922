"""An emulated BigQuery of the tests' own: bqemulator's server as a process, spoken to through Google's client.

Tests speak DuckDB's SQL, which is translated.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import count
from typing import Any, Final

import sqlglot
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client
from sqlglot import exp

from harness.emulator import port_for_database
from planhat_dbt.state.scratch import scratch_tables
from planhat_dbt.warehouse.bigquery import BigQuerySession, BigQueryWarehouse, settings_of
from planhat_dbt.warehouse.bigquery_dialect import BigQueryDialect
from planhat_dbt.warehouse.dbt_adapter import Adapter
from planhat_dbt.warehouse.profile import AdapterTarget

SCHEMA: Final = "main"
_SERVER: Final = "bigquery_server.py"
_WIDE: Final = re.compile(r"\b(U?INT128|UINT64|HUGEINT|UHUGEINT|BIGNUM)\b")
_SMALL: Final = re.compile(r"\bU?(TINYINT|SMALLINT)\b")
_MADE = count(1)


class BigQueryProject:
    """A project of the emulator; dbt's dataset is `main`."""

    session = BigQuerySession

    def __init__(self) -> None:
        self._port = port_for_database(_SERVER)
        self.database = f"shop-{next(_MADE)}"
        self._client = Client(
            self.database,
            AnonymousCredentials(),  # type: ignore[no-untyped-call]
            client_options={"api_endpoint": self.profile["api_endpoint"]},
        )
        self._client.create_dataset(SCHEMA)

    @property
    def profile(self) -> dict[str, Any]:
        return {
            "type": "bigquery",
            "method": "oauth-secrets",
            "token": "not-a-secret-but-looked-for",
            "project": self.database,
            "dataset": SCHEMA,
            "api_endpoint": f"http://127.0.0.1:{self._port}",
            "threads": 1,
        }

    @property
    def opened(self) -> BigQueryWarehouse:
        adapter = Adapter(AdapterTarget("dev", "bigquery", self.profile))
        scratch = scratch_tables(BigQueryWarehouse.dialect)
        return BigQueryWarehouse(adapter.database, adapter.connect, scratch, settings_of(adapter))

    def relation(self, model: str) -> str:
        """A model's name as dbt writes it."""
        return f"`{self.database}`.`{SCHEMA}`.`{model}`"

    def save(self) -> None:
        raise NotImplementedError("the emulator keeps no copies")

    restore = save

    @contextlib.contextmanager
    def connect(self) -> Iterator[Translated]:
        yield Translated(self._client, self.database)


class Translated:
    """A client that takes DuckDB's statements, and answers as DuckDB's connection."""

    def __init__(self, client: Client, project: str) -> None:
        self._client = client
        self._project = project
        self._rows: list[tuple[Any, ...]] = []

    def execute(self, sql: str, parameters: Any = None) -> Translated:
        """Run statements, translated."""
        values = iter(parameters or ())
        for statement in translated(sql, self._project):
            text = re.sub(r"\?", lambda _: literal(next(values)), statement) if parameters else statement
            self._rows = [tuple(row.values()) for row in self._client.query(text).result()]
        return self

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for many rows."""
        for row in rows:
            self.execute(sql, row)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._rows

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows[0] if self._rows else None


def literal(value: Any) -> str:
    """A value in BigQuery's words."""
    match value:
        case None | bool() | int():
            return "null" if value is None else str(value).lower()
        case float():
            return repr(value) if math.isfinite(value) else f"cast('{value}' as float64)"
        case Decimal():
            return f"bignumeric '{value}'"
        case dt.datetime():
            return f"{'timestamp' if value.tzinfo else 'datetime'} '{value}'"
        case dt.date() | dt.time():
            return f"{type(value).__name__} '{value}'"
        case list() | tuple():
            return f"[{', '.join(map(literal, value))}]"
        case Mapping():
            return f"struct({', '.join(f'{literal(v)} as {k}' for k, v in value.items())})"
        case bytes():
            return "b'" + "".join(f"\\x{b:02x}" for b in value) + "'"
        case _:
            return BigQueryDialect().literal(str(value))


@lru_cache(maxsize=4096)
def translated(sql: str, project: str) -> tuple[str, ...]:
    """A statement in BigQuery's words."""
    statements = []
    for tree in sqlglot.parse(sql.replace('"values"', '"values_"'), read="duckdb"):  # else taken for the word
        if tree:
            own = {cte.alias for cte in tree.find_all(exp.CTE)}
            for table in tree.find_all(exp.Table):
                if table.db.lower() == "information_schema":
                    place = f"`{project}`.`planhat_sync`.INFORMATION_SCHEMA.{table.name.upper()}"
                    table.replace(exp.maybe_parse(place, into=exp.Table, dialect="bigquery"))
                elif isinstance(table.this, exp.Identifier) and table.name not in own:
                    table.set("db", exp.to_identifier(table.db or SCHEMA, quoted=True))
                    table.set("catalog", exp.to_identifier(project, quoted=True))
            text = _WIDE.sub("BIGNUMERIC", tree.sql("bigquery"))
            statements.append(_SMALL.sub("INT64", text).replace("`values_`", "`values`"))
    return tuple(statements)
