"""The gate: only what dbt built and tested goes out (DESIGN §7, §15; dbt-notes §2)."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from planhat_dbt.artifacts.types import Manifest, Node, NodeResult, RunResults, Written
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
        Path("manifest.json"), "shop", "duckdb", "1.11", "inv", NOW, {n.unique_id: n for n in NODES}, TESTS
    )


def a_node(unique_id: str, *depends_on: str, materialized: str = "table", **more: Any) -> Node:
    kind, _, name = unique_id.split(".")
    return Node(
        unique_id, kind, name, "shop", "d", "s", name, name, f"models/{name}.sql", None, (), (), depends_on,
        {"planhat": {}}, "config.meta", True, materialized, (), **more,
    )  # type: ignore[arg-type]  # fmt: skip


NODES = (a_node(OWN, UP), a_node(UP, materialized="view"))


def results(command: str = "build", statuses: dict[str, str] | None = None, **more: Any) -> RunResults:
    passed = {t.unique_id: "pass" for t in TESTS} if command in ("build", "test") else {}
    found = {OWN: "success", UP: "success", **passed, **(statuses or {})}
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
def test_which_results_are_older_than_the_manifest(manifest, seconds, invocation, is_older):
    at = NOW + dt.timedelta(seconds=seconds)
    assert open_gate(manifest, results(generated_at=at, invocation_id=invocation)).older == is_older


@pytest.mark.parametrize(
    ("statuses", "tests", "reason"),
    [
        ({}, "error", ""),
        ({OWN: ""}, "error", "model c was not built by the last dbt build"),
        ({OWN: "error"}, "error", "model c ended with status 'error' in the last dbt build"),
        ({OWN: "skipped"}, "ignore", "model c ended with status 'skipped' in the last dbt build"),
        ({"test.shop.own": "fail"}, "error", "dbt tests did not pass: own (fail)"),
        ({"test.shop.own": "fail"}, "ignore", ""),
        ({"test.shop.own": "warn"}, "error", ""),
        ({"test.shop.own": "warn"}, "warn", "dbt tests did not pass: own (warn)"),
        (
            {"test.shop.own": ""},
            "error",
            "the last dbt build did not run own: {why}",
        ),
        ({"test.shop.parent": "fail"}, "error", "dbt tests did not pass: parent (fail)"),
        ({"test.shop.unrelated": "fail"}, "error", ""),
        ({"test.shop.gone": "fail", "model.shop.gone": "error"}, "error", ""),
    ],
)
def test_a_dbt_that_only_parses_proves_nothing_and_takes_nothing_back(
    sync, manifest, statuses, tests, reason
):
    """`dbt parse`, `dbt ls`: the manifest is newer, and what dbt built last is what it was (decision 50)."""
    for found, why in ((older, "they are newer, or it was interrupted"), (results, "it was interrupted")):
        assert gated(sync(tests=tests), manifest, found(statuses=statuses)) == reason.format(why=why)


@pytest.mark.parametrize("more", [{"selected": True}, {"retried": True}])
def test_what_was_not_due_stays_so_after_a_parse(sync, manifest, more):
    found = older(statuses={OWN: "", **{t.unique_id: "" for t in TESTS}}, **more)
    closed = check_gate(sync(), manifest, open_gate(manifest, found))
    assert closed
    assert closed.not_due


@pytest.mark.parametrize("command", ["compile", "generate", "parse", "list"])
def test_older_results_of_no_build_prove_none(sync, manifest, command):
    assert f"`dbt {command}` built nothing" in gated(sync(), manifest, older(command))


def test_older_results_are_refused_as_others_are(manifest):
    assert "--empty" in open_gate(manifest, older(empty=True)).refusal
    foreign = older("run", statuses={OWN: "", UP: "", "model.other.x": "error"})
    assert "another project" in open_gate(manifest, foreign).refusal
    assert open_gate(manifest, older(), target="prod", built_for="dev").refusal


def judged(sync: Any, manifest: Manifest, found: RunResults | None, **written: Written) -> str:
    """The reason, where `target/run` holds these files (`c`, `up`, `top`)."""
    files = {f"model.shop.{name}": file for name, file in written.items()}
    closed = check_gate(sync, manifest, open_gate(manifest, found, written=files))
    return closed.reason if closed else ""


LATER, BEFORE = Written(is_later=True), Written(is_later=False)
KILLED = "model {} was built by a dbt command that has left no results"


@pytest.mark.parametrize(
    ("materialized", "parent", "written", "reason"),
    [
        ("table", "table", {"c": BEFORE}, ""),
        ("table", "table", {"c": LATER}, KILLED.format("c")),
        ("table", "table", {"c": BEFORE, "up": LATER}, ""),
        ("view", "table", {"c": BEFORE, "up": LATER}, KILLED.format("up")),
        ("view", "table", {"c": BEFORE, "up": BEFORE, "top": LATER}, ""),
        ("view", "view", {"c": BEFORE, "up": BEFORE, "top": LATER}, KILLED.format("top")),
    ],
)
@pytest.mark.parametrize("found", [None, older()], ids=["no results", "older results"])
def test_what_a_killed_dbt_built_is_gated(sync, manifest, found, materialized, parent, written, reason):
    top = "model.shop.top"
    nodes = (a_node(OWN, UP, materialized=materialized), a_node(UP, top, materialized=parent), a_node(top))
    manifest = replace(manifest, nodes={n.unique_id: n for n in nodes})
    said = judged(sync(), manifest, found, **written)
    assert said.startswith(reason) if reason else said == ""


def test_a_killed_dbt_may_have_written_no_manifest(sync, manifest):
    assert judged(sync(), manifest, results(), c=LATER).startswith(KILLED.format("c"))


@pytest.mark.parametrize("flag", ["--empty", "--sample"])
@pytest.mark.parametrize("name", ["c", "up"])
@pytest.mark.parametrize("command", ["test", "run", "build", None])
def test_a_part_of_the_data_stays_one(sync, manifest, flag, name, command):
    """`dbt run --sample`, then `dbt test`: the results of the run, which named the flag, are gone."""
    found = results(command) if command else None
    file = Written(is_later=False, partial=flag)
    for files in ({name: file}, {name: file, "c": file}):
        said = judged(sync(), manifest, found, **files)
        whole = f"run `dbt build --full-refresh --select {name}+`, and then this"
        assert said == f"model {name} was last built with {flag}; {whole}"


@pytest.mark.parametrize(
    ("command", "more", "absent", "reason"),
    [
        ("build", {}, ("own",), "did not run own"),
        ("build", {}, ("parent",), "did not run parent"),
        ("build", {}, ("own", "singular", "parent", "relation"), "did not run own, parent, singular"),
        ("build", {}, ("unrelated",), ""),
        ("build", {"selected": True}, ("own",), "did not run own"),
        ("build", {"selected": True, "leaves_out_tests": True}, ("own", "singular"), ""),
        ("run", {}, (), ""),
        ("test", {}, ("singular",), "did not run singular"),
        ("test", {"selected": True}, ("singular",), ""),
        ("test", {"selected": True}, ("parent",), ""),
        ("build", {"retried": True}, ("singular", "parent"), ""),
    ],
)
def test_tests_that_should_have_run_and_did_not(sync, manifest, command, more, absent, reason):
    """Ctrl+C leaves results of what dbt came to: of models without their tests."""
    statuses = {f"test.shop.{name}": "" for name in absent}
    if command == "test":
        statuses |= {OWN: "", UP: ""}
    said = gated(sync(), manifest, results(command, statuses, **more))
    assert reason in said
    assert bool(said) == bool(reason)
    assert gated(sync(tests="ignore"), manifest, results(command, statuses, **more)) == ""


def test_a_test_of_what_was_not_selected_is_not_missed(sync, manifest):
    """`--indirect-selection cautious` leaves out tests that read a model which is not built."""
    reads_other = a_test("foreign_key", OWN, OWN, "model.shop.other")
    manifest = replace(manifest, tests=(*TESTS, reads_other))
    asked = {"statuses": {UP: "", "test.shop.parent": ""}, "selected": True}
    assert gated(sync(), manifest, results(is_eager=False, **asked)) == ""
    assert "did not run foreign_key" in gated(sync(), manifest, results(**asked))


def test_a_selector_by_default_may_leave_out_tests_and_models(sync, manifest):
    manifest = replace(manifest, has_default_selector=True)
    gate = open_gate(manifest, results(statuses={"test.shop.own": "", "test.shop.singular": ""}))
    assert check_gate(sync(), manifest, gate) is None
    assert "tests of c did not run" in gate.notice
    chosen = results(statuses={"test.shop.own": ""}, selected=True)
    assert "did not run own" in gated(sync(), manifest, chosen), "it does not apply to what is selected"
    closed = check_gate(sync(), manifest, open_gate(manifest, results(statuses={OWN: ""})))
    assert closed
    assert closed.not_due


def test_tests_that_dbt_was_asked_to_leave_out_are_told(manifest):
    none = {"test.shop.own": "", "test.shop.singular": ""}
    asked = {"selected": True, "leaves_out_tests": True}
    told = "tests of c did not run: they were left out, or dbt was interrupted; what it built goes out without them"
    assert open_gate(manifest, results(statuses=none, **asked)).notice == told
    assert open_gate(manifest, results(statuses=none | {OWN: ""}, **asked)).notice == ""
    assert open_gate(manifest, results(**asked)).notice == ""


@pytest.mark.parametrize(
    ("tests", "absent", "open_"),
    [
        ("warn", ("own",), False),
        ("warn", ("parent",), False),
        ("warn", ("unrelated",), True),
        ("error", ("own",), True),
    ],
)
def test_a_retry_says_nothing_of_warnings(sync, manifest, tests, absent, open_):
    found = results(statuses={OWN: "", **{f"test.shop.{name}": "" for name in absent}}, retried=True)
    said = gated(sync(tests=tests), manifest, found)
    assert said == "" if open_ else said.startswith(f"`dbt retry` did not run {absent[0]} again")


@pytest.mark.parametrize(
    ("command", "own", "reason"),
    [
        ("run", "seed.shop.c", "not built now: `dbt run` builds no seeds"),
        ("run", "snapshot.shop.c", "not built now: `dbt run` builds no snapshots"),
        (
            "seed",
            "model.shop.c",
            "model c was not built by the last dbt seed; sync before `dbt seed`, or let `dbt build` do all",
        ),
        ("seed", "seed.shop.c", "seed c was not built by the last dbt seed"),
        ("build", "seed.shop.c", "seed c was not built by the last dbt build"),
        ("run", "model.shop.c", "model c was not built by the last dbt run"),
    ],
)
def test_what_a_command_does_not_build_is_not_due(sync, manifest, command, own, reason):
    found = sync()
    found = replace(found, model=replace(found.model, unique_id=own))
    manifest = replace(manifest, nodes={own: a_node(own), UP: a_node(UP)}, tests=())
    closed = check_gate(found, manifest, open_gate(manifest, results(command, {OWN: ""})))
    assert closed
    assert closed.reason == reason
    assert closed.not_due == reason.startswith("not built now")


@pytest.mark.parametrize("flag", ["empty", "sample"])
def test_tables_that_are_not_the_data_are_refused(manifest, flag):
    gate = open_gate(manifest, results(**{flag: True}))
    assert f"--{flag}" in gate.refusal


def test_a_project_without_results_has_an_open_gate(sync, manifest):
    assert check_gate(sync(), manifest, Gate(None)) is None


@pytest.mark.parametrize(
    ("statuses", "tests", "reason"),
    [
        ({}, "error", ""),
        ({"own": "fail"}, "error", "dbt tests did not pass: own (fail)"),
        ({"parent": "fail"}, "error", "dbt tests did not pass: parent (fail)"),
        ({"own": "", "singular": "", "relation": ""}, "error", "model c was not tested by the last dbt test"),
        ({"own": "", "singular": "", "relation": ""}, "ignore", ""),
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


SHARED = ("own", "parent", "shared")


@pytest.mark.parametrize(
    "how", [{"command": "test"}, {"command": "run", "retried": True}], ids=["test", "retry"]
)
@pytest.mark.parametrize(
    ("ran", "selected", "open_"),
    [
        (("shared",), True, False),
        (("own",), True, True),
        (SHARED, True, True),
        (SHARED, False, True),
    ],
)
def test_a_test_of_several_models_speaks_for_those_that_dbt_was_asked_for(
    sync, manifest, how, ran, selected, open_
):
    """`dbt test --select users` runs a singular test that reads `users` and this model, and not this model's own."""
    shared = a_test("shared", None, OWN, "model.shop.users")
    known = replace(manifest, tests=(*(t for t in TESTS if t.name in SHARED), shared))
    none = {OWN: "", UP: "", **{t.unique_id: "" for t in TESTS}}
    found = results(statuses=none | {f"test.shop.{name}": "pass" for name in ran}, selected=selected, **how)
    closed = check_gate(sync(), known, open_gate(known, found))
    assert (closed is None) == open_
    assert closed is None or closed.not_due


