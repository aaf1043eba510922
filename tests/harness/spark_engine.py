"""Spark itself, in this process, through dbt-spark's session method; `make unit-spark`.

No table format that changes single rows is to be had as a package. So `update`, `delete`, `merge` and changes of
columns are read by Spark's own parser, and then carried out as a query that makes the table anew; all else runs as it
is, on Parquet.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from functools import cache, lru_cache
from itertools import count
from pathlib import Path
from typing import Any, Final

import pyspark.sql.session
import sqlglot
from pyspark.sql import SparkSession as Engine
from sqlglot import exp

from planhat_dbt.warehouse.dbt_adapter import Adapter
from planhat_dbt.warehouse.profile import AdapterTarget
from planhat_dbt.warehouse.spark import CATALOG, SparkSession, SparkWarehouse, connected
from planhat_dbt.warehouse.spark_dialect import SparkDialect

_MADE = count(1)
_SNAPSHOTS: Final = re.compile(
    r"select max_by\(snapshot_id, committed_at\) from (\S+)\.snapshots where operation <> 'replace'"
)
_COLUMN: Final = re.compile(
    r"alter table (?P<table>\S+) (?P<what>add|drop|rename) column (?P<name>`[^`]+`|\w+)(?: to)?(?P<more> .+)?",
    re.IGNORECASE,
)
_NULL: Final = "select 1 where false"


class _Spark:
    """The one session, and how it is spoken to."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="planhat-dbt-spark-"))
        settings = {
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "1",
            "spark.default.parallelism": "1",
            "spark.sql.warehouse.dir": str(self.folder / "warehouse"),
            "spark.sql.catalogImplementation": "in-memory",
            "spark.sql.session.timeZone": "America/New_York",  # sessions must not rely on UTC
            "spark.log.level": "OFF",
        }
        builder = Engine.builder.master("local[2]")
        for name, value in settings.items():
            builder = builder.config(name, value)
        self.session = builder.getOrCreate()
        self.plain: Callable[[str], Any] = self.session.sql
        self.statements: list[str] = []
        pyspark.sql.session.SparkSession.sql = lambda _session, sql, *_: self.run(sql)  # type: ignore[method-assign,assignment]
        builder.enableHiveSupport = lambda: builder  # type: ignore[method-assign]
        Engine.builder.enableHiveSupport = lambda: Engine.builder  # type: ignore[method-assign]

    def run(self, sql: str) -> Any:
        self.statements.append(sql)
        self.session._jsparkSession.sessionState().sqlParser().parsePlan(sql)
        if found := _SNAPSHOTS.fullmatch(sql):
            content = "cast(coalesce(bit_xor(xxhash64(*)), 0) as string)"
            return self.plain(f"select concat({content}, ' ', count(*)) from {found[1]}")
        if found := _COLUMN.fullmatch(sql):
            return self._anew(found["table"], self._with_column(found))
        if re.match(r"\s*(update|delete|merge)\b", sql, re.IGNORECASE):
            table, query = self._changed(sqlglot.parse_one(sql, read="spark"))
            return self._anew(table, query)
        return self.plain(sql.replace("using iceberg", "using parquet"))

    def _anew(self, table: str, query: str) -> Any:
        place, _, name = table.rpartition(".")
        other = f"{place}.{name.strip('`')}__next"
        self.plain(f"create table {other} using parquet as {query}")
        self.plain(f"drop table {table}")
        self.plain(f"alter table {other} rename to {re.sub('^`?spark_catalog`?[.]', '', table)}")
        return self.plain(_NULL)

    def _columns(self, table: str) -> dict[str, str]:
        return {row[0]: row[1] for row in self.plain(f"describe {table}").collect()}

    def _with_column(self, found: re.Match[str]) -> str:
        table, name, more = found["table"], found["name"].strip("`"), (found["more"] or "").strip()
        names = [n.lower() for n in self._columns(table)]
        if found["what"] == "add":
            return f"select *, cast(null as {more}) as `{name}` from {table}"
        if found["what"] == "drop":
            return f"select {', '.join(f'`{n}`' for n in names if n != name.lower())} from {table}"
        taken = (f"`{n}` as {more}" if n == name.lower() else f"`{n}`" for n in names)
        return f"select {', '.join(taken)} from {table}"

    def _changed(self, tree: Any) -> tuple[str, str]:
        table = tree.this.sql("spark")
        columns = self._columns(table)
        if isinstance(tree, exp.Delete):
            where = tree.args["where"].this.sql("spark") if tree.args.get("where") else "true"
            return table, f"select * from {table} where not coalesce({where}, false)"
        if isinstance(tree, exp.Update):
            changes = _changes(tree.expressions)
            where = tree.args["where"].this.sql("spark") if tree.args.get("where") else "true"
            changed = ", ".join(
                f"cast({changes.get(n.lower(), f'`{n}`')} as {kind}) as `{n}`" for n, kind in columns.items()
            )
            kept = f"select * from {table} where not coalesce({where}, false)"
            return table, f"select {changed} from {table} where {where} union all {kept}"
        (when,) = tree.args["whens"].expressions
        changes = _changes(when.args["then"].expressions)
        source, condition = tree.args["using"].sql("spark"), tree.args["on"].sql("spark")
        taken = ", ".join(
            f"cast({changes.get(n.lower(), f'`{n}`')} as {kind}) as `{n}`" for n, kind in columns.items()
        )
        left = f"select * from {table} where not exists (select 1 from {source} where {condition})"
        return table, f"select {taken} from {table} join {source} on {condition} union all {left}"


