"""In the example: a dbt test that fails gates its sync, the others run; once it is mended, the sync goes through."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "dbt_project_example"))

from harness.dbt import needs, run_dbt
from seed_generator.accounts import planhat_users

from planhat_dbt.sandbox import Sandbox
from planhat_dbt.sandbox.pytest_plugin import _running_sandbox, planhat_sandbox  # noqa: F401 - fixtures

PROJECT = Path(__file__).parents[2] / "dbt_project_example"
BIN = Path(sys.executable).parent
SYNCS = "planhat_companies planhat_assets"
pytestmark = needs(1, 10, why="the example asks for it")


def test_a_failing_test_gates_its_sync_alone(tmp_path: Path, planhat_sandbox: Sandbox) -> None:  # noqa: F811
    project = tmp_path / "project"
    ignored = shutil.ignore_patterns("target", "logs", "*.duckdb*", "__pycache__")
    shutil.copytree(PROJECT, project, ignore=ignored)
    subprocess.run([sys.executable, "-B", str(project / "generate_seeds.py"), "--step", "1"], check=True)
    planhat_sandbox.tenant.seed("users", [user.as_planhat() for user in planhat_users()])
    environ = {
        **os.environ,
        **planhat_sandbox.environment,
        "EXAMPLE_DUCKDB_PATH": str(project / "example.duckdb"),
        "DBT_PROFILES_DIR": str(project),
    }
    broken = project / "tests" / "no_asset_is_called_anything.sql"
    broken.parent.mkdir(exist_ok=True)
    broken.write_text("select workspace_name from {{ ref('planhat_assets') }}\n")

    def build(*arguments: str) -> int:
        return run_dbt("build", "--quiet", *arguments, cwd=project, env=environ).returncode

    def run(*command: str) -> tuple[int, dict[str, str]]:
        done = subprocess.run(
            command, cwd=project, env=environ, capture_output=True, text=True, check=False, timeout=90
        )
        assert "Traceback" not in done.stdout + done.stderr
        results = project / "target" / "planhat_results.json"
        document = json.loads(results.read_text()) if results.exists() else {"results": []}
        return done.returncode, {r["sync"]: r["status"] for r in document["results"]}

    sync = (str(BIN / "planhat-dbt"), "sync", "--select", SYNCS)
    assert build() == 1
    code, status = run(*sync)
    assert (code, status["planhat_assets"]) == (3, "gated")
    assert status["planhat_companies"] in ("success", "partial")
    assert planhat_sandbox.tenant.records("companies")
    assert planhat_sandbox.tenant.records("assets") == []
    assert run_dbt("parse", "--quiet", cwd=project, env=environ).returncode == 0
    code, status = run(*sync)
    assert (code, status["planhat_assets"]) == (3, "gated"), "a newer manifest makes no test pass"
    assert planhat_sandbox.tenant.records("assets") == []
    broken.unlink()
    assert build("--select", "planhat_assets") == 0
    code, status = run(*sync)
    assert status["planhat_assets"] in ("success", "partial")
    assert planhat_sandbox.tenant.records("assets")
