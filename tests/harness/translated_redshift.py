"""A stand-in for Redshift: the tests' own PostgreSQL, spoken to in Redshift's SQL, which is translated.

It refuses what Redshift's reference says that Redshift lacks, keeps quoted names in small letters as Redshift does,
and raises the errors of Redshift's driver. Where that driver is not installed, its errors are made here.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import psycopg2
import sqlglot
from sqlglot import exp

from harness.postgres import server
from planhat_dbt.errors import FailedError
from planhat_dbt.warehouse.dbt_adapter import Adapter
from planhat_dbt.warehouse.profile import AdapterTarget

try:
    from redshift_connector.error import Error, InterfaceError, ProgrammingError
except ImportError:

    class Error(Exception):  # type: ignore[no-redef]
        """As the driver's."""

    class InterfaceError(Error):  # type: ignore[no-redef]
        """As the driver's: of the connection."""

    class ProgrammingError(Error):  # type: ignore[no-redef]
        """As the driver's: of a statement; its argument is what the server said."""

    _driver, _errors = ModuleType("redshift_connector"), ModuleType("redshift_connector.error")
    _errors.__dict__.update(Error=Error, InterfaceError=InterfaceError, ProgrammingError=ProgrammingError)
    sys.modules |= {"redshift_connector": _driver, "redshift_connector.error": _errors}

from planhat_dbt.warehouse.redshift import RedshiftSession, RedshiftWarehouse

SCHEMA: Final = "main"
_TESTS: Final = Path(__file__).parents[1]
_JSON_WITHOUT_SPACES: Final = r"""regexp_replace($1::text, '("(?:[^"\\]|\\.)*")|\s+', '\1', 'g')"""
_MADE: Final = (
    ("json_parse(text)", "public.super", "select $1::public.super"),
    ("super_text(public.super)", "text", f"select coalesce({_JSON_WITHOUT_SPACES}, 'null')"),
    ("json_size(public.super)", "integer", "select octet_length(public.super_text($1))"),
    (
        "from_base(text, integer)",
        "bigint",
        "select cast(cast('x' || lpad($1, 16, '0') as bit(64)) as bigint)",
    ),
    (
        "range(integer, integer default null)",
        "setof integer",
        "select generate_series(case when $2 is null then 0 else $1 end, coalesce($2, $1) - 1)",
    ),
)
"""Redshift's functions, and `range` of DuckDB for tests. `strtol` is called `from_base` by the translation, and
`json_serialize`, of which PostgreSQL has another one, `super_text`."""
_FUNCTIONS: Final = (
    "abs case cast chr coalesce count current_user date_trunc datediff dense_rank extract floor format_type "
    "getdate json_serialize json_size left length lower max md5 min nullif octet_length position replace round "
    "row_number rtrim strpos strtol substr substring sum to_char translate trunc"
)
KNOWN_FUNCTIONS: Final = frozenset(_FUNCTIONS.split(" "))
"""Functions of Redshift's reference that are used; of them, `format_type` and `current_user` on the leader node."""
_REFUSED: Final[dict[type[exp.Expression], str]] = {
    exp.NullSafeEQ: "is not distinct from",
    exp.NullSafeNEQ: "is distinct from",
    exp.Filter: "filter (where …)",
    exp.OnConflict: "on conflict",
    exp.Lateral: "lateral",
    exp.Unnest: "unnest",
    exp.Array: "array constructors",
    exp.Returning: "returning",
    exp.AlterColumn: "alter column … type inside a transaction, or but for lengths of texts",
    exp.Command: "this statement",
}
_MARKS: Final = re.compile(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")|%s")
_PASSED: Final = re.compile(
    r"\s*(begin|commit|rollback|set|reset|show|close|fetch|select current_user|lock)\b", re.IGNORECASE
)
_DECLARED: Final = re.compile(r"declare (\w+) cursor for (.*)", re.DOTALL)
_NAME: Final = re.compile(r'"[^"]+"')
_REPLACED: Final = re.compile(
    r'^\s*create or replace (temp )?(table|view) ("(?:[^"]|"")+"|[\w.]+)', re.IGNORECASE
)
_OTHER_TYPES: Final = {
    **dict.fromkeys(("TEXT", "VARCHAR", "UUID"), "VARCHAR(65535)"),
    **dict.fromkeys(("UTINYINT", "TINYINT"), "SMALLINT"),
    **dict.fromkeys(("USMALLINT",), "INTEGER"),
    **dict.fromkeys(("UINT",), "BIGINT"),
    **dict.fromkeys(("UBIGINT", "INT128", "UINT128", "BIGNUM"), "NUMERIC(38, 0)"),
    **dict.fromkeys(("LIST", "ARRAY", "STRUCT", "MAP", "JSON", "UNION", "OBJECT"), "SUPER"),
}
"""Types of the tests that Redshift lacks."""


