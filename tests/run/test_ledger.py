"""How the rows of a sync that was cut off are counted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from planhat_dbt.plan import Operation, SyncPlan
from planhat_dbt.result import Counts, Status
from planhat_dbt.run.ledger import Entry


def entry(counts: Counts) -> Entry:
    plan = SyncPlan("c", "c", "company", "upsert", 100, 100, {Operation.INSERT: 100}, {}, 5000)
    compared: Any = SimpleNamespace(plan=plan)
    sync: Any = SimpleNamespace(name="c")
    return Entry(sync, compared=compared, status=Status.FAILED, counts=counts)


@pytest.mark.parametrize(
    ("counted", "in_doubt", "held", "unknown"),
    [
        (Counts(), 0, 100, 0),
        (Counts(inserted=40), 10, 50, 10),
        (Counts(inserted=40), 60, 0, 60),
        (Counts(inserted=30, held=10), 10, 60, 10),
        (Counts(inserted=40, held=60), 60, 60, 0),
    ],
    ids=["nothing begun", "one batch under way", "all begun", "held by outcomes", "all accounted for"],
)
def test_what_was_begun_is_unknown_and_the_rest_held(
    counted: Counts, in_doubt: int, held: int, unknown: int
) -> None:
    one = entry(counted)
    one.balance(lambda: in_doubt)
    assert (one.counts.held, one.counts.unknown) == (held, unknown)
    assert one.counts.total == 100
    assert one.status is Status.FAILED
