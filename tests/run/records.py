"""A record object as test data: a model's rows, what is sent of them, and what Planhat then holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness import Project, Row

COMPANIES = ("c-1", "c-3")


@dataclass(frozen=True)
class Column:
    """One mapped column; texts may hold `{i}`, the row's number."""

    name: str
    type: str
    target: str
    value: Any
    sent: Any
    other: Any = None
    """Another value; None: this column is not changed by tests."""
    other_sent: Any = None
    form: Any = None
    """How the declaration maps it; None: just the column."""
    kept: bool = False
    """`clear` leaves it: a reference, or required to create."""
    emptied: Any = None
    """What `clear` sends."""


@dataclass(frozen=True)
class Case:
    """One object, matched by one key."""

    object: str
    path: str
    match: str
    """Empty: notes, known to us by `key` alone."""
    columns: tuple[Column, ...]
    constants: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What Planhat adds to a new record."""
    wire_key: str = ""

    def __str__(self) -> str:
        return f"{self.object}-{self.match or 'key'}"

    @property
    def sync(self) -> str:
        """The name of the sync and its model."""
        return f"{self.object}_rows"

    @property
    def key_name(self) -> str:
        """The match key as JSON spells it; empty for notes."""
        return self.wire_key or self.match

    @property
    def table(self) -> dict[str, str]:
        """The model's columns and types."""
        return {"id": "varchar", **{c.name: c.type for c in self.columns}}

    @property
    def changing(self) -> list[Column]:
        """The columns that have another value."""
        return [c for c in self.columns if c.other is not None]

    @property
    def has_custom(self) -> bool:
        """Whether it maps a custom field, so that a run that sends it reads their definitions."""
        return any(c.target.startswith("custom.") for c in self.columns)

    def key(self, i: int) -> str:
        """The key of a row."""
        if self.match == "email":
            return f"user{i}@example.com"
        return f"c-{i}" if self.object == "company" else f"{self.object}-{i}"

    def block(self, **more: Any) -> Row:
        """The declaration."""
        identity: Row = {"match": {self.match: "id"}} if self.match else {"key": "id"}
        fields: Row = {}
        custom: Row = {}
        for column in self.columns:
            form = column.form or column.name
            if column.target.startswith("custom."):
                custom[column.target.removeprefix("custom.")] = form
            else:
                fields[column.target] = form
        fields |= {name: {"value": value} for name, value in self.constants.items()}
        return {
            "object": self.object,
            **identity,
            "fields": {**fields, **({"custom": custom} if custom else {})},
            **more,
        }

    def row(self, i: int, **others: bool) -> tuple[Any, ...]:
        """A row of the model; `others` names columns that have their other value."""
        values = (c.other if others.get(c.name) else c.value for c in self.columns)
        return (self.key(i), *(_numbered(value, i) for value in values))

    def payload(self, i: int, **others: bool) -> Row:
        """The row as it is sent whole."""
        sent: Row = {self.key_name: self.key(i)} if self.match else {"type": "note"}
        for column in self.columns:
            value = column.other_sent if others.get(column.name) else column.sent
            put(sent, self.wire_name(column), _numbered(value, i))
        for name, value in self.constants.items():
            sent[name] = value
        return sent

    def record(self, project: Project, i: int, **others: bool) -> Row:
        """The record that Planhat then holds, without `_id` and `updatedAt`."""
        stored = {**self.defaults, **self.payload(i, **others)}
        for name in ("companyId", "cId"):
            if name in stored:
                stored[name] = company_id(project, stored[name])
        if "companyIds" in stored:
            stored["companyIds"] = [company_id(project, reference) for reference in stored["companyIds"]]
        return stored

    def change(self, column: Column, i: int) -> Row:
        """What is sent if only this column changes to its other value."""
        sent: Row = {} if self.match else {"type": "note"}
        put(sent, self.wire_name(column), _numbered(column.other_sent, i))
        return sent

    def emptied(self) -> Row:
        """What `clear` sends besides the key."""
        sent: Row = {}
        for column in self.columns:
            if not column.kept:
                put(sent, self.wire_name(column), column.emptied)
        return sent

    def wire_name(self, column: Column) -> str:
        """The field in JSON; custom fields with their prefix."""
        return "cId" if (self.object, column.target) == ("invoice", "companyId") else column.target

    def declare(self, project: Project, rows: int = 5, **more: Any) -> None:
        """A model with so many rows."""
        project.model(self.sync, self.block(**more), self.table, [self.row(i) for i in range(1, rows + 1)])

    def load(self, project: Project, rows: int = 5, **more: Any) -> None:
        """The companies it refers to, already in Planhat; and the model."""
        if self.object != "company":
            seed_companies(project)
        self.declare(project, rows, **more)

    def stored(self, project: Project) -> dict[str, Row]:
        """Planhat's records by our key, without what it computes."""
        found: dict[str, Row] = {}
        for record in self.records(project):
            name = record[self.key_name] if self.match else f"note-{_number_of(record)}"
            assert name not in found, f"two records of {name}"
            found[str(name)] = {k: v for k, v in record.items() if k not in ("_id", "updatedAt")}
        return found

    def records(self, project: Project) -> list[Row]:
        """Planhat's records that came from this sync."""
        found = project.sandbox.tenant.records(self.path)
        if self.match:
            return [r for r in found if r.get(self.key_name)]
        return [r for r in found if not r.get("externalId")]  # conversations live under the same path

    def id_of(self, project: Project, i: int) -> str:
        """The `_id` that Planhat gave to a row."""
        if self.match:
            return str(project.sandbox.tenant.record(self.path, **{self.key_name: self.key(i)})["_id"])
        (found,) = [r["_id"] for r in self.records(project) if _number_of(r) == str(i)]
        return str(found)


def put(row: Row, target: str, value: Any) -> None:
    """Set a field; `custom.X` goes into the `custom` object."""
    if target.startswith("custom."):
        row.setdefault("custom", {})[target.removeprefix("custom.")] = value
    else:
        row[target] = value


def seed_companies(project: Project) -> None:
    """The companies that references mean, once."""
    if not project.sandbox.tenant.records("companies"):
        project.sandbox.tenant.seed(
            "companies", [{"name": f"Company {k}", "externalId": k} for k in COMPANIES]
        )


def company_id(project: Project, reference: str) -> str:
    """The `_id` behind `extid-…`."""
    external = reference.removeprefix("extid-")
    return str(project.sandbox.tenant.record("companies", externalId=external)["_id"])


def _number_of(note: Row) -> str:
    """The number of a note, which stands at the end of its subject; `?` if it was cleared."""
    return str(note["subject"] or "?").split()[-1]


def _numbered(value: Any, i: int) -> Any:
    return value.replace("{i}", str(i)) if isinstance(value, str) else value


def load_together(project: Project, cases: tuple[Case, ...], rows: int = 5, **more: Any) -> None:
    """All twelve objects as syncs of one project."""
    if not any(case.object == "company" and case.match == "externalId" for case in cases):
        seed_companies(project)
    for case in cases:
        case.declare(project, rows, **more)
