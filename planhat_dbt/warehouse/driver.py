"""Engines without transactions that are spoken to through a driver of Python's DB-API (PEP 249)."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from abc import abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from planhat_dbt.warehouse.error import WarehouseError, first_line
from planhat_dbt.warehouse.server import ServerWarehouse
from planhat_dbt.warehouse.stepwise import Stepping, StepwiseSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from planhat_dbt.warehouse.port import Dialect, Row

_LONGEST: Final = 300
"""Characters of a message that are shown; it may go on with the statement or a stack of calls."""
_PART: Final = re.compile(r'"((?:[^"]|"")*)"|`((?:[^`]|``)*)`|([^.\s]+)')


class DriverSession(StepwiseSession):
    """One connection in use."""

    def __init__(self, connection: Any, dialect: Dialect, stepping: Stepping) -> None:
        """Make one.

        Args:
            connection: The driver's.
            dialect: The engine's.
            stepping: What the sessions of its warehouse share.
        """
        super().__init__(dialect, stepping)
        self._connection = connection

    def _refusal(self, error: Exception) -> WarehouseError:
        """What a driver's error tells the user; a subclass knows its driver."""
        return WarehouseError(shortened(first_line(error)))

    def _run(self, sql: str) -> None:
        with self._told(), self._ran(sql):
            pass

    def _fetch(self, sql: str) -> list[Row]:
        with self._told(), self._ran(sql) as result:
            return [_plain(row) for row in result.fetchall()]

    def _fetch_parts(self, sql: str, size: int) -> Iterator[list[Row]]:
        with self._told(), self._ran(sql) as result:
            while part := result.fetchmany(size):
                yield [_plain(row) for row in part]

    @contextmanager
    def _ran(self, sql: str) -> Iterator[Any]:
        """Run a statement; gives what has `fetchall` and `fetchmany`."""
        cursor = self._connection.cursor()
        try:
            cursor.execute(sql)
            yield cursor
        finally:
            with contextlib.suppress(Exception):  # each driver has its own; the statement has ended by then
                cursor.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (WarehouseError, GeneratorExit):
            raise
        except Exception as error:  # drivers let those of their HTTP and Thrift libraries through
            raise self._refusal(error) from error


_S = TypeVar("_S", bound=DriverSession)


class DriverWarehouse(ServerWarehouse[Any, _S]):
    """A database that is written in steps."""

    dialect: Dialect

    def __init__(
        self, database: str, connect: Callable[[], Any], schema: str, *, lock_wait: float = 60.0
    ) -> None:
        """Make one; nothing is connected yet.

        Args:
            database: The database (catalog) of the state tables.
            connect: Makes a new connection of the driver; raises what tells why it cannot.
            schema: The schema of the state tables; scratch tables stand there, too.
            lock_wait: Not used: there are no locks.
        """
        super().__init__(database, connect, lock_wait=lock_wait)
        self._stepping = Stepping(self.dialect, database, schema)

    @abstractmethod
    def _session(self, connection: Any) -> _S:
        """Take a connection into use."""

    @contextmanager
    def open(self) -> Iterator[_S]:
        """Connect; scratch tables go at the end, after an error with the next run."""
        with super().open() as session:
            yield session
            with contextlib.suppress(WarehouseError):  # all was written; the next run drops what is left
                session.drop_scratch()

    def _answers(self, connection: Any) -> bool:
        try:
            self._session(connection).rows("select 1")
        except WarehouseError:
            return False
        return True

    def _tidy(self, connection: Any) -> bool:  # noqa: ARG002 - nothing of a session stands on it
        return True

    def _close(self, connection: Any) -> None:
        with contextlib.suppress(Exception):  # broken or not; each driver has its own
            connection.close()


def parts_of(relation: str) -> list[str]:
    """The names in a relation as dbt writes it: `"a"."b"`, quoted or not."""
    return [a.replace('""', '"') or b.replace("``", "`") or c for a, b, c in _PART.findall(relation)]


def shortened(message: str) -> str:
    """A message that fits on a screen."""
    return " ".join(message.split())[:_LONGEST]


def _plain(row: Any) -> Row:
    """A row with times as naive UTC."""
    return tuple(
        value.astimezone(dt.UTC).replace(tzinfo=None)
        if isinstance(value, dt.datetime) and value.tzinfo
        else value
        for value in row
    )
