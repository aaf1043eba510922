"""A stand-in for Databricks: what dbt-databricks hands out as a connection, its statements run on DuckDB.

Spark's own expressions are checked on Spark itself (`make unit-spark`); this one shows that the session, its names, its
tables and its steps make of them what they should.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import count
from typing import Any, Final

import duckdb
import sqlglot
from sqlglot import exp

from planhat_dbt.warehouse.profile import AdapterTarget
from planhat_dbt.warehouse.spark import DatabricksSession, DatabricksWarehouse

SCHEMA: Final = "main"
STATEMENTS: Final[list[str]] = []
"""All that was sent, in order."""
CATALOGS: Final[dict[str, duckdb.DuckDBPyConnection]] = {}
"""Each in an engine of its own, so that none sees the tables of another; the last few."""
BUSY: Final = threading.RLock()
_KEPT: Final = 4
_MADE = count(1)
_MACROS: Final = (
    "conv(x, base, other) as cast('0x' || x as bigint)",
    "format_number(x, digits) as cast(x as varchar)",
    "java_digits(x) as cast(x as varchar) || case when cast(x as varchar) like '%.%' then '000' else '.000' end",
)
_TYPES: Final = {
    "VARCHAR": "string",
    "INTEGER": "int",
    "TIMESTAMP": "timestamp_ntz",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
    "BLOB": "binary",
    "HUGEINT": "decimal(38,0)",
    "JSON": "variant",
    "TIME": "time",
}
_HISTORY: Final = re.compile(r"describe history (\S+) limit \d+")
_REFUSED: Final = (exp.Transaction, exp.Commit, exp.Rollback, exp.Command)


class RefusedError(Exception):
    """A statement that Databricks would not take."""


class Connection:
    """A handle of dbt-databricks, as far as it is used."""

    def __init__(self, catalog: str) -> None:
        self._catalog = catalog

    def execute(self, sql: str) -> Result:
        with BUSY, CATALOGS[self._catalog].cursor() as cursor:
            STATEMENTS.append(sql)
            try:
                cursor.execute(translated(sql))
            except duckdb.CatalogException as error:
                raise RefusedError(f"[TABLE_OR_VIEW_NOT_FOUND] {error}") from error
            rows = cursor.fetchall() if cursor.description else []
        if sql.startswith("describe `"):
            rows = [(row[0], spark_type(row[1]), None) for row in rows]
        elif "information_schema" in sql:
            rows = [(table, name, spark_type(kind)) for table, name, kind in rows]
        return Result(rows)

    def close(self) -> None:
        """Nothing."""


class Result:
    """A cursor of it."""

    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self._rows = rows

    def fetchall(self) -> list[tuple[Any, ...]]:
        rows, self._rows = self._rows, []
        return rows

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        rows, self._rows = self._rows[:size], self._rows[size:]
        return rows


class HandedOut:
    """What stands for the adapter, which is not installed with the tests."""

    def __init__(self, target: AdapterTarget) -> None:
        self.database = target.output["catalog"]

    def connect(self) -> Connection:
        return Connection(self.database)


class DatabricksCatalog:
    """A catalog of it; dbt's schema is `main`."""

    session = DatabricksSession
    program = None  # another process has no way to it

    def __init__(self) -> None:
        DatabricksSession.lease_settles = 0.02  # a write of `meta` takes no longer here
        self.database = f"lake{next(_MADE)}"
        engine = duckdb.connect()
        engine.execute("set timezone = 'UTC'")
        for macro in _MACROS:
            engine.execute(f"create macro {macro}")
        engine.execute(f"attach ':memory:' as {self.database}")
        with BUSY:
            CATALOGS[self.database] = engine
            while len(CATALOGS) > _KEPT:
                CATALOGS.pop(next(iter(CATALOGS))).close()

    @property
    def profile(self) -> dict[str, Any]:
        return {
            "type": "databricks",
            "host": "127.0.0.1",
            "http_path": "/sql/1.0/warehouses/1",
            "token": "not-a-secret-but-looked-for",
            "catalog": self.database,
            "schema": SCHEMA,
            "threads": 1,
        }

    @property
    def opened(self) -> DatabricksWarehouse:
        return DatabricksWarehouse(self.database, lambda: Connection(self.database), "planhat_sync")

    def relation(self, model: str) -> str:
        """A model's name as dbt writes it."""
        return f"`{self.database}`.`{SCHEMA}`.`{model}`"

    def save(self) -> None:
        raise NotImplementedError("it keeps no copies")

    restore = save

    @contextlib.contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with BUSY, CATALOGS[self.database].cursor() as cursor:
            cursor.execute(f"use {self.database}")
            yield cursor


@lru_cache(maxsize=4096)
def translated(sql: str) -> str:
    """A statement in DuckDB's words; refused where Databricks would refuse it.

    Raises:
        RefusedError: Databricks has no such statement.
    """
    if sql == "set time zone 'UTC'":
        return "select 1"
    if history := _HISTORY.fullmatch(sql):
        table = history[1].replace("`", '"')
        write = f"select sum(hash(t)) || ' ' || count(*), now(), 'u', 'planhat', 'WRITE' from {table} t"
        return f"select 'maintained', now(), 'u', 'planhat', 'OPTIMIZE' union all ({write})"
    if sql.startswith("describe `"):
        return sql.replace("`", '"')
    if sql.startswith("create table") and "'delta.columnMapping.mode' = 'name'" not in sql:
        raise RefusedError("columns could not be dropped")
    tree = sqlglot.parse_one(sql, read="databricks")
    if isinstance(tree, _REFUSED):
        raise RefusedError(f"not a statement of Databricks: {sql[:80]}")
    if isinstance(tree, exp.Update) and tree.args.get("from_"):
        raise RefusedError("an update has no from")
    if next(tree.find_all(exp.AlterColumn), None):
        raise RefusedError("a column's type is only widened")
    if isinstance(tree, exp.Create):
        tree.set("properties", None)
    return tree.transform(_rewritten).sql("duckdb")


def _rewritten(node: Any) -> Any:
    match node:
        case exp.Table() if node.db == "information_schema":
            query = (
                "select *, data_type as full_data_type from information_schema.columns "
                f"where table_catalog = '{node.catalog}'"
            )
            return sqlglot.parse_one(f"select * from ({query}) s", read="duckdb").find(exp.Subquery)
        case exp.JSONFormat():
            return exp.Cast(
                this=exp.Anonymous(this="to_json", expressions=[_inside(node.this)]), to="varchar"
            )
        case exp.Format() if node.this.name == "%.25f":
            return exp.Anonymous(this="java_digits", expressions=[_inside(e) for e in node.expressions])
        case _:
            return node


def _inside(node: Any) -> Any:
    """What `transform` does not go into, since its parent was replaced."""
    return node.transform(_rewritten)


@cache
def spark_type(kind: str) -> str:
    """DuckDB's name of a type in Spark's."""
    if kind in _TYPES:
        return _TYPES[kind]
    return exp.DataType.build(kind, dialect="duckdb").sql("databricks").lower().replace(", ", ",")