class RedshiftDatabase:
    """A database of the stand-in; dbt's schema is `main`."""

    session = RedshiftSession
    program = ("-c", f"import sys; sys.path.insert(0, {str(_TESTS)!r}); from {__name__} import run; run()")
    """What a command of its own process runs instead of `-m planhat_dbt`."""

    def __init__(self) -> None:
        self._saved = ""
        self.database = server().database()
        connection = server().connect(self.database)
        try:
            cursor = connection.cursor()
            cursor.execute(f"create schema if not exists {SCHEMA}")
            cursor.execute("create domain public.super as json")
            for head, result, body in _MADE:
                cursor.execute(
                    f"create function public.{head} returns {result} language sql immutable as $f$ {body} $f$"
                )
        finally:
            connection.close()

    @property
    def profile(self) -> dict[str, Any]:
        return {**server().profile(self.database), "type": "redshift"}

    @property
    def opened(self) -> RedshiftWarehouse:
        adapter = StandInAdapter(AdapterTarget("dev", "redshift", self.profile))
        return RedshiftWarehouse(adapter.database, adapter.connect)

    def relation(self, model: str) -> str:
        return f'"{self.database}"."{SCHEMA}"."{model}"'

    def save(self) -> None:
        self._saved = server().database(template=self.database)

    def restore(self) -> None:
        server().drop(self.database)
        server().database(self.database, template=self._saved)

    @contextlib.contextmanager
    def connect(self) -> Iterator[Translated]:
        connection = server().connect(self.database)
        try:
            cursor = connection.cursor()
            cursor.execute(f"set search_path = {SCHEMA}, public")
            yield Translated(cursor)
        finally:
            connection.close()


class StandInAdapter(Adapter):
    """The adapter of a target: of type `redshift` without dbt-redshift, else as ever."""

    def __init__(self, target: AdapterTarget) -> None:
        self._output = dict(target.output) if target.type == "redshift" else None
        if self._output is None:
            super().__init__(target)

    @property
    def database(self) -> str:
        return str(self._output["dbname"]) if self._output else super().database

    def connect(self) -> Any:
        if self._output is None:
            return super().connect()
        names = ("host", "port", "user", "password", "dbname")
        try:
            connection = psycopg2.connect(**{name: self._output[name] for name in names})
        except psycopg2.Error as error:
            raise FailedError(f"Target cannot be reached: {str(error).splitlines()[0]}") from error
        connection.autocommit = True
        return StandInConnection(connection)


def run() -> None:
    """Run a command on the stand-in, in a process of its own."""
    from planhat_dbt.cli.main import main  # noqa: PLC0415 - it stands on what is replaced here
    from planhat_dbt.warehouse import dbt_adapter  # noqa: PLC0415

    dbt_adapter.Adapter = StandInAdapter  # type: ignore[misc]
    main(sys.argv[1:])


