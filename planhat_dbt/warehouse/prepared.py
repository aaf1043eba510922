"""Engines whose transactions hold changes of rows only: what makes or alters a table ends them (decision 38).

So a transaction begins with its first change of rows, and the scratch tables that are filled inside one are made before
it: once for a connection, with the columns that `state.scratch` gives them.
"""

from __future__ import annotations

import contextlib
import re
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from planhat_dbt.warehouse.error import WarehouseError
from planhat_dbt.warehouse.server import ServerSession

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from planhat_dbt.warehouse.port import Dialect

_OF_TABLES: Final = re.compile(r"\s*(create|alter|drop)\b", re.IGNORECASE)


@dataclass(slots=True, kw_only=True)
class PreparedConnection:
    """A connection on which scratch tables may have been made."""

    prepared: bool = False
    """Whether those of transactions were."""


class PreparedSession(ServerSession):
    """One connection in use."""

    def __init__(
        self, connection: PreparedConnection, dialect: Dialect, scratch: Mapping[str, Mapping[str, str]]
    ) -> None:
        """Take a connection into use.

        Args:
            connection: The connection.
            dialect: The engine's.
            scratch: The scratch tables that are filled inside transactions: name → column → type.
        """
        super().__init__(dialect)
        self._prepared = connection
        self._scratch = scratch
        self._begun = False
        self._changed = False
        """Whether a statement of the transaction has been run."""

    @abstractmethod
    def _run(self, sql: str, parameters: Sequence[object] = ()) -> None:
        """Run one statement."""

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> None:
        """Run one statement."""
        if _OF_TABLES.match(sql):
            self._commit()  # it would be, or such a statement is refused
        elif self._depth and not self._begun:
            self._run("begin transaction")
            self._begun, self._changed = True, False
        self._run(sql, parameters)
        self._changed = True

    def load(self, name: str, columns: Mapping[str, str], lists: Sequence[Sequence[object]]) -> None:
        """Fill a scratch table by rows."""
        self._empty(name, columns)
        self.insert(name, list(columns), list(zip(*lists, strict=True)))

    def scratch(self, name: str, query: str) -> None:
        """Keep a query's result until the session ends."""
        if name in self._scratch:
            self._empty(name, self._scratch[name])
            self.execute(f"insert into {name} {query}")
        else:
            self._make(f"create or replace temporary table {name} as {query}")

    def _empty(self, name: str, columns: Mapping[str, str]) -> None:
        if name in self._scratch:
            self._prepare()
            self.execute(f"delete from {name} where true")
        else:
            self._make_empty(name, columns)

    def _prepare(self) -> None:
        if not self._prepared.prepared:
            for name, columns in self._scratch.items():
                self._make_empty(name, columns)
            self._prepared.prepared = True

    def _make_empty(self, name: str, columns: Mapping[str, str]) -> None:
        spelt = ", ".join(f"{self._dialect.quote(column)} {kind}" for column, kind in columns.items())
        self._make(f"create or replace temporary table {name} ({spelt})")

    def _make(self, sql: str) -> None:
        if self._begun:
            raise RuntimeError(f"a scratch table made inside a transaction would end it: {sql[:60]}")
        self._run(sql)

    def _begin(self) -> None:
        """Later, with the first change of rows; scratch tables are made now."""
        if self._scratch:
            self._prepare()

    def _commit(self) -> None:
        if self._begun:
            self._begun = False
            try:
                self._run("commit")
            except WarehouseError:
                with contextlib.suppress(WarehouseError):
                    self._run("rollback")
                raise

    def _rollback(self) -> None:
        if self._begun:
            self._begun = False
            self._run("rollback")
