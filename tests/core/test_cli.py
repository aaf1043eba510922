"""The command line from outside: help, versions, mistakes, and what is not imported for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from planhat_dbt import __version__

HEAVY = ("duckdb", "httpx", "rich", "dbt", "starlette", "uvicorn", "tenacity")
PROBE = f"""
import sys
from planhat_dbt.cli.main import main
try:
    main(sys.argv[1:])
finally:
    print("IMPORTED", *[m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)
"""


def run(*arguments: str, cwd: Path | None = None, probe: bool = False) -> subprocess.CompletedProcess[str]:
    head = ["-c", PROBE] if probe else ["-m", "planhat_dbt"]
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PLANHAT_", "DBT_"))}
    return subprocess.run(
        [sys.executable, *head, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environ,
        timeout=60,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    (tmp_path / "target").mkdir()
    manifest = {
        "metadata": {
            "dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json",
            "project_name": "shop",
        },
        "nodes": {
            "model.shop.c": {
                "resource_type": "model",
                "name": "c",
                "package_name": "shop",
                "database": "shop",
                "schema": "main",
                "alias": "c",
                "relation_name": '"shop"."main"."c"',
                "original_file_path": "models/c.sql",
                "config": {
                    "meta": {
                        "planhat": {
                            "object": "company",
                            "match": {"externalId": "id"},
                            "fields": {"name": "n"},
                        }
                    }
                },
            }
        },
    }
    (tmp_path / "target" / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_the_commands_and_imports_nothing(option):
    found = run(option, probe=True)
    assert found.returncode == 0
    for word in ("sync", "plan", "validate", "list", "sandbox", "schema"):
        assert f"\n  {word} " in found.stdout
    assert found.stderr.split() == ["IMPORTED"]


def test_version():
    found = run("--version")
    assert (found.returncode, found.stdout.strip()) == (0, f"planhat-dbt, version {__version__}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["validate"], "1 sync"), (["list"], "company"), (["list", "--output", "name"], "c\n"), (["schema"], '"$schema"'),
     (["list", "--output", "json"], '"on_removed": "keep"')],
)  # fmt: skip
def test_commands_without_a_warehouse_import_none(project, arguments, said):
    found = run(*arguments, cwd=project, probe=True)
    assert found.returncode == 0, found.stderr
    assert said in found.stdout
    assert found.stderr.split() == ["IMPORTED"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["synk"], "Did you mean 'sync'?"), (["vaildate"], "Did you mean 'validate'?"), (["xyz"], "planhat-dbt --help"),
     (["sync", "--nope"], "--nope"), (["plan", "--output", "xml"], "xml"),
     (["plan", "my_sync"], "--select NAME")],
)  # fmt: skip
def test_mistakes_are_answered_with_the_nearest_word(arguments, said):
    found = run(*arguments)
    assert found.returncode == 2
    assert said in found.stderr
    assert "Traceback" not in found.stderr
    assert found.stdout == ""


@pytest.mark.parametrize("command", ["sync", "plan", "validate", "list"])
def test_without_a_project(tmp_path, command):
    found = run(command, cwd=tmp_path)
    assert found.returncode == 2
    assert "dbt_project.yml" in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.sampled(3)
@pytest.mark.parametrize("command", ["sync", "plan", "validate", "list"])
@pytest.mark.parametrize("text", [None, "{", "[]", "{}"])
def test_without_a_manifest_or_with_a_broken_one(project, command, text):
    manifest = project / "target" / "manifest.json"
    manifest.unlink() if text is None else manifest.write_text(text)
    found = run(command, cwd=project)
    assert found.returncode == 2
    assert "manifest.json" in found.stderr
    assert "Traceback" not in found.stderr


def test_faults_of_a_declaration_are_told_with_their_place(project):
    manifest = project / "target" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"name": "n"', '"nmae": "n"'))
    found = run("validate", cwd=project)
    assert found.returncode == 2
    assert "nmae" in found.stderr
    assert "models/c.sql" in found.stderr
