"""Engines on which each statement is committed by itself: a transaction is a list of steps, kept until all are done.

Inside `transaction`, statements that write are put aside; what is read meanwhile is the state before it, scratch tables
included. At its end the list is written into the table `steps`: from its last row on it stands, and is
carried out step by step. A session that ends half-way leaves the rest to the next run (`finish`, under its lease).
Which step was the last is told by what its table looked like before it, so that none is carried out twice.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import re
import threading
import time
from abc import abstractmethod
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import orjson

from planhat_dbt.warehouse.error import WarehouseError
from planhat_dbt.warehouse.server import ServerSession

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from planhat_dbt.warehouse.port import Column, Dialect, Row

_NAME: Final = r"""(?:"(?:[^"]|"")+"|`(?:[^`]|``)+`|\w+)"""
_TARGET: Final = re.compile(
    r"\s*(?:insert into|delete from|update|merge into|alter table|drop table(?: if exists)?|"
    rf"create(?: or replace)? table(?: if not exists)?)\s+({_NAME}(?:\.{_NAME})*)",
    re.IGNORECASE,
)
_STEPS: Final = (
    ("list_id", "text"),
    ("step", "integer"),
    ("statement", "text"),
    ("target", "text"),
    ("was", "text"),
)
_ROWS_AT_ONCE: Final = 1000
_MARK: Final = 0
"""The step that is written last: a list without it never stood."""
_PATIENCE: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between tries of a statement that another one got in the way of."""

_LOOK_AGAIN: Final = 10.0
"""Seconds after which a list that is under way looks whether the lease is still where it was."""
_SCRATCH: Final = "scratch__"


@dataclass(frozen=True, slots=True)
class _Step:
    number: int
    statement: str
    target: str
    was: str | None = None
    """What the table looked like before it was begun."""


class Stepping:
    """What the sessions of one warehouse know together."""

    def __init__(self, dialect: Dialect, database: str, schema: str) -> None:
        """Start with nothing unfinished.

        Args:
            dialect: The engine's.
            database: The database of the state tables.
            schema: Their schema; scratch tables stand there, too.
        """
        self.database, self.schema = database, schema
        self.place = f"{dialect.quote(database)}.{dialect.quote(schema)}"
        self.steps = f"{self.place}.{dialect.quote('steps')}"
        self.meta = f"{self.place}.{dialect.quote('meta')}"
        self.left = False
        """Whether a list of ours may stand that was not carried out to its end: nothing more is written before it."""
        self.busy = threading.RLock()
        """Held while a list is carried out: there is one at a time. The lease is renewed beside it."""
        self.numbers = itertools.count()


class StepwiseSession(ServerSession):
    """A session on an engine without transactions; a subclass speaks with the driver."""

    lease_settles = 5.0
    """Longer than a write of `meta` takes, from the look at it to its end."""
    takes_back = False
    longest = 4_000_000
    """Characters of a statement that the engine takes; a list of steps is written in several where it is longer."""

    def __init__(self, dialect: Dialect, stepping: Stepping) -> None:
        """Make one.

        Args:
            dialect: The engine's.
            stepping: What the sessions of its warehouse share.
        """
        super().__init__(dialect)
        self._stepping = stepping
        self._waiting: list[str] = []
        self._made: dict[str, str] = {}
        """Scratch tables by the name that statements call them by."""
        self._tables: list[str] = []
        """All of them: a name may have been used again."""
        self._own = f"{time.time_ns():x}"
        text = r"'(?:\\.|''|[^'\\])*'" if dialect.literal("\\") != "'\\'" else r"'(?:''|[^'])*'"
        self._parts = re.compile(rf'{text}|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\b[A-Za-z_]\w*\b|\?|%s')

    # -- what a subclass gives

    @abstractmethod
    def _run(self, sql: str) -> None:
        """Run one statement, which is committed with it."""

    @abstractmethod
    def _fetch(self, sql: str) -> list[Row]:
        """Run a query with a small result."""

    @abstractmethod
    def _fetch_parts(self, sql: str, size: int) -> Iterator[list[Row]]:
        """Run a query and hand out its rows in lists of at most `size`."""

    @abstractmethod
    def columns(self, relation: str) -> tuple[Column, ...] | None:
        """Describe a table or view by its rendered name; None if it does not exist."""

    @abstractmethod
    def tables(self, database: str, schema: str) -> dict[str, tuple[Column, ...]]:
        """Describe all tables of a schema, by name; empty if there is no such schema."""

    @abstractmethod
    def _version(self, table: str) -> str:
        """Tell states of an existing table apart: a text that differs after each statement that changed its rows."""

    def _is_conflict(self, error: WarehouseError) -> bool:  # noqa: ARG002 - an engine may know none
        """Whether a statement changed nothing since another one got in its way, and may be tried again."""
        return False

    def _is_refusal(self, error: WarehouseError) -> bool:  # noqa: ARG002 - a driver may be cut off from its server
        """Whether the engine itself said no, so that the statement will change nothing any more."""
        return True

    # -- statements

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> None:
        """Run one statement; inside a transaction, at its end, but changes of the lease at once.

        Each of those holds by itself, and one that waited for its turn would come too late.
        """
        spelt = self._spelt(sql, parameters)
        if self._depth and not self._is_of_lease(spelt):
            self._waiting.append(spelt)
        else:
            self._try(spelt)

    def _is_of_lease(self, sql: str) -> bool:
        return "'lease'" in sql and _target(sql) == self._stepping.meta

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Run a query with a small result."""
        return self._fetch(self._spelt(sql, parameters))

    def stream(self, sql: str, size: int) -> Iterator[list[Row]]:
        """Hand out a large result in parts."""
        yield from self._fetch_parts(self._spelt(sql), size)

    def load(self, name: str, columns: Mapping[str, str], lists: Sequence[Sequence[object]]) -> None:
        """Fill a scratch table by rows, at once."""
        spelt = ", ".join(f"{self._dialect.quote(column)} {kind}" for column, kind in columns.items())
        table = self._make(name, f"({spelt})")
        for values in self._values(zip(*lists, strict=True)):
            self._try(f"insert into {table} values {values}")

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Append a few rows."""
        names = ", ".join(self._dialect.quote(c) for c in columns)
        for values in self._values(rows):
            self.execute(f"insert into {table} ({names}) values {values}")

    def _values(self, rows: Iterable[Sequence[object]]) -> Iterator[str]:
        """Write rows as literals, in parts that leave room for their quotes in the list of steps."""
        room, part, size = self.longest // 4, list[str](), 0
        for row in rows:
            text = f"({', '.join(map(self._value, row))})"
            if part and (len(part) == _ROWS_AT_ONCE or size + len(text) > room):
                yield ", ".join(part)
                part, size = [], 0
            part.append(text)
            size += len(text) + 2
        if part:
            yield ", ".join(part)

    def scratch(self, name: str, query: str) -> None:
        """Keep a query's result until the session ends; at once."""
        self._make(name, f"as {self._spelt(query)}")

    def _make(self, name: str, what: str) -> str:
        # Always another one: statements that wait may read the one of before.
        named = f"{_SCRATCH}{name.removeprefix('planhat_')}_{self._own}_{next(self._stepping.numbers)}"
        table = f"{self._stepping.place}.{self._dialect.quote(named)}"
        self._try(f"create table {table} {what}")
        self._made[name] = table
        self._tables.append(table)
        return table

    def drop_scratch(self) -> None:
        """Drop the scratch tables of the session, unless steps that are left read them; for its warehouse to call."""
        if not self._stepping.left:
            for table in self._tables:
                self._try(f"drop table if exists {table}")
        self._tables, self._made = [], {}

    def lock(self, table: str) -> None:
        """Nothing: there are no locks; `lease_settles` keeps runs apart that begin at once."""

    def index(self, table: str, *columns: str) -> None:
        """Nothing: rows are found by scans."""

    def wait_for_locks(self, seconds: float) -> None:
        """Nothing: there are none."""

    # -- steps

    def finish(self) -> None:
        """Carry out what an earlier session left, each step once; call under the lease, which was just taken."""
        tables = self.tables(self._stepping.database, self._stepping.schema)
        if "steps" in tables:
            self._finish_lists()
        for name in tables:
            table = f"{self._stepping.place}.{self._dialect.quote(name)}"
            if name.startswith(_SCRATCH) and table not in self._tables:
                self._try(f"drop table if exists {table}")

    def _finish_lists(self) -> None:
        with self._stepping.busy:
            found = self._fetch(
                f"select list_id, step, statement, target, was from {self._stepping.steps} order by list_id, step"
            )
            for name in dict.fromkeys(row[0] for row in found):
                first, *steps = (_Step(*row[1:]) for row in found if row[0] == name)
                if first.number == _MARK:
                    self._go_on(name, steps)
                else:
                    self._try(f"delete from {self._stepping.steps} where {self._of(name)}")
            self._stepping.left = False

    def _go_on(self, name: str, steps: list[_Step]) -> None:
        begun = [step for step in steps if step.was]
        if begun:
            last = begun[-1]
            # It was carried out if its table is no longer as it was.
            first = last.number if self._state(last.target) == last.was else last.number + 1
            steps = [step for step in steps if step.number >= first]
        self._carry_out(name, steps)

    def _begin(self) -> None:
        self._waiting = []

    def _rollback(self) -> None:
        self._waiting = []

    def _commit(self) -> None:
        statements, self._waiting = self._waiting, []
        if not statements:
            return
        if self._stepping.left:
            raise WarehouseError("an earlier change of the state tables stopped half-way", hint=self._next())
        if len(statements) == 1:  # one alone is whole by itself
            self._try(statements[0])
            return
        with self._stepping.busy:
            name = f"{time.time_ns():020d}"
            steps = [_Step(n, s, _target(s)) for n, s in enumerate(statements, start=1)]
            self._stepping.left = True  # also where the answer to its last row gets lost
            self._keep(name, steps)
            self._carry_out(name, steps)
            self._stepping.left = False

    def _next(self) -> str:
        return (
            f"What was begun is kept in {self._stepping.steps}; the next run finishes it before anything else. If it "
            "cannot, mend what the error says; only then delete the rows of that list."
        )

    def _keep(self, name: str, steps: Sequence[_Step]) -> None:
        columns = ", ".join(f"{c} {getattr(self._dialect, kind)}" for c, kind in _STEPS)
        self._try(f"create table if not exists {self._stepping.steps} ({columns})")
        rows = [(name, s.number, s.statement, s.target, None) for s in (*steps, _Step(_MARK, "", ""))]
        for values in self._values(rows):
            self._try(f"insert into {self._stepping.steps} values {values}")

    def _of(self, name: str) -> str:
        return f"list_id = {self._value(name)}"

    def _carry_out(self, name: str, steps: Sequence[_Step]) -> None:
        table, mine = self._stepping.steps, self._of(name)
        holders, looked = self._holders(), time.monotonic()
        for step in steps:
            if time.monotonic() - looked > _LOOK_AGAIN:
                self._see_to_lease(holders)
                looked = time.monotonic()
            was = self._state(step.target)
            this = f"{mine} and step = {step.number}"
            self._try(f"update {table} set was = {self._value(was)} where {this}")
            try:
                self._try(step.statement)
            except WarehouseError as error:
                # Refused: whoever mends its table must not pass for this step. A broken connection says nothing.
                if self._is_refusal(error) and self._state(step.target) == was:
                    self._try(f"update {table} set was = null where {this}")
                raise WarehouseError(error.reason, hint=f"{self._next()} {error.hint}".strip()) from error
        self._try(f"delete from {table} where {mine}")

    def _holders(self) -> list[str]:
        """The runs that hold the lease, as far as there is one."""
        if self.columns(self._stepping.meta) is None:
            return []
        rows = self._fetch(f"select value from {self._stepping.meta} where setting = 'lease'")
        return sorted(str(orjson.loads(value)["run_id"]) for (value,) in rows)

    def _see_to_lease(self, holders: list[str]) -> None:
        """Leave the rest of a list to whoever took the lease meanwhile."""
        now = self._holders()
        if now != holders:
            raise WarehouseError(
                f"the lease changed hands while state was written (it was {', '.join(holders) or 'free'}, "
                f"it is {', '.join(now) or 'free'})",
                hint=self._next(),
            )

    def _state(self, table: str) -> str:
        """What a table looks like: other columns or other rows make another text."""
        columns = self.columns(table)
        if columns is None:
            return "none"
        if table == self._stepping.meta:  # the lease is renewed and taken over beside all this
            rows = self._fetch(f"select setting, value from {table} where setting <> 'lease' order by 1, 2")
            return hashlib.sha256(repr(rows).encode()).hexdigest()
        return f"{','.join(f'{c.name} {c.type}' for c in columns)}; {self._version(table)}"

    def _try(self, sql: str) -> None:
        for wait in _PATIENCE:
            try:
                self._run(sql)
            except WarehouseError as error:
                if not self._is_conflict(error):
                    raise
                time.sleep(wait)
            else:
                return
        self._run(sql)

    # -- spelling

    def _spelt(self, sql: str, parameters: Sequence[object] = ()) -> str:
        """Write parameters as literals, and scratch tables by the names under which they stand."""
        values = iter(parameters)

        def part(found: re.Match[str]) -> str:
            text = found[0]
            if text == self._dialect.placeholder and parameters:
                return self._value(next(values))
            return self._made.get(text, text)

        return self._parts.sub(part, sql)

    def _value(self, value: object) -> str:
        if value is None:
            return "null"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float | Decimal):
            return str(value)
        if isinstance(value, dt.datetime):
            return f"cast({self._dialect.literal(value.isoformat(sep=' '))} as {self._dialect.timestamp})"
        return self._dialect.literal(str(value))


def _target(statement: str) -> str:
    found = _TARGET.match(statement)
    if found is None:
        raise RuntimeError(f"a statement that writes no known table: {statement[:60]}")
    return found[1]
