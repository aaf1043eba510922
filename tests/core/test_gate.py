"""The gate: only what dbt built and tested goes out (DESIGN §7, §15; dbt-notes §2)."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from planhat_dbt.artifacts.types import Manifest, NodeResult, RunResults
from planhat_dbt.artifacts.types import Test as DbtTest
from planhat_dbt.gate import Gate, check_gate, open_gate

OWN, UP, SOURCE = "model.shop.c", "model.shop.up", "source.shop.raw.t"
NOW = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def a_test(name: str, attached: str | None, *depends: str) -> DbtTest:
    return DbtTest(f"test.shop.{name}", name, attached, depends, "error")


TESTS = (
    a_test("own", OWN, OWN),
    a_test("parent", UP, UP),
    a_test("relation", "model.shop.other", OWN, "model.shop.other"),
    a_test("singular", None, OWN),
    a_test("unrelated", "model.shop.other", "model.shop.other"),
)


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        Path("manifest.json"), "shop", "duckdb", "1.11", "inv", NOW, dict.fromkeys((OWN, UP)), TESTS
    )  # type: ignore[arg-type]


def results(command: str = "build", statuses: dict[str, str] | None = None, **more: Any) -> RunResults:
    found = {OWN: "success", UP: "success", **(statuses or {})}
    facts: dict[str, Any] = {
        "path": Path("run_results.json"), "command": command, "target": None, "profile": None, "vars": {},
        "empty": False, "sample": False, "selected": False, "retried": False, "dbt_version": "1.11",
        "invocation_id": "inv", "generated_at": NOW,
        "started_at": None, "results": {k: NodeResult(k, v, None, None) for k, v in found.items() if v},
    }  # fmt: skip
    return RunResults(**(facts | more))


@pytest.fixture
def sync(bench):
    def make(**options: Any) -> Any:
        block = {"object": "company", "match": {"externalId": "id"}, "fields": {"name": "n"}, **options}
        found = bench.declare({"c": block})["c"]
        return replace(found, model=replace(found.model, depends_on=(UP, SOURCE)))

    return make


def gated(sync: Any, manifest: Manifest, found: RunResults | None) -> str:
    gate = open_gate(manifest, found)
    assert not gate.refusal
    closed = check_gate(sync, manifest, gate)
    return closed.reason if closed else ""


def test_built_and_tested_goes_out(sync, manifest):
    statuses = {t.unique_id: "pass" for t in TESTS}
    assert gated(sync(), manifest, results(statuses=statuses)) == ""


@pytest.mark.parametrize(
    ("status", "open_"),
    [("success", True), ("warn", True), ("reused", True), ("no-op", True), ("error", False), ("skipped", False),
     ("partial success", False), ("", False)],
)  # fmt: skip
def test_what_became_of_the_model(sync, manifest, status, open_):
    reason = gated(sync(), manifest, results(statuses={OWN: status}))
    assert (reason == "") == open_
    assert open_ or "c" in reason.split()


@pytest.mark.parametrize("command", ["build", "run", "retry", "seed", "snapshot"])
def test_commands_that_build(sync, manifest, command):
    assert gated(sync(), manifest, results(command)) == ""


@pytest.mark.parametrize(
    "command", ["compile", "docs", "generate", "parse", "list", "show", "run-operation", "clone"]
)
def test_commands_that_prove_nothing(sync, manifest, command):
    assert f"dbt {command}` built nothing" in gated(sync(), manifest, results(command))


@pytest.mark.parametrize(
    ("name", "status", "tests", "open_"),
    [
        ("own", "fail", "error", False),
        ("own", "error", "error", False),
        ("own", "skipped", "error", False),
        ("own", "warn", "error", True),
        ("own", "warn", "warn", False),
        ("own", "fail", "ignore", True),
        ("parent", "fail", "error", False),
        ("singular", "fail", "error", False),
        ("relation", "fail", "error", True),  # a test of another model that only looks at this one
        ("unrelated", "fail", "error", True),
    ],
)
def test_tests(sync, manifest, name, status, tests, open_):
    reason = gated(sync(tests=tests), manifest, results(statuses={f"test.shop.{name}": status}))
    assert reason == ("" if open_ else f"dbt tests did not pass: {name} ({status})")


def test_ignoring_tests_does_not_ignore_the_build(sync, manifest):
    assert gated(sync(tests="ignore"), manifest, results(statuses={OWN: "error"}))


def test_many_failed_tests_are_summed_up(sync, manifest):
    many = tuple(a_test(f"t{i}", OWN, OWN) for i in range(5))
    failed = results(statuses={t.unique_id: "fail" for t in many})
    assert gated(sync(), replace(manifest, tests=many), failed).endswith(
        "t0 (fail), t1 (fail), t2 (fail) and 2 more"
    )


def test_without_results_syncs_run_and_say_so(sync, manifest):
    gate = open_gate(manifest, None)
    assert "run_results.json" in gate.notice
    assert check_gate(sync(), manifest, gate) is None


def older(command: str = "build", statuses: dict[str, str] | None = None, **more: Any) -> RunResults:
    """Results of before the manifest was written, as `dbt parse` leaves them."""
    before = {"generated_at": NOW - dt.timedelta(minutes=1), "invocation_id": "other"}
    return results(command, statuses, **before, **more)


@pytest.mark.parametrize(
    ("seconds", "invocation", "is_older"), [(-60, "other", True), (60, "other", False), (-60, "inv", False)]
)
def test_results_older_than_the_manifest_prove_no_success(manifest, seconds, invocation, is_older):
    at = NOW + dt.timedelta(seconds=seconds)
    gate = open_gate(manifest, results(generated_at=at, invocation_id=invocation))
    assert (
        (gate.results is None) == bool(gate.older) == ("older than manifest.json" in gate.notice) == is_older
    )
    assert not is_older or "run `dbt build`" in gate.notice


@pytest.mark.parametrize(
    ("statuses", "tests", "reason"),
    [
        ({}, "error", ""),
        ({OWN: ""}, "error", ""),
        ({OWN: "", "test.shop.own": "pass"}, "error", ""),
        ({OWN: "error"}, "error", "model c ended with status 'error' in the last dbt build"),
        ({OWN: "skipped"}, "ignore", "model c ended with status 'skipped' in the last dbt build"),
        ({"test.shop.own": "fail"}, "error", "dbt tests did not pass: own (fail)"),
        ({OWN: "", "test.shop.own": "fail"}, "error", "dbt tests did not pass: own (fail)"),
        ({"test.shop.own": "fail"}, "ignore", ""),
        ({"test.shop.own": "warn"}, "error", ""),
        ({"test.shop.own": "warn"}, "warn", "dbt tests did not pass: own (warn)"),
        ({"test.shop.parent": "fail"}, "error", "dbt tests did not pass: parent (fail)"),
        ({"test.shop.unrelated": "fail"}, "error", ""),
        ({"test.shop.gone": "fail", "model.shop.gone": "error"}, "error", ""),
    ],
)
def test_what_older_results_show_to_have_failed_is_gated(sync, manifest, statuses, tests, reason):
    """No dbt command has built anything since: it would have written results of its own (decision 46)."""
    assert gated(sync(tests=tests), manifest, older(statuses=statuses)) == reason


@pytest.mark.parametrize("command", ["run", "test", "retry", "seed", "snapshot", ""])
def test_older_results_of_all_that_builds_or_tests_gate(sync, manifest, command):
    assert gated(sync(), manifest, older(command, {"test.shop.own": "fail"}))


@pytest.mark.parametrize("more", [{}, {"selected": True}, {"retried": True}])
def test_what_older_results_do_not_mention_goes(sync, manifest, more):
    found = older(statuses={OWN: "", UP: "", "test.shop.unrelated": "fail"}, **more)
    assert gated(sync(), manifest, found) == ""


@pytest.mark.parametrize("command", ["compile", "generate", "parse", "list"])
def test_older_results_of_no_build_gate_nothing(sync, manifest, command):
    found = older(command, {OWN: "error", "test.shop.own": "fail"})
    gate = open_gate(manifest, found)
    assert gate.older is None
    assert "older than manifest.json" in gate.notice
    assert gated(sync(), manifest, found) == ""


def test_older_results_are_refused_as_others_are(manifest):
    assert "--empty" in open_gate(manifest, older(empty=True)).refusal
    foreign = older(statuses={OWN: "", UP: "", "model.other.x": "error"})
    assert "another project" in open_gate(manifest, foreign).refusal
    assert open_gate(manifest, older(), target="prod", built_for="dev").refusal


@pytest.mark.parametrize("flag", ["empty", "sample"])
def test_tables_that_are_not_the_data_are_refused(manifest, flag):
    gate = open_gate(manifest, results(**{flag: True}))
    assert f"--{flag}" in gate.refusal


def test_a_project_without_results_has_an_open_gate(sync, manifest):
    assert check_gate(sync(), manifest, Gate(None)) is None


@pytest.mark.parametrize(
    ("statuses", "tests", "reason"),
    [
        ({"own": "pass"}, "error", ""),
        ({"own": "fail"}, "error", "dbt tests did not pass: own (fail)"),
        ({"own": "pass", "parent": "fail"}, "error", "dbt tests did not pass: parent (fail)"),
        ({"unrelated": "pass"}, "error", "model c was not tested by the last dbt test"),
        ({"unrelated": "pass"}, "ignore", ""),
    ],
)
def test_after_dbt_test_the_tests_decide(sync, manifest, statuses, tests, reason):
    """`dbt run`, `dbt test`, `planhat-dbt sync`: the results of the run are gone by then (decision 30)."""
    found = {f"test.shop.{name}": status for name, status in statuses.items()}
    assert gated(sync(tests=tests), manifest, results("test", {OWN: "", UP: "", **found})) == reason


def test_after_dbt_test_a_model_without_tests_goes(sync, manifest):
    untested = replace(manifest, tests=(a_test("unrelated", "model.shop.other", "model.shop.other"),))
    found = results("test", {OWN: "", UP: "", "test.shop.unrelated": "pass"})
    assert gated(sync(), untested, found) == ""


@pytest.mark.parametrize(
    ("more", "not_due"), [({}, False), ({"selected": True}, True), ({"retried": True}, True)]
)
def test_a_model_that_dbt_was_not_asked_for_is_not_due(sync, manifest, more, not_due):
    found = results(statuses={OWN: ""}, **more)
    closed = check_gate(sync(), manifest, open_gate(manifest, found))
    assert closed
    assert closed.not_due == not_due
    assert ("not built now" in closed.reason) == not_due


@pytest.mark.parametrize(("status", "open_"), [("pass", True), ("fail", False)])
def test_a_retried_test_speaks_for_its_model(sync, manifest, status, open_):
    """What succeeded is not in the results of `dbt retry`, so the model had been built."""
    found = results(statuses={OWN: "", UP: "", "test.shop.own": status}, retried=True)
    assert (gated(sync(), manifest, found) == "") == open_


def test_results_of_another_project_are_refused(manifest):
    found = results(statuses={OWN: "", UP: "", "model.other.x": "success", "test.other.t": "pass"})
    gate = open_gate(manifest, found)
    assert "another project" in gate.refusal
    assert "--target-path" in gate.hint
    only_hooks = results(statuses={OWN: "", UP: "", "operation.shop.on-run-end-0": "success"})
    assert not open_gate(manifest, only_hooks).refusal


@pytest.mark.parametrize(
    ("target", "built_for", "refused"), [("prod", "dev", True), ("dev", "dev", False), ("dev", "", False)]
)
def test_artifacts_of_another_target_are_refused(manifest, target, built_for, refused):
    gate = open_gate(manifest, results(), target=target, built_for=built_for)
    assert bool(gate.refusal) == refused
    assert not refused or "dbt build --target prod" in gate.hint


@pytest.mark.parametrize(
    ("command", "statuses", "told"),
    [
        ("run", {}, True),
        ("build", {}, False),
        ("build", {"test.shop.own": "pass"}, False),
        ("test", {}, False),
    ],
)
def test_what_was_built_without_tests_is_told(manifest, command, statuses, told):
    assert ("runs no tests" in open_gate(manifest, results(command, statuses)).notice) == told
