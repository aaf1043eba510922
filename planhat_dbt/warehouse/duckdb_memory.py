"""How much memory DuckDB may take (decision 36)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterable

_SETTING: Final = re.compile(r"memory_limit|max_memory", re.IGNORECASE)
_PER_THREAD: Final = 50
"""MB for each of DuckDB's threads; what needs more goes to its temporary directory."""
_LEAST: Final = 100
_STEPS: Final = (1, 2, 3, 5, 10, 20)
"""How many times as much is allowed, step by step, where a statement ran out of it, before the limit is lifted: joins
of ten million rows need twice as much, rows of hundreds of columns more."""


def is_shortage(error: BaseException) -> bool:
    """Whether DuckDB ran out of memory; where it does so in a commit, it says that in other words."""
    if isinstance(error, duckdb.TransactionException):
        return "memory_limit" in str(error)
    return isinstance(error, duckdb.OutOfMemoryException)


class MemoryLimit:
    """The limit for one file: raised where it turns out too low, and so it stays, also when the file is opened anew."""

    def __init__(self, told: Iterable[str], *, remote: bool) -> None:
        """Start at the lowest step, unless the profile has a limit, or another machine does the work.

        Args:
            told: Settings and statements of the profile.
            remote: Whether the database is elsewhere (MotherDuck).
        """
        self._is_ours = not remote and not any(_SETTING.search(text) for text in told)
        self._step = 0

    def apply(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Set it for all connections to the file."""
        if not self._is_ours:
            return
        if self._step == len(_STEPS):
            connection.execute("reset memory_limit")
            return
        ((threads,),) = connection.execute("select current_setting('threads')").fetchall()
        limit = max(_LEAST, _PER_THREAD * int(threads)) * _STEPS[self._step]
        connection.execute(f"set memory_limit = '{limit}MB'")

    def raised(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Raise it by a step; whether there was one left."""
        if not self._is_ours or self._step == len(_STEPS):
            return False
        self._step += 1
        self.apply(connection)
        return True
