"""`doctor`: each broken set-up, made for real, is one line that says what to do; the others are still looked at."""

from __future__ import annotations

import datetime as dt
import http.server
import json
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml
from harness import Outcome, Project
from harness.artifacts import TestNode
from harness.warehouses import ON, held

from run.shop import COMPANIES, add_companies, add_endusers, enduser

CHECKS = [
    "project",
    "versions",
    "profile",
    "manifest",
    "run results",
    "declarations",
    "warehouse",
    "models",
    "rights",
]


def findings(
    project: Project, *arguments: str, env: Mapping[str, str | None] | None = None
) -> dict[str, Any]:
    outcome = project.cli("doctor", "--output", "json", *arguments, env=env)
    document = json.loads(outcome.out)
    assert document["exit_code"] == outcome.code
    return {f["check"]: f for f in document["findings"]} | {"code": outcome.code}


def test_all_is_well(project: Project) -> None:
    add_companies(project, 2)
    before = project.query("select table_name from information_schema.tables")
    found = findings(project)
    assert found["code"] == 0
    assert {f["state"] for check, f in found.items() if check != "code"} == {"ok"}
    assert {*CHECKS, "state", "planhat", "clock"} <= found.keys()
    assert project.query("select table_name from information_schema.tables") == before, (
        "nothing is left behind"
    )
    assert [c.method for c in project.sandbox.log.calls] == ["GET"]
    project.sync()
    found = findings(project)
    assert found["lease"]["text"] == "free"
    assert "state of 1 sync" in found["state"]["text"]
    assert found["tenant"]["state"] == "ok"
    told = project.cli("doctor").out
    assert "All is well: a sync can run." in told
    assert len(told.splitlines()) == len(found)


def test_planhat_may_be_left_alone(project: Project) -> None:
    add_companies(project, 1)
    assert findings(project, "--offline")["planhat"]["state"] == "skipped"
    assert list(project.sandbox.log.calls) == []


@pytest.mark.parametrize(
    ("offline", "variable", "reason"),
    [
        (["--offline"], {"PLANHAT_API_TOKEN": None}, "--offline"),
        ([], {"PLANHAT_API_TOKEN": None}, "environment"),
        ([], {"PLANHAT_API_URL": None, "PLANHAT_REGION": "us 1"}, "environment"),
    ],
)
def test_planhat_is_left_alone_for_a_reason(
    project: Project, offline: list[str], variable: dict[str, str | None], reason: str
) -> None:
    add_companies(project, 1)
    found = findings(project, *offline, env=variable)["planhat"]
    assert found["state"] == "skipped"
    assert reason in found["text"]
    assert "token" not in found["text"]


def test_it_ends_as_a_sync_would(project: Project) -> None:
    """Where several things are wrong, the one that a sync meets first decides."""
    add_companies(project, 2)
    held_lease(project)
    project.sql("alter table companies drop column name")
    assert findings(project)["code"] == project.sync(code=None).code == 3
    project.build(empty=True)
    assert findings(project, env={"PLANHAT_API_TOKEN": None})["code"] == 2
    assert project.sync(code=None, env={"PLANHAT_API_TOKEN": None}).code == 2


@dataclass(frozen=True)
class Broken:
    name: str
    check: str
    state: str
    words: tuple[str, ...]
    code: int = 0
    act: Callable[[Project], None] = lambda _: None
    env: Mapping[str, str | None] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


def profiles(**changed: Any) -> Callable[[Project], None]:
    def act(project: Project) -> None:
        path = project.directory / "profiles.yml"
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        document["shop"]["outputs"]["dev"] |= changed
        path.write_text(yaml.safe_dump(document), encoding="utf-8")

    return act


def write(name: str, text: str) -> Callable[[Project], None]:
    return lambda project: (project.directory / name).write_text(text, encoding="utf-8") and None


def remove(name: str) -> Callable[[Project], None]:
    return lambda project: (project.directory / name).unlink()


def newer_layout(project: Project) -> None:
    project.sync()
    project.sql("update planhat_sync.meta set value = '99' where setting = 'schema_version'")


