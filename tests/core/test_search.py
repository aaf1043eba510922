"""The cheapest way to find records, by counting calls (planhat-api §7)."""

from __future__ import annotations

import pytest

from planhat_dbt.deliver.search import MANY_KEYS, Way, choose_way
from planhat_dbt.objects import OBJECTS


@pytest.mark.parametrize(
    ("name", "key", "keys", "rows", "certain", "way"),
    [
        ("company", "externalId", 1, None, True, Way.SINGLE_READS),
        ("company", "externalId", 2, None, True, Way.LEAN_LIST),
        ("company", "_id", 5000, 9, True, Way.LEAN_LIST),
        ("asset", "sourceId", 1, 10, True, Way.SINGLE_READS),
        ("asset", "sourceId", 2, None, True, Way.TRY_SCAN),
        ("asset", "sourceId", 2, 1999, True, Way.SCAN),
        ("asset", "sourceId", 2, 3999, True, Way.SCAN),
        ("asset", "sourceId", 2, 4000, True, Way.SINGLE_READS),
        ("asset", "externalId", 1, None, False, Way.SCAN),
        ("asset", "externalId", 3, 10**9, False, Way.SCAN),
        ("asset", "externalId", MANY_KEYS + 1, 10**9, True, Way.SCAN),
        ("enduser", "email", 3, None, True, Way.TRY_SCAN),
        ("ticket", "sourceId", 1, 10**6, True, Way.SCAN),
        ("churn", "sourceId", 1, 10**6, True, Way.SCAN),
        ("churn", "_id", 1, None, True, Way.SINGLE_READS),
        ("user", "email", 1, None, True, Way.SINGLE_READS),
    ],
)
def test_the_way(name: str, key: str, keys: int, rows: int | None, certain: bool, way: Way) -> None:
    assert choose_way(OBJECTS[name], key, keys, certain=certain, rows=rows) is way
