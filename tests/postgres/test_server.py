"""What only a server has: roles and rights, names, other sessions, and connections that break."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from harness import Project
from harness.postgres import PASSWORD, USER, server
from run.shop import COMPANIES, COMPANY_COLUMNS, add_companies, add_endusers, company, enduser, mirrors

from planhat_dbt.sandbox import Fault, FaultKind

ROLE = 'Report"er'
ROLE_PASSWORD = "the-secret-of-the-reporter"
SLOW = 2.0


def raw(project: Project, *statements: str) -> None:
    with project.connect() as connection:
        for statement in statements:
            connection.raw(statement)


def profile(project: Project, **changed: Any) -> None:
    """Write `profiles.yml` anew; None takes a key away."""
    output = {k: v for k, v in {**project.warehouse.profile, **changed}.items() if v is not None}
    document = {"shop": {"target": "dev", "outputs": {"dev": output}}}
    (project.directory / "profiles.yml").write_text(yaml.safe_dump(document), encoding="utf-8")


# -- the profile


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        (
            {"password": "not the right one"},
            1,
            ("cannot be reached", "password authentication failed", "dbt debug"),
        ),
        ({"port": 1}, 1, ("cannot be reached", "refused", "dbt debug")),
        ({"dbname": "nowhere"}, 1, ("cannot be reached", "does not exist")),
        ({"host": None}, 2, ("'host' is a required property", "dbt debug")),
        ({"port": "many"}, 2, ("a wrong value of port", "dbt debug")),
        ({"password": ["a list"]}, 2, ("a wrong value of password",)),
        ({"type": "oracle"}, 2, ("'oracle'", "duckdb, postgres, snowflake, bigquery")),
    ],
)
def test_a_profile_that_does_not_fit(
    project: Project, changed: Any, code: int, words: tuple[str, ...]
) -> None:
    add_companies(project, 1)
    profile(project, retries=0, **changed)
    outcome = project.cli("sync")
    assert outcome.code == code, outcome.told
    for word in words:
        assert word in outcome.err
    for secret in (PASSWORD, "not the right one", "a list"):
        assert secret not in outcome.told
    assert outcome.calls == ()


@pytest.mark.parametrize(
    "changed", [{"port": "{port}"}, {"pass": "{password}", "password": None}, {"role": USER}]
)
def test_a_profile_that_is_spelt_otherwise(project: Project, changed: dict[str, Any]) -> None:
    add_companies(project, 2)
    known = project.warehouse.profile
    profile(project, **{k: v and v.format(**known) for k, v in changed.items()})
    project.sync()
    assert mirrors(project)


# -- rights


@pytest.fixture
def reporter(project: Project) -> Iterator[Project]:
    """A project whose role may connect, and nothing else."""
    add_companies(project, 2)
    quoted = ROLE.replace('"', '""')
    raw(
        project,
        f"create role \"{quoted}\" login password '{ROLE_PASSWORD}'",
        "revoke all on schema main, public from public",
        f'revoke create, temporary on database "{project.warehouse.database}" from public',
    )
    profile(project, user=ROLE, password=ROLE_PASSWORD)
    yield project
    server().drop(project.warehouse.database)
    with server().connect("postgres").cursor() as cursor:
        cursor.execute(f'drop role "{quoted}"')


def test_what_a_role_lacks_is_told_as_statements(reporter: Project) -> None:
    """Run what each message says, as an owner would, until it goes through."""
    project, run = reporter, []
    for _ in range(8):
        outcome = project.cli("sync")
        assert ROLE_PASSWORD not in outcome.told
        if outcome.code == 0:
            break
        assert all(call.method == "GET" for call in outcome.calls)
        assert outcome.code in (1, 2)
        _, told, rest = outcome.told.partition("Let an owner run: ")
        assert told, outcome.told
        statement = " ".join(rest.split()).partition(";")[0]
        run.append(statement)
        raw(project, statement)
    assert mirrors(project)
    assert [s.split(" to ")[0] for s in run] == [
        f'grant create on database "{project.warehouse.database}"',
        'grant usage on schema "main"',
        'grant select on "companies"',
        f'grant temporary on database "{project.warehouse.database}"',
    ]


def test_a_right_that_several_models_want_is_told_once(reporter: Project) -> None:
    add_endusers(reporter, [enduser(1)])
    found = json.loads(reporter.cli("doctor", "--output", "json").out)["findings"]
    (told,) = [check for check in found if check["check"] == "models"]
    assert told["state"] == "failed"
    assert "grant usage on schema" in told["hint"]


def test_a_schema_that_an_owner_made_needs_no_right_to_make_one(reporter: Project) -> None:
    """Made once for the role (docs/warehouses.md); PostgreSQL asks for the right even with `if not exists`."""
    project, role = reporter, ROLE.replace('"', '""')
    database = project.warehouse.database
    raw(
        project,
        f'create schema planhat_sync authorization "{role}"',
        f'grant usage on schema main to "{role}"',
        f'grant select on all tables in schema main to "{role}"',
        f'grant temporary on database "{database}" to "{role}"',
    )
    for _ in range(2):
        assert "tables can be made" in project.cli("doctor").out
        outcome = project.cli("sync")
        assert outcome.code == 0, outcome.told
    assert mirrors(project)


def test_state_tables_of_another_role(project: Project) -> None:
    add_companies(project, 2)
    project.sync()
    raw(
        project,
        f"create role other login password '{ROLE_PASSWORD}'",
        "grant usage, create on schema main, planhat_sync to other",
        "grant all on all tables in schema main, planhat_sync to other",
    )
    profile(project, user="other", password=ROLE_PASSWORD)
    project.insert("companies", [company(3)])
    outcome = project.cli("sync")
    assert outcome.code == 1
    assert "must be owner of" in outcome.told
    assert 'owner to "other"' in outcome.told
    assert outcome.calls == ()
    server().drop(project.warehouse.database)
    with server().connect("postgres").cursor() as cursor:
        cursor.execute("drop role other")


# -- names

NAMES = ['We"ird', "select", "Ünï 🙂", "two words", "MixedCase", "100%", "x" * 63, "é" * 31]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_schemas_tables_and_columns(project: Project, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    raw(
        project,
        f"create schema {quoted}",
        f"create table {quoted}.{quoted} (id text, {quoted} text)",
        f"insert into {quoted}.{quoted} values ('a', 'Acme')",
    )
    block = {
        "object": "company",
        "match": {"externalId": "id"},
        "name": "companies",
        "fields": {"name": name},
    }
    project.declare("companies", block)
    manifest = json.loads((project.target / "manifest.json").read_text(encoding="utf-8"))
    node = manifest["nodes"]["model.shop.companies"]
    node |= {
        "schema": name,
        "alias": name,
        "relation_name": f'"{project.warehouse.database}".{quoted}.{quoted}',
    }
    (project.target / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    outcome = project.cli("sync")
    assert outcome.code == 0, outcome.told
    assert [r["name"] for r in project.sandbox.tenant.records("companies")] == ["Acme"]
    assert project.query("select count(*) from planhat_sync.snapshot__companies") == [(1,)]
    assert project.cli("sync").kinds == []


def test_the_longest_names_of_syncs_and_schema(project: Project) -> None:
    project.settings(schema="s" * 60)
    for last, field in (("a", "name"), ("b", "phase")):
        block = {**COMPANIES, "mode": "update", "fields": {field: field}}
        project.model(
            f"model_{last}", {**block, "name": "c" * 49 + last}, COMPANY_COLUMNS, [company(ord(last))]
        )
    assert project.cli("sync").code == 0
    assert project.cli("sync").code == 0
    found = project.query(f"select count(*) from {'s' * 60}.snapshot__{'c' * 49}a")
    assert found == [(0,)]


# -- other sessions


def test_readers_see_whole_runs_and_stop_nothing(project: Project) -> None:
    """Somebody reads all the time, in short queries: what is seen is the state before a window or after it."""
    add_companies(project, 40)
    project.settings(batch_rows=5, lease_seconds=30)
    project.sync()
    seen: list[tuple[int, int]] = []
    ended = threading.Event()

    def read() -> None:
        with project.connect() as connection:
            while not ended.is_set():
                found = connection.execute(
                    "select count(*), count(distinct _key) from planhat_sync.snapshot__companies"
                ).fetchall()
                seen.extend(found)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for turn in range(4):
            project.sql(f"update companies set seats = seats + {turn + 1} where seats % 2 = 0")
            project.sync()
    finally:
        ended.set()
        reader.join()
    assert len(seen) > 20
    assert set(seen) == {(40, 40)}
    assert mirrors(project)


@pytest.mark.thorough
def test_a_session_that_keeps_a_table_open_is_waited_for_then_told(project: Project) -> None:
    add_companies(project, 2)
    project.sync()
    project.insert("companies", [company(3)])
    with project.connect() as connection:
        connection.raw("begin")
        connection.raw("select * from planhat_sync.plan__companies")
        outcome = project.sync(code=1, duckdb_lock_wait=0.3)
        assert outcome.calls == ()
        assert "another session has a table of ours open" in outcome.told
        assert "pg_stat_activity" in outcome.told
        waiting = project.start("sync")
        time.sleep(1.5)
        assert waiting.poll() is None
        connection.raw("commit")
        out, err = waiting.communicate(timeout=30)
        assert waiting.returncode == 0, out + err
    assert mirrors(project)


def test_of_two_runs_that_begin_at_once_one_is_refused(project: Project) -> None:
    add_companies(project, 5)
    project.settings(read_timeout=30)
    project.cli("plan")
    # Longer than the slowest of them may take to begin where the machine has other work, too.
    project.sandbox.faults.add(Fault(kind=FaultKind.DELAY, path="/companies", seconds=8))
    runs = [project.start("sync") for _ in range(3)]
    ended = [(run.communicate(timeout=60), run.returncode) for run in runs]
    assert sorted(code for _, code in ended) == [0, 3, 3], ended
    assert all("Another run is under way" in err for (_, err), code in ended if code == 3)
    assert project.query("select count(*) from planhat_sync.meta where setting = 'lease'") == [(0,)]
    assert project.sandbox.log.total <= 3
    assert mirrors(project)
    project.quiet()


# -- breaks


@pytest.mark.thorough
def test_a_server_that_was_restarted_during_a_call_costs_nothing(project: Project) -> None:
    project.settings(read_timeout=20)
    add_companies(project, 5)
    project.sandbox.faults.add(Fault(kind=FaultKind.DELAY, method="PUT", path="/companies", seconds=SLOW))
    process = project.start("sync")
    project.wait_for_calls(2, process)
    server().stop()
    server().start()
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, out + err
    assert mirrors(project)
    project.quiet()


def test_a_connection_that_is_ended_during_the_comparison(project: Project) -> None:
    add_companies(project, 2)
    project.cli("plan")
    raw(project, "alter table companies rename to slow_companies")
    raw(project, "create view companies as select c.* from slow_companies c, lateral pg_sleep(1)")
    process = project.start("sync")
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up and not project.query(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        f"where datname = '{project.warehouse.database}' and query like 'create table%plan__companies%' "
        "and state = 'active'"  # a question like this one, whose backend is about to end, is none
    ):
        time.sleep(0.02)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 1, out + err
    assert "Traceback" not in err
    assert "connection broke" in out + err or "terminating connection" in out + err
    assert project.sandbox.tenant.records("companies") == []
    project.sync()
    assert mirrors(project)


def test_a_killed_run_leaves_no_lock(project: Project) -> None:
    project.settings(read_timeout=20)
    add_companies(project, 5)
    project.sandbox.faults.add(Fault(kind=FaultKind.DELAY, path="/companies", seconds=SLOW))
    process = project.start("sync")
    project.wait_for_calls(1, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    project.wait_for_silence()
    outcome = project.sync()
    assert sum(outcome.counts("companies").values()) == 5
    assert mirrors(project)
    project.quiet()


def test_the_lease_is_renewed_beside_a_long_statement(project: Project) -> None:
    """Another machine would take the run over, were the lease not renewed while the model is compared."""
    project.settings(lease_seconds=0.9)
    add_companies(project, 2)
    project.cli("plan")
    raw(project, "alter table companies rename to slow_companies")
    raw(project, "create view companies as select c.* from slow_companies c, lateral pg_sleep(1)")
    process = project.start("sync")
    seen = set()
    while process.poll() is None:
        seen |= {
            value for (value,) in project.query("select value from planhat_sync.meta where setting = 'lease'")
        }
        time.sleep(0.1)
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    assert len({json.loads(value)["until"] for value in seen}) >= 4
    assert mirrors(project)
