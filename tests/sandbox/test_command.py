"""`planhat-dbt sandbox` as a process, the pytest fixture, and what the package may import."""

from __future__ import annotations

import ast
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import planhat_dbt.sandbox
from planhat_dbt.cli.sandbox import sandbox as command
from planhat_dbt.errors import FailedError, UsageError
from planhat_dbt.sandbox import Sandbox

RUN = "from planhat_dbt.cli.sandbox import sandbox; sandbox()"


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    environment: dict[str, str] = {}
    try:
        while len(environment) < 4:
            line = process.stdout.readline()
            assert line, process.communicate()
            if match := re.fullmatch(r"export (\w+)=(\S+)\n", line):
                environment[match[1]] = match[2]
        yield process, environment
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_it_serves_until_ctrl_c_and_tells_what_to_export() -> None:
    with running("--token", "secret-1", "--rule", "patch=true") as (process, environment):
        assert environment["PLANHAT_API_TOKEN"] == "secret-1"
        url = environment["PLANHAT_API_URL"]
        assert environment["PLANHAT_TRACKING_URL"] == url
        response = httpx.get(f"{url}/companies", headers={"Authorization": "Bearer secret-1"})
        assert response.json() == []
        assert httpx.get(f"{url}/_sandbox/state").json()["rules"]["patch"] is True
        tracking = f"{url}/dimensiondata/{environment['PLANHAT_TENANT_UUID']}"
        assert httpx.post(tracking, json=[]).json() == {"processed": 0, "errors": []}
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)])
def test_it_saves_its_data_when_it_ends(tmp_path: Path, sign: signal.Signals, code: int) -> None:
    data = tmp_path / "planhat.json"
    with running("--data", str(data)) as (process, environment):
        httpx.post(f"{environment['PLANHAT_API_URL']}/_sandbox/records/companies", json={"name": "A"})
        process.send_signal(sign)
        assert process.wait(10) == code
    assert '"name":"A"' in data.read_text()


def test_it_saves_its_data_while_it_runs(tmp_path: Path) -> None:
    data = tmp_path / "planhat.json"
    with running("--data", str(data)) as (process, environment):
        httpx.post(f"{environment['PLANHAT_API_URL']}/_sandbox/records/companies", json={"name": "A"})
        deadline = time.monotonic() + 10
        while not data.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.kill()
    assert '"name":"A"' in data.read_text()


def test_a_quota_answers_429() -> None:
    with running("--quota", "2") as (_, environment):
        headers = {"Authorization": f"Bearer {environment['PLANHAT_API_TOKEN']}"}
        url = f"{environment['PLANHAT_API_URL']}/companies"
        assert [httpx.get(url, headers=headers).status_code for _ in range(3)] == [200, 200, 429]


def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(FailedError) as caught:
            command.main(["--port", str(port)], standalone_mode=False)
    assert caught.value.message == f"Cannot serve on 127.0.0.1:{port}: {os.strerror(98)}."
    assert "--port 0" in caught.value.hint


@pytest.mark.parametrize("setting", ["patch", "patch=perhaps", "colour=red", "null_reads=maybe"])
def test_a_bad_rule_is_a_usage_error(setting: str) -> None:
    with pytest.raises(UsageError, match="--rule"):
        command.main(["--port", "0", "--rule", setting], standalone_mode=False)


def test_a_foreign_data_file_is_a_usage_error(tmp_path: Path) -> None:
    data = tmp_path / "notes.json"
    data.write_text("{}")
    with pytest.raises(UsageError, match=r"notes\.json"):
        command.main(["--port", "0", "--data", str(data)], standalone_mode=False)


def test_rules_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["--rule", "help"], standalone_mode=False)
    listed = capsys.readouterr().out
    assert all(f"{name}=" in listed for name in Sandbox().rules.as_json())


def test_importing_the_command_does_not_load_the_server() -> None:
    code = "import sys, planhat_dbt.cli.sandbox; sys.exit('uvicorn' in sys.modules or 'starlette' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_sandbox_imports_nothing_else_of_the_package() -> None:
    folder = Path(planhat_dbt.sandbox.__file__).parent
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            foreign = [
                n for n in names if n.startswith("planhat_dbt") and not n.startswith("planhat_dbt.sandbox")
            ]
            assert not foreign, f"{path.name} imports {foreign}"


def test_the_fixture_serves_a_users_own_tests(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["planhat_dbt.sandbox.pytest_plugin"]\n')
    (tmp_path / "test_mine.py").write_text(
        "import httpx, pytest\n"
        "@pytest.mark.parametrize('turn', [1, 2])\n"
        "def test_mine(planhat_sandbox, turn):\n"
        "    assert planhat_sandbox.tenant.records('companies') == []\n"
        "    httpx.put(planhat_sandbox.url + '/companies', json=[{'name': 'A'}], headers=planhat_sandbox.headers)\n"
        "    assert planhat_sandbox.tenant.record('companies')['name'] == 'A'\n"
    )
    command_line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    result = subprocess.run(command_line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "2 passed" in result.stdout, result.stdout + result.stderr
