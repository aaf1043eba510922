"""A dbt project in miniature: a real DuckDB file, declarations read from a real manifest, and runs over both."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from harness.warehouses import warehouse

from planhat_dbt.artifacts import read_manifest
from planhat_dbt.binding import BoundSync, bind
from planhat_dbt.compare import Comparison
from planhat_dbt.declaration import read_declarations
from planhat_dbt.declaration.types import Declarations, Sync
from planhat_dbt.gate import Gate
from planhat_dbt.outcome import BatchOutcome, FoundId, FoundIds, RowOutcome, RowStatus
from planhat_dbt.plan import SyncPlan
from planhat_dbt.planhat import ClientSettings, Endpoint
from planhat_dbt.result import RunResult, SyncResult
from planhat_dbt.run.context import Context, Overrides, Silent
from planhat_dbt.run.engine import Run
from planhat_dbt.sandbox import Sandbox
from planhat_dbt.settings import ProjectSettings
from planhat_dbt.state.journal import Journal, Window, utc_now
from planhat_dbt.state.layout import StateTables, ensure_tables, existing_tables
from planhat_dbt.state.snapshot import MappingRecord, ensure_snapshot
from planhat_dbt.warehouse.port import Session

FAST = ClientSettings(
    max_tries=3,
    backoff_base=0.001,
    throttle_base=0.01,
    max_wait=1.0,
    read_timeout=10.0,
    calls_per_minute=100_000,
)
ALL = Window(1, 2_000_000_000)

Row = dict[str, Any]


def as_view(comparison: Comparison) -> Comparison:
    """The same comparison, if the model were a view."""
    bound = comparison.bound
    model = replace(bound.sync.model, is_table=False)
    return replace(comparison, bound=replace(bound, sync=replace(bound.sync, model=model)))


class Bench:
    """One project: tables by SQL, declarations by YAML, comparisons and runs by the real engine."""

    def __init__(self, folder: Path, *, settings: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self.path = folder / "shop.duckdb"
        self.settings = ProjectSettings(**(settings or {}))
        self.place = warehouse(folder)
        self.warehouse = self.place.opened
        self.declarations = Declarations((), ())
        self.runs = 0
        self.clock = utc_now

    # -- the warehouse, as a person sees it

    def sql(self, *statements: str, **parameters: Any) -> None:
        with self._connection() as connection:
            for statement in statements:
                connection.execute(statement, parameters or None)

    def rows(self, query: str) -> list[Row]:
        with self._connection() as connection:
            found = connection.execute(query)
            names = [d[0] for d in found.description]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def one(self, query: str) -> Any:
        (row,) = self.rows(query)
        (value,) = row.values()
        return value

    def table(self, name: str, query: str) -> None:
        self.sql(f'create or replace table "{name}" as {query}')

    def _connection(self) -> AbstractContextManager[Any]:
        return self.place.connect()

    # -- declarations

    def declare(self, text: str | Mapping[str, Any]) -> dict[str, Sync]:
        """Read `model: block` pairs as dbt's manifest would carry them."""
        blocks = yaml.safe_load(text) if isinstance(text, str) else text
        manifest = {
            "metadata": {
                "dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json",
                "project_name": "shop",
            },
            "nodes": {
                f"model.shop.{name}": {
                    "resource_type": "model",
                    "name": name,
                    "package_name": "shop",
                    "database": self.place.database,
                    "schema": "main",
                    "alias": name,
                    "relation_name": f'"{self.place.database}"."main"."{name}"',
                    "original_file_path": f"models/{name}.sql",
                    "config": {"materialized": "table", "meta": {"planhat": block}},
                }
                for name, block in blocks.items()
            },
        }
        path = self.folder / "manifest.json"
        path.write_text(json.dumps(manifest), encoding="utf-8")
        self.manifest = read_manifest(path)
        self.declarations = read_declarations(self.manifest, self.settings)
        assert not self.declarations.errors, self.declarations.errors
        return {s.name: s for s in self.declarations.syncs}

    def sync_named(self, name: str) -> Sync:
        return next(s for s in self.declarations.syncs if s.name == name)

    # -- parts, with a session

    @property
    def tables(self) -> StateTables:
        return StateTables(self.warehouse.dialect, self.place.database, self.settings.state_schema)

    @contextmanager
    def session(self) -> Iterator[Session]:
        with self.warehouse.open() as session:
            yield session

    def bound(self, session: Session, name: str) -> BoundSync:
        sync = self.sync_named(name)
        columns = session.columns(sync.model.relation.rendered)
        assert columns is not None
        return bind(sync, columns, self.warehouse.dialect)

    def ensure(self, session: Session, name: str, **more: Any) -> MappingRecord:
        ensure_tables(session, self.tables, existing_tables(session, self.tables))
        present = existing_tables(session, self.tables)
        return ensure_snapshot(session, self.tables, self.bound(session, name), present, **more)[1]

    # -- runs

    def context(self, **overrides: Any) -> Context:
        return Context(
            project_dir=self.folder,
            target_dir=self.folder,
            target="dev",
            settings=self.settings,
            manifest=self.manifest,
            gate=Gate(None),
            invocation_id="",
            syncs=tuple(s for s in self.declarations.syncs if s.enabled),
            all_syncs=self.declarations.syncs,
            warehouse=self.warehouse,
            overrides=Overrides(**overrides),
        )

    def plans(self, **overrides: Any) -> dict[str, SyncPlan]:
        results = Run(self.context(**overrides), Silent(), "plan", clock=self.clock).plan()
        return {r.sync: r.plan for r in results if r.plan}

    def plan(self, name: str, **overrides: Any) -> list[Row]:
        """Compare everything; hand out the plan table of one sync in row order."""
        self.plans(**overrides)
        return self.planned(name)

    def planned(self, name: str) -> list[Row]:
        return self.rows(f'select * from planhat_sync."plan__{name}" order by _row')

    def by_key(self, name: str, **overrides: Any) -> dict[str, str]:
        """Key → operation, or code of the rows that are not sent."""
        return {str(r["_key"]): r["_operation"] or r["_code"] for r in self.plan(name, **overrides)}

    def accept(
        self,
        name: str,
        *,
        compare: bool = True,
        ids: Mapping[str, str] | None = None,
        created: bool = True,
        bad: Mapping[str, tuple[RowStatus, str]] | None = None,
        run_id: str = "",
    ) -> None:
        """Record the plan as if Planhat had accepted every row but those in `bad`."""
        if compare:
            self.plans()
        self.runs += 1
        with self.session() as session:
            bound, mapping = self.bound(session, name), self.ensure(session, name)
            rows = session.rows(
                f"select _row, _batch, _key, _operation from {self.tables.plan(name)} where _batch is not null"
            )
            outcomes = []
            for batch in sorted({r[1] for r in rows}):
                own = [r for r in rows if r[1] == batch]
                exceptions = tuple(
                    RowOutcome(row, key, operation, *((bad or {})[key]), "said so")
                    for row, _, key, operation in own
                    if key in (bad or {})
                )
                found = FoundIds.of(
                    FoundId(key, (ids or {})[key], created) for _, _, key, _ in own if key in (ids or {})
                )
                outcomes.append(BatchOutcome(batch, len(own), ids=found, exceptions=exceptions))
            journal = Journal(self.tables, run_id or f"run-{self.runs}")
            with session.transaction():
                journal.plan_batches(session, name)
                journal.mark_sending(session, name, ALL)
                journal.record(session, bound, ALL, outcomes, mapping_version=mapping.version, had_prior=True)
                session.insert(self.tables.sync_runs, ["run_id", "sync"], [[f"run-{self.runs}", name]])

    def snapshot(self, name: str) -> dict[str, Row]:
        return {r["_key"]: r for r in self.rows(f'select * from planhat_sync."snapshot__{name}"')}

    def failures(self) -> dict[str, tuple[str, str]]:
        return {r["key"]: (r["status"], r["code"]) for r in self.rows("select * from planhat_sync.failures")}

    def sync(
        self,
        sandbox: Sandbox,
        *,
        client: ClientSettings = FAST,
        before: Callable[[Run], None] | None = None,
        **overrides: Any,
    ) -> RunResult:
        """Run for real against a sandbox."""
        run = Run(self.context(**overrides), Silent(), "sync", clock=self.clock)
        if before:
            before(run)
        return run.sync(Endpoint.from_env(sandbox.environment), client)

    def result(self, sandbox: Sandbox, **more: Any) -> SyncResult:
        (one,) = self.sync(sandbox, **more).results
        return one
