"""Guards: what a plan may remove or change without being asked (DESIGN §8, §15)."""

from __future__ import annotations

import pytest

from core.workbench import Bench
from planhat_dbt.declaration.types import Limit, Sync
from planhat_dbt.guards import check_plan
from planhat_dbt.plan import Operation, SyncPlan


@pytest.fixture
def declare(bench: Bench):
    def make(**options: object) -> Sync:
        block = {
            "object": "company",
            "match": {"externalId": "id"},
            "fields": {"name": "n"},
            "on_removed": "delete",
        }
        return bench.declare({"c": {**block, **options}})["c"]

    return make


def plan(
    *, rows: int = 100, known: int = 100, insert: int = 0, update: int = 0, clear: int = 0, delete: int = 0
) -> SyncPlan:
    counts = {
        Operation.INSERT: insert,
        Operation.UPDATE: update,
        Operation.CLEAR: clear,
        Operation.DELETE: delete,
    }
    return SyncPlan(
        "c", "c", "company", "upsert", rows, known, {o: n for o, n in counts.items() if n}, {}, 5000
    )


REMOVALS = [
    # limit, plan, refused
    ("10%", {"delete": 10}, False),
    ("10%", {"delete": 11}, True),
    ("10%", {"clear": 6, "delete": 5}, True),
    ("10%", {"known": 1000, "delete": 100}, False),
    ("10%", {"known": 1000, "delete": 101}, True),
    ("10%", {"known": 10, "rows": 1, "delete": 9}, False),  # ten rows are below any share
    ("0%", {"delete": 10}, False),
    ("0%", {"delete": 11}, True),
    (0, {"delete": 1}, True),  # a count holds from the first row
    (5, {"delete": 5}, False),
    (5, {"delete": 6}, True),
    ("100%", {"delete": 99, "rows": 1}, False),
    ("100%", {"rows": 0, "delete": 1, "known": 1}, True),  # an empty model at any size
    (1000, {"rows": 0, "delete": 100}, True),
    ("10%", {"rows": 0}, False),
    ("10%", {"insert": 500, "update": 90}, False),
]


@pytest.mark.parametrize(("limit", "facts", "refused"), REMOVALS)
def test_removals(declare, limit, facts, refused):
    sync = declare(max_removals=limit)
    found = check_plan(sync, plan(**facts))
    assert (found is not None) == refused
    assert check_plan(sync, plan(**facts), allow_removals=True) is None


CHANGES = [
    (None, {"insert": 5000, "known": 10}, False),
    ("20%", {"update": 20}, False),
    ("20%", {"update": 11, "insert": 10}, True),
    (5, {"update": 5}, False),
    (5, {"insert": 6}, True),
    ("20%", {"insert": 100, "known": 0}, False),  # a first load
    (5, {"insert": 100, "known": 0}, False),
    (0, {"update": 1}, True),
    ("20%", {"delete": 5}, False),
]


@pytest.mark.parametrize(("limit", "facts", "refused"), CHANGES)
def test_changes(declare, limit, facts, refused):
    sync = declare(**({} if limit is None else {"max_changes": limit}))
    found = check_plan(sync, plan(**facts))
    assert (found is not None) == refused
    assert check_plan(sync, plan(**facts), allow_changes=True) is None


def test_a_refusal_names_count_share_limit_and_the_way_out(declare):
    found = check_plan(declare(), plan(rows=5000, known=6000, delete=1500))
    assert found is not None
    text = str(found)
    for part in ("1,500 of 6,000 rows (25.0%)", "max_removals: 10%", "planhat-dbt sync --allow-removals c"):
        assert part in text
    changes = check_plan(declare(max_changes=3), plan(update=4))
    assert "4 of 100 rows (4.0%)" in str(changes)
    assert "max_changes: 3." in str(changes)
    assert "--allow-changes c" in str(changes)


def test_one_allowance_does_not_give_the_other(declare):
    sync = declare(max_changes=0)
    both = plan(delete=50, update=50)
    assert check_plan(sync, both, allow_removals=True).what == "changes"
    assert check_plan(sync, both, allow_changes=True).what == "removals"


@pytest.mark.parametrize(
    ("limit", "text"), [(Limit(share=0.1), "10%"), (Limit(share=0.005), "0.5%"), (Limit(count=0), "0")]
)
def test_limits_are_written_as_declared(limit, text):
    assert str(limit) == text
