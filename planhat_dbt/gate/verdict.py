"""Whether one sync may run, by what dbt did and what it left undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from planhat_dbt.declaration.types import Tests
from planhat_dbt.gate.testing import failed_tests, missing_tests, was_tested

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planhat_dbt.artifacts import Manifest, RunResults
    from planhat_dbt.declaration.types import Sync
    from planhat_dbt.gate.evidence import Gate

_BUILDING: Final = frozenset(("build", "run", "retry", "seed", "snapshot"))
"""dbt commands whose results prove that something was built (dbt-notes §2)."""
_TESTED_ONLY: Final = "test"
"""What `dbt test` leaves says nothing of the build: the tables it tested are judged by their tests (decision 30)."""
_BUILT: Final = frozenset(("success", "warn", "reused", "no-op"))
_AGAIN: Final = "run `dbt build`, and then this"


@dataclass(frozen=True, slots=True)
class Closed:
    """Why one sync may not run."""

    reason: str
    not_due: bool = False
    """dbt was asked for other models: this one's turn comes with another dbt run, and nothing is wrong."""


def check_gate(sync: Sync, manifest: Manifest, gate: Gate) -> Closed | None:
    """Say why a sync may not run; None: it may."""
    results = gate.results
    closed = _not_the_data(sync, manifest, gate) or _left_without_results(sync, manifest, gate)
    if closed or results is None:
        return closed
    if results.command and results.command not in _BUILDING and results.command != _TESTED_ONLY:
        return Closed(f"`dbt {results.command}` built nothing; {_AGAIN}")
    return _not_built(sync, manifest, results, gate) or _failed(sync, manifest, results, gate)


def _not_the_data(sync: Sync, manifest: Manifest, gate: Gate) -> Closed | None:
    """A table stays what `--empty` or `--sample` made it, whatever dbt command comes next."""
    partial = (
        [u for u in _ancestors(sync.model.unique_id, manifest) if u in gate.partial] if gate.partial else []
    )
    if not partial:
        return None
    unique_id = partial[-1]  # the farthest: what is built from it is built anew with it
    name = manifest.nodes[unique_id].name
    whole = f"run `dbt build --full-refresh --select {name}+`, and then this"
    return Closed(f"{_kind(unique_id)} {name} was last built with {gate.partial[unique_id]}; {whole}")


def _left_without_results(sync: Sync, manifest: Manifest, gate: Gate) -> Closed | None:
    """A dbt that is killed, or still goes on, has built tables that no results tell of."""
    if not gate.unfinished:
        return None
    for unique_id in _holders(sync.model.unique_id, manifest):
        if unique_id in gate.unfinished:
            name = manifest.nodes[unique_id].name
            return Closed(
                f"{_kind(unique_id)} {name} was built by a dbt command that has left no results: it was "
                f"killed, or is still under way; {_AGAIN}"
            )
    return None


def _ancestors(unique_id: str, manifest: Manifest) -> Iterator[str]:
    """A node and all it is built from."""
    return _walk(unique_id, manifest, through_tables=True)


def _walk(unique_id: str, manifest: Manifest, *, through_tables: bool) -> Iterator[str]:
    seen, left = {unique_id}, [unique_id]
    while left:
        found = left.pop()
        yield found
        node = manifest.nodes.get(found)
        if node is None or (node.is_table and not through_tables):
            continue
        parents = [parent for parent in node.depends_on if parent not in seen]
        seen.update(parents)
        left += parents


def _holders(unique_id: str, manifest: Manifest) -> Iterator[str]:
    """The nodes whose build changes the rows of one: itself, and what its views read."""
    return _walk(unique_id, manifest, through_tables=False)


def _failed(sync: Sync, manifest: Manifest, results: RunResults, gate: Gate) -> Closed | None:
    own = results.results.get(sync.model.unique_id)
    if own is not None and own.status not in _BUILT:
        command = results.command or "run"
        return Closed(f"{_named(sync)} ended with status {own.status!r} in the last dbt {command}")
    failed = failed_tests(sync, manifest, gate.tests, results)
    failed = failed or missing_tests(sync, manifest, gate.tests, results, older=gate.older)
    return Closed(failed) if failed else None


def _not_built(sync: Sync, manifest: Manifest, results: RunResults, gate: Gate) -> Closed | None:
    if sync.model.unique_id in results.results:
        return None
    tested = was_tested(sync, manifest, gate.tests, results)
    command, kind = results.command or "run", _kind(sync.model.unique_id)
    if results.retried:
        # A retry tells of what had failed; a model whose test it ran again had been built before.
        return (
            None
            if tested
            else Closed(f"not built now: `dbt retry` had nothing to do for {sync.model.name}", not_due=True)
        )
    if command == _TESTED_ONLY:
        if tested is not False or sync.tests is Tests.IGNORE:
            return None
        return Closed(f"{_named(sync)} was not tested by the last dbt test", not_due=results.selected)
    if command == "run" and kind != "model":
        return Closed(f"not built now: `dbt run` builds no {kind}s", not_due=True)
    if results.selected or manifest.has_default_selector:
        return Closed(f"not built now: the last dbt {command} was asked for other models", not_due=True)
    late = command in ("seed", "snapshot") and kind != command
    hint = f"; sync before `dbt {command}`, or let `dbt build` do all" if late else ""
    return Closed(f"{_named(sync)} was not built by the last dbt {command}{hint}")


def _named(sync: Sync) -> str:
    return f"{_kind(sync.model.unique_id)} {sync.model.name}"


def _kind(unique_id: str) -> str:
    """`model`, `seed` or `snapshot`."""
    return unique_id.partition(".")[0]
