"""What warehouses on a server share: statements on one connection, and connections that are kept while a run lasts.

Connections stay open while calls are under way, since nobody waits for them; one that broke meanwhile is replaced by
the next `open`.
"""

from __future__ import annotations

import contextlib
import threading
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from planhat_dbt.warehouse.error import WarehouseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from planhat_dbt.warehouse.port import Dialect

_C = TypeVar("_C")
_S = TypeVar("_S", bound="ServerSession")
_SPARE_WAIT: Final = 2.0
"""Seconds that a renewal of the lease waits for a lock; then it tries again later."""
_ROWS_AT_ONCE: Final = 1000


class ServerSession(ABC):
    """One connection in use."""

    lease_settles = 0.0
    takes_back = True

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._depth = 0

    @abstractmethod
    def execute(self, sql: str, parameters: Sequence[object] = ()) -> None:
        """Run one statement."""

    @abstractmethod
    def wait_for_locks(self, seconds: float) -> None:
        """Say how long statements wait for another session to let go of a table."""

    @abstractmethod
    def _begin(self) -> None: ...

    @abstractmethod
    def _commit(self) -> None: ...

    @abstractmethod
    def _rollback(self) -> None: ...

    def finish(self) -> None:  # noqa: B027 - for most there is nothing to do
        """Nothing: what was not committed is gone."""

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Append a few rows with one statement each thousand."""
        names = ", ".join(self._dialect.quote(c) for c in columns)
        slots = "(" + ", ".join([self._dialect.placeholder] * len(columns)) + ")"
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = rows[start : start + _ROWS_AT_ONCE]
            values = ", ".join([slots] * len(part))
            self.execute(f"insert into {table} ({names}) values {values}", [v for row in part for v in row])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done inside, or nothing of it; inside another one, the outer decides."""
        if self._depth == 0:
            self._begin()
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            if self._depth == 0:
                with contextlib.suppress(WarehouseError):  # a broken connection has nothing to take back
                    self._rollback()
            raise
        self._depth -= 1
        if self._depth == 0:
            self._commit()


class ServerWarehouse(ABC, Generic[_C, _S]):
    """A database of a server; connections are kept from one `open` to the next inside `kept`."""

    def __init__(self, database: str, connect: Callable[[], _C], *, lock_wait: float = 60.0) -> None:
        """Make one; nothing is connected yet.

        Args:
            database: Its name.
            connect: Makes a new connection; raises what tells why it cannot.
            lock_wait: Seconds that a statement waits for another session to let go of a table.
        """
        self.database = database
        self._connect = connect
        self._lock_wait = lock_wait
        self._guard = threading.Lock()
        self._idle: list[_C] = []
        self._keeps = False

    @abstractmethod
    def _session(self, connection: _C) -> _S:
        """Take a connection into use."""

    @abstractmethod
    def _set_up(self, connection: _C) -> None:
        """Make a new connection fit for use."""

    @abstractmethod
    def _answers(self, connection: _C) -> bool:
        """Say whether a connection that was kept still stands."""

    @abstractmethod
    def _tidy(self, connection: _C) -> bool:
        """End what a session left on its connection; say whether it can be kept."""

    @abstractmethod
    def _close(self, connection: _C) -> None:
        """Let a connection go, broken or not."""

    @contextmanager
    def open(self) -> Iterator[_S]:
        """Connect, or take up a connection that still answers."""
        connection = self._take()
        try:
            yield self._session(connection)
        finally:
            self._give_back(connection)

    @contextmanager
    def spare(self) -> Iterator[_S | None]:
        """Connect beside whatever is under way; a lock is not waited for longer than a moment."""
        with self.open() as session:
            session.wait_for_locks(_SPARE_WAIT)
            try:
                yield session
            finally:
                with contextlib.suppress(WarehouseError):
                    session.wait_for_locks(self._lock_wait)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Hold connections until the end of this."""
        self._keeps = True
        try:
            yield
        finally:
            self._keeps = False
            with self._guard:
                idle, self._idle = self._idle, []
            for connection in idle:
                self._close(connection)

    def release(self, after: float = 0.0) -> None:
        """Nothing: nobody waits for a connection."""

    def _take(self) -> _C:
        while True:
            with self._guard:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                break
            if self._answers(connection):
                return connection
            self._close(connection)
        connection = self._connect()
        try:
            self._set_up(connection)
            self._session(connection).wait_for_locks(self._lock_wait)
        except WarehouseError:
            self._close(connection)
            raise
        return connection

    def _give_back(self, connection: _C) -> None:
        if self._keeps and self._tidy(connection):
            with self._guard:
                self._idle.append(connection)
        else:
            self._close(connection)


def portions(
    rows: Sequence[Sequence[object]], most_rows: int, most_text: int
) -> Iterator[Sequence[Sequence[object]]]:
    """Divide rows into lists of so many, and of so many characters of text, at most; a row is never divided."""
    start, size = 0, 0
    for end, row in enumerate(rows):
        added = sum(len(value) for value in row if isinstance(value, str))
        if end > start and (end - start == most_rows or size + added > most_text):
            yield rows[start:end]
            start, size = end, 0
        size += added
    if start < len(rows):
        yield rows[start:]
