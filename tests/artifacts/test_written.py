"""`target/run` as dbt writes it: what was executed last, and whether it took all rows."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path
from typing import Any

import pytest

from planhat_dbt.artifacts import (
    Manifest,
    Node,
    RunResults,
    Written,
    command_of,
    read_run_results,
    read_written,
)

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
UP, RAW = '"d"."s"."up"', "read_csv('a b.csv', header = true)"
TIMES = {UP: "changed_at", RAW: "seen"}
EMPTY = f"create table c as (select id from (select * from {UP} where false limit 0) _dbt_limit_subq_raw);"
EMPTY_FILE = f"create table c as (select id from (select * from {RAW} where false limit 0));"
BETWEEN = "{0} >= '2026-01-01 00:00:00.5+00:00' and {0} < '2026-01-03 00:00:00+00:00'"
SAMPLE = (
    f"with a as (select id from (select * from {UP} where {BETWEEN.format('changed_at')}) where x) select 1"
)
CAST = BETWEEN.format("cast(seen as timestamp)")
SAMPLE_FILE = f"select 1 from (select * from {RAW} where {CAST}) _dbt_et_filter_subq_x"
OURS = (
    f"select 1 from (select * from {UP} where changed_at < '2026-01-01 00:00:00+00:00')",
    f"select 1 from (select * from {UP} where {BETWEEN.format('made_at')})",
    f"select 1 from (select * from other where {BETWEEN.format('changed_at')})",
    "select 1 where false limit 0",
)


def a_node(name: str, *parents: str, declared: bool = False, **more: Any) -> Node:
    meta = {"planhat": {}} if declared else {}
    facts: dict[str, Any] = {
        "unique_id": f"model.shop.{name}", "resource_type": "model", "name": name, "package_name": "shop",
        "database": "d", "schema": "s", "alias": name, "relation_name": name,
        "original_file_path": f"models/{name}.sql", "run_path": f"models/{name}.sql", "patch_path": None,
        "tags": (), "fqn": (),
        "depends_on": tuple(f"model.shop.{p}" for p in parents), "meta": meta, "meta_place": "config.meta",
        "enabled": True, "materialized": "table", "columns": (),
    }  # fmt: skip
    return Node(**(facts | more))


def a_project(folder: Path, *nodes: Node) -> Manifest:
    found = {n.unique_id: n for n in nodes}
    return Manifest(
        folder / "manifest.json", "shop", "duckdb", "1.11", "inv", NOW, found, (), event_times=TIMES
    )


def put(folder: Path, name: str, text: str, seconds: float = -60.0) -> None:
    file = folder / "run" / "shop" / "models" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    at = NOW.timestamp() + seconds
    os.utime(file, (at, at))


def results(folder: Path, seconds: float) -> RunResults:
    path = folder / "run_results.json"
    path.write_text('{"metadata": {"dbt_schema_version": "https://x/run-results/v6.json"}}', encoding="utf-8")
    os.utime(path, (NOW.timestamp() + seconds,) * 2)
    found = read_run_results(path)
    assert found
    return found


@pytest.mark.parametrize(
    ("text", "partial"),
    [
        (EMPTY, "--empty"),
        (EMPTY_FILE, "--empty"),
        (SAMPLE, "--sample"),
        (SAMPLE_FILE, "--sample"),
        *((text, "") for text in OURS),
        ("", ""),
    ],
)
def test_what_took_a_part_of_the_rows(tmp_path: Path, text: str, partial: str) -> None:
    put(tmp_path, "c.sql", text)
    found = read_written(a_project(tmp_path, a_node("c", declared=True)), None)
    assert found["model.shop.c"].partial == partial


def test_batches_of_time_are_no_sample_and_the_last_counts(tmp_path: Path) -> None:
    node = a_node("c", declared=True, is_microbatch=True)
    project = a_project(tmp_path, node)
    put(tmp_path, "c/c_20260101.sql", EMPTY, -3600)
    assert read_written(project, None)["model.shop.c"].partial == "--empty"
    put(tmp_path, "c/c_20260102.sql", SAMPLE)
    assert read_written(project, None)["model.shop.c"].partial == ""
    put(tmp_path, "c/c_20260103.sql", SAMPLE, 60)
    assert read_written(project, None)["model.shop.c"].is_later


def test_what_is_no_table_any_more_has_a_file_of_former_times(tmp_path: Path) -> None:
    nodes = (a_node("c", "up", declared=True), a_node("up", "raw", materialized="ephemeral"), a_node("raw"))
    for name in ("up", "raw"):
        put(tmp_path, f"{name}.sql", EMPTY)
    assert read_written(a_project(tmp_path, *nodes), None).keys() == {"model.shop.raw"}


def test_files_are_not_read_where_their_times_are_enough(tmp_path: Path) -> None:
    put(tmp_path, "c.sql", EMPTY, 60)
    found = read_written(a_project(tmp_path, a_node("c", declared=True)), None, texts=False)
    assert found["model.shop.c"] == Written(is_later=True)


@pytest.mark.parametrize(
    ("file", "run_results", "later"),
    [
        (-60, None, False),
        (60, None, True),
        (-60, -3600, True),
        (60, -3600, True),
        (60, 30, False),
        (-60, -90, False),
    ],
)
def test_what_was_written_after_all_that_tells_of_it(
    tmp_path: Path, file: float, run_results: float | None, later: bool
) -> None:
    put(tmp_path, "c.sql", "select 1", file)
    told = None if run_results is None else results(tmp_path, run_results)
    found = read_written(a_project(tmp_path, a_node("c", declared=True)), told)
    assert found["model.shop.c"].is_later == later


def test_declared_models_and_their_parents_are_looked_at(tmp_path: Path) -> None:
    nodes = (a_node("c", "up", declared=True), a_node("up", "raw"), a_node("raw", "c"), a_node("other"))
    for node in nodes:
        put(tmp_path, f"{node.name}.sql", "select 1")
    assert {n.rpartition(".")[2] for n in read_written(a_project(tmp_path, *nodes), None)} == {
        "c",
        "up",
        "raw",
    }


def test_without_files_nothing_is_told(tmp_path: Path) -> None:
    assert read_written(a_project(tmp_path, a_node("c", declared=True)), None) == {}


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("build", "build"),
        ("build --select test", "build"),
        ("-q retry", "retry"),
        ("--log-format json retry", "retry"),
        ("--log-format=json --no-use-colors retry", "retry"),
        ("--target test --select +notes", None),
        ("--target test run", "run"),
        ("-t prod", None),
        ("--resource-type snapshot --resource-type seed", None),
        ("--select test", None),
        ("--full-refresh", None),
        ("--vars {a: run} test", None),
        ("", None),
        ("notes", None),
    ],
)
def test_which_command_is_meant(line: str, command: str | None) -> None:
    assert command_of(line.split()) == command


def test_an_option_takes_the_next_word_whatever_it_is() -> None:
    assert command_of(["--vars", "{a: run}", "test"]) == "test"
    assert command_of(["--state", "build", "test"]) == "test"


@pytest.mark.parametrize(
    ("which", "line", "retried", "selected"),
    [
        ("build", "dbt build", False, False),
        ("build", "dbt -q retry", True, False),
        ("build", 'dbt --warn-error-options {"error": ["x"]} retry', True, False),
        ("test", 'dbt --vars {"a": 1} retry', True, False),
        ("build", "dbt build --select retry", False, False),
        ("build", "dbt flow.py", False, True),
        ("build", "", False, False),
    ],
)
def test_what_was_given_is_not_always_told(
    tmp_path: Path, which: str, line: str, retried: bool, selected: bool
) -> None:
    """A program that calls dbt retries under the name of what is retried: for what it asked is not known."""
    path = tmp_path / "run_results.json"
    schema = {"dbt_schema_version": "https://x/run-results/v6.json"}
    path.write_text(
        json.dumps({"metadata": schema, "args": {"which": which, "invocation_command": line}}), "utf-8"
    )
    found = read_run_results(path)
    assert found
    assert (found.retried, found.selected) == (retried, selected)


def test_a_command_is_told_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "run_results.json"
    args = {"which": "generate", "invocation_command": "dbt docs generate", "profiles_dir": "/ci"}
    schema = {"dbt_schema_version": "https://x/run-results/v6.json"}
    path.write_text(json.dumps({"metadata": schema, "args": args}), "utf-8")
    found = read_run_results(path)
    assert found
    assert (found.command, found.retried, found.profiles_dir) == ("docs generate", False, "/ci")
