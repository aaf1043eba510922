"""A whole life of two syncs, and what holds of the statements of one, on engines whose transactions hold rows only."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness import Project

from planhat_dbt.sandbox import Fault, FaultKind
from run.shop import add_companies, add_endusers, company, enduser, mirrors

OF_TABLES = re.compile(r"\s*(create|alter|drop)\b", re.IGNORECASE)
BEGIN, ENDS = "begin transaction", ("commit", "rollback")


def lead_a_life(project: Project) -> None:
    """Insert, update, clear, delete; a refusal, a duplicate, a loss in transit, a field more, another type."""
    add_companies(project, 6, on_removed="delete", max_removals="100%")
    add_endusers(project, [enduser(i) for i in range(1, 5)], on_removed="clear", max_removals="100%")
    project.sync()
    assert mirrors(project)
    project.quiet()
    project.sql(
        "update companies set name = 'Other' where id = 'c-2'", "delete from companies where id = 'c-6'"
    )
    project.sql("delete from endusers where id = 'u-4'")
    project.insert("companies", [company(9), company(9)])
    outcome = project.sync(code=None)
    assert outcome.counts("companies") == {"updated": 1, "deleted": 1, "rejected": 2}
    assert outcome.counts("endusers") == {"cleared": 1}
    project.sql("delete from companies where id = 'c-9'", "update companies set name = 'Third'")
    project.sandbox.faults.add(
        Fault(kind=FaultKind.STATUS_AFTER, status=504, path="/companies", method="PUT", count=None)
    )
    project.sync(code=None)
    project.sandbox.faults.clear()
    project.sync(code=None)
    project.quiet()


def check_transactions(statements: Sequence[str], *, snapshot: str, batches: str) -> None:
    """See that what is recorded of calls stands and falls together: no statement on tables comes between.

    Args:
        statements: All that a life sent, in order.
        snapshot: How a snapshot table's name begins, as the engine quotes it.
        batches: The name of `batches`, likewise.
    """
    recorded, inside = 0, None
    for statement in statements:
        if statement == BEGIN:
            assert inside is None
            inside = []
        elif statement in ENDS:
            closed = [
                s for s in inside or () if s.startswith("update") and batches in s and "accepted" not in s
            ]
            if closed:
                recorded += any(snapshot in s and s.startswith("insert") for s in inside or ())
            inside = None
        elif inside is not None:
            assert not OF_TABLES.match(statement), statement
            inside.append(statement)
    assert recorded >= 4
