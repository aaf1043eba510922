"""`make test-dbt-versions`: the tests that run dbt itself, with each minor version of dbt that we say we work with.

Each version has an environment of its own under `.dbt-versions/`, which stays for the next time.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".dbt-versions"
FILES = (
    "tests/artifacts/test_real_dbt.py",
    "tests/example/test_gate.py",
    "tests/example/test_project.py",
    "tests/lineage/test_exposures.py",
    "tests/run/test_broken_off.py",
    "tests/run/test_dbt_build.py",
    "tests/run/test_real_dbt.py",
)
"""All that start dbt."""
TOOLS = (
    "hypothesis",
    "openlineage-python",
    "psycopg2-binary",
    "pytest",
    "pytest-timeout",
    "pytest-xdist",
    "sqlglot",
)
"""What these tests need beside the product."""
OUTCOMES = ("passed", "failed", "skipped")


@dataclass(frozen=True, slots=True)
class Version:
    """One minor version, and how it is installed."""

    minor: str
    packages: tuple[str, ...]
    without_dependencies: tuple[str, ...] = ()
    """Installed last: what depends on a package that no index has as a wheel."""


VERSIONS = (
    Version("1.8", ("dbt-core==1.8.*", "dbt-duckdb", "duckdb<2")),
    Version("1.9", ("dbt-core==1.9.*", "dbt-duckdb", "duckdb<2")),
    Version("1.10", ("dbt-core==1.10.*", "dbt-duckdb", "duckdb<2")),
    Version("1.11", ("dbt-core==1.11.*", "dbt-duckdb")),
    Version(
        "1.12", ("dbt-core<1.12", "dbt-duckdb", "metricflow>=0.213", "python-dotenv"), ("dbt-core==1.12.*",)
    ),
)


def main() -> None:
    """Run the versions that are named, or all; exit with 1 if a test failed."""
    asked = sys.argv[1:]
    table = Table("dbt-core", "dbt-duckdb", "duckdb", "Python", *OUTCOMES)
    failed = False
    for version in VERSIONS:
        if asked and version.minor not in asked:
            continue
        python = _environment(version)
        counts = _tested(python)
        failed |= counts["failed"] != 0
        table.add_row(*_installed(python), platform.python_version(), *(str(counts[o]) for o in OUTCOMES))
        Console().print(table)
    sys.exit(failed)


def _environment(version: Version) -> Path:
    folder = FOLDER / version.minor
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    ready = folder / ".ready"
    if not ready.exists():
        venv.create(folder, clear=True, with_pip=True)
        pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        _run(*pip, *version.packages, "-e", ROOT, *TOOLS)
        if version.without_dependencies:
            _run(*pip, "--no-deps", "--upgrade", *version.without_dependencies)
        ready.touch()
    return python


def _installed(python: Path) -> list[str]:
    names = "dbt-core", "dbt-duckdb", "duckdb"
    code = f"from importlib.metadata import version; print(*[version(n) for n in {names}])"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.split()


def _tested(python: Path) -> dict[str, int]:
    """Outcome → tests; a run that came to no summary counts as one failure."""
    process = subprocess.Popen(
        [python, "-m", "pytest", "-n", "auto", "-rs", *FILES],
        cwd=ROOT,
        env=os.environ | {"PLANHAT_DBT_TEST_ALL": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    last = ""
    for line in process.stdout:
        print(line, end="", flush=True)
        last = line if " in " in line else last
    found = {outcome: int(number) for number, outcome in re.findall(r"(\d+) (\w+)", last)}
    failed = found.get("failed", 0) + found.get("errors", 0) + found.get("error", 0)
    ended_well = process.wait() == 0 and "passed" in found
    return {o: found.get(o, 0) for o in OUTCOMES} | {"failed": failed if ended_well else max(failed, 1)}


def _run(*command: str | Path) -> None:
    print("$", *command[2:], flush=True)
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