@pytest.mark.parametrize(
    ("ran", "selected", "open_"), [(True, True, True), (False, True, False), (False, False, True)]
)
def test_a_model_without_tests_was_tested_with_what_it_selects_from(sync, manifest, ran, selected, open_):
    known = replace(manifest, tests=tuple(t for t in TESTS if t.name in ("parent", "unrelated")))
    none = {OWN: "", UP: "", **{t.unique_id: "" for t in TESTS}}
    tested = {"test.shop.unrelated": "pass", "test.shop.parent": "pass" if ran or not selected else ""}
    found = results("test", none | tested, selected=selected)
    assert (gated(sync(), known, found) == "") == open_


@pytest.mark.parametrize("status", ["pass", "fail"])
def test_tests_are_looked_for_behind_ephemeral_models(sync, manifest, status):
    through, far = "model.shop.through", "model.shop.far"
    nodes = (
        a_node(OWN, UP), a_node(UP, through, materialized="ephemeral"),
        a_node(through, far, materialized="ephemeral"), a_node(far, "model.shop.farther"), a_node("model.shop.farther"),
    )  # fmt: skip
    tests = (a_test("far", far, far), a_test("farther", "model.shop.farther", "model.shop.farther"))
    known = replace(manifest, nodes={n.unique_id: n for n in nodes}, tests=tests)
    found = results(statuses={"test.shop.far": status, "test.shop.farther": "fail"})
    assert gated(sync(), known, found) == ("" if status == "pass" else "dbt tests did not pass: far (fail)")


