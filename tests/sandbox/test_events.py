"""Metrics, activities, Segment: 200 is a receipt, failures show elsewhere (planhat-api §10, §13.27 to §13.31)."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import httpx
import pytest

from planhat_dbt.sandbox import Sandbox

from .conftest import Api, Row


def metric(**more: Any) -> Row:
    return {"dimensionId": "logins", "value": 5, "externalId": "c-1"} | more


def post(api: Api, path: str, body: Any) -> Any:
    response = api.http.post(f"/{path}/{api.sandbox.tenant_uuid}", json=body)
    assert response.status_code == 200
    return response.json()


def test_metric_points_are_stored_never_merged(api: Api, sandbox: Sandbox) -> None:
    company = api.company()
    assert post(api, "dimensiondata", [metric(date="2026-01-31"), metric(date="2026-01-31")]) == {
        "processed": 2,
        "errors": [],
    }
    assert post(api, "dimensiondata", metric(value=7.5)) == {"processed": 1, "errors": []}
    stored = sandbox.tenant.metrics
    assert [(point["value"], point["companyId"]) for point in stored] == [
        (5, company),
        (5, company),
        (7.5, company),
    ]
    assert stored[0]["time"] == "2026-01-31T00:00:00.000Z"


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"value": 1, "externalId": "c-1"}, "dimensionId must be specified"),
        (metric(value="5"), "value must be a number"),
        (metric(value=True), "value must be a number"),
        (metric(value=None), "value must be a number"),
        (metric(externalId=""), "externalId must be specified"),
        (metric(externalId=5), "externalId must be specified"),
        ("text", "item must be an object"),
    ],
)
def test_faults_in_a_metric_row_are_named_in_the_answer(
    api: Api, sandbox: Sandbox, row: Any, error: str
) -> None:
    api.company()
    answer = post(api, "dimensiondata", [row, metric()])
    assert answer == {"processed": 2, "errors": [{"item": row, "error": error}]}
    assert (len(sandbox.tenant.metrics), sandbox.tenant.failed_metrics) == (1, answer["errors"])


@pytest.mark.parametrize(
    ("row", "error"),
    [
        (metric(externalId="none"), "Company with externalId not found"),
        (metric(model="EndUser"), "EndUser with externalId not found"),
        (metric(model="Invoice"), "model must be one of Company, EndUser, Asset, Project"),
        (metric(date="yesterday"), "date must be an ISO date"),
    ],
)
def test_other_faults_are_received_and_fail_later(api: Api, sandbox: Sandbox, row: Row, error: str) -> None:
    api.company()
    assert post(api, "dimensiondata", [row]) == {"processed": 1, "errors": []}
    assert sandbox.tenant.failed_metrics == [{"item": row, "error": error}]
    assert sandbox.tenant.metrics == []


@pytest.mark.parametrize(
    ("model", "path"), [("EndUser", "endusers"), ("Asset", "assets"), ("Project", "projects")]
)
def test_metrics_of_other_models(api: Api, sandbox: Sandbox, model: str, path: str) -> None:
    company = api.company()
    parent = sandbox.tenant.seed(path, [{"externalId": "x", "companyId": company, "name": "X"}])[0]
    post(api, "dimensiondata", [metric(model=model, externalId="x")])
    point = sandbox.tenant.metrics[0]
    assert (point["parentId"], point["companyId"], point["model"]) == (parent, company, model)


def test_metrics_are_read_back_by_company_dimension_and_day(api: Api) -> None:
    company = api.company()
    api.company("c-2")
    rows = [metric(date=f"2026-01-{day:02}", value=day) for day in range(1, 11)]
    post(api, "dimensiondata", [*rows, metric(externalId="c-2"), metric(dimensionId="seats")])
    first = 20_454  # 2026-01-01
    query = {"dimid": "logins", "from": first + 2, "to": first + 4}
    for name in ("cId", "cid"):
        points = api.get("/dimensiondata", **query, **{name: company})
        assert [point["value"] for point in points] == [3, 4, 5]
        assert (points[0]["companyName"], points[0]["day"]) == ("Company c-1", first + 2)
    assert len(api.get("/dimensiondata", limit=5, offset=9)) == 3
    assert api.http.get("/dimensiondata", params={"cId": "f" * 24}).status_code == 400


def test_read_points_are_items_as_documented(api: Api, sandbox: Sandbox) -> None:
    company = api.company()
    person = sandbox.tenant.seed("endusers", [{"externalId": "x", "companyId": company}])[0]
    post(api, "dimensiondata", metric(model="EndUser", externalId="x", date="1969-12-31T10:00:00+02:00"))
    (point,) = api.get("/dimensiondata", cId=company, **{"from": -1, "to": -1})
    assert point.pop("_id") == sandbox.tenant.metrics[0]["_id"]
    assert point == {
        "dimensionId": "logins", "time": "1969-12-31T08:00:00.000Z", "day": -1, "value": 5, "model": "EndUser",
        "parentId": person, "companyId": company, "companyName": "Company c-1",
    }  # fmt: skip
    assert api.get("/dimensiondata", cId=company, **{"from": 0, "to": 1}) == []
    assert api.http.get("/dimensiondata", params={"from": "today"}).status_code == 400


def test_points_are_read_in_pages_and_in_order_where_one_is_asked_for(api: Api, sandbox: Sandbox) -> None:
    api.company()
    post(api, "dimensiondata", [metric(value=i) for i in range(7)])
    sandbox.tenant.metrics.reverse()
    read = [api.get("/dimensiondata", sort="_id", limit=3, offset=offset) for offset in (0, 3, 6, 9)]
    assert [[point["value"] for point in page] for page in read] == [[0, 1, 2], [3, 4, 5], [6], []]
    assert api.get("/dimensiondata", sort="-_id", limit=1)[0]["value"] == 6
    assert len(api.get("/dimensiondata", limit=1_000_000)) == 7


def test_a_new_point_is_read_after_a_while(api: Api, sandbox: Sandbox) -> None:
    api.company()
    sandbox.rules = replace(sandbox.rules, read_delay=0.2)
    post(api, "dimensiondata", metric())
    assert api.get("/dimensiondata") == []
    assert len(sandbox.tenant.records("metrics")) == 1
    time.sleep(0.25)
    assert len(api.get("/dimensiondata")) == 1


def test_points_may_be_read_with_the_right_to_do_so(api: Api, sandbox: Sandbox) -> None:
    sandbox.rules = replace(sandbox.rules, denied=("dimensiondata:read",))
    assert api.http.get("/dimensiondata").status_code == 403
    assert api.http.get("/companies").status_code == 200


@pytest.mark.parametrize("spelling", ["externalId", "euExtId", "id"])
@pytest.mark.parametrize(("path", "door"), [("analytics", "single"), ("analytics/bulk", "bulk")])
def test_activities_find_the_person_under_any_spelling(
    api: Api, sandbox: Sandbox, path: str, door: str, spelling: str
) -> None:
    company = api.company()
    person = sandbox.tenant.seed("endusers", [{"externalId": "u-1", "companyId": company}])[0]
    row = {spelling: "u-1", "action": "Logged in", "date": "2026-01-31T10:00:00Z", "weight": 3}
    answer = post(api, path, row if door == "single" else [row])
    assert answer == ({} if door == "single" else {"processed": 1, "errors": []})
    stored = sandbox.tenant.activities[0]
    assert (stored["euId"], stored["door"], stored["spelling"]["person"]) == (person, door, spelling)
    assert (stored["shown"], stored["weight"], stored["count"]) == (True, 3, 1)
    assert sandbox.tenant.record("endusers")["lastActive"] == "2026-01-31T10:00:00.000Z"
    assert sandbox.tenant.record("companies")["lastActive"] == "2026-01-31T10:00:00.000Z"


@pytest.mark.parametrize(
    ("row", "created"),
    [
        ({"email": "new@x.test", "companyExternalId": "c-1", "name": "Ada Berg"}, True),
        ({"euExtId": "new", "cId": "c-1"}, True),
        ({"email": "new@acme.test"}, True),
        ({"email": "new@x.test"}, False),
        ({"euExtId": "new", "companyExternalId": "none"}, False),
    ],
)
def test_an_unknown_person_is_created_in_a_known_company_or_the_event_fails(
    api: Api, sandbox: Sandbox, row: Row, created: bool
) -> None:
    company = api.company(domains=["acme.test"])
    post(api, "analytics/bulk", [row | {"action": "Logged in"}])
    assert len(sandbox.tenant.activities) == created
    assert [record["companyId"] for record in sandbox.tenant.records("endusers")] == [company] * created
    assert len(sandbox.tenant.failed_activities) == (not created)


def test_an_activity_without_a_person_is_an_error_and_one_without_action_is_not_shown(
    api: Api, sandbox: Sandbox
) -> None:
    sandbox.tenant.seed("endusers", [{"email": "a@b.test", "companyId": api.company()}])
    answer = post(api, "analytics/bulk", [{"action": "x"}, {"email": "a@b.test"}])
    assert (answer["processed"], len(answer["errors"])) == (2, 1)
    assert [event["shown"] for event in sandbox.tenant.activities] == [False]


def test_an_unknown_tenant_is_answered_200_and_stores_nothing(api: Api, sandbox: Sandbox) -> None:
    api.company()
    other = "00000000-0000-4000-8000-000000000000"
    assert api.http.post(f"/dimensiondata/{other}", json=[metric()]).status_code == 200
    assert api.http.post(f"/analytics/{other}", json={"email": "a@b.test"}).status_code == 200
    assert (sandbox.tenant.metrics, sandbox.tenant.activities) == ([], [])
    assert (
        sandbox.tenant.failed_metrics[0]["error"]
        == sandbox.tenant.failed_activities[0]["error"]
        == "unknown tenant"
    )


def test_segment_identifies_and_tracks(api: Api, sandbox: Sandbox) -> None:
    company = api.company()
    identify = {"type": "identify", "userId": "u-1", "traits": {"email": "a@b.test", "companyId": "c-1"}}
    with httpx.Client(base_url=sandbox.url, auth=(sandbox.tenant_uuid, "")) as segment:
        assert segment.post("/dock/segment", json=identify).status_code == 200
        segment.post("/dock/segment", json={"type": "track", "userId": "u-1", "event": "Exported"})
        segment.post("/dock/segment", json={"type": "track", "event": "Nobody"})
    assert sandbox.tenant.record("endusers", externalId="u-1")["companyId"] == company
    assert [event["action"] for event in sandbox.tenant.activities] == ["Exported"]
    assert api.http.post("/dock/segment", json=identify).status_code == 401


def test_malformed_tracking_bodies_are_refused(api: Api, sandbox: Sandbox) -> None:
    url = f"/dimensiondata/{sandbox.tenant_uuid}"
    json_type = {"Content-Type": "application/json"}
    assert api.http.post(url, content=b"{", headers=json_type).status_code == 400
    assert api.http.post(url, content=b"[]", headers={"Content-Type": "text/plain"}).status_code == 400
