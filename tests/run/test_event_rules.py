"""Planhat answers OK to bad events and drops them later: each field is checked here, row by row (planhat-api §10)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from harness import Project, Row

from planhat_dbt.sandbox import Fault, FaultKind

METRIC_COLUMNS = {
    "id": "varchar",
    "dim": "varchar",
    "of": "varchar",
    "value": "varchar",
    "model": "varchar",
    "at": "varchar",
}
METRIC_BLOCK: Row = {
    "object": "metric",
    "key": "id",
    "fields": {"dimensionId": "dim", "externalId": "of", "value": "value", "model": "model", "date": "at"},
}
METRIC: Row = {"dim": "logins", "of": "c-1", "value": "5", "model": "Company", "at": "2026-03-01"}
ACTIVITY_COLUMNS = {
    "id": "varchar",
    "email": "varchar",
    "person": "varchar",
    "of": "varchar",
    "action": "varchar",
    "weight": "varchar",
    "count": "varchar",
    "info": "varchar",
    "at": "varchar",
}
ACTIVITY_BLOCK: Row = {
    "object": "user_activity",
    "key": "id",
    "fields": {
        "email": "email",
        "externalId": "person",
        "companyExternalId": "of",
        "action": "action",
        "weight": "weight",
        "count": "count",
        "info": "info",
        "date": "at",
    },
}
ACTIVITY: Row = {
    "email": "ann@acme.test",
    "person": "u-1",
    "of": "c-1",
    "action": "login",
    "weight": "2",
    "count": "1",
    "info": "{}",
    "at": "2026-03-01T08:00:00Z",
}
MISSING, BAD = "missing_required", "bad_value"
Case = tuple[Row, str, str]
"""What differs from a good row; the code, and what the message says."""

BAD_METRICS: list[Case] = [
    ({"dim": None}, MISSING, "dimensionId is NULL or empty"),
    ({"dim": ""}, MISSING, "dimensionId is NULL or empty"),
    *[
        ({"dim": dim}, BAD, "dimensionId: expected letters (A to Z, a to z), digits, `_`, `-` and `.` only")
        for dim in (" ", "daily logins", "logins ", "logins\n", "größe", "a/b", "a:b", "a,b", "€", "{x}")
    ],
    ({"of": None}, MISSING, "externalId is NULL or empty"),
    ({"of": ""}, MISSING, "externalId is NULL or empty"),
    ({"of": " \t\n"}, BAD, "externalId: expected text that is not blank"),
    ({"value": None}, MISSING, "value is NULL"),
    *[
        ({"value": value}, BAD, "value: expected a number")
        for value in ("", "five", "1,5", "0x1F", "NaN", "inf", "true", "1 2", "2e308", "-1.8e308", "1e999")
    ],
    *[({"model": model}, BAD, "model: expected one of Company, EndUser") for model in ("company", "Invoice", "", " ")],
    *[
        ({"at": at}, BAD, "date: expected a date or time as ISO 8601 text")
        for at in ("", "yesterday", "01.03.2026", "2026-02-30", "2026-03-01T25:00", "1772323200", "infinity")
    ],
]  # fmt: skip
GOOD_METRICS: list[tuple[Row, Row]] = [
    ({}, {"value": 5}),
    *[({"dim": dim}, {"dimensionId": dim}) for dim in ("a", "A.b-c_9", "-", "0", "x" * 300)],
    *[
        ({"model": model, "of": of}, {"model": model, "externalId": of})
        for model, of in (("Company", "c-1"), ("EndUser", "u-1"), ("Asset", "a-1"), ("Project", "p 1"))
    ],
    ({"value": "-0.25"}, {"value": -0.25}),
    ({"value": " 1e3 "}, {"value": 1000}),
    ({"value": "9007199254740993"}, {"value": 9007199254740993}),
    ({"value": "1.7e308"}, {"value": 1.7e308}),
    ({"value": "0"}, {"value": 0}),
    ({"at": "2026-03-01"}, {"date": "2026-03-01T00:00:00.000Z"}),
    ({"at": "2026-03-01T08:00:00.5+02:00"}, {"date": "2026-03-01T06:00:00.500Z"}),
]
BAD_ACTIVITIES: list[Case] = [
    *[
        ({"email": email, "person": person}, MISSING, "one of email, externalId is needed")
        for email in (None, "")
        for person in (None, "")
    ],
    *[
        ({"email": email}, BAD, "email: expected an e-mail address: something@something, without blanks")
        for email in ("ann", "@acme.test", "ann@", "ann @acme.test", "ann@acme.test ", "a@b@c", "Ann <a@b>", " ")
    ],
    ({"person": " "}, BAD, "externalId: expected text that is not blank"),
    ({"of": " "}, BAD, "companyExternalId: expected text that is not blank"),
    *[({"weight": weight}, BAD, "weight: expected a number") for weight in ("", "heavy", "nan", "1e309")],
    *[
        ({"count": count}, BAD, "count: expected a whole number")
        for count in ("", "0", "-1", "1.5", "once", "1e400")
    ],
    *[({"info": info}, BAD, "info: expected JSON of an object") for info in ("", "[]", "5", '"x"', "{", '{"a": NaN}')],
    *[({"at": at}, BAD, "date: expected a date or time as ISO 8601 text") for at in ("", "now", "1.3.2026")],
]  # fmt: skip
GOOD_ACTIVITIES: list[tuple[Row, Row]] = [
    ({}, {"euExtId": "u-1", "email": "ann@acme.test", "weight": 2, "count": 1, "info": {}}),
    ({"email": None}, {"euExtId": "u-1"}),
    ({"email": ""}, {"euExtId": "u-1"}),
    ({"person": None}, {"email": "ann@acme.test"}),
    ({"person": ""}, {"email": "ann@acme.test"}),
    ({"email": "o'brien+x@sub.acme.test", "person": "new"}, {"email": "o'brien+x@sub.acme.test"}),
    ({"of": None}, {}),
    ({"of": ""}, {}),
    ({"action": None}, {}),
    ({"action": ""}, {}),
    ({"weight": None, "count": None, "info": None, "at": None}, {}),
    ({"weight": "0.5", "count": "3.0"}, {"weight": 0.5, "count": 3}),
    ({"count": "9007199254740993"}, {"count": 9007199254740993}),
    ({"info": '{"page": 1.10, "deep": {"a": [1, null]}}'}, {"info": {"page": 1.1, "deep": {"a": [1, None]}}}),
]


def rows(good: Row, cases: list[Row]) -> list[list[Any]]:
    return [[f"{i:03}", *{**good, **case}.values()] for i, case in enumerate(cases)]


@pytest.fixture
def shop(project: Project) -> Project:
    """A Planhat that has the parents of all good rows."""
    tenant = project.sandbox.tenant
    (company,) = tenant.seed("companies", [{"name": "Acme", "externalId": "c-1"}])
    tenant.seed("endusers", [{"externalId": "u-1", "email": "ann@acme.test", "companyId": company}])
    tenant.seed("assets", [{"externalId": "a-1", "name": "A", "companyId": company}])
    tenant.seed("projects", [{"externalId": "p 1", "name": "P", "companyId": company}])
    return project


def check(project: Project, path: str, bad: list[Case], good: list[tuple[Row, Row]]) -> None:
    """Every bad row is stopped for its reason, every good one arrives as it should, and Planhat complains of none."""
    outcome = project.sync(code=1 if bad else 0)
    told = dict(project.query("select key, code || ' ' || message from planhat_sync.failures"))
    for i, (case, code, words) in enumerate(bad):
        assert told.pop(f"{i:03}", "").startswith(f"{code} {words}"), case
    assert not told
    sent = outcome.sent(path, "POST")
    assert len(sent) == len(good)
    for (case, expected), row in zip(good, sent, strict=True):
        assert expected.items() <= row.items(), case
        assert "" not in {v for k, v in row.items() if k != "action" and not isinstance(v, dict)}, case
        assert None not in row.values(), case
    tenant = project.sandbox.tenant
    assert (tenant.failed_metrics, tenant.failed_activities) == ([], [])
    assert len(tenant.metrics) + len(tenant.activities) == len(good)
    assert [c for c in project.sync(code=1 if bad else 0).kinds if c.startswith("POST")] == []


def test_metrics(shop: Project) -> None:
    cases = [case for case, *_ in BAD_METRICS] + [case for case, _ in GOOD_METRICS]
    shop.model("usage", METRIC_BLOCK, METRIC_COLUMNS, rows(METRIC, cases))
    check(shop, "/dimensiondata/{tenant}", BAD_METRICS, GOOD_METRICS)


def test_activities(shop: Project) -> None:
    cases = [case for case, *_ in BAD_ACTIVITIES] + [case for case, _ in GOOD_ACTIVITIES]
    shop.model("logins", ACTIVITY_BLOCK, ACTIVITY_COLUMNS, rows(ACTIVITY, cases))
    check(shop, "/analytics/bulk/{tenant}", BAD_ACTIVITIES, GOOD_ACTIVITIES)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("utinyint", ["0", "255"]),
        ("bigint", ["9223372036854775807", "-9007199254740993"]),
        ("uhugeint", ["340282366920938463463374607431768211455"]),
        ("decimal(38,10)", ["9999999999999999999999999999.9999999999", "0.5"]),
        ("bignum", ["1" + "0" * 308, "-3"]),
        ("float", ["1.5", "3e38"]),
        ("double", ["1.7e308", "5e-324", "1e22", "-0.1"]),
    ],
)
def test_metric_values_are_numbers_whatever_their_column_and_size(
    shop: Project, kind: str, values: list[str]
) -> None:
    shop.model("usage", METRIC_BLOCK, {**METRIC_COLUMNS, "value": kind})
    for i, value in enumerate(values):
        shop.sql(f"insert into usage values ('{i}', 'logins', 'c-1', '{value}'::{kind}, 'Company', null)")
    assert shop.sync().counts("usage") == {"inserted": len(values)}
    stored = [p["value"] for p in shop.sandbox.tenant.metrics]
    assert [type(v) in (int, float) for v in stored] == [True] * len(values)
    expected = [float(value) for value in values]
    assert [float(v) for v in stored] == (pytest.approx(expected, rel=1e-6) if kind == "float" else expected)
    assert shop.sandbox.tenant.failed_metrics == []


def test_a_metric_value_beyond_a_double_is_stopped_here(shop: Project) -> None:
    shop.model("usage", METRIC_BLOCK, {**METRIC_COLUMNS, "value": "bignum"})
    shop.sql(f"insert into usage values ('1', 'logins', 'c-1', '1{'0' * 309}'::bignum, 'Company', null)")
    assert shop.sync(code=1).kinds == []
    assert shop.query("select code, message from planhat_sync.failures") == [
        (BAD, "value: expected a number that fits a double")
    ]


def test_constants_are_checked_before_anything_runs(shop: Project) -> None:
    fields = {"dimensionId": {"value": "daily logins"}, "externalId": "of", "value": "value"}
    shop.model("usage", {**METRIC_BLOCK, "fields": fields}, METRIC_COLUMNS, rows(METRIC, [{}]))
    outcome = shop.cli("validate")
    assert outcome.code == 2
    assert "fields.dimensionId.value" in outcome.told
    assert shop.sync(code=2).kinds == []


def test_an_activity_without_action_is_warned_of_and_sent(shop: Project) -> None:
    fields = {k: v for k, v in ACTIVITY_BLOCK["fields"].items() if k != "action"}
    shop.model("logins", {**ACTIVITY_BLOCK, "fields": fields}, ACTIVITY_COLUMNS, rows(ACTIVITY, [{}]))
    outcome = shop.cli("validate")
    assert outcome.code == 0
    assert "no `action`: without it, Planhat does not show the event in the stream" in outcome.told
    assert shop.sync().counts("logins") == {"inserted": 1}


@pytest.mark.parametrize(
    "echoed",
    [
        {"dimensionId": "logins", "value": 5, "externalId": "c-1", "date": "2026-03-01T00:00:00.000Z"},
        {"date": "2026-03-01T00:00:00.000Z", "externalId": "c-1", "value": 5.0, "dimensionId": "logins"},
        {
            "dimensionId": "logins",
            "value": 5,
            "externalId": "c-1",
            "date": "2026-03-01T00:00:00.000Z",
            "model": "Company",
            "tenant": "x",
        },
    ],
    ids=["as sent, numbers as JavaScript writes them", "another order", "more fields"],
)
def test_errors_in_the_answer_are_tied_to_their_rows(shop: Project, echoed: Row) -> None:
    """A row that passed our checks and is named in the body of a 200 all the same."""
    shop.model("usage", METRIC_BLOCK, {**METRIC_COLUMNS, "value": "double"})
    shop.insert("usage", rows({**METRIC, "model": None}, [{"value": v} for v in (4.0, 5.0, 6.0)]))
    body = json.dumps({"processed": 3, "errors": [{"item": echoed, "error": "quota of dimensions reached"}]})
    shop.sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=200, body=body, method="POST"))
    outcome = shop.sync(code=1)
    assert outcome.counts("usage") == {"inserted": 2, "rejected": 1}
    assert shop.query("select key, status, code, message from planhat_sync.failures") == [
        ("001", "rejected", "refused", "quota of dimensions reached")
    ]
    assert shop.snapshot("usage").keys() == {"000", "002"}


def test_an_error_that_fits_no_row_leaves_all_in_doubt(shop: Project) -> None:
    shop.model("usage", METRIC_BLOCK, METRIC_COLUMNS, rows(METRIC, [{}, {"value": "6"}]))
    body = json.dumps({"processed": 2, "errors": [{"item": {"value": 5}, "error": "no"}]})
    shop.sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=200, body=body, method="POST"))
    assert shop.sync(code=1).counts("usage") == {"unknown": 2}


@pytest.mark.duckdb("no other keeps such days")
def test_a_day_that_is_no_moment_rejects_its_row_only(shop: Project) -> None:
    block = {**METRIC_BLOCK, "event_time": "at", "lookback": "36500 days"}
    days = {"kept": "2026-03-01", "far": "300000-01-01", "old": "300000-01-01 (BC)", "none": "infinity"}
    shop.model("usage", block, {**METRIC_COLUMNS, "value": "integer", "at": "date"})
    for key, day in days.items():
        shop.sql(f"insert into usage values ('{key}', 'logins', 'c-1', 5, 'Company', date '{day}')")
    assert shop.sync(code=1).counts("usage")["inserted"] == 1
    told = dict.fromkeys(("far", "none"), ("rejected", "bad_value"))
    assert shop.failures() == told, "the old one is older than the lookback"
    messages = {m for (m,) in shop.query("select message from planhat_sync.failures")}
    assert messages == {"event_time (at): expected a time of the years 1 to 9999"}
    shop.sql("update usage set \"at\" = date '2026-03-02' where id = 'far'")
    assert shop.sync(code=1).counts("usage")["inserted"] == 1
