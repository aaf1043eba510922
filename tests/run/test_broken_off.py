"""With dbt itself: what was built and not tested, or not built from all rows, does not go out (decision 50)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest
import yaml
from harness import Project
from harness.dbt import needs, run_dbt

from run.test_dbt_build import BIN, start

MODELS = {
    "models/base.sql": "{{ config(materialized='table', event_time='seen_at') }} "
    "select i, current_timestamp - to_days(i::int) as seen_at from range(0, 5) r(i)",
    "models/staged.sql": "{{ config(materialized='table') }} select i from {{ ref('base') }}",
    "models/companies.sql": "{{ config(materialized='table') }} "
    "select 'c-' || i as id, '{{ var(\"name\", \"Acme\") }} ' || i as name from {{ ref('staged') }}",
    "models/schema.yml": """
models:
  - name: companies
    config: {meta: {planhat: {object: company, match: {externalId: id}, on_removed: delete, fields: {name: name}}}}
    columns: [{name: id, data_tests: [unique]}]
""",
}
SLOW = """
select 1 from {{ ref('companies') }}, range({{ var('slow', 1) }}) a, range(1000000) b where hash(a.range, b.range) = 1
"""
LONG = '{"name": "Beta", "slow": 6000}'
DAYS = {f"Acme {i}" for i in range(5)}
pytestmark = pytest.mark.duckdb("the models are written in its SQL")


@pytest.fixture
def shop(project: Project) -> Project:
    for name, text in {**MODELS, "tests/slow.sql": SLOW}.items():
        path = project.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    project.env |= {"DBT_PROFILES_DIR": str(project.directory), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    return project


def dbt(shop: Project, *arguments: str, code: int = 0) -> None:
    done = run_dbt(*arguments, cwd=shop.directory, env={**os.environ, **shop.env})
    assert done.returncode == code, done.stdout + done.stderr


def broken_off(shop: Project, number: signal.Signals, *command: str, **environ: str) -> tuple[int, str]:
    """Run a command, and send a signal to it when dbt is at the slow test; exit code, and what was said."""
    process = start(shop, *command, **environ)
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if "START test slow" in line:
            time.sleep(2)  # dbt cancels a query only if it has begun
            process.send_signal(number)
    return process.wait(60), said


def names(shop: Project) -> set[str]:
    return {r["name"] for r in shop.sandbox.tenant.records("companies")}


def test_after_an_interrupt_nothing_goes_that_was_not_tested(shop: Project) -> None:
    shop.sandbox.log.clear()
    code, said = broken_off(shop, signal.SIGINT, "dbt", "build", "--vars", LONG, PLANHAT_DBT_HOOK="1")
    assert code not in (0, -signal.SIGINT)
    assert "planhat: dbt did not come to its end: nothing was sent" in said
    assert shop.sandbox.log.total == 0
    outcome = shop.sync(code=3)
    assert outcome.status("companies") == "gated"
    assert "the last dbt build did not run slow" in outcome.out
    assert outcome.kinds == []


def test_what_a_killed_dbt_built_waits_for_one_that_comes_to_its_end(shop: Project) -> None:
    dbt(shop, "build")
    shop.sync()
    an_hour_ago = time.time() - 3600
    os.utime(shop.target / "run_results.json", (an_hour_ago, an_hour_ago))
    code, _ = broken_off(shop, signal.SIGKILL, "dbt", "build", "--vars", LONG)
    assert code == -signal.SIGKILL
    shop.sync(code=3)
    dbt(shop, "parse")
    outcome = shop.sync(code=3)
    assert "model companies was built by a dbt command that has left no results" in outcome.out
    assert names(shop) == DAYS
    dbt(shop, "build", "--vars", '{"name": "Beta"}')
    shop.sync()
    assert names(shop) == {f"Beta {i}" for i in range(5)}
    dbt(shop, "parse")
    shop.quiet()


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "flag",
    [pytest.param(["--sample", "2 days"], marks=needs(1, 10, why="has no --sample")), ["--empty"]],
    ids=["sample", "empty"],
)
def test_a_part_of_the_rows_stays_one_whatever_dbt_does_next(shop: Project, flag: list[str]) -> None:
    dbt(shop, "build")
    shop.sync()
    dbt(shop, "run", *flag)
    assert f"`dbt run {flag[0]}`" in shop.sync(code=3).err
    for command in (["test"], ["parse"], ["run", "--select", "companies"]):
        dbt(shop, *command)
        outcome = shop.sync(code=3)
        assert outcome.status("companies") == "gated"
        assert (
            f"was last built with {flag[0]}; run `dbt build --full-refresh --select staged+`" in outcome.out
        )
    assert names(shop) == DAYS
    dbt(shop, "build")
    shop.quiet()


@pytest.mark.thorough
def test_a_retry_is_known_behind_options_of_dbt(shop: Project) -> None:
    (shop.directory / "tests" / "bad.sql").write_text(
        "select * from {{ ref('base') }} where i < {{ var('bad', 1) }}", encoding="utf-8"
    )
    dbt(shop, "build", code=1)
    dbt(shop, "--log-format", "json", "retry", "--vars", '{"bad": 0}')
    assert shop.sync().counts("companies") == {"inserted": 5}


def test_a_plugin_does_not_send_what_an_earlier_dbt_left(shop: Project) -> None:
    dbt(shop, "build")
    shop.sandbox.log.clear()
    (shop.directory / "models" / "more.sql").write_text("select * from {{ ref('nobody') }}", encoding="utf-8")
    process = start(shop, "dbt", "build", PLANHAT_DBT_HOOK="1")
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "planhat: dbt did not come to its end: nothing was sent" in said
    assert shop.sandbox.log.total == 0
    (shop.directory / "models" / "more.sql").unlink()
    process = start(shop, "dbt", "--no-write-json", "build", PLANHAT_DBT_HOOK="1")
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 1, said
    assert "planhat: dbt left no run_results.json of its own: nothing was sent" in said
    assert shop.sandbox.log.total == 0


@pytest.mark.thorough
def test_what_a_program_reads_is_not_mixed_with_what_dbt_says(shop: Project) -> None:
    shop.share()
    done = subprocess.run(
        [str(BIN / "planhat-dbt"), "build", "--output", "json", "--", "--target", "dev"],
        cwd=shop.directory,
        env={**os.environ, **shop.env},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["totals"]["inserted"] == 5
    assert "START sql table model" in done.stderr


@pytest.mark.parametrize("built", [("build",), ("run", "test")], ids=["build", "run, test"])
def test_a_manifest_that_was_written_for_another_target_is_refused(
    shop: Project, built: tuple[str, ...]
) -> None:
    """`dbt parse` without `--target` names the default target's tables; what dbt built and tested are others."""
    path = shop.directory / "profiles.yml"
    profiles = yaml.safe_load(path.read_text(encoding="utf-8"))
    outputs = profiles["shop"]["outputs"]
    outputs["prod"] = {**outputs["dev"], "schema": "prod"}
    path.write_text(yaml.safe_dump(profiles), encoding="utf-8")
    dbt(shop, "build", "--vars", '{"name": "Untested"}')
    for command in built:
        dbt(shop, command, "--target", "prod")
    dbt(shop, "parse")
    outcome = shop.sync(code=3)
    assert "a later dbt command" in outcome.told
    assert "--target" in outcome.told
    assert names(shop) == set()
    dbt(shop, "parse", "--target", "prod")
    shop.sync()
    assert names(shop) == DAYS