class StandInConnection:
    """A connection that looks like one of Redshift's driver."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.autocommit = False
        self.max_prepared_statements = 1000
        connection.cursor().execute("set timezone = 'America/New_York'")  # sessions must not rely on UTC

    def cursor(self) -> StandInCursor:
        return StandInCursor(self._connection)

    def rollback(self) -> None:
        """Nothing: nothing was begun."""

    def close(self) -> None:
        self._connection.close()


class StandInCursor:
    """A cursor that takes Redshift's statements with marks of the driver."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._cursor: Any = None

    def __enter__(self) -> StandInCursor:
        return self

    def __exit__(self, *_: object) -> None:
        if self._cursor:
            self._cursor.close()

    def execute(self, sql: str, args: Sequence[object] | None = None) -> None:
        try:
            self._cursor = self._connection.cursor()
            statement, order = translated(sql)
            if args is None:
                assert not order, sql
                self._cursor.execute(statement)
            else:
                assert len(order) == len(args), sql
                self._cursor.execute(
                    statement.replace("%", "%%").replace(_HOLE, "%s"), [args[i] for i in order]
                )
        except psycopg2.Error as error:
            raise self._told(error) from error

    def fetchall(self) -> tuple[list[Any], ...]:
        if self._cursor.description is None:
            raise ProgrammingError("no result set")
        return tuple(list(row) for row in self._cursor.fetchall())

    def _told(self, error: psycopg2.Error) -> Exception:
        if self._connection.closed:
            return InterfaceError("BrokenPipe: server socket closed.")
        message = str(error.diag.message_primary or error).strip()
        return ProgrammingError({"S": "ERROR", "C": error.pgcode or "XX000", "M": message})


_HOLE: Final = "\x02"
"""Stands for a mark in a translated statement."""


@lru_cache(maxsize=4096)
def translated(sql: str) -> tuple[str, tuple[int, ...]]:
    """A statement of Redshift's in PostgreSQL's words, and the order in which its parameters stand there."""
    if _PASSED.match(sql):
        return _NAME.sub(lambda found: found[0].lower(), sql) if "lock" in sql else sql, ()
    if found := _DECLARED.fullmatch(sql):
        query, order = translated(found[2])
        return f"declare {found[1]} no scroll cursor for {query}", order
    numbers = count()
    marked = _MARKS.sub(lambda found: found[1] or f"planhat_mark_{next(numbers)}", sql)
    tree = understood(marked)
    text = tree.transform(_folded).sql("postgres")
    order = tuple(int(number) for number in re.findall(r"planhat_mark_(\d+)", text))
    return re.sub(r"planhat_mark_\d+", _HOLE, text), order


def understood(sql: str) -> exp.Expression:
    """Parse a statement as Redshift's; raises what the server would say of what Redshift lacks."""
    tree = sqlglot.parse_one(sql, read="redshift")
    for node in tree.walk():
        for kind, what in _REFUSED.items():
            if isinstance(node, kind):
                raise _refused(what, sql)
        if fault := _fault(node):
            raise _refused(fault, sql)
    return tree


def _fault(node: exp.Expression) -> str:
    match node:
        case exp.DataType() if node.this in (exp.DType.TEXT, exp.DType.VARCHAR) and not node.expressions:
            return "a text without length, which has 256 bytes"
        case exp.Create() if node.kind == "INDEX":
            return "create index"
        case exp.Create() if node.kind == "TABLE" and node.args.get("replace"):
            return "create or replace table"
        case exp.Distinct() if node.args.get("on"):
            return "distinct on"
        case exp.Values() if not isinstance(node.parent, exp.Insert):
            return "a list of values as a table"
        case exp.Window() if node.args.get("spec") and not node.args.get("order"):
            return "a frame without order"
        case exp.Subquery() if isinstance(node.parent, exp.From | exp.Join) and not node.alias:
            return "a query in `from` without a name"
        case exp.Is() if isinstance(node.this, _TIGHTER_THAN_IS):
            return "`is` after an operator without parentheses, which it would bind before"
        case exp.NEQ() | exp.LTE() | exp.GTE() if isinstance(node.expression, exp.DPipe):
            return "`||` after a comparison of two characters, which ranks with it"
        case exp.Func() if (name := _function(node)) not in KNOWN_FUNCTIONS:
            return f"function {name}"
    return ""


