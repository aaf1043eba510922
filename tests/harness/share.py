"""How much of the tests runs: `make test` takes a share of each matrix, `make test-all` and other warehouses take all.

`@pytest.mark.sampled(4)`: a fourth of a test's cases, the same ones in every run; words after the number name cases
that run in any case. `@pytest.mark.thorough`: none of it.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeVar

import pytest

from harness.warehouses import ALL

Case = TypeVar("Case")


def share(cases: Sequence[Case], one_of: int, always: Sequence[str] = ()) -> list[Case]:
    """One of so many cases, picked among its neighbours by its name, and those that bear certain words; or all."""
    if ALL:
        return list(cases)
    parts = [cases[start : start + one_of] for start in range(0, len(cases), one_of)]
    picked = [min(part, key=lambda case: zlib.crc32(str(case).encode())) for part in parts]
    return [case for case in cases if case in picked or any(word in str(case) for word in always)]


def examples(number: int, one_of: int) -> int:
    """How many examples Hypothesis tries, of so many."""
    return number if ALL else max(number // one_of, 1)


def left_out(items: Sequence[pytest.Item]) -> set[str]:
    """The ids of collected tests that `make test-all` alone runs."""
    matrices: dict[str, list[str]] = defaultdict(list)
    shares: dict[str, Sequence[Any]] = {}
    found: set[str] = set()
    for item in items:
        mark: Any = item.get_closest_marker("sampled")
        if mark:
            matrix = item.nodeid.split("[", maxsplit=1)[0]
            matrices[matrix].append(item.nodeid)
            shares[matrix] = mark.args
        elif item.get_closest_marker("thorough") and not ALL:
            found.add(item.nodeid)
    for matrix, ids in matrices.items():
        one_of, *always = shares[matrix]
        found |= set(ids) - set(share(ids, one_of, always))
    return found
