"""A whole life of two syncs where each statement is committed by itself (`make unit-steps` does the rest)."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Project
from harness.stepwise import StepwiseDuckDBWarehouse

from planhat_dbt.sandbox import Sandbox
from planhat_dbt.warehouse import duckdb
from run.life import lead_a_life


@pytest.mark.duckdb("its own engine")
def test_a_life_in_steps(folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duckdb, "DuckDBWarehouse", StepwiseDuckDBWarehouse)
    project = Project(folder / "stepwise", sandbox, "steps")
    lead_a_life(project)
    assert project.query("select count(*) from planhat_sync.steps") == [(0,)]
    found = project.query("select table_name from duckdb_tables() where table_name like 'scratch%'")
    assert found == []
