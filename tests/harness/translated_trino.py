"""A Trino of the tests' own: its HTTP protocol on loopback, the statements translated and run on DuckDB.

No Trino is to be had as a package. This one shows that its client, and SQL as its parser is known to read it, make our
tables what they should be; it is stricter where Trino is: no transactions, no temporary tables, no `update … from`.
"""

from __future__ import annotations

import atexit
import contextlib
import datetime as dt
import json
import re
import threading
from collections.abc import Iterator
from decimal import Decimal
from functools import cache, lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, Final

import duckdb
import sqlglot
from sqlglot import exp

from planhat_dbt.warehouse.dbt_adapter import Adapter
from planhat_dbt.warehouse.profile import AdapterTarget
from planhat_dbt.warehouse.trino import TrinoSession, TrinoWarehouse, connected

SCHEMA: Final = "main"
LONGEST: Final = 1_000_000
_MADE = count(1)
_KEPT: Final = 4
_TYPES: Final = {
    "VARCHAR": "varchar",
    "FLOAT": "real",
    "TIMESTAMP": "timestamp(6)",
    "TIMESTAMP WITH TIME ZONE": "timestamp(6) with time zone",
    "TIME": "time(6)",
    "BLOB": "varbinary",
    "HUGEINT": "decimal(38,0)",
    "INTERVAL": "interval day to second",
}
_MACROS: Final = (
    "from_base(x, base) as cast('0x' || x as bigint)",
    "with_timezone(x, zone) as timezone(zone, x)",
    "is_infinite(x) as isinf(x)",
    "java_digits(x) as cast(x as varchar) || case when cast(x as varchar) like '%.%' then '000' else '.000' end",
)
"""Functions that sqlglot leaves as they are; `java_digits` is the format `%.25f` for doubles of a usual size."""
_RAW: Final = re.compile(r"\(.*\)")
_REFUSED: Final = (exp.Transaction, exp.Commit, exp.Rollback, exp.Command)


class RefusedError(Exception):
    """A statement that Trino would not take."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.catalogs: dict[str, duckdb.DuckDBPyConnection] = {}
        """Each in an engine of its own, so that none sees the tables of another; the last few."""
        self.statements: list[str] = []
        self.busy = threading.Lock()

    def add(self, catalog: str) -> None:
        engine = duckdb.connect()
        engine.execute("set timezone = 'UTC'")
        for macro in _MACROS:
            engine.execute(f"create macro {macro}")
        engine.execute(f"attach ':memory:' as {catalog}")
        with self.busy:
            self.catalogs[catalog] = engine
            while len(self.catalogs) > _KEPT:
                self.catalogs.pop(next(iter(self.catalogs))).close()

    def close(self) -> None:
        self.shutdown()
        for engine in self.catalogs.values():
            engine.close()

    def answer(self, catalog: str, sql: str) -> dict[str, Any]:
        with self.busy, self.catalogs[catalog].cursor() as cursor:
            self.statements.append(sql)
            _refuse_other_types(sql, cursor)
            cursor.execute(translated(sql))
            columns = [(name, trino_type(str(kind))) for name, kind, *_ in cursor.description or ()]
            rows = cursor.fetchall() if columns else []
        if "information_schema.columns" in sql:
            rows = [(table, name, trino_type(kind)) for table, name, kind in rows]
        return {
            "columns": [
                {
                    "name": name,
                    "type": kind,
                    "typeSignature": {"rawType": _RAW.sub("", kind), "arguments": []},
                }
                for name, kind in columns
            ],
            "data": [[_encoded(value) for value in row] for row in rows],
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one packet
    server: _Server

    def do_POST(self) -> None:
        sql = self.rfile.read(int(self.headers["Content-Length"])).decode()
        body: dict[str, Any] = {"id": "q", "infoUri": "http://127.0.0.1/q", "stats": {"state": "FINISHED"}}
        try:
            body |= self.server.answer(self.headers["X-Trino-Catalog"], sql)
        except (duckdb.Error, RefusedError, sqlglot.errors.SqlglotError) as error:
            name = "GENERIC_USER_ERROR"
            body["error"] = {
                "message": str(error),
                "errorName": name,
                "errorType": "USER_ERROR",
                "errorCode": 1,
            }
        sent = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Nothing."""


@cache
def server() -> _Server:
    """The one of this process."""
    started = _Server()
    threading.Thread(target=started.serve_forever, daemon=True).start()
    atexit.register(started.close)
    return started


class TrinoCatalog:
    """A catalog of it; dbt's schema is `main`."""

    session = TrinoSession

    def __init__(self) -> None:
        TrinoSession.lease_settles = 0.02  # a write of `meta` takes no longer here
        self.database = f"shop{next(_MADE)}"
        server().add(self.database)

    @property
    def profile(self) -> dict[str, Any]:
        return {
            "type": "trino",
            "method": "none",
            "user": "planhat",
            "host": "127.0.0.1",
            "port": server().server_port,
            "database": self.database,
            "schema": SCHEMA,
            "threads": 1,
        }

    @property
    def opened(self) -> TrinoWarehouse:
        adapter = Adapter(AdapterTarget("dev", "trino", self.profile))
        return TrinoWarehouse(adapter.database, lambda: connected(adapter), "planhat_sync")

    def relation(self, model: str) -> str:
        """A model's name as dbt writes it."""
        return f'"{self.database}"."{SCHEMA}"."{model}"'

    def save(self) -> None:
        raise NotImplementedError("it keeps no copies")

    restore = save

    @contextlib.contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with server().busy, server().catalogs[self.database].cursor() as cursor:
            cursor.execute(f"use {self.database}")
            yield cursor


