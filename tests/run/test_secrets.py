"""Token and tenant are nowhere in what a full run with faults writes: output, files, tables, errors, `repr`."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from harness import Outcome, Project

from planhat_dbt.planhat import ClientSettings, Endpoint, PlanhatClient
from planhat_dbt.sandbox import Fault, FaultKind, Sandbox
from run.shop import add_companies, company
from run.test_events import ACTIVITIES, ACTIVITY_BLOCK, METRIC_BLOCK, METRICS, activity, metric

TOKEN = "Tok+en/with=odd&signs.0123456789abcdef"
TENANT = "5EC0E7AA-1111-4222-8333-0123456789AB"
SPELT = {
    form.lower()
    for secret in (TOKEN, TENANT)
    for form in (
        secret,
        quote(secret),
        quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        base64.b64encode(secret.encode()).decode(),
        base64.b64encode(f"{secret}:".encode()).decode(),
        base64.b64encode(f":{secret}".encode()).decode(),
        base64.urlsafe_b64encode(secret.encode()).decode().rstrip("="),
        secret.encode().hex(),
        repr(secret)[1:-1],
    )
}
ECHO = (
    f'{{"message": "bad token {TOKEN}", "headers": {{"authorization": "Bearer {TOKEN}"}}, "tenant": "{TENANT}", '
    f'"basic": "{base64.b64encode(f"{TOKEN}:".encode()).decode()}", "url": "/x?token={quote(TOKEN, safe="")}", '
    f'"slashed": "{TOKEN.replace("/", chr(92) + "/")}"}}'
)
LATE = f'{{"message": "{"x" * 4080} {TOKEN} {TENANT}"}}'
"""A secret that lies across the bound of what is kept."""


def leaks(text: str) -> list[str]:
    low = text.lower()
    return [form for form in SPELT if form in low]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(token=TOKEN, tenant_uuid=TENANT) as running:
        yield running


@pytest.fixture
def project(folder: Path, sandbox: Sandbox) -> Project:
    project = Project(folder / "shop", sandbox)
    project.settings(batch_rows=10, max_tries=2, read_timeout=0.4, read_back_after=0, single_insert_rows=5)
    return project


def fill(project: Project, day: int) -> None:
    add_companies(project, 0, on_removed="delete", max_removals="100%")
    project.replace("companies", [company(i, phase=f"Day {day}") for i in range(day, day + 25)])
    project.insert("companies", [(f"bad-{day}", None, "Live", 1)])
    project.model("usage", METRIC_BLOCK, METRICS, [metric(i) for i in range(1, 15 * (day + 1))])
    project.model("logins", ACTIVITY_BLOCK, ACTIVITIES, [activity(i) for i in range(1, 15 * (day + 1))])


FAULTS = [
    Fault(kind=FaultKind.STATUS, status=401, body=ECHO, content_type="application/json", count=None),
    Fault(kind=FaultKind.STATUS, status=403, body=ECHO, content_type="application/json", count=None),
    Fault(kind=FaultKind.STATUS, status=400, body=ECHO, content_type="application/json"),
    Fault(kind=FaultKind.STATUS, status=400, body=LATE, content_type="application/json"),
    Fault(kind=FaultKind.STATUS, status=302, body=ECHO),
    Fault(kind=FaultKind.STATUS, status=404, body=ECHO),
    Fault(kind=FaultKind.STATUS, status=429, body=ECHO, retry_after=TOKEN),
    Fault(kind=FaultKind.STATUS, status=500, body=f"<html>{ECHO}</html>", count=3),
    Fault(kind=FaultKind.STATUS, status=503, body=LATE, count=3),
    Fault(kind=FaultKind.STATUS_AFTER, status=504, body=ECHO, count=3),
    Fault(kind=FaultKind.STATUS, status=200, body=ECHO, content_type="application/json"),
    Fault(kind=FaultKind.STATUS, status=200, body=f"<html>{ECHO}</html>"),
    Fault(kind=FaultKind.RESET_BEFORE),
    Fault(kind=FaultKind.RESET_AFTER),
    Fault(kind=FaultKind.TRUNCATED),
    Fault(kind=FaultKind.HANG_AFTER),
]


def commands(project: Project) -> Iterator[Outcome]:
    """Everything that shows something."""
    seal = project.directory / "plan.json"
    for output in ("text", "json", "markdown"):
        yield project.cli("plan", "--output", output)
    yield project.cli("plan", "--out", str(seal))
    yield project.cli("sync", "--plan", str(seal))
    for command in ("status", "failures", "list", "validate"):
        yield project.cli(command)
        yield project.cli(command, "--output", "json")
    yield project.cli("failures", "--keys")
    yield project.cli("resolve", "logins", "--discard")
    yield project.cli("schema")
    yield project.cli("sync", "--output", "json")


def test_no_secret_is_written_anywhere(project: Project) -> None:
    said: list[str] = []
    for day, fault in enumerate(FAULTS):
        fill(project, day)
        project.sandbox.quota.restart()
        project.sandbox.faults.add(Fault(**{**fault.as_json(), "skip": day % 3}))
        said.append(project.cli("sync").told)
        for path in ("/dimensiondata", "/analytics"):
            project.sandbox.faults.add(
                Fault(**{**fault.as_json(), "method": "POST", "path": path, "count": 1})
            )
        said.append(project.cli("sync").told)
        project.sandbox.faults.clear()
    said += [outcome.told for outcome in commands(project)]
    for text in said:
        assert not leaks(text)
    check_tables(project)
    check_files(project)


def check_tables(project: Project) -> None:
    tables = [
        name
        for (name,) in project.query(
            "select table_name from information_schema.tables where table_schema = 'planhat_sync'"
        )
    ]
    assert {"requests", "runs", "failures", "changes"} <= set(tables)
    for table in tables:
        for row in project.query(f'select * from planhat_sync."{table}"'):
            assert not leaks(repr(row)), table
    ((kept,),) = project.query("select count(*) from planhat_sync.requests where response like '%***%'")
    assert kept > 5, "answers that echo secrets were kept, with the secrets taken out"


def check_files(project: Project) -> None:
    files = [path for path in project.directory.rglob("*") if path.is_file()]
    assert {"planhat_results.json", "plan.json"} <= {path.name for path in files}
    for path in files:
        assert not leaks(path.read_bytes().decode("latin-1")), path


def test_no_secret_in_a_repr_or_an_error(project: Project) -> None:
    endpoint = Endpoint.from_env(project.env)
    with PlanhatClient(endpoint, ClientSettings(max_tries=1)) as client:
        project.sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=401, body=ECHO))
        with pytest.raises(Exception, match="401") as caught:
            client.get("/companies", "extid-a")
        chain = [caught.value, caught.value.__cause__, caught.value.__context__]
        shown = [
            repr(endpoint),
            str(endpoint),
            repr(client),
            repr(vars(client)),
            *map(repr, chain),
            *map(str, chain),
        ]
    for text in shown:
        assert not leaks(text)
