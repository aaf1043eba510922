"""A sync in a forked process that kills itself with SIGKILL at a numbered point.

The points are found by observation, not listed by hand: every statement that writes, every commit, every HTTP call of a
sync that lives to its end is one. Forking from a warm process costs a tenth of starting an interpreter.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from harness import Project
from harness.warehouses import ON, leave

from planhat_dbt.cli.main import main
from planhat_dbt.planhat.transport import Transport
from planhat_dbt.sandbox import Sandbox
from planhat_dbt.state.lease import Lease
from planhat_dbt.warehouse.duckdb import DuckDBSession
from planhat_dbt.warehouse.postgres import PostgresSession
from planhat_dbt.warehouse.repeat import in_transaction

_WRITES = re.compile(
    r"\s*(insert into|delete from|update|create table|drop table(?: if exists)?|alter table)\s+(\S+)"
)
_LIVED = 77
SESSION: Any = PostgresSession if ON == "postgres" else DuckDBSession


class Tape:
    """Counts the points that are passed; dies at the one it is told."""

    def __init__(self, deadly: int | None) -> None:
        self.deadly = deadly
        self.names: list[str] = []
        self._lock = threading.Lock()
        """Calls are made by a thread of their own: no number may be passed over."""

    def point(self, name: str) -> None:
        with self._lock:
            if len(self.names) == self.deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            self.names.append(name)

    def install(self) -> None:
        """Listen to everything that is written and called from now on; in a forked process only."""
        tape = self
        if ON == "steps":
            self._install_steps()
        else:
            self._install_statements()
        exchange, read = Transport.exchange, Transport._read

        def noted_exchange(transport: Any, request: Any) -> Any:
            tape.point(f"before {request.method}")
            exchanged = exchange(transport, request)
            tape.point(f"after {request.method}")
            return exchanged

        def noted_read(transport: Any, response: Any) -> bytes:
            tape.point(f"{response.request.method} applied, answer not read")
            return read(transport, response)

        Transport.exchange = noted_exchange  # type: ignore[method-assign]
        Transport._read = noted_read  # type: ignore[method-assign]

    def _install_steps(self) -> None:
        """Every statement that writes is committed by itself."""
        from harness.stepwise import StepwiseDuckDB  # noqa: PLC0415 - only where it is used

        tape, run = self, StepwiseDuckDB._run

        def noted_run(session: Any, sql: str) -> None:
            if found := _WRITES.match(sql):
                tape.point(f"before {found[1]} {_table(found[2])}")
            run(session, sql)

        StepwiseDuckDB._run = noted_run  # type: ignore[method-assign]

    def _install_statements(self) -> None:
        tape = self
        execute, insert, transaction = SESSION.execute, SESSION.insert, SESSION.transaction

        def noted_execute(session: Any, sql: str, *rest: Any) -> None:
            if found := _WRITES.match(sql):
                tape.point(f"before {found[1]} {_table(found[2])}")
            execute(session, sql, *rest)

        def noted_insert(session: Any, table: str, *rest: Any) -> None:
            tape.point(f"before insert into {_table(table)}")
            insert(session, table, *rest)

        @contextmanager
        def noted_transaction(session: Any) -> Iterator[None]:
            where = _caller()
            with transaction(session):
                yield
                tape.point(f"before commit of {where}")
            tape.point(f"after commit of {where}")

        SESSION.execute = noted_execute  # type: ignore[method-assign]
        SESSION.insert = noted_insert  # type: ignore[method-assign]
        SESSION.transaction = noted_transaction  # type: ignore[method-assign]


def _table(spelt: str) -> str:
    """The table without its schema; per sync tables without the sync."""
    return spelt.rpartition('"."')[2].strip('"').partition("__")[0]


def _caller() -> str:
    """The function of ours that opened a transaction, or had one opened for it."""
    frame = sys._getframe(2)
    while frame and (
        "/planhat_dbt/" not in frame.f_code.co_filename
        or frame.f_code.co_filename == in_transaction.__code__.co_filename
        or frame.f_code is Lease.write.__code__
    ):
        frame = frame.f_back  # type: ignore[assignment]
    return frame.f_code.co_name.strip("_")


def observe(project: Project) -> list[str]:
    """The points of a sync that lives to its end, in order."""
    reading, writing = os.pipe()

    def tell(tape: Tape) -> None:
        with os.fdopen(writing, "w", encoding="utf-8") as file:
            json.dump(tape.names, file)

    child = _fork(_sync(project), _said(project), None, tell)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as file:
        names = json.load(file)
    assert _end(child, project.sandbox) == _LIVED
    return names


def kill_at(project: Project, point: int) -> None:
    """Run a sync that dies at a point."""
    ended = die(_sync(project), _said(project), project.sandbox, point)
    assert ended == -signal.SIGKILL, f"it ended with {ended}: {_said(project).read_text(encoding='utf-8')}"


def die(body: Callable[[], object], said: Path, sandbox: Sandbox, point: int) -> int:
    """Run something in a forked process that kills itself at a point, if it gets there.

    Args:
        body: What to run.
        said: The file for what it says.
        sandbox: Waited for, should a call be left under way.
        point: How many points it passes.

    Returns:
        How it ended: -9 if it was killed.
    """
    sandbox.log.clear()
    return _end(_fork(body, said, point, lambda _: None), sandbox)


def _sync(project: Project) -> Callable[[], object]:
    def body() -> None:
        os.environ.clear()
        os.environ.update(project.environment())
        with suppress(SystemExit):
            main(["sync", *project._place()])

    project.sandbox.log.clear()
    return body


def _said(project: Project) -> Path:
    return project.directory / "said.txt"


def _fork(body: Callable[[], object], said: Path, point: int | None, at_end: Callable[[Tape], None]) -> int:
    leave()  # a copy of an open DuckDB file writes what this process would not see
    child = os.fork()
    if child:
        return child
    try:
        file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        tape = Tape(point)
        tape.install()
        body()
        at_end(tape)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(_LIVED)


def _end(child: int, sandbox: Sandbox) -> int:
    """How the process ended, once the sandbox is done with the call it left under way."""
    give_up = time.monotonic() + 60
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > give_up:
            os.kill(child, signal.SIGKILL)
            raise AssertionError("the forked process hangs")
        time.sleep(0.002)
    log = sandbox.log
    while log.total > log.counts.total() and time.monotonic() < give_up:
        time.sleep(0.005)
    return os.waitstatus_to_exitcode(ended[1])