def _refuse_other_types(sql: str, cursor: duckdb.DuckDBPyConnection) -> None:
    """Refuse what Trino would have to cast: it puts no number into a text column, and no text into one of times."""
    if not sql.startswith(("insert", "create table")):
        return
    tree = sqlglot.parse_one(sql, read="trino").transform(_rewritten)
    query = tree.expression
    if not isinstance(query, exp.Query):  # a list of values is a query of its own
        query = (
            sqlglot.parse_one(f"select * from ({query.sql('duckdb')}) v", read="duckdb") if query else None
        )
    if query is None:
        return
    given = [
        (str(kind), name) for name, kind, *_ in cursor.execute(f"describe {query.sql('duckdb')}").fetchall()
    ]
    if isinstance(tree, exp.Create):
        untyped = [name for kind, name in given if kind == '"NULL"']
        if untyped:
            raise RefusedError(f"Column type is unknown: {untyped}")
        return
    target = tree.this if isinstance(tree.this, exp.Schema) else None
    table = (target.this if target else tree.this).sql("duckdb")
    kinds = {n.lower(): str(kind) for n, kind, *_ in cursor.execute(f"describe {table}").fetchall()}
    names = [e.name.lower() for e in target.expressions] if target else list(kinds)
    for (kind, _), name in zip(given, names, strict=True):
        if kind != '"NULL"' and _family(kind) != _family(kinds[name]):
            raise RefusedError(
                f"Insert query has mismatched column types: {name} {kinds[name]}, {kind}: {sql[:200]}"
            )


def _family(kind: str) -> str:
    name = kind.upper().partition("(")[0]
    if name in ("VARCHAR", "JSON"):
        return "text"
    if name.startswith(("TIME", "DATE")):
        return name
    return name if name in ("BOOLEAN", "UUID", "BLOB") else "number"


@lru_cache(maxsize=4096)
def translated(sql: str) -> str:
    """A statement in DuckDB's words; refused where Trino would refuse it.

    Raises:
        RefusedError: Trino has no such statement.
    """
    if len(sql) > LONGEST:
        raise RefusedError(f"Query text length ({len(sql)}) exceeds the maximum length ({LONGEST})")
    tree = sqlglot.parse_one(sql, read="trino")
    if isinstance(tree, _REFUSED):
        raise RefusedError(f"not a statement of Trino: {sql[:80]}")
    if isinstance(tree, exp.Update) and tree.args.get("from_"):
        raise RefusedError("an update has no from")
    if isinstance(tree, exp.Create) and (tree.args.get("properties") or tree.args.get("replace")):
        raise RefusedError("no temporary tables, no replaced ones")
    if next(tree.find_all(exp.AlterColumn), None):
        raise RefusedError("a column's type is not changed")
    return tree.transform(_rewritten).sql("duckdb")


def _rewritten(node: Any) -> Any:
    match node:
        case exp.Table() if node.name.endswith("$snapshots"):
            name = ".".join(f'"{p}"' for p in (node.catalog, node.db, node.name.removesuffix("$snapshots")))
            return _from(
                "select sum(hash(t)) || ' ' || count(*) as snapshot_id, 1 as committed_at, 'append' as operation "
                f"from {name} t"
            )
        case exp.Table() if node.name == "catalogs":
            return _from(
                "select 'iceberg' as connector_name, database_name as catalog_name from duckdb_databases()"
            )
        case exp.Table() if node.db == "information_schema":
            return _from(f"select * from information_schema.columns where table_catalog = '{node.catalog}'")
        case exp.Hex() if node.find(exp.MD5Digest):
            return exp.MD5(this=_inside(node.find(exp.Encode).this))
        case exp.Cast() if node.to.is_type("json"):
            return _inside(node.this)  # `json_format` becomes `to_json`, which takes any type
        case exp.Format() if node.this.name == "%.25f":
            return exp.Anonymous(this="java_digits", expressions=[_inside(e) for e in node.expressions])
        case _:
            return node


def _inside(node: Any) -> Any:
    """What `transform` does not go into, since its parent was replaced."""
    return node.transform(_rewritten)


def _from(query: str) -> Any:
    return sqlglot.parse_one(f"select * from ({query}) s", read="duckdb").find(exp.Subquery)


@cache
def trino_type(kind: str) -> str:
    """DuckDB's name of a type in Trino's."""
    if kind in _TYPES:
        return _TYPES[kind]
    return exp.DataType.build(kind, dialect="duckdb").sql("trino").lower().replace(", ", ",")


def _encoded(value: Any) -> Any:
    match value:
        case dt.datetime():
            return value.replace(tzinfo=None).isoformat(" ", "microseconds") + (
                " UTC" if value.tzinfo else ""
            )
        case dt.date() | dt.time() | Decimal():
            return str(value)
        case _:
            return value
