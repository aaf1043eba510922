"""What dbt's results say of the tests that concern a model: its own, and those of the models it selects from."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, TypeAlias

from planhat_dbt.declaration.types import Tests

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from planhat_dbt.artifacts import Manifest, RunResults
    from planhat_dbt.artifacts.types import Test
    from planhat_dbt.declaration.types import Sync

TestsByNode: TypeAlias = "Mapping[str, Sequence[Test]]"
"""Node → the tests that are about it."""
_FAILED: Final = frozenset(("fail", "error", "runtime error", "skipped"))
_NAMED: Final = 3


def tests_by_node(manifest: Manifest) -> TestsByNode:
    """Sort the tests of a project once: there may be ten thousand, and hundreds of syncs that ask for theirs."""
    found: defaultdict[str, list[Test]] = defaultdict(list)
    for test in manifest.tests:
        for node in dict.fromkeys(_subjects(test)):
            found[node].append(test)
    return dict(found)


def failed_tests(sync: Sync, manifest: Manifest, by_node: TestsByNode, results: RunResults) -> str:
    """Which tests did not pass; empty: none is known."""
    if sync.tests is Tests.IGNORE:
        return ""
    bad = _FAILED | {"warn"} if sync.tests is Tests.WARN else _FAILED
    failed = [
        f"{test.name} ({result.status})"
        for test in _watched(sync, manifest, by_node)
        if (result := results.results.get(test.unique_id)) is not None and result.status in bad
    ]
    return f"dbt tests did not pass: {_few(failed)}" if failed else ""


def missing_tests(
    sync: Sync, manifest: Manifest, by_node: TestsByNode, results: RunResults, *, older: bool
) -> str:
    """Which tests should have run with what dbt was asked for, and did not; empty: none is known.

    An interrupted dbt leaves the results of what had finished, and tests come after their model.
    """
    if sync.tests is Tests.IGNORE:
        return ""
    if results.retried:
        return _not_retried(sync, manifest, by_node, results)
    if _may_leave_out(manifest, results):
        return ""
    absent = [t.name for t in _watched(sync, manifest, by_node) if _is_absent(t, results)]
    why = "they are newer, or it was interrupted" if older else "it was interrupted"
    return f"the last dbt {results.command} did not run {_few(absent)}: {why}" if absent else ""


def _not_retried(sync: Sync, manifest: Manifest, by_node: TestsByNode, results: RunResults) -> str:
    """Of tests that warned, `dbt retry` runs none again, and its results do not mention them."""
    absent = [t.name for t in _watched(sync, manifest, by_node) if t.unique_id not in results.results]
    if sync.tests is not Tests.WARN or not absent:
        return ""
    return f"`dbt retry` did not run {_few(absent)} again, which may have warned (tests: warn)"


def was_tested(sync: Sync, manifest: Manifest, by_node: TestsByNode, results: RunResults) -> bool | None:
    """Whether results that do not tell of a model show that it was tested; None: it has no tests.

    Where dbt was asked for other models, a test that reads this one and others, too, speaks for the others; and a model
    without tests of its own stands or falls with those of what it selects from.
    """
    own = by_node.get(sync.model.unique_id, ())
    if not results.selected:
        return any(test.unique_id in results.results for test in own) if own else None
    tests = [*own] or [*_watched(sync, manifest, by_node)]
    alone = [test for test in tests if len({d for d in test.depends_on if not d.startswith("source.")}) == 1]
    return any(test.unique_id in results.results for test in alone or tests) if tests else None


def left_untested(manifest: Manifest, results: RunResults) -> str:
    """Say which declared models dbt built without all of their tests, perhaps because it was asked to; empty: none."""
    if results.retried or not _may_leave_out(manifest, results):
        return ""
    untested = {node for test in manifest.tests if _is_absent(test, results) for node in _subjects(test)}
    declared = [
        node.name
        for unique_id, node in manifest.nodes.items()
        if node.is_declared and unique_id in results.results and unique_id in untested
    ]
    if not declared:
        return ""
    asked = f"tests of {_few(declared)} did not run: they were left out, or dbt was interrupted"
    return f"{asked}; what it built goes out without them"


def _may_leave_out(manifest: Manifest, results: RunResults) -> bool:
    return results.leaves_out_tests or (manifest.has_default_selector and not results.selected)


def _is_absent(test: Test, results: RunResults) -> bool:
    """Whether dbt should have run a data test, as far as it can be told, and there is no result of it."""
    done = results.results.keys()
    if results.command not in ("build", "test") or test.unique_id in done or not _is_data_test(test):
        return False
    if not results.selected:
        return True
    if results.command == "test":  # who names tests, means some of them
        return False
    reads = {d for d in test.depends_on if not d.startswith("source.")}
    return not reads.isdisjoint(done) if results.is_eager else reads <= done


def _is_data_test(test: Test) -> bool:
    return test.unique_id.startswith("test.")


def _watched(sync: Sync, manifest: Manifest, by_node: TestsByNode) -> Iterable[Test]:
    nodes = (sync.model.unique_id, *_selected_from(sync.model.depends_on, manifest))
    return {t.unique_id: t for n in nodes for t in by_node.get(n, ())}.values()


def _selected_from(parents: Iterable[str], manifest: Manifest) -> Iterator[str]:
    """The nodes that a model selects from; an ephemeral one is a part of its SQL, and hands on what it reads itself."""
    seen, left = set[str](), [*parents]
    while left:
        unique_id = left.pop()
        if unique_id in seen or unique_id.startswith("source."):
            continue
        seen.add(unique_id)
        yield unique_id
        node = manifest.nodes.get(unique_id)
        if node is not None and node.materialized == "ephemeral":
            left += node.depends_on


def _subjects(test: Test) -> tuple[str, ...]:
    """The nodes that a test is about: the one it is declared on; a singular test is about all that it reads."""
    return (test.attached_node,) if test.attached_node else test.depends_on


def _few(names: list[str]) -> str:
    shown = ", ".join(sorted(names)[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
