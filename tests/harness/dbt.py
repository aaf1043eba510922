"""The dbt that the tests run with: `make test-dbt-versions` runs those that start it with each minor version.

To import dbt takes longer than what most tests ask of it. So each of the tests' processes has another that imports it
once; a copy of that one (`fork`) carries out each command, with a working directory, environment and output of its own.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

MINOR: tuple[int, int] = tuple(map(int, version("dbt-core").split(".")[:2]))  # type: ignore[assignment]
_FORKS = sys.platform.startswith("linux") and int(version("duckdb").split(".")[0]) >= 2
"""Elsewhere each command is a process from the beginning: a fork of DuckDB 1 aborts when it ends."""

_SMALL = {
    "dbt_project.yml": "{name: small, version: '1.0', profile: small}",
    "profiles.yml": "small: {target: dev, outputs: {dev: {type: duckdb, path: ':memory:'}}}",
    "models/one.sql": "select 1 as id",
    "models/one.yml": "models: [{name: one, columns: [{name: id, data_tests: [unique]}]}]",
}


def needs(*minor: int, why: str) -> pytest.MarkDecorator:
    """Skip a test where dbt is older."""
    return pytest.mark.skipif(minor > MINOR, reason=f"dbt {'.'.join(map(str, minor))}: {why}")


def run_dbt(
    *arguments: str, cwd: Path, env: Mapping[str, str], timeout: float = 150
) -> subprocess.CompletedProcess[str]:
    """Run dbt, and wait for its end."""
    from harness.warehouses import leave  # noqa: PLC0415 - dbt's process must not import it

    leave()
    if not _FORKS:
        command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", *arguments]
        return subprocess.run(
            command, cwd=cwd, env=dict(env), capture_output=True, text=True, check=False, timeout=timeout
        )
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place) / "out", Path(place) / "err"
        asked = {"argv": ["dbt", *arguments], "cwd": str(cwd), "env": dict(env), "timeout": timeout}
        code = _ask(asked | {"out": str(out), "err": str(err)})
        said = [file.read_text(encoding="utf-8") for file in (out, err)]
    return subprocess.CompletedProcess(arguments, code, *said)


def _ask(asked: dict[str, object]) -> int:
    parent = _parent()
    assert parent.stdin
    assert parent.stdout
    parent.stdin.write(json.dumps(asked) + "\n")
    parent.stdin.flush()
    return int(parent.stdout.readline())


@cache
def _parent() -> subprocess.Popen[str]:
    quiet = "ignore::UserWarning:multiprocessing.resource_tracker"  # locks of dbt's that are open when it is killed
    process = subprocess.Popen(
        [sys.executable, "-P", "-W", quiet, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.kill)
    return process


def _serve() -> None:
    """Carry out the commands that come in as lines of JSON, and answer each with its exit code."""
    from dbt.adapters import duckdb as _duckdb  # noqa: F401, PLC0415 - what each command would import
    from dbt.cli.main import cli, dbtRunner  # noqa: PLC0415 - only the process that serves needs it

    _warm_up(dbtRunner)
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if not child:
            _become(asked)
            sys.exit(cli())
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _warm_up(runner: Any) -> None:
    """Parse a small project: dbt then has made the schemas and serializers that each command would make again.

    Not with the static parser, which has threads, and no copy of a process has those.
    """
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "models").mkdir()
        for name, text in _SMALL.items():
            (Path(place) / name).write_text(text, encoding="utf-8")
        where = ["--project-dir", place, "--profiles-dir", place, "--log-path", place]
        options = ["--quiet", "--no-send-anonymous-usage-stats", "--no-static-parser"]
        ended = runner().invoke([*options, "parse", *where])
    if not ended.success:
        sys.exit(f"dbt did not parse a small project: {ended.exception}")


def _become(asked: dict[str, object]) -> None:
    os.chdir(str(asked["cwd"]))
    os.environ.clear()
    os.environ.update(asked["env"])  # type: ignore[call-overload]
    sys.argv = list(asked["argv"])  # type: ignore[call-overload]
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115 - for as long as the process lives
    for name, number in (("out", 1), ("err", 2)):
        os.dup2(os.open(str(asked[name]), os.O_WRONLY | os.O_CREAT, 0o600), number)
    signal.alarm(int(asked["timeout"]))  # type: ignore[call-overload]


if __name__ == "__main__":
    _serve()
