"""OpenLineage events of real syncs, as a backend on loopback and a file receive them."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from harness import Project
from harness.artifacts import TestNode
from openlineage.client.naming.dataset import Postgres
from run.shop import COMPANIES, COMPANY_COLUMNS, ENDUSER_COLUMNS, ENDUSERS, company, enduser

from lineage.receiver import Event, Receiver, checked
from planhat_dbt.sandbox import Fault, FaultKind
from planhat_dbt.warehouse.profile import AdapterTarget, DuckDBTarget, data_source

ON = {"openlineage": True}
NEW = {**COMPANIES["fields"], "status": {"value": "customer"}}


@pytest.fixture(autouse=True)
def _no_configuration(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """No openlineage.yml of this machine."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))


@pytest.fixture
def shop(project: Project) -> Project:
    project.model("companies", {**COMPANIES, "fields": NEW}, COMPANY_COLUMNS, [company(i) for i in range(5)])
    project.model("endusers", ENDUSERS, ENDUSER_COLUMNS, [enduser(1)])
    return project


def sync(project: Project, receiver: Receiver, code: int = 0, **env: str) -> str:
    return project.sync(code=code, legal=False, env={"OPENLINEAGE_URL": receiver.url, **env}, **ON).told


def by_job(events: list[Event]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for event in events:
        found.setdefault(event["job"]["name"], []).append(event)
    return found


def types(events: list[Event]) -> dict[str, list[str]]:
    return {name: [e["eventType"] for e in of] for name, of in by_job(events).items()}


def message(event: Event) -> str:
    return str(event["run"]["facets"].get("errorMessage", {}).get("message", ""))


def feeds(event: Event) -> dict[str, list[tuple[str, str]]]:
    fields = event["outputs"][0]["facets"]["columnLineage"]["fields"]
    return {
        name: [(i["field"], i["transformations"][0]["subtype"]) for i in of["inputFields"]]
        for name, of in fields.items()
    }


def test_it_is_off_unless_somebody_asks_for_it(shop: Project) -> None:
    with Receiver() as receiver:
        shop.sync(env={"OPENLINEAGE_URL": receiver.url})
        assert receiver.bodies == []
        sync(shop, receiver, OPENLINEAGE_DISABLED="true")
        assert receiver.bodies == []


def test_a_sync_begins_and_completes(shop: Project) -> None:
    with Receiver() as receiver:
        told = sync(shop, receiver, OPENLINEAGE_API_KEY="ol-key")
        assert "OpenLineage" not in told
        events = by_job(receiver.events)
    assert receiver.authorizations == {"Bearer ol-key"}
    assert types(receiver.events) == {"companies": ["START", "COMPLETE"], "endusers": ["START", "COMPLETE"]}
    begun, done = events["companies"]
    assert begun["run"]["runId"] == done["run"]["runId"] != events["endusers"][0]["run"]["runId"]
    assert done["job"]["namespace"] == "planhat_dbt"
    (read,), (written,) = done["inputs"], done["outputs"]
    schema = "public" if shop.warehouse.profile["type"] == "postgres" else "main"
    assert read["name"] in {f"{shop.warehouse.database}.{s}.companies" for s in (schema, "main")}
    assert [f["name"] for f in read["facets"]["schema"]["fields"]] == list(COMPANY_COLUMNS)
    assert all(f["type"] for f in read["facets"]["schema"]["fields"])
    assert read["inputFacets"]["inputStatistics"]["rowCount"] == 5
    assert (written["namespace"], written["name"]) == (
        f"planhat://{shop.sandbox.url.partition('//')[2]}",
        "company",
    )
    assert written["outputFacets"]["outputStatistics"]["rowCount"] == 5
    assert "outputStatistics" not in begun["outputs"][0].get("outputFacets", {})
    assert {f["name"]: f["type"] for f in written["facets"]["schema"]["fields"]} == {
        "externalId": "text",
        "name": "text",
        "phase": "text",
        "status": "text",
        "custom.Seats": "any",
    }
    assert feeds(done) == {
        "externalId": [("id", "IDENTITY")],
        "name": [("name", "IDENTITY")],
        "phase": [("phase", "IDENTITY")],
        "custom.Seats": [("seats", "IDENTITY")],
    }
    assert feeds(events["endusers"][1])["companyId"] == [("account", "TRANSFORMATION")]
    (source,) = {
        (i["namespace"], i["name"])
        for f in done["outputs"][0]["facets"]["columnLineage"]["fields"].values()
        for i in f["inputFields"]
    }
    assert source == (read["namespace"], read["name"])


@pytest.mark.duckdb("the name of its file")
def test_datasets_are_named_as_openlineage_names_them(shop: Project) -> None:
    with Receiver() as receiver:
        sync(shop, receiver)
        (read,) = receiver.events[0]["inputs"]
    assert (read["namespace"], read["name"]) == (f"duckdb://{shop.file}", "shop.main.companies")
    target = AdapterTarget("prod", "postgres", {"host": "db.example.com", "port": 5433, "password": "hidden"})
    name = Postgres("db.example.com", "5433", "crm", "public", "x")
    assert data_source(target) == name.get_namespace()
    cloud = DuckDBTarget(
        "prod", "md:crm?motherduck_token=hidden", "crm", written="md:crm?motherduck_token=hidden"
    )
    assert data_source(cloud) == "duckdb://md:crm"


def test_no_row_and_no_secret_is_in_an_event(shop: Project) -> None:
    shop.sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=401, count=None))
    with Receiver() as receiver:
        sync(shop, receiver, code=1)
    shop.sandbox.faults.clear()
    with Receiver() as healthy:
        sync(shop, healthy)
    text = "".join(receiver.bodies + healthy.bodies)
    # As whole words: "c-1" alone is also a part of one UUID in a few.
    for word in ("Acme", "u1@example.com", "c-1", *(v for k, v in shop.env.items() if "URL" not in k)):
        assert not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text), word


