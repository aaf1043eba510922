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
    """Whether DuckDB ran out of memory; it says so in other words where that happens in a commit or a checkpoint."""
    if isinstance(error, duckdb.TransactionException | duckdb.FatalException):
        return "memory_limit" in str(error) or "MiB used)" in str(error)
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
        if self._step >= len(_STEPS):
            connection.execute("reset memory_limit")
            return
        ((threads,),) = connection.execute("select current_setting('threads')").fetchall()
        limit = max(_LEAST, _PER_THREAD * int(threads)) * _STEPS[self._step]
        connection.execute(f"set memory_limit = '{limit}MB'")

    def raised(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Raise it by a step.

        Returns:
            Whether there was one left, and the connection is alive to work under it; else it holds for the next one.
        """
        if not self._is_ours or self._step >= len(_STEPS):
            return False
        self._step += 1
        try:
            self.apply(connection)
        except duckdb.Error:  # a checkpoint that failed ends the database's life in this process
            return False
        return True
