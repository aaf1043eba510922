"""The gate: only data that was built and tested goes out (DESIGN §7). Pure: artifacts in, a reason or nothing out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from planhat_dbt.declaration.types import Tests

if TYPE_CHECKING:
    from planhat_dbt.artifacts import Manifest, RunResults
    from planhat_dbt.artifacts.types import Test
    from planhat_dbt.declaration.types import Sync

BUILDING: Final = frozenset(("build", "run", "retry", "seed", "snapshot"))
"""dbt commands whose results prove that something was built (dbt-notes §2)."""
_TESTED_ONLY: Final = "test"
"""What `dbt test` leaves says nothing of the build: the tables it tested are judged by their tests (decision 30)."""
_BUILT: Final = frozenset(("success", "warn", "reused", "no-op"))
_FAILED_TESTS: Final = frozenset(("fail", "error", "runtime error", "skipped"))
_KINDS: Final = ("model.", "seed.", "snapshot.", "test.", "unit_test.")
"""Results that the manifest must know; hooks and inline queries are in none."""
_AGAIN: Final = "run `dbt build`, and then this"


@dataclass(frozen=True, slots=True)
class Gate:
    """What dbt's results say of the project as a whole."""

    results: RunResults | None
    """None: there are none that prove anything."""
    older: RunResults | None = None
    """Those written before the manifest: they prove no success, but what failed then was not built since."""
    notice: str = ""
    """What is worth saying once: why syncs run ungated, or that no test was run."""
    refusal: str = ""
    """Why nothing may run at all."""
    hint: str = ""
    """What to do about the refusal."""


@dataclass(frozen=True, slots=True)
class Closed:
    """Why one sync may not run."""

    reason: str
    not_due: bool = False
    """dbt was asked for other models: this one's turn comes with another dbt run, and nothing is wrong."""


def open_gate(
    manifest: Manifest, results: RunResults | None, *, target: str = "", built_for: str = ""
) -> Gate:
    """Judge dbt's results before any sync is looked at.

    Args:
        manifest: The project as dbt last parsed it.
        results: What the last dbt command did.
        target: The dbt target of this run.
        built_for: The target that dbt was last run for; empty: not known.
    """
    if results is None:
        return Gate(
            None, notice="no run_results.json: syncs run without looking at dbt's tests; run `dbt build`"
        )
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
    if _foreign(results, manifest):
        return Gate(
            results,
            refusal="run_results.json is of another project: manifest.json has none of its nodes",
            hint="Run `dbt build` in this project, then this again; see that --target-path is this project's.",
        )
    if results.generated_at and manifest.generated_at and _older(results, manifest):
        return _older_gate(results)
    return Gate(results, notice=_untested(results, manifest))


def _older_gate(results: RunResults) -> Gate:
    told, ungated = "run_results.json is older than manifest.json", "syncs run without looking at dbt's tests"
    if not _tells_of_a_build(results):
        return Gate(None, notice=f"{told}: {ungated}; run `dbt build`")
    return Gate(
        None,
        results,
        f"{told}: what failed in it stays gated, other {ungated}; to test anew, run `dbt build`",
    )


def _tells_of_a_build(results: RunResults) -> bool:
    return not results.command or results.command in BUILDING or results.command == _TESTED_ONLY


def _foreign(results: RunResults, manifest: Manifest) -> bool:
    told = [unique_id for unique_id in results.results if unique_id.startswith(_KINDS)]
    known = {*manifest.nodes, *(t.unique_id for t in manifest.tests)}
    return bool(told) and known.isdisjoint(told)


def _untested(results: RunResults, manifest: Manifest) -> str:
    tests = {t.unique_id for t in manifest.tests}
    if results.command != "run" or not tests or not tests.isdisjoint(results.results):
        return ""
    return "`dbt run` runs no tests: what it built goes out untested; `dbt build` runs them"


def _older(results: RunResults, manifest: Manifest) -> bool:
    if results.invocation_id and results.invocation_id == manifest.invocation_id:
        return False
    assert results.generated_at is not None  # noqa: S101 - the caller looked
    assert manifest.generated_at is not None  # noqa: S101
    return results.generated_at < manifest.generated_at


def check_gate(sync: Sync, manifest: Manifest, gate: Gate) -> Closed | None:
    """Say why a sync may not run; None: it may."""
    if gate.older:
        return _failed(sync, manifest, gate.older)
    results = gate.results
    if results is None:
        return None
    if not _tells_of_a_build(results):
        return Closed(f"`dbt {results.command}` built nothing; {_AGAIN}")
    return _not_built(sync, manifest, results) or _failed(sync, manifest, results)


def _failed(sync: Sync, manifest: Manifest, results: RunResults) -> Closed | None:
    """What the results show to have failed; what they do not mention is not judged."""
    own = results.results.get(sync.model.unique_id)
    if own is not None and own.status not in _BUILT:
        command = results.command or "run"
        return Closed(f"model {sync.model.name} ended with status {own.status!r} in the last dbt {command}")
    failed = "" if sync.tests is Tests.IGNORE else _failed_tests(sync, manifest, results)
    return Closed(failed) if failed else None


def _not_built(sync: Sync, manifest: Manifest, results: RunResults) -> Closed | None:
    if sync.model.unique_id in results.results:
        return None
    tests = _own_tests(sync, manifest)
    tested = any(unique_id in results.results for unique_id in tests)
    name, command = sync.model.name, results.command or "run"
    if results.command == _TESTED_ONLY:
        if tested or not tests or sync.tests is Tests.IGNORE:
            return None
        return Closed(f"model {name} was not tested by the last dbt test", not_due=results.selected)
    if results.retried:
        # A retry tells of what had failed; a model whose test it ran again had been built before.
        return (
            None
            if tested
            else Closed(f"not built now: `dbt retry` had nothing to do for {name}", not_due=True)
        )
    if results.selected:
        return Closed(f"not built now: the last dbt {command} was asked for other models", not_due=True)
    return Closed(f"model {name} was not built by the last dbt {command}")


def _own_tests(sync: Sync, manifest: Manifest) -> list[str]:
    return [t.unique_id for t in manifest.tests if _is_about(t, {sync.model.unique_id})]


def _is_about(test: Test, nodes: set[str]) -> bool:
    """Whether a test is declared on one of these nodes; a singular test is about all that it reads."""
    return test.attached_node in nodes if test.attached_node else not nodes.isdisjoint(test.depends_on)


def _failed_tests(sync: Sync, manifest: Manifest, results: RunResults) -> str:
    watched = {sync.model.unique_id, *(d for d in sync.model.depends_on if not d.startswith("source."))}
    bad = _FAILED_TESTS | {"warn"} if sync.tests is Tests.WARN else _FAILED_TESTS
    failed = []
    for test in manifest.tests:
        result = results.results.get(test.unique_id)
        if result is not None and result.status in bad and _is_about(test, watched):
            failed.append(f"{test.name} ({result.status})")
    if not failed:
        return ""
    shown = ", ".join(sorted(failed)[:3]) + (f" and {len(failed) - 3} more" if len(failed) > 3 else "")
    return f"dbt tests did not pass: {shown}"
