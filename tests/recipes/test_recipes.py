"""The recipes of `docs/recipes`, run as they stand; only `/srv/shop` is put elsewhere. `make test-recipes`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

import pytest
import yaml
from harness import Project

ROOT: Final = Path(__file__).parents[2]
RECIPES: Final = ROOT / "docs" / "recipes"
TOOLS: Final = ROOT / ".recipes"
PLACE: Final = "/srv/shop"
pytestmark = pytest.mark.skipif(
    not os.environ.get("PLANHAT_DBT_TEST_RECIPES"),
    reason="make test-recipes: they install Airflow and Dagster",
)

FILES: Final = {
    "dbt_project.yml": "{name: shop, version: '1.0', profile: shop, models: {shop: {+tags: [hourly]}}}",
    "models/companies.sql": "select 'c-' || i as id, 'Acme ' || i as name from range(1, 4) r(i)",
    "models/assets.sql": """
select 'a-' || i as id, 'c-1' as company, nullif('A' || i, 'A3') as name from range(1, 3) r(i)
""",
    "models/schema.yml": """
models:
  - name: companies
    config: {materialized: table, meta: {planhat: {object: company, match: {externalId: id}, fields: {name: name}}}}
    columns: [{name: id, data_tests: [unique]}]
  - name: assets
    config:
      materialized: table
      meta:
        planhat: {object: asset, match: {externalId: id}, fields: {companyId: {company: company}, name: name}}
    columns: [{name: name, data_tests: [not_null]}]
""",
}


@pytest.fixture
def shop(project: Project) -> Project:
    """A dbt project with its own `.venv`, and the sandbox's secrets in a file and in the environment."""
    for name, text in FILES.items():
        path = project.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (project.directory / ".venv").symlink_to(Path(sys.executable).parents[1], target_is_directory=True)
    secrets = "".join(f"{name}={value}\n" for name, value in project.env.items())
    (project.directory / "secrets.env").write_text(secrets, encoding="utf-8")
    return project


def recipe(shop: Project, name: str) -> str:
    text = (RECIPES / name).read_text(encoding="utf-8")
    assert PLACE in text or name.endswith(".yml")
    return text.replace(PLACE, str(shop.directory))


def environment(shop: Project, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        **shop.env,
        "DBT_PROFILES_DIR": str(shop.directory),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        **more,
    }


def tool(name: str, *packages: str) -> Path:
    """The folder of programs of an environment that has these packages."""
    folder = TOOLS / name
    if not (folder / ".ready").exists():
        venv.create(folder, clear=True, with_pip=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages], check=True)
        (folder / ".ready").touch()
    return folder / "bin"


