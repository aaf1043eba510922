"""Odd, old and broken artifacts, written by hand."""

from __future__ import annotations

import gc
import json
from datetime import UTC, datetime

import pytest

from planhat_dbt.artifacts import read_manifest, read_run_results
from planhat_dbt.errors import UsageError

MANIFEST = "https://schemas.getdbt.com/dbt/manifest/v12.json"
RUN_RESULTS = "https://schemas.getdbt.com/dbt/run-results/v6.json"


def write(directory, document, name="artifact.json"):
    path = directory / name
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def manifest(directory, *nodes, **more):
    named = {n.get("unique_id", f"model.shop.{n['name']}"): {"resource_type": "model", **n} for n in nodes}
    return read_manifest(
        write(directory, {"metadata": {"dbt_schema_version": MANIFEST}, "nodes": named, **more})
    )


def test_the_least_a_node_can_say(tmp_path):
    """dbt 2 omits whatever is null."""
    found = manifest(tmp_path, {"name": "m"})
    assert (found.project_name, found.adapter_type, found.generated_at, found.tests) == ("", "", None, ())
    node = found.nodes["model.shop.m"]
    assert (node.name, node.alias, node.relation_name, node.patch_path) == ("m", "m", None, None)
    assert (node.meta, node.columns, node.enabled, node.materialized) == ({}, (), True, "view")


BLOCK = {"planhat": {"object": "company"}}


@pytest.mark.parametrize(
    ("raw", "meta", "place"),
    [
        ({"config": {"meta": BLOCK}}, BLOCK, "config.meta"),
        ({"config": {"meta": BLOCK}, "meta": BLOCK}, BLOCK, "config.meta"),
        ({"config": {"meta": BLOCK}, "meta": {}}, BLOCK, "config.meta"),
        ({"config": {"meta": {}}, "meta": BLOCK}, BLOCK, "meta"),
        ({"config": {"meta": {"team": "x"}}, "meta": BLOCK}, BLOCK, "meta"),
        ({"config": {}, "meta": BLOCK}, BLOCK, "meta"),
        ({"meta": BLOCK}, BLOCK, "meta"),
        ({"config": {"meta": {"team": "x"}}, "meta": {"team": "x"}}, {"team": "x"}, "config.meta"),
        ({"config": {"meta": None}, "meta": None}, {}, "config.meta"),
        ({}, {}, "config.meta"),
    ],
)
def test_where_meta_is_found(tmp_path, raw, meta, place):
    found = manifest(tmp_path, {"name": "m", **raw, "columns": {"c": {"name": "c", **raw}}})
    node = found.nodes["model.shop.m"]
    assert (node.meta, node.meta_place) == (meta, place)
    (column,) = node.columns
    assert (column.name, column.meta, column.meta_place) == ("c", meta, place)


def test_nodes_tests_and_the_rest(tmp_path):
    found = manifest(
        tmp_path,
        {
            "name": "m",
            "alias": "companies",
            "database": "d",
            "schema": "s",
            "relation_name": '"d"."s"."companies"',
            "patch_path": "shop://models/m.yml",
            "original_file_path": "models/m.sql",
            "tags": ["a", "b"],
            "fqn": ["shop", "m"],
            "depends_on": {"nodes": ["model.shop.x", "source.shop.crm.y"]},
            "config": {"enabled": True, "materialized": "incremental"},
            "columns": {"c": {"name": "c", "data_type": "integer"}},
        },
        {"name": "s", "unique_id": "seed.shop.s", "resource_type": "seed"},
        {"name": "h", "unique_id": "snapshot.shop.h", "resource_type": "snapshot"},
        {"name": "a", "unique_id": "analysis.shop.a", "resource_type": "analysis"},
        {
            "name": "t",
            "unique_id": "test.shop.t",
            "resource_type": "test",
            "attached_node": "model.shop.m",
            "config": {"severity": "WARN"},
            "depends_on": {"nodes": ["model.shop.m"]},
        },
        {"name": "u", "unique_id": "test.shop.u", "resource_type": "test"},
        unit_tests={"unit_test.shop.m.v": {"name": "v", "depends_on": {"nodes": ["model.shop.m"]}}},
    )
    assert list(found.nodes) == ["model.shop.m", "seed.shop.s", "snapshot.shop.h"]
    node = found.nodes["model.shop.m"]
    assert (node.database, node.schema, node.alias) == ("d", "s", "companies")
    assert (node.patch_path, node.original_file_path) == ("models/m.yml", "models/m.sql")
    assert (node.tags, node.fqn) == (("a", "b"), ("shop", "m"))
    assert node.depends_on == ("model.shop.x", "source.shop.crm.y")
    assert node.columns[0].data_type == "integer"
    assert [(t.unique_id, t.attached_node, t.depends_on, t.severity) for t in found.tests] == [
        ("test.shop.t", "model.shop.m", ("model.shop.m",), "warn"),
        ("test.shop.u", None, (), "error"),
        ("unit_test.shop.m.v", "model.shop.m", ("model.shop.m",), "error"),
    ]


