"""How much of the tests runs: `make test` takes a share of each matrix, `make test-all` and other warehouses take all.

`@pytest.mark.sampled(4)`: a fourth of a test's cases, always the same ones. `@pytest.mark.thorough`: none of it.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeVar

import pytest

from harness.warehouses import ON

Case = TypeVar("Case")
_GOLDEN = (math.sqrt(5) - 1) / 2
ALL = ON != "duckdb" or os.environ.get("PLANHAT_DBT_TEST_ALL") == "1"


def share(cases: Sequence[Case], one_of: int) -> list[Case]:
    """One of so many cases, spread evenly but in no step with products of two lists; at least one; or all."""
    if ALL:
        return list(cases)
    number = math.ceil(len(cases) / one_of)
    picked = sorted(range(len(cases)), key=lambda i: i * _GOLDEN % 1)[:number]
    return [cases[i] for i in sorted(picked)]


def examples(number: int, one_of: int = 2) -> int:
    """How many examples Hypothesis tries, of so many."""
    return number if ALL else max(number // one_of, 1)


def left_out(items: Sequence[pytest.Item]) -> set[str]:
    """The ids of collected tests that `make test-all` alone runs."""
    matrices: dict[str, list[str]] = defaultdict(list)
    shares: dict[str, int] = {}
    found: set[str] = set()
    for item in items:
        mark: Any = item.get_closest_marker("sampled")
        if mark:
            matrix = item.nodeid.split("[", maxsplit=1)[0]
            matrices[matrix].append(item.nodeid)
            shares[matrix] = mark.args[0]
        elif item.get_closest_marker("thorough") and not ALL:
            found.add(item.nodeid)
    for matrix, ids in matrices.items():
        found |= set(ids) - set(share(ids, shares[matrix]))
    return found
