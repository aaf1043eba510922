"""A dbt project that dbt has just built, without dbt: tables, artifacts, profile; and the commands on it."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
import yaml

from harness import artifacts
from harness.artifacts import ModelNode, TestNode
from harness.outcome import COUNTS, Outcome, Row
from harness.warehouses import DuckDBFile, warehouse
from planhat_dbt.cli.main import main
from planhat_dbt.sandbox import Sandbox
from planhat_dbt.warehouse.profile import UNPROVEN

Values = Sequence[object]
DATABASE = "shop"
NOTED = ("existing", "changed_after_insert", "taken_over")
"""Codes of rows that are left alone."""
QUICK = {"max_wait": 4, "duckdb_lock_wait": 5, "read_timeout": 5}
"""Settings under which a fault costs a test seconds, not minutes."""


class Project:
    """One project in a folder of its own, and the sandbox it feeds."""

    def __init__(self, directory: Path, sandbox: Sandbox, on: str | None = None) -> None:
        self.directory = directory
        self.sandbox = sandbox
        self.target = directory / "target"
        self.file = directory / f"{DATABASE}.duckdb"
        self.models: dict[str, ModelNode] = {}
        self.env: dict[str, str] = dict(sandbox.environment)
        self.target.mkdir(parents=True)
        self.warehouse = warehouse(directory, on)
        self.settings()
        profile = self.warehouse.profile
        outputs = {"dev": profile, "prod": dict(profile)}
        self._write_yaml("profiles.yml", {"shop": {"target": "dev", "outputs": outputs}})

    # -- what dbt leaves behind

    def settings(self, **planhat: Any) -> None:
        """Write `dbt_project.yml` with these `vars: planhat:`."""
        consent = {"unproven_warehouse": True} if self.warehouse.profile["type"] in UNPROVEN else {}
        given = QUICK | consent | planhat
        document = {"name": "shop", "version": "1.0", "profile": "shop", "vars": {"planhat": given}}
        self._write_yaml("dbt_project.yml", document)

    def model(
        self, name: str, block: Any, columns: Mapping[str, str], rows: Iterable[Values] = (), **more: Any
    ) -> None:
        """Declare a model, create its table, and write the artifacts of a build."""
        spelt = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
        self._fill(name, rows, f'create or replace table "{name}" ({spelt})')
        self.declare(name, block, **more)

    def declare(self, name: str, block: Any, **more: Any) -> None:
        """Declare a model anew; its table stays."""
        self.models[name] = ModelNode(name, block, **more)
        self.build()

    def insert(self, name: str, rows: Iterable[Values]) -> None:
        """Add rows to a model's table."""
        self._fill(name, rows)

    def replace(self, name: str, rows: Iterable[Values]) -> None:
        """Give a model's table these rows instead."""
        self._fill(name, rows, f'delete from "{name}"')

    def _fill(self, name: str, rows: Iterable[Values], before: str = "") -> None:
        values = [list(row) for row in rows]
        slots = ", ".join("?" * len(values[0])) if values else ""
        with self.connect() as connection:
            if before:
                connection.execute(before)
            if values:
                connection.executemany(f'insert into "{name}" values ({slots})', values)

    def build(
        self,
        statuses: Mapping[str, str] | None = None,
        tests: Sequence[TestNode] = (),
        **args: Any,
    ) -> None:
        """Write the artifacts of one dbt invocation.

        Args:
            statuses: Model → status; a model that is not named succeeded; `""` leaves it out.
            tests: The data tests and how they ended.
            args: What `args` of the run results says besides, such as `which`.
        """
        invocation, now = str(uuid4()), dt.datetime.now(dt.UTC)
        ended = {m.unique_id: (statuses or {}).get(m.name, "success") for m in self.models.values()}
        ended |= {t.unique_id: t.status for t in tests}
        ended = {unique_id: status for unique_id, status in ended.items() if status}
        manifest = artifacts.manifest(self.models.values(), tests, self.warehouse, invocation, now)
        (self.target / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        results = artifacts.run_results(ended, args, invocation, now)
        (self.target / "run_results.json").write_text(json.dumps(results), encoding="utf-8")

    # -- the warehouse

    def connect(self) -> contextlib.AbstractContextManager[Any]:
        """The project's warehouse, as a person connects to it; a run that holds it is waited for."""
        return self.warehouse.connect()

    def share(self) -> None:
        """Leave the warehouse to other processes, too; the project's own commands let go of it by themselves."""
        if isinstance(self.warehouse, DuckDBFile):
            self.warehouse.share()

    def sql(self, *statements: str) -> None:
        """Run statements in the warehouse."""
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query in the warehouse; `planhat_sync.` names the state tables."""
        with self.connect() as connection:
            return connection.execute(sql).fetchall()

    def failures(self) -> dict[str, tuple[str, str]]:
        """Key → status and code of all that stands in `failures`."""
        found = self.query("select key, status, code from planhat_sync.failures order by key")
        return {key: (status, code) for key, status, code in found}

    def snapshot(self, sync: str, column: str = "_state") -> dict[str, Any]:
        """Key → one column of a snapshot table."""
        return dict(self.query(f'select _key, "{column}" from planhat_sync.snapshot__{sync} order by _key'))

    # -- the commands

    def cli(self, *arguments: str, env: Mapping[str, str | None] | None = None) -> Outcome:
        """Run a command in this process; `env` adds variables, or takes them away (None)."""
        self.sandbox.log.clear()
        results = self.target / "planhat_results.json"
        results.unlink(missing_ok=True)
        out, err = io.StringIO(), io.StringIO()
        code = 0
        with (
            patch.dict(os.environ, self.environment(env), clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                main([*arguments, *self._place()])
            except SystemExit as exit_:
                code = int(exit_.code or 0)
        document = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
        outcome = Outcome(code, out.getvalue(), err.getvalue(), tuple(self.sandbox.log.calls), document)
        self._check_said(outcome)
        return outcome

    def sync(
        self,
        *arguments: str,
        code: int | None = 0,
        legal: bool = True,
        env: Mapping[str, str | None] | None = None,
        **settings: Any,
    ) -> Outcome:
        """Run `sync` and check what holds for every run.

        Args:
            arguments: Options.
            code: The exit code expected; None: any.
            legal: Whether no rule of the API may be broken.
            env: As for `cli`.
            settings: `vars: planhat:` for this run.
        """
        if settings:
            arguments = (*arguments, "--vars", json.dumps({"planhat": settings}))
        outcome = self.cli("sync", *arguments, env=env)
        assert code in (None, outcome.code), outcome.told
        assert not (legal and self.sandbox.violations), self.sandbox.violations[:3]
        if outcome.document:
            self._check_counts(outcome)
        return outcome

    def quiet(self) -> None:
        """Check that a further run has nothing to do: not one call."""
        outcome = self.sync()
        assert outcome.kinds == []
        assert {r["status"] for r in outcome.document["results"]} == {"nothing_to_do"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command as a process of its own."""
        self.sandbox.log.clear()
        program = getattr(self.warehouse, "program", ("-m", "planhat_dbt"))
        if program is None:
            pytest.skip("this stand-in is in the tests' own process")
        self.share()
        return subprocess.Popen(
            [sys.executable, *program, *arguments, *self._place()],
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for_calls(self, number: int, process: subprocess.Popen[str]) -> None:
        """Wait until so many calls of a started command have arrived, those under way included."""
        give_up = time.monotonic() + 30
        while self.sandbox.log.total < number:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < give_up
            time.sleep(0.01)

    def wait_for_silence(self) -> None:
        """Wait until the sandbox is done with calls that a killed command left under way."""
        give_up = time.monotonic() + 5
        while self.sandbox.log.total > self.sandbox.log.counts.total() and time.monotonic() < give_up:
            time.sleep(0.01)

    def environment(self, env: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """The variables a command sees."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PLANHAT_", "DBT_"))}
        merged: dict[str, str | None] = {**kept, **self.env, **(env or {})}
        return {k: v for k, v in merged.items() if v is not None}

    def _place(self) -> list[str]:
        return ["--project-dir", str(self.directory), "--profiles-dir", str(self.directory)]

    def _write_yaml(self, name: str, document: Any) -> None:
        (self.directory / name).write_text(yaml.safe_dump(document), encoding="utf-8")

    # -- what holds for every command

    def _check_said(self, outcome: Outcome) -> None:
        assert "Traceback" not in outcome.told
        for secret in (self.env.get("PLANHAT_API_TOKEN"), self.env.get("PLANHAT_TENANT_UUID")):
            assert not secret or secret not in outcome.told

    def _check_counts(self, outcome: Outcome) -> None:
        """Results file, `runs`, `sync_runs` and `requests` say the same, and every planned row is counted once."""
        run_id = outcome.document["metadata"]["run_id"]
        names = ", ".join(COUNTS)
        with self.connect() as connection:
            in_runs = connection.execute(
                f"select {names}, calls from planhat_sync.runs where run_id = '{run_id}'"
            ).fetchall()
            in_syncs = connection.execute(
                f"select sync, {names} from planhat_sync.sync_runs where run_id = '{run_id}'"
            ).fetchall()
            requests = connection.execute(
                f"select count(*) from planhat_sync.requests where run_id = '{run_id}'"
            ).fetchall()
            planned = {
                sync: connection.execute(
                    f"select count(*) from planhat_sync.plan__{sync} where coalesce(_code, '') not in {NOTED}"
                ).fetchall()[0][0]
                for sync, *counts in in_syncs
                if sum(counts) and outcome.status(sync) != "refused"
            }
        totals = outcome.document["totals"]
        assert in_runs == [(*(totals[name] for name in COUNTS), totals["calls"])]
        assert requests == [(totals["calls"],)]
        told = {r["sync"]: tuple(r[name] for name in COUNTS) for r in outcome.document["results"]}
        assert told == {sync: tuple(counts) for sync, *counts in in_syncs}
        assert [sum(column) for column in zip(*told.values(), strict=True)] == [totals[n] for n in COUNTS]
        assert planned == {sync: sum(counts) for sync, *counts in in_syncs if sync in planned}


def rows_by(rows: Iterable[Row], key: str) -> dict[Any, Row]:
    """Rows by one of their fields, which must not repeat."""
    listed = list(rows)
    found = {row[key]: row for row in listed}
    assert len(found) == len(listed)
    return found
