"""The control API, the page and the data file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from planhat_dbt.sandbox import DataFileError, Fault, FaultKind, Sandbox
from planhat_dbt.sandbox.resources import RESOURCES

from .conftest import Api


@pytest.fixture
def control(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{sandbox.url}/_sandbox/") as client:
        yield client


def test_state_tells_counts_calls_and_rules(api: Api, control: httpx.Client) -> None:
    api.company()
    api.bulk("/companies", {"name": "A", "mrr": 5})
    state = control.get("state").json()
    assert (state["counts"]["companies"], state["calls"], state["violations"]) == (
        2,
        {"PUT /companies": 1},
        1,
    )
    assert state["rules"]["custom_update"] == "merge"


def test_rules_change_over_http_until_reset(control: httpx.Client, sandbox: Sandbox) -> None:
    assert control.put("rules", json={"denied": ["nps:read"], "patch": True}).json()["patch"] is True
    assert sandbox.rules.denied == ("nps:read",)
    assert control.put("rules", json={"patch": "perhaps"}).status_code == 400
    assert control.put("rules", json={"colour": 1}).status_code == 400
    assert control.delete("rules").json()["patch"] is False


def test_records_are_seeded_edited_and_removed_over_http(control: httpx.Client, sandbox: Sandbox) -> None:
    company = control.post("records/companies", json={"name": "A", "externalId": "c-1"}).json()[0]
    rows = [{"email": f"{n}@b.test", "companyId": "extid-c-1"} for n in range(2)]
    people = control.post("records/enduser", json=rows).json()
    control.put(f"records/endusers/{people[0]}", json={"phone": "1"})
    assert control.delete(f"records/endusers/{people[1]}").status_code == 200
    records = control.get("records/endusers").json()
    assert [(record["phone"], record["companyId"]) for record in records] == [("1", company)]
    assert control.delete("records/endusers").status_code == 200
    assert sandbox.tenant.counts()["endusers"] == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "records/nonsense", None, 404),
        ("PUT", "records/companies/" + "a" * 24, {"name": "x"}, 404),
        ("DELETE", "records/companies/" + "a" * 24, None, 404),
        ("POST", "records/endusers", {"companyId": "extid-none"}, 400),
        ("POST", "records/companies", {"mr": "many"}, 400),
        ("POST", "state", {}, 405),
        ("GET", "nonsense", None, 404),
    ],
)
def test_mistakes_are_told(control: httpx.Client, method: str, path: str, body: object, status: int) -> None:
    assert control.request(method, path, json=body).status_code == status


def test_the_log_is_filtered_and_cleared(api: Api, control: httpx.Client) -> None:
    for _ in range(3):
        api.get("/companies")
    api.bulk("/assets", {"name": "A", "nonsense": 1}, status=400)
    assert (
        len(control.get("log", params={"method": "get", "path": "/companies", "last": 2}).json()["calls"])
        == 2
    )
    assert [v["rule"] for v in control.get("violations").json()] == ["unknown_field"]
    assert control.delete("violations").json() == []
    control.delete("log")
    assert control.get("log").json() == {"total": 0, "counts": {}, "calls": []}


def test_a_reset_forgets_everything(api: Api, sandbox: Sandbox, control: httpx.Client) -> None:
    api.company(domains=["acme.test"])
    sandbox.tenant.seed("customfields", [{"parent": "company", "name": "N", "type": "number"}])
    api.http.post(f"/dimensiondata/{sandbox.tenant_uuid}", json=[{}])
    sandbox.faults.add(Fault(kind=FaultKind.HANG))
    control.put("rules", json={"patch": True})
    assert control.post("reset").status_code == 200
    assert not any(sandbox.tenant.counts().values())
    assert (sandbox.faults.waiting, sandbox.log.total, sandbox.rules.patch) == ([], 0, False)
    assert api.counters("/companies", {"name": "A", "custom": {"N": "x"}}) == (1, 0, 0)
    assert api.counters("/endusers", {"email": "a@acme.test"}) == (0, 0, 0)


# -- the page


def page(sandbox: Sandbox, **query: str) -> str:
    response = httpx.get(sandbox.url, params=query)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    return response.text


def test_the_page_shows_every_object_and_the_last_calls(api: Api, sandbox: Sandbox) -> None:
    api.bulk("/companies", {"name": "A", "slug": "x"})
    html = page(sandbox)
    assert all(f"/?object={path}" in html for path in RESOURCES)
    assert "PUT /companies" in html
    assert "read only field" in html
    assert "http" not in html.replace(sandbox.url, "")


def test_the_page_browses_searches_and_pages(api: Api, sandbox: Sandbox) -> None:
    rows = [{"name": f"Firm {n:03}", "externalId": f"k{n}", "custom": {"Plan": "gold"}} for n in range(60)]
    sandbox.tenant.seed("companies", rows)
    first, last = page(sandbox, object="companies"), page(sandbox, object="companies", page="3")
    assert ("Firm 059" in first, "Firm 000" in first) == (True, False)
    assert ("Firm 059" in last, "Firm 000" in last) == (False, True)
    assert "Plan: gold" in first
    found = page(sandbox, object="companies", q="FIRM 007")
    assert ("1 found" in found, "Firm 007" in found, "Firm 008" in found) == (True, True, False)
    assert "Nothing holds" in page(sandbox, object="companies", q="nothing")


@pytest.mark.parametrize(
    "query", [{"object": "nonsense"}, {"object": "companies", "page": "x"}, {"page": "99"}]
)
def test_the_page_bears_odd_questions(sandbox: Sandbox, query: dict[str, str]) -> None:
    assert "Planhat sandbox" in page(sandbox, **query)


def test_the_page_escapes_everything(api: Api, sandbox: Sandbox) -> None:
    evil = "<script>alert('x')</script>"
    company = api.company(custom={evil: evil})
    sandbox.tenant.edit("companies", company, name=evil, domains=[evil])
    sandbox.tenant.seed("endusers", [{"email": evil, "companyId": company}])
    api.http.put("/companies", params={"q": evil}, json=[{evil: evil}])
    api.http.post(f"/dimensiondata/{sandbox.tenant_uuid}", json=[{"dimensionId": evil}])
    for model in ("companies", "endusers", "failed_metrics", evil):
        assert "<script" not in page(sandbox, object=model, q=evil)
        assert "<script" not in page(sandbox, object=model)


@pytest.mark.parametrize("stream", ["metrics", "activities", "failed_metrics", "failed_activities"])
def test_the_page_shows_events(api: Api, sandbox: Sandbox, stream: str) -> None:
    api.company(domains=["acme.test"])
    uuid = sandbox.tenant_uuid
    points = [{"dimensionId": "seen", "value": 1, "externalId": key} for key in ("c-1", "lost")]
    api.http.post(f"/dimensiondata/{uuid}", json=points)
    events = [{"email": f"a@{domain}", "action": "seen"} for domain in ("acme.test", "lost.test")]
    api.http.post(f"/analytics/bulk/{uuid}", json=events)
    html = page(sandbox, object=stream, q="seen")
    assert "1 found" in html


# -- the data file


def test_records_and_events_survive_a_restart(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "planhat.json"
    with Sandbox(data=data) as first, Api(first) as api:
        api.bulk(
            "/companies", {"name": "A", "externalId": "a", "domains": ["acme.test"], "custom": {"Plan": "é"}}
        )
        api.http.post("/customfields", json={"name": "N", "parent": "company", "type": "number"})
        api.http.post(
            f"/dimensiondata/{first.tenant_uuid}", json=[{"dimensionId": "d", "value": 1, "externalId": "a"}]
        )
        before = first.tenant.records("companies")
        metrics = first.tenant.metrics
    with Sandbox(data=data) as second, Api(second) as again:
        assert (second.tenant.records("companies"), second.tenant.metrics) == (before, metrics)
        assert again.counters("/companies", {"externalId": "a", "name": "A"}) == (0, 0, 1)
        assert again.counters("/endusers", {"email": "x@acme.test"}) == (1, 0, 0)
        assert again.bulk("/companies", {"name": "B", "custom": {"N": "x"}}, status=400)["createdErrors"]
    assert [path.name for path in data.parent.iterdir()] == ["planhat.json"]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "records": {"nonsense": [{}]}}']
)
def test_a_foreign_data_file_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    data = tmp_path / "planhat.json"
    data.write_text(content)
    with pytest.raises(DataFileError, match=r"planhat\.json"), Sandbox(data=data):
        pass
    assert data.read_text() == content


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "nope", 404), ("PUT", "state/nope", 404), ("DELETE", "state", 405), ("PATCH", "rules", 405)],
)
def test_errors_are_json(control: httpx.Client, method: str, path: str, status: int) -> None:
    answer = control.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


def test_a_browsers_wish_for_an_icon_is_no_call(sandbox: Sandbox) -> None:
    assert httpx.get(f"{sandbox.url}/favicon.ico").status_code == 204
    assert list(sandbox.log.calls) == []
