"""`--select` and `--exclude`, in dbt's manner (DESIGN §10)."""

from __future__ import annotations

import json

import pytest
from harness import Project

from run.shop import COMPANIES, COMPANY_COLUMNS, ENDUSER_COLUMNS, ENDUSERS


@pytest.fixture
def shop(project: Project) -> Project:
    project.model("companies", {**COMPANIES, "tags": ["core"]}, COMPANY_COLUMNS, tags=["hourly"])
    project.model("people", {**ENDUSERS, "name": "endusers"}, ENDUSER_COLUMNS, tags=["daily"])
    assets = {
        "object": "asset",
        "match": {"externalId": "id"},
        "fields": {"name": "id", "companyId": {"company": "c"}},
    }
    project.model("assets", {**assets, "tags": "core"}, {"id": "varchar", "c": "varchar"})
    project.model(
        "campaigns", {**assets, "object": "campaign", "enabled": False}, {"id": "varchar", "c": "varchar"}
    )
    return project


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ([], ["companies", "endusers", "assets"]),
        (["--select", "companies"], ["companies"]),
        (["--select", "people"], ["endusers"]),
        (["--select", "endusers companies"], ["companies", "endusers"]),
        (["--select", "assets", "--select", "companies"], ["companies", "assets"]),
        (["--select", "endusers", "companies"], ["companies", "endusers"]),
        (["-s", "endusers", "tag:core,object:asset", "--exclude", "people"], ["assets"]),
        (["--select=endusers", "companies"], ["companies", "endusers"]),
        (["--exclude", "endusers", "companies", "-s", "*"], ["assets"]),
        (["--select", "*s"], ["companies", "endusers", "assets"]),
        (["--select", "tag:core"], ["companies", "assets"]),
        (["--select", "tag:hourly"], ["companies"]),
        (["--select", "tag:core,object:asset"], ["assets"]),
        (["--select", "object:endusers"], ["endusers"]),
        (["--exclude", "tag:core"], ["endusers"]),
        (["--select", "tag:core", "--exclude", "assets"], ["companies"]),
    ],
    ids=" ".join,
)
def test_selection(shop: Project, options: list[str], chosen: list[str]) -> None:
    outcome = shop.cli("plan", "--output", "json", *options)
    assert outcome.code == 0, outcome.told
    assert [r["sync"] for r in json.loads(outcome.out)["results"]] == chosen


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["endusers"], "Got unexpected extra argument (endusers)"),
        (
            ["--select", "endusers", "--output", "json", "companies"],
            "Got unexpected extra argument (companies)",
        ),
    ],
)
def test_a_name_that_no_option_takes_is_told(shop: Project, options: list[str], said: str) -> None:
    outcome = shop.cli("plan", *options)
    assert (outcome.code, outcome.kinds) == (2, [])
    assert said in outcome.err


def test_a_disabled_sync_is_not_run(shop: Project) -> None:
    outcome = shop.cli("plan", "--select", "campaigns")
    assert (outcome.code, outcome.kinds) == (2, [])
    assert "enabled: false" in outcome.err
