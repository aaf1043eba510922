"""What dbt's results say of the tests that concern a model: its own, and those of the models it selects from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from planhat_dbt.declaration.types import Tests

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from planhat_dbt.artifacts import Manifest, RunResults
    from planhat_dbt.artifacts.types import Test
    from planhat_dbt.declaration.types import Sync

_FAILED: Final = frozenset(("fail", "error", "runtime error", "skipped"))
_NAMED: Final = 3


def failed_tests(sync: Sync, manifest: Manifest, results: RunResults) -> str:
    """Which tests did not pass; empty: none is known."""
    if sync.tests is Tests.IGNORE:
        return ""
    bad = _FAILED | {"warn"} if sync.tests is Tests.WARN else _FAILED
    failed = [
        f"{test.name} ({result.status})"
        for test in _watched(sync, manifest)
        if (result := results.results.get(test.unique_id)) is not None and result.status in bad
    ]
    return f"dbt tests did not pass: {_few(failed)}" if failed else ""


def missing_tests(sync: Sync, manifest: Manifest, results: RunResults) -> str:
    """Which tests should have run with what dbt was asked for, and did not; empty: none is known.

    An interrupted dbt leaves results of what it came to, and its tests come after the model.
    """
    if sync.tests is Tests.IGNORE:
        return ""
    if results.retried:
        return _not_retried(sync, manifest, results)
    absent = [t.name for t in _due(sync, manifest, results) if t.unique_id not in results.results]
    if not absent or results.leaves_out_tests or manifest.has_default_selector:
        return ""
    return f"the last dbt {results.command} did not come to {_few(absent)}: it was interrupted, perhaps"


def _not_retried(sync: Sync, manifest: Manifest, results: RunResults) -> str:
    """Of tests that warned, `dbt retry` runs none again, and its results do not mention them."""
    absent = [t.name for t in _watched(sync, manifest) if t.unique_id not in results.results]
    if sync.tests is not Tests.WARN or not absent:
        return ""
    return f"`dbt retry` did not run {_few(absent)} again, which may have warned (tests: warn)"


def own_tests(sync: Sync, manifest: Manifest) -> list[str]:
    """The ids of the tests that are about a sync's model."""
    return [t.unique_id for t in manifest.tests if _is_about(t, {sync.model.unique_id})]


def left_untested(manifest: Manifest, results: RunResults) -> str:
    """Say which declared models dbt built without their tests because it was asked to; empty: none."""
    if results.command != "build" or results.retried:
        return ""
    if not (results.leaves_out_tests or manifest.has_default_selector):
        return ""
    tested = {n for t in manifest.tests if t.unique_id in results.results for n in _subjects(t)}
    with_tests = {n for t in manifest.tests if _is_data_test(t) for n in _subjects(t)}
    names = [
        node.name
        for unique_id, node in manifest.nodes.items()
        if node.is_declared and unique_id in results.results and unique_id in with_tests - tested
    ]
    if not names:
        return ""
    return f"dbt was asked to leave out the tests of {_few(names)}: what it built goes out untested"


def _due(sync: Sync, manifest: Manifest, results: RunResults) -> Iterator[Test]:
    """The tests that dbt should have run, as far as it can be told."""
    own, done = {sync.model.unique_id}, results.results.keys()
    for test in filter(_is_data_test, _watched(sync, manifest)):
        reads = {d for d in test.depends_on if not d.startswith("source.")}
        if results.command not in ("build", "test"):
            continue
        if not results.selected:
            yield test
        elif results.command == "build":  # dbt tests a selected model, unless the test reads others as well
            if reads <= done:
                yield test
        elif reads <= own:
            yield test


def _is_data_test(test: Test) -> bool:
    return test.unique_id.startswith("test.")


def _watched(sync: Sync, manifest: Manifest) -> Iterator[Test]:
    nodes = {sync.model.unique_id, *(d for d in sync.model.depends_on if not d.startswith("source."))}
    return (test for test in manifest.tests if _is_about(test, nodes))


def _is_about(test: Test, nodes: Collection[str]) -> bool:
    return any(node in nodes for node in _subjects(test))


def _subjects(test: Test) -> tuple[str, ...]:
    """The nodes that a test is about: the one it is declared on; a singular test is about all that it reads."""
    return (test.attached_node,) if test.attached_node else test.depends_on


def _few(names: list[str]) -> str:
    shown = ", ".join(sorted(names)[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
