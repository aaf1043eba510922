"""State tables as people's SQL may rely on them (DESIGN §6), the results file, and secrets that appear nowhere."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import Any

import pytest
from harness import Project

from planhat_dbt.sandbox import Fault, FaultKind, Rules
from run.shop import add_companies, add_endusers, company, enduser
from run.test_events import METRIC_BLOCK, METRICS, metric

COUNTS = "inserted updated cleared deleted held rejected unknown"
TABLES = {
    "runs": f"run_id invocation_id target command version git_sha started_at finished_at status syncs "
    f"{COUNTS} calls bytes_sent",
    "sync_runs": f"run_id sync model object mode status reason rows_in_model {COUNTS} seconds_compare seconds_deliver",
    "batches": "run_id sync batch operation rows bytes state http_status created updated unchanged attempts sent_at "
    "answered_at error",
    "changes": "run_id sync key operation planhat_id changes status batch at",
    "failures": "sync key operation status code message first_seen_at last_seen_at attempts next_run values_hash",
    "requests": "run_id sync batch method path status milliseconds request response",
}


def columns(project: Project, table: str) -> list[tuple[str, str]]:
    return project.query(
        "select column_name, upper(data_type) from information_schema.columns "
        f"where table_schema = 'planhat_sync' and table_name = '{table}' order by ordinal_position"
    )


@pytest.mark.parametrize("place", [".", ".."], ids=["of the project", "above it"])
def test_the_commit_of_a_git_repository_is_noted(project: Project, place: str) -> None:
    add_companies(project, 1)
    project.env["GIT_CEILING_DIRECTORIES"] = str(project.directory.parents[1])
    project.sync()
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.com"]
    where = project.directory / place
    subprocess.run([*git, "init", "--quiet"], cwd=where, check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "one"], cwd=where, check=True)
    head = subprocess.run(
        [*git, "rev-parse", "HEAD"], cwd=where, check=True, capture_output=True, text=True
    ).stdout.strip()
    project.sync()
    assert project.query("select git_sha from planhat_sync.runs order by started_at") == [("",), (head,)]


@pytest.mark.not_emulated("its catalog names types as DuckDB does")
def test_the_columns_of_the_shared_tables(project: Project) -> None:
    add_companies(project, 1)
    project.sync()
    for table, names in TABLES.items():
        assert [name for name, _ in columns(project, table)] == names.split(), table
    types = dict(columns(project, "runs"))
    assert types["started_at"] in ("TIMESTAMP", "TIMESTAMP WITHOUT TIME ZONE")
    assert (types["inserted"], types["calls"]) == ("BIGINT", "BIGINT")


@pytest.mark.not_emulated("its catalog names types as DuckDB does")
def test_the_columns_of_snapshot_and_plan(project: Project) -> None:
    fields = {"name": "name", "phase": "phase", "custom": {"Plan Tier": "name", "Seats": "seats"}}
    add_companies(project, 1, fields=fields)
    project.sync()
    snapshot = dict(columns(project, "snapshot__companies"))
    assert {
        "_key",
        "_planhat_id",
        "_state",
        "_origin",
        "_first_synced_at",
        "_synced_at",
        "_run_id",
    } <= snapshot.keys()
    text = snapshot["_key"]
    assert text in ("VARCHAR", "TEXT", "CHARACTER VARYING")
    mapped = {"name": text, "phase": text, "custom_plan_tier": text, "custom_seats": "INTEGER"}
    assert mapped.items() <= snapshot.items()
    plan = dict(columns(project, "plan__companies"))
    assert {"_row", "_batch", "_operation", "_key", "_planhat_id", "_changed"} <= plan.keys()
    assert mapped.items() <= plan.items()
    assert (plan["_row"], plan["_batch"]) == ("BIGINT", "INTEGER")


def test_changes_tell_old_and_new(project: Project) -> None:
    add_companies(project, 3, on_removed="delete")
    project.sync()
    project.replace("companies", [company(1, phase="Risk", seats=None), company(2), company(4)])
    outcome = project.sync()
    run_id = outcome.document["metadata"]["run_id"]
    found = {
        key: (operation, status, json.loads(changes) if changes else None)
        for key, operation, status, changes in project.query(
            f"select key, operation, status, changes from planhat_sync.changes where run_id = '{run_id}'"
        )
    }
    assert found == {
        "c-1": ("update", "accepted", {"phase": ["Live", "Risk"], "custom.Seats": [1, None]}),
        "c-3": ("delete", "accepted", None),
        "c-4": ("insert", "accepted", None),
    }


def test_batches_and_requests_tell_each_call(project: Project) -> None:
    project.settings(batch_rows=2)
    add_companies(project, 3)
    project.sync()
    found = project.query(
        "select batch, operation, rows, state, http_status, created, updated, unchanged, attempts "
        "from planhat_sync.batches order by batch"
    )
    assert found == [
        (1, "insert", 2, "accepted", 200, 2, 0, 0, 1),
        (2, "insert", 1, "accepted", 200, 1, 0, 0, 1),
    ]
    requests = project.query(
        "select sync, batch, method, path, status, request from planhat_sync.requests order by batch nulls first"
    )
    definitions = requests.pop(0)
    assert (*definitions[:3], definitions[3].partition("?")[0], *definitions[4:]) == (
        "companies", None, "GET", "/customfields", 200, None,
    )  # fmt: skip
    assert [row[:5] for row in requests] == [("companies", n, "PUT", "/companies", 200) for n in (1, 2)]
    assert [row["externalId"] for row in json.loads(requests[0][5])] == ["c-1", "c-2"]


def test_the_results_file(project: Project) -> None:
    add_companies(project, 2)
    project.insert("companies", [company(3, name=None)])
    outcome = project.sync(code=1)
    document = outcome.document
    ((run_id, invocation),) = project.query("select run_id, invocation_id from planhat_sync.runs")
    metadata = document["metadata"]
    assert (metadata["run_id"], metadata["invocation_id"]) == (run_id, invocation)
    manifest = json.loads((project.target / "manifest.json").read_text(encoding="utf-8"))
    assert invocation == manifest["metadata"]["invocation_id"]
    assert metadata["status"] == "partial"
    result = outcome.result("companies")
    wanted = set(TABLES["sync_runs"].split()) - {"run_id"}
    assert wanted <= result.keys()
    assert (result["rows_in_model"], result["inserted"], result["rejected"]) == (3, 2, 1)
    shown = project.cli("sync", "--output", "json")
    assert json.loads(shown.out) == shown.document


def test_run_ids_grow(project: Project) -> None:
    add_companies(project, 1)
    ids = [project.sync().document["metadata"]["run_id"] for _ in range(3)]
    assert ids == sorted(ids)
    assert {run_id[14] for run_id in ids} == {"7"}


def test_a_failure_keeps_its_past(project: Project) -> None:
    add_companies(project, 1)
    project.insert("companies", [company(2, name=None)])
    project.sync(code=1)
    first = project.query("select first_seen_at, last_seen_at, attempts from planhat_sync.failures")[0]
    project.sync(code=1)
    second = project.query("select first_seen_at, last_seen_at, attempts from planhat_sync.failures")[0]
    assert second[0] == first[0]
    assert second[1] > first[1]
    assert (first[2], second[2]) == (1, 2)


@pytest.mark.parametrize("schema", ["planhat_sync", "crm_state"])
def test_state_is_kept_in_its_own_schema(project: Project, schema: str) -> None:
    project.settings(schema=schema)
    add_companies(project, 1)
    assert project.cli("sync").code == 0
    ours = "'runs', 'meta', 'snapshot__companies'"
    where = f"select distinct table_schema from information_schema.tables where table_name in ({ours})"
    assert project.query(where) == [(schema,)]


def everything_written(project: Project) -> dict[str, str]:
    tables = project.query(
        "select table_schema, table_name from information_schema.tables "
        "where table_schema not in ('information_schema', 'pg_catalog')"
    )
    found: dict[str, str] = {}
    for schema, table in tables:
        rows: list[tuple[Any, ...]] = project.query(f'select * from "{schema}"."{table}"')
        found[f"{schema}.{table}"] = str(rows)
    for path in project.directory.rglob("*"):
        if path.is_file():
            found[path.name] = path.read_bytes().decode("latin-1")
    return found


def test_secrets_are_written_nowhere(project: Project) -> None:
    """Faults on all doors, some of which answer with the secret itself: what is kept and said must not hold it."""
    project.share()
    token, tenant = project.sandbox.token, project.sandbox.tenant_uuid
    basic = base64.b64encode(f"{token}:".encode()).decode()
    echo = f"bad call with Bearer {token} (Basic {basic}) for tenant {tenant} / {tenant.upper()}"
    project.settings(batch_rows=2, max_tries=2, breaker_failures=50)
    add_companies(project, 8)
    project.insert("companies", [company(9, name=token), company(10, name=tenant)])
    add_endusers(project, [enduser(1), enduser(2, account="c-404")])
    project.model("usage", METRIC_BLOCK, METRICS, [metric(1), metric(2)])
    project.sandbox.faults.add(
        Fault(kind=FaultKind.STATUS, status=403, body=echo, path="/customfields"),
        Fault(kind=FaultKind.STATUS, status=400, body=echo, path="/companies"),
        Fault(kind=FaultKind.STATUS, status=503, body=echo, path="/companies", count=2),
        Fault(kind=FaultKind.NOT_JSON, body=echo, path="/companies"),
        Fault(kind=FaultKind.STATUS, status=500, body=echo, path="/dimensiondata"),
    )
    outputs = [project.sync(code=None, legal=False).told]
    project.sandbox.faults.add(
        Fault(kind=FaultKind.STATUS, status=404, body=echo, path="/customfields"),
        Fault(kind=FaultKind.STATUS, status=401, body=echo, path="/companies"),
    )
    project.sql("update companies set seats = 1000")
    outputs.append(project.sync(code=1).told)
    outputs.append(project.cli("plan", "--output", "json").told)
    # The model itself was given the secrets as names, so its rows hold them: state tables copy them as data.
    project.sql(
        "delete from companies where id in ('c-9', 'c-10')",
        f"delete from planhat_sync.snapshot__companies where name in ('{token}', '{tenant}')",
        f"delete from planhat_sync.plan__companies where name in ('{token}', '{tenant}')",
    )
    written = everything_written(project)
    written.pop(
        "shop.duckdb", None
    )  # its tables were read one by one; the file keeps deleted rows for a while
    for place, content in {**written, "output": "\n".join(outputs)}.items():
        for secret in (token, tenant, tenant.upper(), basic):
            assert secret not in content, place


def test_requests_are_bounded(project: Project) -> None:
    add_companies(project, 0)
    project.sql("insert into companies select 'c-' || i, repeat('x', 100), 'Live', i from range(2000) r(i)")
    project.sync()
    ((request, response),) = project.query(
        "select length(request), length(response) from planhat_sync.requests where method = 'PUT'"
    )
    assert max(request, response) < 10_000


def test_settings_of_the_run_reach_it_from_vars(project: Project) -> None:
    add_companies(project, 4)
    outcome = project.sync(batch_rows=2)
    assert [call.rows for call in outcome.writes] == [2, 2]


def test_planhat_rules_do_not_change_the_state(project: Project) -> None:
    """A tenant that reads null as absent, or answers deletes with nothing, ends with the same snapshot."""
    project.sandbox.rules = Rules(null_reads="absent", rate_headers="none", delete_body="empty")
    add_companies(project, 3, on_removed="delete")
    project.sync()
    project.replace("companies", [company(1), company(2, phase=None)])
    assert project.sync().counts("companies") == {"updated": 1, "deleted": 1}
    project.quiet()


def test_the_results_file_is_replaced_as_a_whole(project: Project) -> None:
    """Whoever reads it while it is written, or after a kill, has the whole of one run."""
    add_companies(project, 1)
    project.sync()
    path = project.target / "planhat_results.json"
    first, kept = path.read_text(encoding="utf-8"), project.target / "kept.json"
    kept.hardlink_to(path)
    project.insert("companies", [company(2)])
    process = project.start("sync")
    process.communicate()
    assert process.returncode == 0
    assert kept.read_text(encoding="utf-8") == first
    assert path.read_text(encoding="utf-8") != first
    assert [p.name for p in project.target.glob(".*")] == []