DEV = '"d"."dev"."c"'


@pytest.mark.parametrize(
    ("command", "built", "sql", "refused"),
    [
        ("build", DEV, "", False),
        ("build", '"d"."prod"."c"', "", True),
        ("test", "", f"select * from (select * from {DEV} where 1 = 1) t", False),
        ("test", "", 'select * from (select * from "d"."prod"."c" where 1 = 1) t', True),
        ("test", "", "", False),
    ],
)
def test_a_manifest_of_other_tables_than_dbt_built_is_refused(manifest, command, built, sql, refused):
    """`dbt build --target prod`, `dbt ls`: the manifest now names the tables of the default target."""
    manifest = replace(manifest, nodes={OWN: replace(a_node(OWN), relation_name=DEV)})
    found = {OWN: NodeResult(OWN, "success", None, None, relation_name=built)} if built else {}
    own = "test.shop.own"
    found[own] = NodeResult(own, "pass", None, None, test_sql=sql)
    assert bool(open_gate(manifest, replace(older(command), results=found)).refusal) == refused
    same = replace(older(command), results=found, invocation_id="inv")
    assert not open_gate(manifest, same).refusal


@pytest.mark.parametrize(
    ("more", "not_due"), [({}, False), ({"selected": True}, True), ({"retried": True}, True)]
)
def test_a_model_that_dbt_was_not_asked_for_is_not_due(sync, manifest, more, not_due):
    found = results(statuses={OWN: "", **{t.unique_id: "" for t in TESTS}}, **more)
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
    found = results("run", {OWN: "", UP: "", "model.other.x": "success", "test.other.t": "pass"})
    gate = open_gate(manifest, found)
    assert "another project" in gate.refusal
    assert "--target-path" in gate.hint
    only_hooks = results("run", {OWN: "", UP: "", "operation.shop.on-run-end-0": "success"})
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