@pytest.mark.parametrize(
    ("text", "words", "hint"),
    [
        (None, "was not found", "dbt parse"),
        ("", "is not JSON", "dbt parse"),
        ('{"metadata": {"dbt_sch', "cut off", "dbt parse"),
        ("[]", "should hold a JSON object, not list", "dbt parse"),
        ("{}", "is no dbt manifest; expected schema v12", "dbt 1.8 or later"),
        ({"metadata": None}, "is no dbt manifest", "dbt parse"),
        ({"metadata": {"dbt_schema_version": RUN_RESULTS}}, "is no dbt manifest", "dbt parse"),
        ({"metadata": {"dbt_schema_version": MANIFEST.replace("12", "11")}}, "of schema v11; exp", "1.8"),
        ({"metadata": {"dbt_schema_version": MANIFEST.replace("12", "20")}}, "of schema v20", "upgrade"),
    ],
)  # fmt: skip
def test_a_manifest_that_cannot_be_used_is_told_with_the_next_step(tmp_path, text, words, hint):
    path = tmp_path / "missing.json" if text is None else write(tmp_path, text)
    with pytest.raises(UsageError, match=words) as told:
        read_manifest(path)
    assert str(path) in told.value.message
    assert hint in told.value.hint
    assert gc.isenabled()


def test_a_directory_is_no_manifest(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_manifest(tmp_path)


def results(directory, version="v6", **more):
    url = RUN_RESULTS.replace("v6", version)
    return read_run_results(write(directory, {"metadata": {"dbt_schema_version": url}, **more}))


def test_no_run_results(tmp_path):
    assert read_run_results(tmp_path / "run_results.json") is None


def test_the_least_run_results_can_say(tmp_path):
    found = results(tmp_path)
    assert (found.command, found.target, found.empty, found.sample) == ("", None, False, False)
    assert (found.results, found.started_at, found.warning) == ({}, None, "")


def test_run_results(tmp_path):
    path = write(
        tmp_path,
        {
            "metadata": {
                "dbt_schema_version": RUN_RESULTS,
                "invocation_id": "abc",
                "generated_at": "2026-01-02T03:04:05.678Z",
                "invocation_started_at": "2026-01-02T05:04:00+02:00",
            },
            "args": {
                "which": "build",
                "target": "prod",
                "empty": False,
                "sample": "3 days",
                "vars": {"a": 1},
            },
            "results": [
                {"unique_id": "model.shop.m", "status": "success", "message": "OK", "failures": None},
                {"unique_id": "test.shop.t", "status": "fail", "failures": 3},
                {"status": "lost"},
            ],
        },
    )
    found = read_run_results(path)
    assert (found.command, found.target, found.empty, found.sample) == ("build", "prod", False, True)
    assert found.vars == {"a": 1}
    assert found.invocation_id == "abc"
    assert found.generated_at == datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    assert found.started_at == datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    assert {k: (r.status, r.message, r.failures) for k, r in found.results.items()} == {
        "model.shop.m": ("success", "OK", None),
        "test.shop.t": ("fail", None, 3),
    }


@pytest.mark.parametrize(("version", "warns"), [("v4", False), ("v5", False), ("v6", False), ("v7", True)])
def test_versions_of_run_results(tmp_path, version, warns):
    assert bool(results(tmp_path, version).warning) == warns


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", "is not JSON"),
        ({}, "is no dbt run results; expected schema v4 to v6"),
        ({"metadata": {"dbt_schema_version": MANIFEST}}, "is no dbt run results"),
        ({"metadata": {"dbt_schema_version": RUN_RESULTS.replace("v6", "v3")}}, "of schema v3"),
    ],
)
def test_run_results_that_cannot_be_used(tmp_path, document, words):
    with pytest.raises(UsageError, match=words) as told:
        read_run_results(write(tmp_path, document))
    assert "dbt build" in told.value.hint
