"""What is under way when the process dies: each object, mode and operation, as a project that can be brought there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness import Project, Row
from run.cases import FIRST_KEYS, LAST_KEYS
from run.records import Case, seed_companies
from run.shop import COMPANY_COLUMNS, ENDUSER_COLUMNS, ENDUSERS, company, enduser
from run.test_events import ACTIVITIES, ACTIVITY_BLOCK, METRIC_BLOCK, METRICS, activity, metric

ROWS = 16
SMALL = {"batch_rows": 3, "read_back_after": 0}
"""Six batches of 16 rows: the first window of four is recorded before the last two are sent."""
BY_KEY = {case.object: case for case in FIRST_KEYS}
BY_LAST_KEY = {case.object: case for case in LAST_KEYS}


@dataclass(frozen=True)
class Scenario:
    """A sync that will be killed."""

    name: str
    before: Callable[[Project], None]
    """Brings project and Planhat to the moment at which the sync starts."""
    store: Callable[[Project], Any]
    """What Planhat holds, comparable with what it holds after a sync that was not killed."""
    settings: Row = field(default_factory=dict)
    has: Callable[[Project, str], bool] | None = None
    """Whether Planhat has the row of a key; needed where rows of unknown outcome are held."""

    def __str__(self) -> str:
        return self.name


def _load(case: Case, mode: str, on_removed: str) -> Scenario:
    """The first load of a model."""

    def before(project: Project) -> None:
        if mode != "upsert" and case.object != "company":
            seed_companies(project)
        _seed(project, case, mode, range(1, ROWS + 1 if mode == "update" else 10))
        case.load(project, ROWS, mode=mode, on_removed=on_removed)

    return Scenario(f"{case.object}: {mode} by {case.match or 'key'}, first load", before, case.stored)


def _days(case: Case, mode: str, on_removed: str) -> Scenario:
    """A day on which rows are new, changed and gone."""

    def before(project: Project) -> None:
        if case.object != "company":
            seed_companies(project)
        _seed(project, case, mode, range(1, ROWS + 1))
        case.load(project, ROWS - 4, mode=mode, on_removed=on_removed)
        project.sync()
        column = case.changing[0].name
        rows = [case.row(i, **{column: True}) for i in range(1, 9)]
        rows += [case.row(i) for i in range(11, ROWS + 1)]
        project.replace(case.sync, rows)

    name = f"{case.object}: {mode} by {case.match or 'key'}, new, changed, {on_removed}"
    return Scenario(name, before, case.stored, has=_has_note if case.object == "note" else None)


def _has_note(project: Project, key: str) -> bool:
    return f"note-{key.rpartition('-')[2]}" in BY_KEY["note"].stored(project)


def _seed(project: Project, case: Case, mode: str, rows: range) -> None:
    """What modes update and insert find: records of somebody else, with nothing but the key."""
    if mode == "upsert":
        return
    for i in rows:
        row = {**case.defaults, **case.payload(i)}
        project.sandbox.tenant.seed(case.path, [row])


def _notes(singly: int) -> Scenario:
    case = BY_KEY["note"]

    def before(project: Project) -> None:
        case.load(project, ROWS, mode="insert")

    way = "one by one" if singly else "in bulk"
    return Scenario(
        f"note: insert without a match key, {way}",
        before,
        case.stored,
        {"single_insert_rows": singly},
        _has_note,
    )


def _metrics() -> Scenario:
    def before(project: Project) -> None:
        project.sandbox.tenant.seed("companies", [{"name": "Acme", "externalId": "c-1"}])
        project.model("usage", METRIC_BLOCK, METRICS, [metric(i) for i in range(1, ROWS + 1)])

    def store(project: Project) -> Any:
        return sorted((m["dimensionId"], m["value"], m["time"]) for m in project.sandbox.tenant.metrics)

    def has(project: Project, key: str) -> bool:
        return float(key.removeprefix("m-")) in {m["value"] for m in project.sandbox.tenant.metrics}

    return Scenario("metric: insert", before, store, has=has)


def _activities() -> Scenario:
    def before(project: Project) -> None:
        project.sandbox.tenant.seed("companies", [{"name": "Acme", "externalId": "c-1"}])
        project.model("logins", ACTIVITY_BLOCK, ACTIVITIES, [activity(i) for i in range(1, ROWS + 1)])

    def people(project: Project) -> list[str]:
        names = {r["_id"]: r["externalId"] for r in project.sandbox.tenant.records("endusers")}
        return sorted(names[a["euId"]] for a in project.sandbox.tenant.activities)

    def has(project: Project, key: str) -> bool:
        return f"u-{key}" in people(project)

    return Scenario("user activity: insert", before, people, has=has)


def _family() -> Scenario:
    """Parents and children in one run; some of either are deleted."""

    def declare(project: Project, companies: range, people: range) -> None:
        fields = {"name": "name", "phase": "phase"}
        block = {"object": "company", "match": {"externalId": "id"}, "on_removed": "delete", "fields": fields}
        project.model("companies", block, COMPANY_COLUMNS, [company(i) for i in companies])
        rows = [enduser(i, account=f"c-{1 + i % 6}") for i in people]
        project.model("endusers", {**ENDUSERS, "on_removed": "delete"}, ENDUSER_COLUMNS, rows)

    def before(project: Project) -> None:
        declare(project, range(1, 8), range(1, 9))
        project.sync()
        declare(project, range(1, 7), range(3, 13))

    def store(project: Project) -> Any:
        tenant = project.sandbox.tenant
        names = {r["_id"]: r["externalId"] for r in tenant.records("companies")}
        people = [(r["externalId"], names[r["companyId"]], r["email"]) for r in tenant.records("endusers")]
        return sorted(names.values()), sorted(people)

    return Scenario("company and enduser: both new, changed, delete", before, store)


def _mapping() -> Scenario:
    case = BY_KEY["company"]

    def before(project: Project) -> None:
        case.load(project, ROWS)
        project.sync()
        block = case.block()
        project.declare(case.sync, {**block, "fields": {**block["fields"], "description": {"value": "new"}}})

    return Scenario("company: upsert by externalId, one field added", before, case.stored)


def _back() -> Scenario:
    case = BY_KEY["asset"]

    def before(project: Project) -> None:
        case.load(project, ROWS, on_removed="delete")
        project.sync()
        project.replace(case.sync, [case.row(i) for i in range(1, 9)])
        project.sync()
        project.replace(case.sync, [case.row(i) for i in range(1, ROWS + 1)])

    return Scenario("asset: upsert by externalId, back after delete", before, case.stored)


_SCENARIOS = [
    *(_days(case, "upsert", "delete") for case in FIRST_KEYS if case.object != "note"),
    *(_days(BY_LAST_KEY[name], "upsert", "clear") for name in ("asset", "enduser", "invoice", "opportunity")),
    _days(BY_KEY["company"], "upsert", "clear"),
    _load(BY_KEY["company"], "upsert", "keep"),
    *(_load(BY_KEY[name], "update", "keep") for name in ("company", "enduser")),
    *(_load(BY_KEY[name], "insert", "keep") for name in ("company", "sale")),
    _days(BY_KEY["asset"], "update", "clear"),
    _days(BY_KEY["note"], "upsert", "delete"),
    _notes(200),
    _notes(0),
    _metrics(),
    _activities(),
    _family(),
    _mapping(),
    _back(),
]
SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in _SCENARIOS}
