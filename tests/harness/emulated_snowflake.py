"""An emulated Snowflake of the tests' own: fakesnow's server as a process, spoken to through Snowflake's connector.

Tests speak DuckDB's SQL, which is translated. As with dbt on Snowflake, names are not quoted, and kept in capitals.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import count
from typing import Any, Final

import snowflake.connector
import sqlglot
from sqlglot import exp

from harness.emulator import port_for_database
from planhat_dbt.state.scratch import scratch_tables
from planhat_dbt.warehouse.dbt_adapter import Adapter
from planhat_dbt.warehouse.profile import AdapterTarget
from planhat_dbt.warehouse.snowflake import SnowflakeSession, SnowflakeWarehouse
from planhat_dbt.warehouse.snowflake_dialect import folded

SCHEMA: Final = "analytics"
_CATALOG: Final = "information_schema"
_SERVER: Final = "fakesnow_server.py"
_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")
_LISTS: Final = re.compile(r"\bARRAY\([^()]*\)|\bARRAY\(OBJECT\([^()]*\)\)")
_OBJECTS: Final = re.compile(r"\b(OBJECT|MAP)\([^()]*(\([^()]*\)[^()]*)*\)")
_BOUND: Final = re.compile(r"^(insert into .*?) values \(((?:\?, )*\?)\)$", re.IGNORECASE | re.DOTALL)
_MADE = count(1)


class SnowflakeDatabase:
    """A database of the emulator; dbt's schema is `analytics`."""

    session = SnowflakeSession

    def __init__(self) -> None:
        self._port = port_for_database(_SERVER)
        self.database = f"shop_{next(_MADE)}"
        self._connection = snowflake.connector.connect(
            **{k: v for k, v in self.profile.items() if k not in ("type", "threads")}
        )

    @property
    def profile(self) -> dict[str, Any]:
        return {
            "type": "snowflake",
            "account": "emulated",
            "host": "127.0.0.1",
            "port": self._port,
            "protocol": "http",
            "user": "planhat",
            "password": "not-a-secret-but-looked-for",
            "database": self.database,
            "schema": SCHEMA,
            "threads": 1,
        }

    @property
    def opened(self) -> SnowflakeWarehouse:
        adapter = Adapter(AdapterTarget("dev", "snowflake", self.profile))
        scratch = scratch_tables(SnowflakeWarehouse.dialect)
        return SnowflakeWarehouse(adapter.database, adapter.connect, scratch, "planhat_sync")

    def relation(self, model: str) -> str:
        """A model's name as dbt writes it, of which `values` is one that Snowflake reserves."""
        name = f'"{model.upper()}"' if model == "values" else model
        return f"{self.database}.{SCHEMA}.{name}"

    def save(self) -> None:
        raise NotImplementedError("fakesnow keeps no copies")

    restore = save

    @contextlib.contextmanager
    def connect(self) -> Iterator[Translated]:
        with self._connection.cursor() as cursor:
            yield Translated(cursor)


class Translated:
    """A Snowflake cursor that takes DuckDB's statements, and answers as DuckDB's connection."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def execute(self, sql: str, parameters: Any = None) -> Any:
        """Run statements, translated."""
        if parameters:
            return self._cursor.execute(_filled(sql, parameters), [_simple(p) for p in parameters])
        for statement in translated(sql):
            self._cursor.execute(statement)
        return Named(self._cursor) if _CATALOG in sql else self._cursor

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for many rows."""
        for row in rows:
            self.execute(sql, row)


class Named:
    """What the catalog tells, in our case."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def fetchall(self) -> list[tuple[Any, ...]]:
        return [tuple(folded(v) if isinstance(v, str) else v for v in row) for row in self._cursor.fetchall()]


def _filled(sql: str, parameters: Sequence[object]) -> str:
    """A statement with marks of the driver; lists and structs go in as JSON."""
    if found := _BOUND.match(sql):
        marks = ["parse_json(%s)" if isinstance(p, list | tuple | dict) else "%s" for p in parameters]
        return f"{translated(found[1] + ' select 1')[0].removesuffix(' SELECT 1')} select {', '.join(marks)}"
    return translated(sql)[0].replace("?", "%s")


def _simple(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value, default=str) if isinstance(value, list | tuple | dict) else value


@lru_cache(maxsize=4096)
def translated(sql: str) -> tuple[str, ...]:
    """A statement in Snowflake's words."""
    trees = [e.transform(_folded) for e in sqlglot.parse(sql, read="duckdb") if e]
    if _CATALOG in sql:
        trees = [e.transform(_in_capitals) for e in trees]
    statements = [e.sql("snowflake") for e in trees]
    return tuple(_OBJECTS.sub("OBJECT", _LISTS.sub("ARRAY", s)) for s in statements)


def _in_capitals(node: Any) -> Any:
    return exp.Literal.string(node.this.upper()) if isinstance(node, exp.Literal) and node.is_string else node


def _folded(node: Any) -> Any:
    if isinstance(node, exp.Identifier) and node.quoted and _PLAIN.fullmatch(node.this):
        return exp.to_identifier(node.this.upper(), quoted=True)
    return node