def stale_lease(project: Project) -> None:
    project.sync()
    holder = {"run_id": "r", "host": "elsewhere", "pid": 1, "command": "sync", "since": "2026-01-01 00:00:00",
              "until": "2026-01-01 00:01:00", "started": ""}  # fmt: skip
    project.sql(f"insert into planhat_sync.meta values ('lease', '{json.dumps(holder)}', null)")


def held_lease(project: Project) -> None:
    project.sync()
    holder = {"run_id": "r", "host": "elsewhere", "pid": 1, "command": "sync", "since": "2026-01-01 00:00:00",
              "until": "2999-01-01 00:01:00", "started": ""}  # fmt: skip
    project.sql(f"insert into planhat_sync.meta values ('lease', '{json.dumps(holder)}', null)")


def events(project: Project) -> None:
    block = {"object": "user_activity", "key": "id", "fields": {"email": "id", "action": {"value": "login"}}}
    project.model("logins", block, {"id": "varchar"})


def gated_without_a_table(project: Project) -> None:
    project.sql("drop table companies")
    project.build({"companies": "error"})


def match_changed(project: Project) -> None:
    project.sync()
    project.declare("companies", {**COMPANIES, "match": {"sourceId": "id"}})


BROKEN = [
    Broken("no project", "project", "failed", ("dbt_project.yml", "--project-dir"), 2, remove("dbt_project.yml")),
    Broken("no profile", "profile", "failed", ("no profile 'shop'",), 2, write("profiles.yml", "other: {}")),
    Broken("other target", "profile", "failed", ("no target 'live'", "--target"), 2, arguments=("--target", "live")),
    Broken("other adapter", "profile", "failed", ("'oracle'",), 2, profiles(type="oracle")),
    Broken("no manifest", "manifest", "failed", ("manifest.json", "dbt"), 2, remove("target/manifest.json")),
    Broken("no results", "run results", "warning", ("no run_results.json",), 0, remove("target/run_results.json")),
    Broken("compile", "run results", "failed", ("gated", "built nothing"), 3, lambda p: p.build(which="compile")),
    Broken("empty", "run results", "failed", ("--empty",), 3, lambda p: p.build(empty=True)),
    Broken("built for another target", "run results", "failed", ("target prod",), 3, lambda p: p.build(target="prod"),
           arguments=("--target", "dev")),
    Broken("failing test", "run results", "failed", ("1 of 1 sync gated", "not_null"), 3,
           lambda p: p.build(tests=[TestNode("not_null", "companies", "fail")])),
    Broken("bad declaration", "declarations", "failed", ("planhat-dbt validate",), 2,
           lambda p: p.declare("companies", {"object": "company"})),
    Broken("no table", "models", "failed", ("companies", "dbt build --select companies"), 2,
           lambda p: p.sql("drop table companies")),
    Broken("no match column", "columns", "failed", ("no column `id`", "1 column does not"), 2,
           lambda p: p.sql('alter table companies rename column "id" to other')),
    Broken("no mapped columns", "columns", "failed", ("2 columns do not", "no column `name`"), 2,
           lambda p: p.sql("alter table companies drop column name", "alter table companies drop column seats")),
    Broken("gated without a table", "run results", "failed", ("1 of 1 sync gated",), 3,
           gated_without_a_table),
    Broken("match changed", "mapping", "failed", ("matched on sourceId", "previous_match"), 2, match_changed),
    Broken("target not allowed", "target", "failed", ("may not write", "prod"), 3,
           lambda p: p.settings(allow_targets=["prod"])),
    Broken("newer layout", "state", "failed", ("newer planhat_dbt", "pip install -U"), 2, newer_layout),
    Broken("stale lease", "lease", "ok", ("elsewhere", "the next run takes it"), 0, stale_lease),
    Broken("held lease", "lease", "failed", ("a run is under way", "elsewhere"), 3, held_lease),
    Broken("no token", "environment", "failed", ("PLANHAT_API_TOKEN",), 2, env={"PLANHAT_API_TOKEN": None}),
    Broken("wrong token", "planhat", "failed", ("refused the API token", "Service Account"), 1,
           env={"PLANHAT_API_TOKEN": "x" * 40}),
    Broken("nobody there", "planhat", "failed", ("failed",), 1, env={"PLANHAT_API_URL": "http://127.0.0.1:9"}),
    Broken("no tenant uuid", "tenant uuid", "failed", ("PLANHAT_TENANT_UUID",), 2, events,
           {"PLANHAT_TENANT_UUID": None}),
    Broken("another tenant", "tenant", "failed", ("another Planhat tenant",), 3, lambda p: p.sync() and None,
           {"PLANHAT_TENANT_UUID": "00000000-0000-4000-8000-00000000000f"}),
]  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN, ids=str)
def test_what_is_broken_is_told_and_hides_nothing_else(project: Project, broken: Broken) -> None:
    add_companies(project, 2)
    broken.act(project)
    found = findings(project, *broken.arguments, env=broken.env)
    finding = found[broken.check]
    assert finding["state"] == broken.state, found
    for word in broken.words:
        assert word in finding["text"] + finding["hint"]
    assert found["code"] == broken.code
    assert {"versions", "planhat"} <= found.keys()
    said = project.cli("doctor", *broken.arguments, env=broken.env)
    assert_readable(said)
    if broken.code > 1:
        assert project.sync(*broken.arguments, code=None, env=broken.env).code == broken.code