def test_a_sync_that_fails_says_why(shop: Project) -> None:
    shop.sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=401, count=None))
    with Receiver() as receiver:
        sync(shop, receiver, code=1)
    events = by_job(receiver.events)
    assert types(receiver.events) == {"companies": ["START", "FAIL"], "endusers": ["START", "FAIL"]}
    assert "401" in message(events["companies"][1])
    assert events["companies"][1]["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 0


def test_gated_and_refused_syncs_are_aborted(shop: Project) -> None:
    with Receiver() as receiver:
        sync(shop, receiver)
        receiver.bodies.clear()
        shop.declare("companies", {**COMPANIES, "fields": NEW, "on_removed": "delete"})
        shop.replace("companies", [])
        failed = TestNode("unique_endusers_id", "endusers", status="fail")
        shop.build(tests=[failed])
        sync(shop, receiver, code=3)
    events = by_job(receiver.events)
    assert types(receiver.events) == {"companies": ["START", "ABORT"], "endusers": ["START", "ABORT"]}
    assert message(events["companies"][1]).startswith("refused: The model companies is empty")
    assert "c-1" not in message(events["companies"][1]), "the keys that a refusal names are rows"
    assert "unique_endusers_id" in message(events["endusers"][1])


def test_rows_that_are_not_accepted_are_counted_in_the_message(shop: Project) -> None:
    shop.insert("companies", [company(9, id=None)])
    with Receiver() as receiver:
        sync(shop, receiver, code=1)
    done = by_job(receiver.events)["companies"][1]
    assert (done["eventType"], message(done)) == ("COMPLETE", "partial: 1 row rejected")


def test_a_model_that_another_dbt_run_builds_is_not_told(shop: Project) -> None:
    shop.build(statuses={"endusers": ""}, select=["companies"])
    with Receiver() as receiver:
        sync(shop, receiver)
    assert types(receiver.events) == {"companies": ["START", "COMPLETE"]}


def test_the_run_is_part_of_dbts_invocation_or_of_what_the_scheduler_says(shop: Project) -> None:
    with Receiver() as receiver:
        sync(shop, receiver)
        parent = receiver.events[0]["run"]["facets"]["parent"]
        manifest = json.loads((shop.target / "manifest.json").read_text(encoding="utf-8"))
        assert parent["run"]["runId"] == manifest["metadata"]["invocation_id"]
        assert (parent["job"]["namespace"], parent["job"]["name"]) == ("planhat_dbt", "dbt-run-shop")

        receiver.bodies.clear()
        run, root = "019a0000-0000-7000-8000-000000000001", "019a0000-0000-7000-8000-000000000002"
        given = {
            "OPENLINEAGE_PARENT_ID": f"airflow://prod/crm.sync/{run}",
            "OPENLINEAGE_ROOT_PARENT_ID": f"airflow://prod/crm/{root}",
        }
        told = shop.sync(
            env={"OPENLINEAGE_URL": receiver.url, **given}, openlineage=True, openlineage_namespace="crm"
        )
        event = receiver.events[0]
    parent = event["run"]["facets"]["parent"]
    assert (parent["job"]["namespace"], parent["job"]["name"], parent["run"]["runId"]) == (
        "airflow://prod",
        "crm.sync",
        run,
    )
    assert parent["root"]["run"]["runId"] == root
    assert event["job"]["namespace"] == "crm"
    tags = {t["key"]: t["value"] for t in event["run"]["facets"]["tags"]["tags"]}
    assert tags["planhat_dbt_run_id"] == told.document["metadata"]["run_id"]


@pytest.mark.parametrize("how", ["refused", "nobody", "silent"])
def test_a_backend_that_does_not_take_events_costs_seconds_and_one_line(shop: Project, how: str) -> None:
    receiver = Receiver(status=403) if how == "refused" else Receiver(delay=30 if how == "silent" else 0)
    with receiver:
        url = "http://user:hidden@127.0.0.1:9" if how == "nobody" else receiver.url
        started = time.monotonic()
        told = shop.sync(env={"OPENLINEAGE_URL": url}, openlineage=True, openlineage_timeout=1)
        took = time.monotonic() - started
    lines = [line for line in told.err.splitlines() if "OpenLineage" in line]
    assert len(lines) == 1, told.err
    assert lines[0].startswith("Note: OpenLineage: 4 events of 4 not delivered (")
    assert {"refused": "HTTP 403", "nobody": "within 1 s", "silent": "within 1 s"}[how] in lines[0]
    assert "hidden" not in told.told
    assert took < 8
    assert told.result("companies")["inserted"] == 5


def test_the_process_ends_though_the_backend_never_answers(shop: Project) -> None:
    shop.settings(openlineage=True, openlineage_timeout=1)
    with Receiver(delay=60) as receiver:
        shop.env["OPENLINEAGE_URL"] = receiver.url
        started = time.monotonic()
        process = shop.start("sync")
        _, said = process.communicate(timeout=50)
    assert process.returncode == 0, said
    assert "4 events of 4 not delivered" in said
    assert time.monotonic() - started < 15


@pytest.mark.parametrize("by", ["file", "variables"])
def test_the_clients_own_configuration_is_what_counts(shop: Project, folder: Path, by: str) -> None:
    kept = folder / "events.jsonl"
    transport: dict[str, Any] = {"type": "file", "log_file_path": str(kept), "append": True}
    env = {}
    if by == "file":
        (folder / "openlineage.yml").write_text(json.dumps({"transport": transport}), encoding="utf-8")
    else:
        env = {
            f"OPENLINEAGE__TRANSPORT__{k.upper()}": str(v).lower() if v is True else str(v)
            for k, v in transport.items()
        }
    told = shop.sync(env=env, **ON)
    assert "OpenLineage" not in told.told
    events = [checked(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    assert types(events) == {"companies": ["START", "COMPLETE"], "endusers": ["START", "COMPLETE"]}


def test_without_a_configuration_one_line_says_so(shop: Project) -> None:
    told = shop.sync(**ON)
    (line,) = [line for line in told.told.splitlines() if "OpenLineage" in line]
    assert "no transport is configured" in line
    assert "OPENLINEAGE_URL" in line
    assert told.result("companies")["inserted"] == 5


def test_a_configuration_that_is_wrong_does_not_stop_a_sync(shop: Project, folder: Path) -> None:
    (folder / "openlineage.yml").write_text("transport: {type: http, url: '::hidden::'}\n", encoding="utf-8")
    told = shop.sync(**ON)
    (line,) = [line for line in told.told.splitlines() if "OpenLineage" in line]
    assert "does not accept its configuration" in line
    assert "hidden" not in told.told
    assert told.result("companies")["inserted"] == 5


def test_a_client_that_is_not_installed_is_told_before_anything_is_sent(
    shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        sys.modules, "openlineage.client", None
    )  # what Python does for a package that is not there
    told = shop.sync(code=2, **ON)
    assert "OpenLineage's client is not installed" in told.err
    assert "pip install 'planhat-dbt[openlineage]'" in told.err
    assert told.calls == ()
    shop.sync()
    shop.sync(env={"OPENLINEAGE_DISABLED": "true"}, **ON)


def test_a_sealed_plan_begins_each_sync_once(shop: Project, folder: Path) -> None:
    shop.cli("plan", "--out", str(folder / "plan.json"))
    with Receiver() as receiver:
        env = {"OPENLINEAGE_URL": receiver.url}
        shop.sync("--plan", str(folder / "plan.json"), env=env, **ON)
    assert types(receiver.events) == {"companies": ["START", "COMPLETE"], "endusers": ["START", "COMPLETE"]}
