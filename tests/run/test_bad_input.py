"""What people get wrong: the exit code, one clear message, the next step, and nothing sent (DESIGN §10, §15)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from harness import Project
from harness.warehouses import ON

from run.shop import COMPANIES, COMPANY_COLUMNS, add_companies, mirrors
from run.test_events import METRIC_BLOCK, METRICS


def write(name: str, text: str) -> Callable[[Project], None]:
    def act(project: Project) -> None:
        (project.target / name).write_text(text, encoding="utf-8")

    return act


def remove(*names: str) -> Callable[[Project], None]:
    def act(project: Project) -> None:
        for name in names:
            (project.directory / name).unlink()

    return act


def schema_version(version: str) -> Callable[[Project], None]:
    def act(project: Project) -> None:
        path = project.target / "manifest.json"
        document = json.loads(path.read_text(encoding="utf-8"))
        document["metadata"]["dbt_schema_version"] = f"https://schemas.getdbt.com/dbt/{version}.json"
        path.write_text(json.dumps(document), encoding="utf-8")

    return act


def declare(**change: object) -> Callable[[Project], None]:
    return lambda project: project.declare("companies", {**COMPANIES, **change})


def with_metrics(project: Project) -> None:
    project.model("usage", METRIC_BLOCK, METRICS)


def twins(project: Project) -> None:
    project.model("accounts", {**COMPANIES, "name": "companies"}, COMPANY_COLUMNS)


def foreign_table(project: Project) -> None:
    project.sql("create schema planhat_sync", "create table planhat_sync.failures (note varchar)")


def foreign_snapshot(project: Project) -> None:
    project.sql("create schema planhat_sync", "create table planhat_sync.snapshot__companies (note varchar)")


def no_database(project: Project) -> None:
    project.share()
    project.file.write_text("id,name\n" * 1000, encoding="utf-8")


def newer_layout(project: Project) -> None:
    project.sync()
    project.sql(
        "update planhat_sync.meta set value = '99' where setting = 'schema_version'", "delete from companies"
    )


@dataclass(frozen=True)
class Mistake:
    name: str
    code: int
    told: tuple[str, ...]
    """Words that the message must hold: what is wrong, and the next step."""
    act: Callable[[Project], None] = lambda _: None
    arguments: tuple[str, ...] = ()
    env: Mapping[str, str | None] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


MISTAKES = [
    Mistake("no manifest", 2, ("manifest.json", "dbt parse"), remove("target/manifest.json")),
    Mistake(
        "cut manifest", 2, ("manifest.json", "not JSON", "dbt"), write("manifest.json", '{"metadata": {')
    ),
    Mistake("empty manifest", 2, ("manifest.json", "dbt parse"), write("manifest.json", "")),
    Mistake(
        "foreign manifest",
        2,
        ("manifest.json", "dbt parse"),
        write("manifest.json", '{"name": "app", "icons": []}'),
    ),
    Mistake("older manifest", 2, ("v9", "v12", "dbt"), schema_version("manifest/v9")),
    Mistake("newer manifest", 2, ("v20", "upgrade planhat-dbt"), schema_version("manifest/v20")),
    Mistake("cut run results", 2, ("run results", "dbt build"), write("run_results.json", '{"results": [')),
    Mistake("no project", 2, ("dbt_project.yml", "--project-dir"), remove("dbt_project.yml")),
    Mistake("no profile file", 2, ("profiles.yml", "--profiles-dir"), remove("profiles.yml")),
    Mistake("unknown profile", 2, ("'nope'", "shop", "--profile"), arguments=("--profile", "nope")),
    Mistake("unknown target", 2, ("'nope'", "dev", "--target"), arguments=("--target", "nope")),
    Mistake("no warehouse file", 2, ("shop.duckdb", "dbt build"), remove("shop.duckdb")),
    Mistake(
        "model not built",
        2,
        ("companies", "does not exist", "dbt build"),
        lambda p: p.sql("drop table companies"),
    ),
    Mistake("missing column", 2, ("phse", "phase"), declare(fields={"name": "name", "phase": "phse"})),
    Mistake("missing match column", 2, ("idd",), declare(match={"externalId": "idd"})),
    Mistake("unknown field", 2, ("phasee", "phase"), declare(fields={"name": "name", "phasee": "phase"})),
    Mistake("unknown object", 2, ("compny", "company"), declare(object="compny")),
    Mistake("unknown key", 2, ("mtch", "match"), declare(mtch={"externalId": "id"})),
    Mistake("read-only field", 2, ("mrr", "read-only"), declare(fields={"name": "name", "mrr": "seats"})),
    Mistake("missing required field", 2, ("name",), declare(fields={"phase": "phase"})),
    Mistake("type that never fits", 2, ("seats", "tags"), declare(fields={"name": "name", "tags": "seats"})),
    Mistake("two syncs of one name", 2, ("companies", "accounts"), twins),
    Mistake("no token", 2, ("PLANHAT_API_TOKEN", "export"), env={"PLANHAT_API_TOKEN": None}),
    Mistake("empty token", 2, ("PLANHAT_API_TOKEN",), env={"PLANHAT_API_TOKEN": "  "}),
    Mistake("token with blanks", 2, ("PLANHAT_API_TOKEN", "Bearer"), env={"PLANHAT_API_TOKEN": "Bearer abc"}),
    Mistake(
        "no tenant", 2, ("PLANHAT_TENANT_UUID", "export"), with_metrics, env={"PLANHAT_TENANT_UUID": None}
    ),
    Mistake("plain http", 2, ("PLANHAT_API_URL", "http"), env={"PLANHAT_API_URL": "http://api.example.com"}),
    Mistake(
        "plain http for tracking",
        2,
        ("PLANHAT_TRACKING_URL",),
        env={"PLANHAT_TRACKING_URL": "http://example.com"},
    ),
    Mistake("no address", 2, ("PLANHAT_API_URL",), env={"PLANHAT_API_URL": "api.planhat.com"}),
    Mistake("odd region", 2, ("PLANHAT_REGION",), env={"PLANHAT_REGION": "us 1/"}),
    Mistake(
        "unreachable host",
        1,
        ("127.0.0.1:1", "no connection"),
        env={"PLANHAT_API_URL": "http://127.0.0.1:1"},
        arguments=("--vars", '{"planhat": {"max_tries": 1}}'),
    ),
    Mistake("foreign table", 2, ("failures", "schema"), foreign_table),
    Mistake("foreign snapshot table", 2, ("snapshot__companies", "schema"), foreign_snapshot),
    Mistake("no database", 1, ("not a valid DuckDB database", "`path` in the profile"), no_database),
    Mistake("newer layout", 2, ("99", "pip install -U"), newer_layout),
    Mistake("unknown option", 2, ("--al",), arguments=("--al",)),
    Mistake("unknown selector", 2, ("compnies", "companies"), arguments=("--select", "compnies")),
    Mistake("unknown method", 2, ("fqn:x",), arguments=("--select", "fqn:x")),
    Mistake("unknown sync to allow", 2, ("nope", "planhat-dbt list"), arguments=("--allow-removals", "nope")),
    Mistake("unknown sync to resend", 2, ("nope", "planhat-dbt list"), arguments=("--resync", "nope")),
    Mistake("vars that are no YAML", 2, ("--vars",), arguments=("--vars", "{a: [")),
    Mistake(
        "unknown setting", 2, ("btch_rows", "batch_rows"), arguments=("--vars", "{planhat: {btch_rows: 3}}")
    ),
    Mistake(
        "setting out of range",
        2,
        ("batch_rows", "5000"),
        arguments=("--vars", "{planhat: {batch_rows: 9999}}"),
    ),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_mistakes(project: Project, mistake: Mistake) -> None:
    if mistake.name in ("no warehouse file", "no database") and ON != "duckdb":
        pytest.skip("of DuckDB's file")
    add_companies(project, 2)
    mistake.act(project)
    outcome = project.cli("sync", *mistake.arguments, env=mistake.env)
    assert outcome.code == mistake.code, outcome.told
    assert outcome.kinds == []
    for word in mistake.told:
        assert word in outcome.told, outcome.told
    if mistake.code == 2:
        assert outcome.err.count("Error: ") <= 1
        assert outcome.out == ""


def test_all_faults_of_all_declarations_are_told_at_once(project: Project) -> None:
    add_companies(project, 2, fields={"nme": "name", "phase": "phse"}, mode="upsrt")
    project.model("assets", {"object": "asset", "match": {"email": "id"}, "fields": {}}, {"id": "varchar"})
    outcome = project.cli("sync")
    assert outcome.code == 2
    for word in ("nme", "upsrt", "assets", "email"):
        assert word in outcome.err


def test_a_foreign_table_is_left_as_it_is(project: Project) -> None:
    add_companies(project, 1)
    project.sql("create schema planhat_sync", "create table planhat_sync.runs (note varchar)")
    assert project.cli("sync").code == 2
    assert project.query("select * from planhat_sync.runs") == []
    assert project.cli("sync", "--vars", "{planhat: {schema: other_state}}").code == 0


@pytest.mark.parametrize("let_go", [False, True])
@pytest.mark.duckdb("PostgreSQL has no file to lock")
def test_a_locked_warehouse_file_is_waited_for_then_its_holder_named(project: Project, let_go: bool) -> None:
    add_companies(project, 2)
    project.share()
    code = (
        "import duckdb, sys, time\n"
        f"held = duckdb.connect({str(project.file)!r})\n"
        "print('held', flush=True)\n"
        f"time.sleep({1.0 if let_go else 60})\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            holder.stdout.readline()
            wait = 20 if let_go else 0.5
            outcome = project.cli("sync", "--vars", json.dumps({"planhat": {"duckdb_lock_wait": wait}}))
        finally:
            holder.kill()
    assert "is locked by" in outcome.err
    assert f"PID {holder.pid}" in outcome.err
    if let_go:
        assert outcome.code == 0
        assert mirrors(project)
    else:
        assert (outcome.code, outcome.kinds) == (1, [])