def test_a_sync_can_run_while_another_is_gated(project: Project) -> None:
    add_companies(project, 1)
    add_endusers(project, [enduser(1)])
    project.build(tests=[TestNode("not_null", "endusers", "fail")])
    found = findings(project)
    assert found["run results"]["state"] == "warning"
    assert "1 of 2 syncs gated (endusers)" in found["run results"]["text"]
    assert found["code"] == 0


def assert_readable(said: Outcome) -> None:
    assert "Traceback" not in said.told
    assert (
        said.out.strip().splitlines()[-1].startswith(("A sync can run", "All is well"))
        or ": mend" in said.out
    )


@pytest.mark.duckdb("of DuckDB's file")
def test_a_file_that_is_locked_or_missing(project: Project) -> None:
    add_companies(project, 1)
    with held(project.file) as holder:
        found = findings(project)
    assert found["warehouse"]["state"] == "failed"
    assert f"PID {holder}" in found["warehouse"]["text"]
    assert found["planhat"]["state"] == "ok"
    shutil.move(project.file, project.directory / "away")
    found = findings(project)
    assert "does not exist" in found["warehouse"]["text"]
    assert found["code"] == 2


@pytest.fixture(params=["GMT", "-0000"])
def past(request: pytest.FixtureRequest) -> Iterator[str]:
    """A Planhat whose clock stands still in 2024."""

    class Answer(http.server.BaseHTTPRequestHandler):
        zone = request.param

        def do_GET(self) -> None:
            self.send_response_only(404)
            self.send_header("Date", f"Mon, 01 Jan 2024 00:00:00 {self.zone}")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_clock_that_is_wrong(project: Project, past: str) -> None:
    add_companies(project, 1)
    found = findings(project, env={"PLANHAT_API_URL": past})
    assert found["clock"]["state"] == "warning"
    assert "ahead of Planhat's" in found["clock"]["text"]
    assert found["code"] == 0


def test_results_of_tomorrow_or_of_a_newer_dbt(project: Project) -> None:
    add_companies(project, 1)
    path = project.target / "run_results.json"
    results = json.loads(path.read_text(encoding="utf-8"))
    results["metadata"]["generated_at"] = (dt.datetime.now(dt.UTC) + dt.timedelta(days=365)).isoformat()
    path.write_text(json.dumps(results), encoding="utf-8")
    found = findings(project)["run results"]
    assert found["state"] == "warning"
    assert "days in the future" in found["text"]
    results["metadata"]["dbt_schema_version"] = "https://schemas.getdbt.com/dbt/run-results/v99.json"
    path.write_text(json.dumps(results), encoding="utf-8")
    assert "newer than v6; it is read as v6" in findings(project)["run results"]["text"]
    assert "newer than v6; it is read as v6" in " ".join(project.sync().err.split())


def test_no_secret_is_shown(project: Project) -> None:
    add_companies(project, 1)
    secrets = [project.env["PLANHAT_API_TOKEN"], project.env["PLANHAT_TENANT_UUID"]]
    if ON == "postgres":
        secrets.append(project.warehouse.profile["password"])
    for arguments in ((), ("--output", "json")):
        told = project.cli("doctor", *arguments).told
        assert not any(secret in told for secret in secrets)
