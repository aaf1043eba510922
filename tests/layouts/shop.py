"""The project whose state the layouts hold: what happened on five days, and its models on the last of them."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from harness import Project, Row

from planhat_dbt.sandbox import Fault, FaultKind

COMPANY_COLUMNS = {
    "id": "varchar",
    "name": "varchar",
    "phase": "varchar",
    "tags": "varchar[]",
    "tier": "varchar",
    "seats": "integer",
    "score": "decimal(9,2)",
    "since": "date",
    "seen": "timestamp with time zone",
}
_FIRST_CUSTOM = {"Plan Tier": "tier", "Score": "score", "Since": "since", "Last Seen": "seen"}
COMPANIES: Row = {
    "object": "company",
    "match": {"externalId": "id"},
    "on_removed": "delete",
    "fields": {
        "name": "name",
        "phase": "phase",
        "tags": "tags",
        "custom": {**_FIRST_CUSTOM, "Seats": "seats"},
    },
}
ENDUSER_COLUMNS = {"id": "varchar", "account": "varchar", "email": "varchar", "role": "varchar"}
ENDUSERS: Row = {
    "object": "enduser",
    "match": {"externalId": "id"},
    "fields": {"companyId": {"company": "account"}, "email": "email", "position": "role"},
}
NOTE_COLUMNS = {"id": "varchar", "account": "varchar", "subject": "varchar"}
NOTES: Row = {
    "object": "note",
    "key": "id",
    "fields": {"companyId": {"company": "account"}, "subject": "subject"},
}
METRIC_COLUMNS = {
    "id": "varchar",
    "dim": "varchar",
    "account": "varchar",
    "amount": "double",
    "at": "timestamp",
}
METRICS: Row = {
    "object": "metric",
    "key": "id",
    "fields": {"dimensionId": "dim", "externalId": "account", "value": "amount", "date": "at"},
}
SLOW = 0.5


def company(i: int, **others: Any) -> tuple[Any, ...]:
    """A row of `companies`."""
    row = {
        "id": f"c-{i}",
        "name": f"Acme {i}",
        "phase": "Live",
        "tags": ["a", "it's b"],
        "tier": "Gold",
        "seats": i,
        "score": Decimal("12.50"),
        "since": dt.date(2026, 3, 1),
        "seen": dt.datetime(2026, 3, 1, 12, 30, tzinfo=dt.UTC),
    }
    return tuple({**row, **others}.values())


def enduser(i: int, **others: Any) -> tuple[Any, ...]:
    """A row of `endusers`."""
    row = {"id": f"u-{i}", "account": "c-1", "email": f"u{i}@example.com", "role": "CTO"}
    return tuple({**row, **others}.values())


def note(i: int, **others: Any) -> tuple[Any, ...]:
    """A row of `notes`."""
    return tuple({"id": f"n-{i}", "account": "c-1", "subject": f"Note {i}", **others}.values())


def metric(i: int) -> tuple[Any, ...]:
    """A row of `usage`."""
    return (f"m-{i}", "logins", "c-1", float(i), dt.datetime.fromisoformat(f"2026-03-0{i} 08:00"))


ALL_ENDUSERS = [enduser(1), enduser(2, role="CEO"), enduser(3, account="c-9")]
"""The company of the third is in no model: it is held."""
ALL_NOTES = [note(1, subject="Memo 1"), note(2), note(3)]
ALL_METRICS = [metric(i) for i in range(1, 7)]


def all_companies() -> list[tuple[Any, ...]]:
    """Those of the last day; the sixth lacks what Planhat requires, the seventh is there twice."""
    return [company(1), company(2, phase="Risk"), company(3), company(6, name=None), company(7), company(7)]


def last_day(project: Project) -> None:
    """The models as they were when the layout was recorded, without any state."""
    # What happened then is to be kept, however long ago it is by now.
    project.settings(changes_retention_days=36_500, requests_retention_days=36_500)
    project.model("companies", COMPANIES, COMPANY_COLUMNS, all_companies())
    project.model("endusers", ENDUSERS, ENDUSER_COLUMNS, ALL_ENDUSERS)
    project.model("notes", NOTES, NOTE_COLUMNS, ALL_NOTES)
    project.model("usage", METRICS, METRIC_COLUMNS, ALL_METRICS)


# -- the five days


def first_load(project: Project) -> None:
    """Everything is new; one company cannot be sent, one enduser waits."""
    first = {**COMPANIES, "on_removed": "clear"}
    first["fields"] = {**COMPANIES["fields"], "custom": _FIRST_CUSTOM}
    rows = [company(i) for i in range(1, 6)]
    project.model("companies", first, COMPANY_COLUMNS, [*rows, *all_companies()[3:]])
    project.model("endusers", ENDUSERS, ENDUSER_COLUMNS, [enduser(1), enduser(2), ALL_ENDUSERS[2]])
    project.model("notes", NOTES, NOTE_COLUMNS, [note(1), note(2)])
    project.model("usage", METRICS, METRIC_COLUMNS, ALL_METRICS[:3])
    project.sync(code=1)


def changes_and_doubts(project: Project) -> None:
    """A field more, a company less (cleared); the answers about a new note and two metrics are lost."""
    project.declare("companies", {**COMPANIES, "on_removed": "clear"})
    project.sql("delete from companies where id = 'c-4'")
    project.replace("endusers", ALL_ENDUSERS)
    project.replace("notes", ALL_NOTES)
    project.replace("usage", ALL_METRICS[:5])
    for path in ("/conversations", "/dimensiondata"):
        project.sandbox.faults.add(Fault(kind=FaultKind.RESET_AFTER, method="POST", path=path))
    project.sync(code=1)
    project.sandbox.faults.clear()


def a_removal(project: Project) -> None:
    """A company less, deleted this time."""
    project.declare("companies", COMPANIES)
    project.sql("delete from companies where id = 'c-5'")
    project.sync(code=1)


def killed_while_updating(project: Project) -> None:
    """A changed company arrives, and nobody learns of it."""
    project.replace("companies", all_companies())
    _kill(project, "companies")


def killed_while_sending_events(project: Project) -> None:
    """A metric arrives, and nobody learns of it."""
    project.replace("usage", ALL_METRICS)
    _kill(project, "usage")


DAYS: tuple[Callable[[Project], None], ...] = (
    first_load,
    changes_and_doubts,
    a_removal,
    killed_while_updating,
    killed_while_sending_events,
)


def _kill(project: Project, sync: str) -> None:
    path, calls = ("/companies", 2) if sync == "companies" else ("/", 1)  # definitions of custom fields first
    project.sandbox.faults.add(Fault(kind=FaultKind.DELAY, seconds=SLOW, count=None, path=path))
    process = project.start("sync", "--select", sync)
    give_up = time.monotonic() + 30
    while project.sandbox.log.total < calls:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up
        time.sleep(0.01)
    process.kill()
    process.communicate()
    time.sleep(2 * SLOW)  # until the call has been carried out all the same
    project.sandbox.faults.clear()