def run(shop: Project, *command: str | Path, code: int = 0, **environ: str) -> str:
    done = subprocess.run(
        command,
        cwd=shop.directory,
        env=environment(shop, **environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, (done.stdout + done.stderr)[-6000:]
    return done.stdout + done.stderr


def mirror(shop: Project) -> tuple[int, int]:
    tenant = shop.sandbox.tenant
    return len(tenant.records("companies")), len(tenant.records("assets"))


def break_assets(shop: Project) -> None:
    """Let a test of the assets fail: their sync is gated, the one of the companies is not."""
    text = FILES["models/assets.sql"].replace("range(1, 3)", "range(1, 4)")
    (shop.directory / "models" / "assets.sql").write_text(text, encoding="utf-8")
    text = FILES["models/companies.sql"].replace("range(1, 4)", "range(1, 5)")
    (shop.directory / "models" / "companies.sql").write_text(text, encoding="utf-8")


def test_cron(shop: Project) -> None:
    """As cron runs a line: by /bin/sh, from another folder, with next to no environment, without a terminal."""
    (line,) = [text for text in recipe(shop, "crontab").splitlines() if not text.startswith("#")]
    assert "%" not in line, "cron takes it for a new line"
    command = line.split(maxsplit=5)[5]
    bare = {"HOME": "/nonexistent", "LOGNAME": "shop", "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"}
    profiles = f"DBT_PROFILES_DIR={shop.directory}\n"
    (shop.directory / "secrets.env").open("a", encoding="utf-8").write(profiles)
    log = shop.directory / "planhat.log"
    for expected, code in (((3, 2), 0), ((4, 2), 1)):
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd="/",
            env=bare,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        assert done.returncode == code, log.read_text()
        assert (done.stdout, done.stderr) == (b"", b""), "cron would send it by mail"
        assert mirror(shop) == expected
        break_assets(shop)
    assert "\x1b" not in log.read_text(encoding="utf-8"), "a log file is read without a terminal"


def test_github_actions(shop: Project) -> None:
    """As a runner does: each step's lines by `bash -e`, with the job's environment."""
    job = yaml.safe_load(recipe(shop, "github_actions.yml"))["jobs"]["sync"]
    steps = [s for s in job["steps"] if "run" in s and s["name"] != "Install"]
    assert set(job["env"]) <= {*shop.env, "DBT_PROFILES_DIR"}
    summary = shop.directory / "summary.md"
    programs = str(Path(sys.executable).parent)
    more = {
        "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTIONS": "true", "CI": "true",
        "DBT_PROFILES_DIR": job["env"]["DBT_PROFILES_DIR"], "PATH": f"{programs}:{os.environ['PATH']}",
    }  # fmt: skip
    build, tell = steps
    assert build["shell"] == "bash"
    for expected, code in (((3, 2), 0), ((4, 2), 1)):
        run(shop, "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", build["run"], code=code, **more)
        run(shop, "bash", "-e", "-c", tell["run"], **more)
        assert mirror(shop) == expected
        break_assets(shop)
    text = summary.read_text(encoding="utf-8")
    assert text.count("```") == 4
    assert "gated" in text
    assert "not_null_assets_name" in text, "it says why"
    assert "\x1b" not in text


def test_airflow(shop: Project) -> None:
    programs = tool("airflow", "apache-airflow")
    home = shop.directory / "airflow"
    (home / "dags").mkdir(parents=True)
    (home / "dags" / "planhat.py").write_text(recipe(shop, "airflow_dag.py"), encoding="utf-8")
    environ = {
        "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "false", "PATH": f"{programs}:{os.environ['PATH']}",
    }  # fmt: skip
    run(shop, programs / "airflow", "db", "migrate", **environ)
    run(shop, programs / "airflow", "dags", "test", "dbt_and_planhat", "2026-03-01", **environ)
    assert mirror(shop) == (3, 2)
    break_assets(shop)
    told = run(shop, programs / "airflow", "dags", "test", "dbt_and_planhat", "2026-03-02", code=1, **environ)
    assert mirror(shop) == (4, 2), told[-4000:]
    broken = "{{ config(materialized='table') }} select cast('x' as integer) as number"
    (shop.directory / "models" / "of_no_sync.sql").write_text(broken, encoding="utf-8")
    (shop.directory / "models" / "assets.sql").write_text(FILES["models/assets.sql"], encoding="utf-8")
    run(shop, programs / "airflow", "dags", "test", "dbt_and_planhat", "2026-03-03", code=1, **environ)


def test_dagster(shop: Project) -> None:
    programs = tool("dagster", "dagster", "dagster-dbt", "dbt-core<1.12", "dbt-duckdb")
    file = shop.directory / "definitions.py"
    file.write_text(recipe(shop, "dagster_definitions.py"), encoding="utf-8")
    home = shop.directory / "dagster"
    home.mkdir()
    environ = {"DAGSTER_HOME": str(home), "PATH": f"{programs}:{os.environ['PATH']}"}
    command = (programs / "dagster", "asset", "materialize", "--select", "*", "-f", file)
    run(shop, *command, **environ)
    assert mirror(shop) == (3, 2)
    break_assets(shop)
    told = run(shop, *command, code=1, **environ)
    assert "dbt ended with failures, planhat-dbt sync with exit code" in told
    assert mirror(shop) == (4, 2)
    shutil.rmtree(home)
