"""`docs/sandbox.md`: its tables are complete, and its example tests pass as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml
from harness import Project

from docs.pages import DOCS, ROOT, code_blocks
from planhat_dbt.sandbox import FaultKind, Sandbox
from planhat_dbt.sandbox.rules import describe

PAGE = DOCS / "sandbox.md"


def section(title: str) -> str:
    return PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_rule_is_told_with_its_default() -> None:
    told = re.findall(r"^\| `(\w+)` \| (?:`(.*?)`|none) \|", section("Rules"), re.MULTILINE)
    assert told == [(name, default) for name, default, _ in describe()]


def test_every_kind_of_fault_is_told() -> None:
    assert re.findall(r"^\| `(\w+)` \|", section("Faults"), re.MULTILINE) == [k.value for k in FaultKind]


def test_every_violation_is_told() -> None:
    rows = [line for line in section("Violations").splitlines() if line.startswith("| `")]
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row.split(" | ")[0])}
    sources = [ROOT / "planhat_dbt" / "sandbox" / name for name in ("legality.py", "rest.py", "server.py")]
    code = "\n".join(source.read_text(encoding="utf-8") for source in sources)
    known = set(re.findall(r'yield \(?"(\w+)"', code)) | set(re.findall(r'_report\(call, "(\w+)"', code))
    known |= set(re.findall(r'else "(id_in_create_body)"', code))
    assert told == known


def test_the_example_tests_pass(tmp_path: Path) -> None:
    project = Project(tmp_path / "shop", Sandbox())
    project.model(
        "companies",
        {"object": "company", "match": {"externalId": "id"}, "fields": {"name": "name"}},
        {"id": "varchar", "name": "varchar"},
        [("acc-1", "Birkfelt"), ("acc-2", "Umbra")],
    )
    profile = {"type": "duckdb", "path": project.file.name}  # relative, as the page says
    profiles = {"shop": {"target": "dev", "outputs": {"dev": profile}}}
    (project.directory / "profiles.yml").write_text(yaml.safe_dump(profiles), encoding="utf-8")
    for block in code_blocks(PAGE, "python"):
        first, _, text = block.partition("\n")
        if first.startswith("# ") and first.endswith(".py"):
            (project.directory / first[2:]).write_text(text, encoding="utf-8")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PLANHAT_", "DBT_", "PYTEST"))}
    environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project.directory,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "3 passed" in ran.stdout, ran.stdout + ran.stderr
