"""Rows that are not fit to be sent, and rows that wait: told with a reason, never in the way of the others."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from harness import Project, Row

from planhat_dbt.sandbox import Rules
from run.shop import add_companies, add_endusers, company, enduser, mirrors, seed_company

WIDE: Row = {
    "object": "company",
    "match": {"externalId": "id"},
    "fields": {
        "name": "name",
        "status": "status",
        "h": "health",
        "mr": "mr",
        "owner": "owner",
        "tags": "tags",
        "domains": "domains",
        "custom": {"Share": "share", "Renewal": "renewal", "Seen": "seen", "Raw": "raw", "Span": "span"},
    },
}
COLUMNS = {
    "id": "varchar",
    "name": "varchar",
    "status": "varchar",
    "health": "double",
    "mr": "varchar",
    "owner": "varchar",
    "tags": "varchar",
    "domains": "varchar[]",
    "share": "double",
    "renewal": "date",
    "seen": "timestamp",
    "raw": "blob",
    "span": "interval",
}
GOOD: Row = {
    "id": "good",
    "name": "Acme",
    "status": "customer",
    "health": 7.0,
    "mr": "12.50",
    "owner": "64b2a1c0f1e2d3c4b5a69788",
    "tags": '["a"]',
    "domains": ["example.com"],
    "share": 0.5,
    "renewal": dt.date(2026, 1, 1),
    "seen": dt.datetime.fromisoformat("2026-01-01"),
    "raw": None,
    "span": None,
}
BAD: list[tuple[str, Any, str, str]] = [
    ("name", None, "missing_required", "name"),
    ("status", "nonsense", "bad_value", "status"),
    ("health", 7.5, "bad_value", "h"),
    ("mr", "a lot", "bad_value", "mr"),
    ("mr", "NaN", "bad_value", "mr"),
    ("owner", "ann@example.com", "bad_value", "owner"),
    ("tags", '["a",', "bad_value", "tags"),
    ("tags", '{"a": 1}', "bad_value", "tags"),
    ("share", float("nan"), "bad_value", "custom.Share"),
    ("share", float("inf"), "bad_value", "custom.Share"),
    ("share", float("-inf"), "bad_value", "custom.Share"),
    ("renewal", "infinity", "bad_value", "custom.Renewal"),
    ("seen", "-infinity", "bad_value", "custom.Seen"),
    ("raw", b"\x00\x01", "bad_value", "custom.Raw"),
    ("span", dt.timedelta(days=1), "bad_value", "custom.Span"),
]


def test_values_that_cannot_be_sent_reject_their_row_alone(project: Project) -> None:
    bad = {f"bad-{n}": entry for n, entry in enumerate(BAD)}
    rows = [tuple({**GOOD, "id": key, column: value}.values()) for key, (column, value, _, _) in bad.items()]
    project.model(
        "wide",
        WIDE,
        COLUMNS,
        [tuple(GOOD.values()), *rows, tuple({**GOOD, "id": "good 2", "domains": None}.values())],
    )
    outcome = project.sync(code=1)
    assert outcome.kinds == ["GET /customfields", "PUT /companies"]
    assert [row["externalId"] for row in outcome.sent("/companies")] == ["good", "good 2"]
    assert outcome.counts("wide") == {"inserted": 2, "rejected": len(bad)}
    assert outcome.status("wide") == "partial"
    assert project.failures() == {key: ("rejected", code) for key, (_, _, code, _) in bad.items()}
    told = dict(project.query("select key, message from planhat_sync.failures"))
    for key, (_, _, _, field) in bad.items():
        assert field in told[key], told[key]

    # Nothing changed: told again, and nothing is sent. Their fields might have another type by now.
    outcome = project.sync(code=1)
    assert outcome.kinds == ["GET /customfields"]
    attempts = dict(project.query("select key, attempts from planhat_sync.failures"))
    assert set(attempts.values()) == {2}
    assert len(
        project.query("select 1 from planhat_sync.failures where first_seen_at < last_seen_at")
    ) == len(bad)

    project.replace("wide", [tuple({**GOOD, "id": key}.values()) for key in ("good", "good 2", *bad)])
    outcome = project.sync()
    assert outcome.counts("wide") == {"inserted": len(bad), "updated": 1}
    assert project.failures() == {}
    project.quiet()


@pytest.mark.parametrize("nulls", ["clear", "skip"])
def test_a_value_that_cannot_be_sent_is_told_even_if_nothing_else_changed(
    project: Project, nulls: str
) -> None:
    block = {**WIDE, "nulls": nulls}
    rows = [tuple({**GOOD, "id": key}.values()) for key in ("same", "odd")]
    project.model("wide", block, COLUMNS, rows)
    project.sync()
    project.replace("wide", [rows[0], tuple({**GOOD, "id": "odd", "raw": b"\x00"}.values())])
    for _ in range(2):
        assert project.sync(code=1).counts("wide") == {"rejected": 1}
        assert project.failures() == {"odd": ("rejected", "bad_value")}
    project.replace("wide", rows)
    project.sync()
    assert project.failures() == {}
    project.quiet()


@pytest.mark.parametrize(
    ("rows", "failures"),
    [
        ([company(3, id=None)], {"": ("rejected", "null_key")}),
        ([company(3, id="")], {"": ("rejected", "null_key")}),
        ([company(3, id=None), company(4, id="")], {"": ("rejected", "null_key")}),
        ([company(3), company(3)], {"c-3": ("rejected", "duplicate_key")}),
        (
            [company(3), company(3, name="Bolt"), company(3, name=None)],
            {"c-3": ("rejected", "duplicate_key")},
        ),
        ([company(2, name="Twin")], {"c-2": ("rejected", "duplicate_key")}),
        (
            [company(3, id=None), company(4), company(4)],
            {"": ("rejected", "null_key"), "c-4": ("rejected", "duplicate_key")},
        ),
    ],
)
def test_null_and_duplicate_keys(project: Project, rows: list[Any], failures: Row) -> None:
    add_companies(project, 2)
    project.insert("companies", rows)
    outcome = project.sync(code=1)
    good = {"c-1"} if "c-2" in failures else {"c-1", "c-2"}
    assert {r["externalId"] for r in project.sandbox.tenant.records("companies")} == good
    rejected = len(rows) + (1 if "c-2" in failures else 0)
    assert outcome.counts("companies") == {"inserted": len(good), "rejected": rejected}
    assert project.failures() == failures
    project.replace("companies", [company(1), company(2)])
    project.sync()
    assert project.failures() == {}
    assert mirrors(project)


def test_a_known_row_that_becomes_a_duplicate_is_not_removed(project: Project) -> None:
    add_companies(project, 3, on_removed="delete")
    project.sync()
    project.insert("companies", [company(2, name="Twin")])
    outcome = project.sync(code=1)
    assert outcome.kinds == []
    assert outcome.counts("companies") == {"rejected": 2}
    assert len(project.sandbox.tenant.records("companies")) == 3


def test_children_wait_for_their_parent(project: Project) -> None:
    add_companies(project, 2)
    add_endusers(project, [enduser(1), enduser(2, account="c-9"), enduser(3, account="c-8")])
    outcome = project.sync()
    assert outcome.kinds == ["GET /customfields", "PUT /companies", "PUT /endusers"]
    assert outcome.counts("endusers") == {"inserted": 1, "held": 2}
    assert project.failures() == {"u-2": ("held", "parent_missing"), "u-3": ("held", "parent_missing")}
    assert project.sync().kinds == []
    project.insert("companies", [company(9)])
    outcome = project.sync()
    assert outcome.kinds == ["GET /customfields", "PUT /companies", "PUT /endusers"]
    assert outcome.counts("endusers") == {"inserted": 1, "held": 1}
    assert project.failures() == {"u-3": ("held", "parent_missing")}
    project.replace("endusers", [enduser(1), enduser(2, account="c-9"), enduser(3)])
    project.sync()
    assert project.failures() == {}
    project.quiet()


def test_children_of_a_refused_parent_wait(project: Project) -> None:
    add_companies(project, [1])
    project.insert("companies", [company(2, name=None)])
    add_endusers(project, [enduser(1), enduser(2, account="c-2")])
    outcome = project.sync(code=1)
    assert outcome.counts("endusers") == {"inserted": 1, "held": 1}
    assert project.failures() == {"c-2": ("rejected", "missing_required"), "u-2": ("held", "parent_missing")}
    project.sandbox.rules = Rules(denied=("companies:create",))
    project.replace("companies", [company(1), company(2)])
    outcome = project.sync(code=1)
    assert outcome.kinds == ["GET /customfields", "PUT /companies"]
    assert project.failures()["u-2"] == ("held", "parent_missing")
    project.sandbox.rules = Rules()
    project.sync("--retry-rejected")
    assert project.failures() == {}
    assert len(project.sandbox.tenant.records("endusers")) == 2


def test_parents_that_the_project_does_not_sync_are_not_waited_for(project: Project) -> None:
    seed_company(project, "c-1")
    add_endusers(project, [enduser(1)])
    assert project.sync().counts("endusers") == {"inserted": 1}


def test_children_wait_for_a_parent_that_is_not_selected(project: Project) -> None:
    add_companies(project, 1)
    add_endusers(project, [enduser(1)])
    outcome = project.sync("--select", "endusers")
    assert outcome.kinds == []
    assert outcome.counts("endusers") == {"held": 1}
    assert project.sync().kinds == ["GET /customfields", "PUT /companies", "PUT /endusers"]
