"""With dbt itself: `planhat-dbt build -- …`, and the plugin inside a plain `dbt build` (DESIGN §10)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from harness import Project
from harness.dbt import run_dbt

from planhat_dbt.sandbox import Fault, FaultKind
from run.shop import add_companies

BIN = Path(sys.executable).parent
MODELS = {
    "models/companies.sql": "select 'c-' || i as id, '{{ var(\"name\") }} ' || i as name from range(1, 4) r(i)",
    "models/assets.sql": "select 'a-' || i as id, 'c-1' as company, {{ var('asset') }} as name from range(1, 3) r(i)",
    "models/schema.yml": """
models:
  - name: companies
    config: {meta: {planhat: {object: company, match: {externalId: id}, fields: {name: name}}}}
    columns: [{name: id, data_tests: [unique]}]
  - name: assets
    config:
      meta:
        planhat: {object: asset, match: {externalId: id}, fields: {companyId: {company: company}, name: name}}
    columns: [{name: name, data_tests: [not_null]}]
""",
}


@pytest.fixture
def shop(project: Project) -> Project:
    for name, text in MODELS.items():
        path = project.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    project.env |= {"DBT_PROFILES_DIR": str(project.directory), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    return project


def start(project: Project, *command: str, **environ: str) -> subprocess.Popen[str]:
    program = BIN / command[0]
    project.share()
    return subprocess.Popen(
        [str(program), *command[1:]],
        cwd=project.directory,
        env=variables_of(project, **environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=_hear_interrupts,  # noqa: PLW1509 - it calls into Python's C code alone
    )


def _hear_interrupts() -> None:
    """Whoever runs the tests in the background of a shell hands on that interrupts are ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(project: Project, *command: str, code: int = 0, **environ: str) -> str:
    project.sandbox.log.clear()
    if command[0] == "dbt" and "PYTHONPATH" not in environ:  # a fork has looked for its modules already
        done = run_dbt(*command[1:], cwd=project.directory, env=variables_of(project, **environ))
        ended, said = done.returncode, done.stdout + done.stderr
    else:
        process = start(project, *command, **environ)
        said, _ = process.communicate(timeout=120)
        ended = process.returncode
    assert ended == code, said
    assert "Traceback" not in said
    return said


def variables_of(project: Project, **environ: str) -> dict[str, str]:
    return {**os.environ, **project.env, "PATH": f"{BIN}:{os.environ['PATH']}", **environ}


def variables(name: str, asset: str = "'A'") -> str:
    return json.dumps({"name": name, "asset": asset})


def held(project: Project) -> tuple[set[str], set[str]]:
    tenant = project.sandbox.tenant
    return {r["name"] for r in tenant.records("companies")}, {r["name"] for r in tenant.records("assets")}


def test_the_wrapper_sends_what_was_built_and_tested(shop: Project) -> None:
    said = run(shop, "planhat-dbt", "build", "--", "--vars", variables("Acme"))
    assert "PASS=4" in said
    assert held(shop) == ({"Acme 1", "Acme 2", "Acme 3"}, {"A"})

    said = run(
        shop, "planhat-dbt", "build", "--", "build", "--vars", variables("Beta", "null::varchar"), code=1
    )
    assert "dbt tests did not pass: not_null_assets_name" in said
    assert held(shop) == ({"Beta 1", "Beta 2", "Beta 3"}, {"A"}), "the broken one is gated, the other goes"

    given = variables("Gamma", "'A2'")
    said = run(shop, "planhat-dbt", "build", "--", "--select", "assets", f"--vars={given}")
    assert "not built now" in said
    assert held(shop) == ({"Beta 1", "Beta 2", "Beta 3"}, {"A2"}), "mended, it goes through"


def test_a_dbt_that_fails_early_leaves_old_results_which_are_not_taken(shop: Project) -> None:
    run(shop, "dbt", "build", "--vars", variables("Acme"))
    said = run(shop, "planhat-dbt", "build", "--", "--no-such-option", code=2)
    assert "nothing was sent" in said
    (shop.directory / "models" / "broken.sql").write_text("select {{ nothing( }}", encoding="utf-8")
    said = run(shop, "planhat-dbt", "build", "--", "--vars", variables("Acme"), code=2)
    assert shop.sandbox.log.total == 0


@pytest.mark.duckdb("the slow model is written in its SQL")
@pytest.mark.sampled(2)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_dbt_and_nothing_is_sent(shop: Project, number: signal.Signals) -> None:
    """Also one that reaches the wrapper alone."""
    slow = "select count(*) as id, 'x' as name from range(6000) a, range(1000000) b where hash(a.range, b.range) = 1"
    slow = "{{ config(materialized='table') }} " + slow
    (shop.directory / "models" / "companies.sql").write_text(slow, encoding="utf-8")
    process = start(shop, "planhat-dbt", "build", "--", "--vars", variables("Acme"))
    assert process.stdout
    for line in process.stdout:
        if "START sql" in line:
            break
    time.sleep(2)  # dbt cancels a query only if it has begun
    process.send_signal(number)
    said, _ = process.communicate(timeout=120)
    assert process.returncode not in (0, 3)
    assert "Interrupted: nothing was sent." in said
    assert shop.sandbox.log.total == 0


STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: print("INTERRUPTED", flush=True))
print("START", flush=True)
time.sleep(2)
sys.exit({code})
"""
WITH_STUBBORN = """
import sys
from planhat_dbt.cli import build
from planhat_dbt.cli.main import main
build.dbt_command = lambda _: [sys.executable, "-c", {program!r}]
build._is_fresh = lambda *_: True
build._PATIENCE = {patience}
main(["build"])
"""


@pytest.mark.parametrize(
    ("both", "patience", "code"),
    [(True, 5, 0), (False, 0.3, 0), (False, 0.3, 1)],
    ids=["both", "alone", "alone, tests failed"],
)
def test_an_interrupt_reaches_dbt_once_and_no_sync_follows(
    project: Project, both: bool, patience: float, code: int
) -> None:
    """Ctrl+C in a terminal interrupts both. dbt may be done by then, and end as if nothing had been."""
    add_companies(project, 1)
    script = WITH_STUBBORN.format(program=STUBBORN.format(code=code), patience=patience)
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=project.directory,
        env={**os.environ, **project.env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    assert "START" in process.stdout.readline()
    (os.killpg if both else os.kill)(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == (code or 130), said
    assert said.count("INTERRUPTED") == 1
    assert "Interrupted: nothing was sent." in said
    assert project.sandbox.log.total == 0


def test_the_plugin_syncs_at_the_end_of_a_plain_build(shop: Project) -> None:
    said = run(shop, "dbt", "build", "--vars", variables("Acme"))
    assert "planhat" not in said, "it is off unless somebody asks for it"
    assert shop.sandbox.log.total == 0

    document = yaml.safe_load((shop.directory / "dbt_project.yml").read_text(encoding="utf-8"))
    document["vars"]["planhat"]["hook"] = True
    (shop.directory / "dbt_project.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    said = run(shop, "dbt", "build", "--vars", variables("Acme"))
    assert "planhat: success: 5 rows sent" in said
    assert held(shop) == ({"Acme 1", "Acme 2", "Acme 3"}, {"A"})

    run(shop, "dbt", "parse", "--vars", variables("Acme"))
    assert shop.sandbox.log.total == 0

    shop.sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=401, count=None))
    said = run(shop, "dbt", "build", "--vars", variables("Beta"), code=1)
    assert "PASS=4" in said, "what dbt did stands"
    assert "planhat: the sync ended with exit code 1" in said
    shop.sandbox.faults.clear()

    said = run(shop, "dbt", "run", "--vars", variables("Beta"), PLANHAT_API_TOKEN="", code=1)
    assert "PLANHAT_API_TOKEN is not set" in said
    run(shop, "dbt", "run", "--vars", variables("Beta"), PLANHAT_DBT_HOOK="0")
    assert shop.sandbox.log.total == 0
    said = run(shop, "dbt", "run", "--vars", variables("Beta"))
    assert "runs no tests" in said
    assert held(shop)[0] == {"Beta 1", "Beta 2", "Beta 3"}


@pytest.mark.thorough
@pytest.mark.parametrize("asked", [False, True], ids=["not asked", "asked"])
def test_a_broken_installation_fails_only_the_builds_that_asked_for_a_sync(
    shop: Project, asked: bool
) -> None:
    broken = shop.directory / "broken"
    (broken / "planhat_dbt").mkdir(parents=True)
    (broken / "planhat_dbt" / "__init__.py").write_text(
        "raise RuntimeError('half installed')", encoding="utf-8"
    )
    shop.settings(**({"hook": True} if asked else {}))
    said = run(shop, "dbt", "build", "--vars", variables("Acme"), code=int(asked), PYTHONPATH=str(broken))
    assert "PASS=4" in said
    assert ("could not sync (RuntimeError: half installed); run `planhat-dbt sync`" in said) == asked
    assert ("planhat:" in said) == asked


@pytest.mark.thorough
def test_what_dbt_answers_alone_ends_as_dbt_does(shop: Project) -> None:
    said = run(shop, "planhat-dbt", "build", "--", "--help")
    assert "Usage: dbt" in said
    assert "nothing was sent" not in said


@pytest.mark.thorough
def test_a_hook_that_is_neither_on_nor_off_is_told(shop: Project) -> None:
    shop.settings(hook="maybe")
    said = run(shop, "dbt", "run", "--vars", variables("Acme"), code=1)
    assert 'dbt_project.yml: vars.planhat.hook: expected true or false, found "maybe"' in said
    assert "run `planhat-dbt sync`" in said
    assert "Completed successfully" in said
    assert shop.sandbox.log.total == 0
