"""What dbt's results say of the project as a whole, before any sync is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from planhat_dbt.gate.testing import left_untested, tests_by_node

if TYPE_CHECKING:
    from collections.abc import Mapping

    from planhat_dbt.artifacts import Manifest, RunResults, Written
    from planhat_dbt.artifacts.types import Test
    from planhat_dbt.gate.testing import TestsByNode

_KINDS: Final = ("model.", "seed.", "snapshot.", "test.", "unit_test.")
"""Results that the manifest must know; hooks and inline queries are in none."""
_QUOTES: Final = str.maketrans("", "", '"`')


@dataclass(frozen=True, slots=True)
class Gate:
    """What dbt left of its last command."""

    results: RunResults | None
    """None: there are none."""
    older: bool = False
    """Whether a command that left no results has written the manifest since: `dbt parse`, or one that was killed."""
    tests: TestsByNode = field(default_factory=dict)
    """Node → the tests that are about it."""
    partial: Mapping[str, str] = field(default_factory=dict)
    """Node → the flag by which dbt last built it from a part of the rows."""
    unfinished: frozenset[str] = frozenset()
    """Nodes that were built by a command which left no results."""
    notice: str = ""
    """What is worth saying once: why syncs run ungated, or that no test was run."""
    refusal: str = ""
    """Why nothing may run at all."""
    hint: str = ""
    """What to do about the refusal."""


def open_gate(
    manifest: Manifest,
    results: RunResults | None,
    *,
    target: str = "",
    built_for: str = "",
    written: Mapping[str, Written] | None = None,
) -> Gate:
    """Judge dbt's results before any sync is looked at.

    Args:
        manifest: The project as dbt last parsed it.
        results: What the last dbt command did.
        target: The dbt target of this run.
        built_for: The target that dbt was last run for; empty: not known.
        written: What dbt last executed, by node.
    """
    files = (written or {}).items()
    partial = {unique_id: file.partial for unique_id, file in files if file.partial}
    unfinished = frozenset(unique_id for unique_id, file in files if file.is_later)
    if results is None:
        notice = "no run_results.json: syncs run without looking at dbt's tests; run `dbt build`"
        return Gate(None, partial=partial, unfinished=unfinished, notice=notice)
    if results.empty or results.sample:
        flag = "--empty" if results.empty else "--sample"
        return Gate(
            results,
            refusal=f"the last dbt run was `dbt {results.command} {flag}`: its tables are not the data",
            hint="Run `dbt build` without that flag, then this again.",
        )
    if built_for and target and built_for != target:
        return Gate(
            results,
            refusal=f"dbt was last run for target {built_for}, and its manifest names that target's tables; "
            f"this run is for target {target}",
            hint=f"Run `dbt build --target {target}`, then this again; or give each target a --target-path of its own.",
        )
    if moved := _moved(results, manifest):
        return Gate(
            results,
            refusal=moved,
            hint="Run `dbt parse` with the --target, --vars and environment of the last build, or `dbt build` anew; "
            "then this again.",
        )
    if _foreign(results, manifest):
        return Gate(
            results,
            refusal="run_results.json is of another project: manifest.json has none of its nodes",
            hint="Run `dbt build` in this project, then this again; see that --target-path is this project's.",
        )
    notices = (results.warning, _without_tests(results, manifest) or left_untested(manifest, results))
    return Gate(
        results,
        older=is_older(results, manifest),
        tests=tests_by_node(manifest),
        partial=partial,
        unfinished=unfinished,
        notice="; ".join(filter(None, notices)),
    )


def is_older(results: RunResults, manifest: Manifest) -> bool:
    """Whether another command has written the manifest since."""
    if results.invocation_id and results.invocation_id == manifest.invocation_id:
        return False
    at, parsed = results.generated_at, manifest.generated_at
    return at is not None and parsed is not None and at < parsed


def _moved(results: RunResults, manifest: Manifest) -> str:
    """Say if a later command, as `dbt parse` for another target, wrote a manifest of other tables; empty: none did."""
    if results.invocation_id and results.invocation_id == manifest.invocation_id:
        return ""
    for unique_id, result in results.results.items():
        node = manifest.nodes.get(unique_id)
        if not (node and result.relation_name and node.relation_name):
            continue
        if _unquoted(node.relation_name) != _unquoted(result.relation_name):
            return (
                f"dbt built {result.relation_name}, and a later dbt command has written a manifest.json that names "
                f"{node.relation_name} in its place: it was run for another target or with other variables, or the "
                f"{node.resource_type} was given another place since"
            )
    tested = [
        (names, _unquoted(ran.test_sql))
        for test in manifest.tests
        if (ran := results.results.get(test.unique_id)) is not None
        and ran.test_sql
        and (names := _relations(test, manifest))
    ]
    if tested and not any(_unquoted(name) in sql for names, sql in tested for name in names):
        return (
            f"what dbt tested was not {tested[0][0][0]}, which a later dbt command has written into manifest.json: it "
            "was run for another target or with other variables"
        )
    return ""


def _unquoted(sql: str) -> str:
    return sql.translate(_QUOTES).casefold()


def _relations(test: Test, manifest: Manifest) -> list[str]:
    read = [manifest.nodes[node] for node in test.depends_on if node in manifest.nodes]
    return [node.relation_name for node in read if node.relation_name]


def _foreign(results: RunResults, manifest: Manifest) -> bool:
    told = [unique_id for unique_id in results.results if unique_id.startswith(_KINDS)]
    known = {*manifest.nodes, *(t.unique_id for t in manifest.tests)}
    return bool(told) and known.isdisjoint(told)


def _without_tests(results: RunResults, manifest: Manifest) -> str:
    tests = {t.unique_id for t in manifest.tests}
    if results.command != "run" or not tests or not tests.isdisjoint(results.results):
        return ""
    return "`dbt run` runs no tests: what it built goes out untested; `dbt build` runs them"
