"""The gate: only data that was built and tested goes out (DESIGN §7). Pure: artifacts in, a reason or nothing out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from planhat_dbt.declaration.types import Tests

if TYPE_CHECKING:
    from planhat_dbt.artifacts import Manifest, RunResults
    from planhat_dbt.declaration.types import Sync

BUILDING: Final = frozenset(("build", "run", "retry", "seed", "snapshot"))
"""dbt commands whose results prove that something was built (dbt-notes §2)."""
_BUILT: Final = frozenset(("success", "warn", "reused", "no-op"))
_FAILED_TESTS: Final = frozenset(("fail", "error", "runtime error", "skipped"))


@dataclass(frozen=True, slots=True)
class Gate:
    """What dbt's results say of the project as a whole."""

    results: RunResults | None
    """None: there are none that count, every sync runs ungated."""
    notice: str = ""
    """Why syncs run ungated; to be said once."""
    refusal: str = ""
    """Why nothing may run at all."""


def open_gate(manifest: Manifest, results: RunResults | None) -> Gate:
    """Judge dbt's results before any sync is looked at."""
    if results is None:
        return Gate(None, notice="no run_results.json: syncs run without looking at dbt's tests")
    if results.empty or results.sample:
        flag = "--empty" if results.empty else "--sample"
        return Gate(
            results,
            refusal=f"the last dbt run was `dbt {results.command} {flag}`: its tables are not the data",
        )
    if results.generated_at and manifest.generated_at and _older(results, manifest):
        return Gate(
            None,
            notice="run_results.json is older than manifest.json: syncs run without looking at dbt's tests",
        )
    return Gate(results)


def _older(results: RunResults, manifest: Manifest) -> bool:
    if results.invocation_id and results.invocation_id == manifest.invocation_id:
        return False
    assert results.generated_at is not None  # noqa: S101 - the caller looked
    assert manifest.generated_at is not None  # noqa: S101
    return results.generated_at < manifest.generated_at


def check_gate(sync: Sync, manifest: Manifest, gate: Gate) -> str:
    """Say why a sync may not run; empty if it may."""
    results = gate.results
    if results is None:
        return ""
    if results.command and results.command not in BUILDING:
        return f"`dbt {results.command}` built nothing; run `dbt build`"
    own = results.results.get(sync.model.unique_id)
    if own is None:
        return f"model {sync.model.name} was not built by the last dbt {results.command or 'run'}"
    if own.status not in _BUILT:
        return f"model {sync.model.name} ended with status {own.status!r} in the last dbt {results.command}"
    if sync.tests is Tests.IGNORE:
        return ""
    return _failed_tests(sync, manifest, results)


def _failed_tests(sync: Sync, manifest: Manifest, results: RunResults) -> str:
    watched = {sync.model.unique_id, *(d for d in sync.model.depends_on if not d.startswith("source."))}
    bad = _FAILED_TESTS | {"warn"} if sync.tests is Tests.WARN else _FAILED_TESTS
    failed = []
    for test in manifest.tests:
        result = results.results.get(test.unique_id)
        if result is None or result.status not in bad:
            continue
        if (test.attached_node in watched) if test.attached_node else watched & set(test.depends_on):
            failed.append(f"{test.name} ({result.status})")
    if not failed:
        return ""
    shown = ", ".join(sorted(failed)[:3]) + (f" and {len(failed) - 3} more" if len(failed) > 3 else "")
    return f"dbt tests did not pass: {shown}"
