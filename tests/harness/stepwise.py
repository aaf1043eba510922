"""DuckDB as an engine without transactions: each statement is committed by itself, in steps that are kept.

It stands for engines that cannot be run here, and is stricter than they are: a kill strikes between any two statements.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness.warehouses import DuckDBFile
from planhat_dbt.warehouse.duckdb import DuckDBSession, DuckDBWarehouse
from planhat_dbt.warehouse.error import WarehouseError
from planhat_dbt.warehouse.port import Column, Row
from planhat_dbt.warehouse.profile import DuckDBTarget
from planhat_dbt.warehouse.stepwise import Stepping, StepwiseSession


class StepwiseDuckDB(StepwiseSession):
    """A DuckDB connection on which nothing but single statements is committed."""

    lease_settles = 0.02

    def __init__(self, connection: DuckDBSession, dialect: Any, stepping: Stepping) -> None:
        super().__init__(dialect, stepping)
        self._connection = connection

    def _run(self, sql: str) -> None:
        self._connection.execute(sql)

    def _fetch(self, sql: str) -> list[Row]:
        return self._connection.rows(sql)

    def _fetch_parts(self, sql: str, size: int) -> Iterator[list[Row]]:
        return self._connection.stream(sql, size)

    def _is_conflict(self, error: WarehouseError) -> bool:
        return "Conflict on " in str(error)

    def columns(self, relation: str) -> tuple[Column, ...] | None:
        return self._connection.columns(relation)

    def tables(self, database: str, schema: str) -> dict[str, tuple[Column, ...]]:
        return self._connection.tables(database, schema)

    def _version(self, table: str) -> str:
        ((rows, content),) = self._connection.rows(f"select count(*), sum(hash(t)) from {table} t")
        return f"{rows} {content}"


class StepwiseDuckDBWarehouse(DuckDBWarehouse):
    """A DuckDB file that is written in steps."""

    def __init__(self, target: DuckDBTarget, **more: Any) -> None:
        super().__init__(target, **more)
        self._stepping = Stepping(self.dialect, self.database, "planhat_sync")

    @contextmanager
    def open(self) -> Iterator[StepwiseDuckDB]:  # type: ignore[override]
        with super().open() as connection, self._in_steps(connection) as session:
            yield session

    @contextmanager
    def spare(self) -> Iterator[StepwiseDuckDB | None]:  # type: ignore[override]
        with super().spare() as connection:
            if connection is None:
                yield None
                return
            with self._in_steps(connection) as session:
                yield session

    @contextmanager
    def _in_steps(self, connection: DuckDBSession) -> Iterator[StepwiseDuckDB]:
        session = StepwiseDuckDB(connection, self.dialect, self._stepping)
        yield session
        session.drop_scratch()


class StepwiseFile(DuckDBFile):
    """A DuckDB file that runs write in steps; tests reach it as any other."""

    session = StepwiseDuckDB  # type: ignore[assignment]

    @property
    def opened(self) -> DuckDBWarehouse:
        return StepwiseDuckDBWarehouse(DuckDBTarget("dev", str(self.file), self.database), lock_wait=5.0)
