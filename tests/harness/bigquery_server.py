"""Starts bqemulator's server on a port of loopback, and adds what this version of it lacks.

bqemulator answers Google's own client over HTTP and runs the statements on DuckDB, all on one connection of it. Added
here, as BigQuery documents them: what a session begins (a transaction, temporary tables) is its own and goes on from
one statement to the next; formats with `%E`; `current_datetime`. Left out: geography, for which it fetches a part of
DuckDB, and travels in time.
"""

from __future__ import annotations

import re
import sys
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Final

import bqemulator.api.routes.jobs as jobs
import duckdb
import sqlglot
from bqemulator.config import Settings
from bqemulator.domain.errors import InvalidQueryError
from bqemulator.jobs import executor
from bqemulator.server import run_forever
from bqemulator.storage.engine import DuckDBEngine

_SESSION: ContextVar[str] = ContextVar("session", default="")
_CURSORS: Final[dict[str, duckdb.DuckDBPyConnection]] = {}
_OF_TRANSACTIONS: Final = re.compile(r"\s*(begin|commit|rollback)( transaction)?\s*", re.IGNORECASE)
_ENDS: Final = re.compile(r"\s*call bqs\.abort_session\(\)\s*", re.IGNORECASE)
_SPELT: Final = {
    "%E4Y": "%Y",
    "%E3S": "%S.%g",
    "%E6S": "%S.%f",
    "current_datetime('UTC')": "cast(current_timestamp() as datetime)",
}
"""What the translation does not know, and what it does."""


def _connection(engine: DuckDBEngine) -> duckdb.DuckDBPyConnection:
    """A connection for each session."""
    main = engine._connection
    assert main is not None
    session = _SESSION.get()
    if not session:
        return main
    if session not in _CURSORS:
        _CURSORS[session] = main.cursor()
        _CURSORS[session].execute("set timezone = 'UTC'")
    return _CURSORS[session]


def _entered(config: dict[str, Any]) -> None:
    """Take note of the session that a job names."""
    _known(config)
    properties = config.get("connectionProperties") or []
    _SESSION.set(next((p["value"] for p in properties if p["key"] == "session_id"), ""))


async def _executed(project_id: str, job_id: str, bq_sql: str, *rest: Any, **options: Any) -> Any:
    """Begin and end transactions of DuckDB, and sessions; all else as ever."""
    ctx = rest[1]
    if found := _OF_TRANSACTIONS.fullmatch(bq_sql):
        ctx.engine.execute(found[1])
        bq_sql = "select 1"
    elif _ENDS.fullmatch(bq_sql):
        if cursor := _CURSORS.pop(_SESSION.get(), None):
            cursor.close()
        _SESSION.set("")
        bq_sql = "select 1"
    for theirs, ours in _SPELT.items():
        bq_sql = bq_sql.replace(theirs, ours)
    return await _execute(project_id, job_id, bq_sql, *rest, **options)


def _told(error: Exception, **options: Any) -> Exception:
    """Say of two transactions that meet what BigQuery says."""
    if isinstance(error, duckdb.TransactionException):
        return InvalidQueryError("Transaction is aborted due to concurrent update against table")
    return _tell(error, **options)


async def _nothing(*_: Any) -> None:
    """No copy of a table is kept for each change."""


def _loaded(engine: DuckDBEngine) -> None:
    """No part of DuckDB is fetched."""


@lru_cache(maxsize=256)
def _tree(sql: str, read: str | None) -> Any:
    return _parse(sql, read=read)


def _parsed(sql: str, read: str | None = None, **options: Any) -> Any:
    """Parse once what is parsed twenty times."""
    return _parse(sql, read=read, **options) if options else _tree(sql, read).copy()


_parse = sqlglot.parse_one
_tell = executor.translate_runtime_error
_known = jobs._validate_session_id
_execute = jobs.execute_query_job


def main(port: int) -> None:
    """Serve until the process is ended."""
    DuckDBEngine.connection = property(_connection)  # type: ignore[assignment,method-assign]
    DuckDBEngine._load_spatial = DuckDBEngine._load_format_extensions = _loaded  # type: ignore[method-assign]
    jobs._validate_session_id = _entered
    jobs.execute_query_job = _executed  # type: ignore[assignment]
    sqlglot.parse_one = _parsed
    executor.translate_runtime_error = _told  # type: ignore[assignment]
    executor._capture_dml_snapshots = _nothing  # type: ignore[assignment]
    run_forever(Settings(rest_port=port, grpc_port=0, log_level="error"))


if __name__ == "__main__":
    main(int(sys.argv[1]))