def _changes(expressions: Iterable[Any]) -> dict[str, str]:
    return {e.this.name.lower(): e.expression.sql("spark") for e in expressions}


@cache
def spark() -> _Spark:
    """The one of this process."""
    return _Spark()


class SparkSchemas:
    """The catalog of the session; dbt's schema is one of its own."""

    session = SparkSession

    def __init__(self) -> None:
        SparkSession.lease_settles = 0.02  # nobody else writes
        self.database = CATALOG
        self.schema = f"main{next(_MADE)}"
        spark().plain("drop schema if exists planhat_sync cascade")
        shutil.rmtree(spark().folder / "warehouse" / "planhat_sync.db", ignore_errors=True)
        spark().plain(f"create schema {self.schema}")

    @property
    def profile(self) -> dict[str, Any]:
        return {"type": "spark", "method": "session", "host": "NA", "schema": self.schema, "threads": 1}

    @property
    def opened(self) -> SparkWarehouse:
        adapter = Adapter(AdapterTarget("dev", "spark", self.profile))
        return SparkWarehouse(CATALOG, lambda: connected(adapter), "planhat_sync")

    def relation(self, model: str) -> str:
        """A model's name as dbt writes it."""
        return f"{self.schema}.{model}"

    def save(self) -> None:
        raise NotImplementedError("it keeps no copies")

    restore = save

    @contextlib.contextmanager
    def connect(self) -> Iterator[Translated]:
        yield Translated(self.schema)


class Translated:
    """A connection that takes DuckDB's statements, and answers as DuckDB's."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._rows: list[tuple[Any, ...]] = []

    def execute(self, sql: str, parameters: Any = None) -> Translated:
        """Run statements, translated."""
        values = iter(parameters or ())
        for statement in translated(sql, self._schema):
            text = re.sub(r"\?", lambda _: literal(next(values)), statement) if parameters else statement
            kept = len(spark().statements)
            self._rows = [tuple(row) for row in spark().run(text).collect()]
            del spark().statements[kept:]
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
    """A value in Spark's words."""
    match value:
        case None | bool() | int():
            return "null" if value is None else str(value).lower()
        case float():
            return f"cast('{value}' as double)"
        case Decimal():
            return f"cast('{value}' as decimal(38, 10))"
        case dt.datetime():
            return f"timestamp{'' if value.tzinfo else '_ntz'} '{value}'"
        case dt.date():
            return f"date '{value}'"
        case _:
            return SparkDialect().literal(str(value))


@lru_cache(maxsize=4096)
def translated(sql: str, schema: str) -> tuple[str, ...]:
    """A statement in Spark's words; tables without a schema are dbt's."""
    statements = []
    for tree in sqlglot.parse(sql, read="duckdb"):
        if tree is None:
            continue
        own = {cte.alias for cte in tree.find_all(exp.CTE)}
        for table in tree.find_all(exp.Table):
            if isinstance(table.this, exp.Identifier) and table.name not in own:
                table.set("db", exp.to_identifier(table.db or schema))
                table.set("catalog", exp.to_identifier(CATALOG))
        if isinstance(tree, exp.Create) and tree.args.get("replace"):
            tree.set("replace", None)
            statements.append(f"drop {tree.kind} if exists {tree.find(exp.Table).sql('spark')}")
        statements.append(tree.sql("spark"))
    return tuple(statements)