_TIGHTER_THAN_IS: Final = (exp.DPipe, exp.NEQ, exp.LTE, exp.GTE)
"""Operators that rank below `is` where PostgreSQL 8.0 left its grammar."""
_SPELT: Final = {
    exp.CurrentTimestamp: "getdate",
    exp.StrPosition: "strpos",
    exp.TimeToStr: "to_char",
    exp.TimestampTrunc: "date_trunc",
    exp.DateTrunc: "date_trunc",
    exp.ByteLength: "octet_length",
    exp.FromBase: "strtol",
    exp.Trim: "rtrim",
    exp.Connector: "coalesce",
    exp.Binary: "coalesce",
    exp.AtTimeZone: "cast",
    exp.If: "case",
    exp.MD5: "md5",
    exp.Exists: "coalesce",
    exp.TsOrDsDiff: "datediff",
}
"""Nodes that the parser counts among functions, or calls by other names."""


def _function(node: exp.Func) -> str:
    if isinstance(node, exp.Anonymous):
        return node.name.lower()
    for kind, name in _SPELT.items():
        if isinstance(node, kind):
            return name
    return node.sql_name().lower()


def _refused(what: str, sql: str) -> Exception:
    said = {"S": "ERROR", "C": "0A000", "M": f"Redshift does not support {what}: {sql[:2000]}"}
    return ProgrammingError(said)


def _folded(node: exp.Expression) -> exp.Expression:
    if isinstance(node, exp.Anonymous) and node.name.lower() == "json_serialize":
        return exp.Anonymous(this="super_text", expressions=node.expressions)
    if isinstance(node, exp.Identifier) and not node.this.startswith("planhat_mark_"):
        return exp.to_identifier(node.this.lower(), quoted=node.args.get("quoted"))
    return node


class Translated:
    """A PostgreSQL cursor that takes DuckDB's statements, and answers as DuckDB's connection."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def execute(self, sql: str, parameters: Any = None) -> Any:
        """Run statements, translated."""
        for statement in from_duckdb(sql):
            if parameters:
                self._cursor.execute(statement, [_simple(p) for p in parameters])
            else:
                self._cursor.execute(statement)
        return self._cursor

    def raw(self, sql: str) -> None:
        """Run a statement as it is."""
        self._cursor.execute(sql)

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for many rows."""
        for row in rows:
            self.execute(sql, row)


def _simple(value: object) -> object:
    """Lists and structs go in as JSON."""
    return json.dumps(value, default=_json) if isinstance(value, list | tuple | dict) else value


def _json(value: object) -> object:
    return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)


@lru_cache(maxsize=4096)
def from_duckdb(sql: str) -> tuple[str, ...]:
    """A test's statement in PostgreSQL's words, with names and types as Redshift has them."""
    found = _REPLACED.match(sql)
    before: tuple[str, ...] = ()
    if found:
        kind, name = found[2].lower(), found[3].lower()
        before = (f"drop {kind} if exists {name} cascade",)
        sql = f"create {kind} {name}{sql[found.end() :]}"
    elif sql.lstrip().lower().startswith(("create schema", "drop schema", "create role", "grant", "set ")):
        return (sql,)
    trees = [tree.transform(_folded).transform(_typed) for tree in sqlglot.parse(sql, read="duckdb") if tree]
    return (*before, *(tree.sql("postgres") for tree in trees))


def _typed(node: exp.Expression) -> exp.Expression:
    if isinstance(node, exp.Array):
        return exp.Literal.string(json.dumps([_literal(item) for item in node.expressions]))
    if isinstance(node, exp.DataType):
        other = _OTHER_TYPES.get(node.this.value if isinstance(node.this, exp.DType) else "")
        if other and not (other.startswith("VARCHAR") and node.expressions):
            return exp.DataType.build(other, dialect="redshift")
    return node


def _literal(node: exp.Expression) -> object:
    return node.name if node.is_string else json.loads(node.sql("duckdb"))
