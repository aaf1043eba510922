"""One Planhat tenant in memory: its records, the references between them, and what is done behind the API.

What the API itself does is in `bulk`, `rest`, `reads` and `events`; they all work on a `Tenant`.
"""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from planhat_dbt.sandbox.resources import RESOURCES, resource_named
from planhat_dbt.sandbox.rules import Rules
from planhat_dbt.sandbox.store import Collection
from planhat_dbt.sandbox.values import BadValueError, Record, custom_spec, is_object_id, iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from planhat_dbt.sandbox.resources import Resource
    from planhat_dbt.sandbox.values import Spec

NOTE = "note"
EVENT_STREAMS = ("metrics", "activities", "failed_metrics", "failed_activities")


class Tenant:
    """All that one Planhat tenant holds."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self.collections = {path: Collection(resource) for path, resource in RESOURCES.items()}
        self.metrics: list[Record] = []
        self.activities: list[Record] = []
        self.failed_metrics: list[Record] = []
        self.failed_activities: list[Record] = []
        self.changes = 0
        """Grows with every write; tells whether the data file is behind."""
        self.last_list: tuple[object, Sequence[Record]] | None = None
        """The list that was read last, for its next page; see `reads`."""
        self._domains: dict[str, str] = {}
        self._custom: dict[str, dict[str, Spec]] = {}
        self._mandatory: dict[str, tuple[str, ...]] = {}
        self._seen_at: dict[str, float] = {}
        self._next_prefix()

    # -- identifiers

    def new_id(self) -> str:
        """The next `_id`: 24 hex characters that grow, as an ObjectId's do."""
        if self._counter > 0xFFFFFF:
            self._next_prefix()
        self._counter += 1
        return f"{self._prefix}{self._counter - 1:06x}"

    def _next_prefix(self) -> None:
        self._prefix = f"{int(time.time()):08x}{secrets.token_hex(5)}"
        self._counter = 0

    # -- references

    def company_id(self, reference: Any, *, prefixes: bool = True) -> str:
        """The `_id` of the company that is meant: by `_id`, `extid-…` or `srcid-…` (planhat-api §3.3).

        Raises:
            BadValueError: no such form, or no such company (planhat-api §13.19).
        """
        companies = self.collections["companies"]
        if isinstance(reference, str):
            if reference in companies.records:
                return reference
            key = {"extid-": "externalId", "srcid-": "sourceId"}.get(reference[:6]) if prefixes else None
            hits = companies.find(key, reference[6:]) if key else ()
            if hits:
                return hits[0]
            if key or is_object_id(reference):
                raise BadValueError("company not found")
        raise BadValueError("invalid company reference")

    def company_by_external_id(self, external_id: Any) -> str | None:
        """The `_id` of the company with this external id."""
        hits = self.collections["companies"].find("externalId", str(external_id)) if external_id else ()
        return hits[0] if hits else None

    def company_of_email(self, email: Any) -> str | None:
        """The company that lists the e-mail's domain in `domains` (planhat-api §9.2)."""
        if not isinstance(email, str) or "@" not in email:
            return None
        return self.company_of_domain(email.rpartition("@")[2])

    def company_of_domain(self, domain: Any) -> str | None:
        """The company that lists `domain`."""
        return self._domains.get(domain.lower()) if isinstance(domain, str) else None

    def company_name(self, company_id: Any) -> str | None:
        """Its name, for the computed `companyName` of other records."""
        company = self.collections["companies"].records.get(company_id)
        return company.get("name") if company else None

    # -- custom fields

    def custom_specs(self, resource: Resource) -> dict[str, Spec]:
        """Defined custom fields of a resource by display name."""
        return self._custom.get(resource.name, {})

    def mandatory_custom(self, resource: Resource) -> tuple[str, ...]:
        """Custom fields a create must carry (planhat-api §9.16)."""
        return self._mandatory.get(resource.name, ())

    def _read_definitions(self) -> None:
        self._custom, self._mandatory = {}, {}
        for definition in self.collections["customfields"].records.values():
            parent, name = definition["parent"], definition["name"]
            spec = custom_spec(name, definition["type"], formula=bool(definition.get("isFormula")))
            self._custom.setdefault(parent, {})[name] = spec
            if definition.get("isMandatory"):
                self._mandatory[parent] = (*self._mandatory.get(parent, ()), name)

    # -- writing, for the API's own modules

    def insert(self, resource: Resource, record: Record) -> None:
        """Store a complete record and what follows from it."""
        self.collections[resource.path].insert(record)
        self.changes += 1
        self.hide_for_a_while(record["_id"])
        if resource.name == "company":
            self._list_domains(record)
        elif resource.name == "customfield":
            self._read_definitions()

    def change(self, resource: Resource, record: Record, changes: Record) -> None:
        """Apply changes to a stored record and what follows from them."""
        if resource.name == "company" and "domains" in changes:
            self._unlist_domains(record)
        self.collections[resource.path].change(record, changes)
        self.changes += 1
        if resource.name == "company" and "domains" in changes:
            self._list_domains(record)
        elif resource.name == "customfield":
            self._read_definitions()

    def delete(self, resource: Resource, record_id: str) -> Record | None:
        """Delete a record; a company takes its children along (planhat-api §13.21)."""
        record = self.collections[resource.path].delete(record_id)
        if record is None:
            return None
        self.changes += 1
        if resource.name == "company":
            self._unlist_domains(record)
            self._delete_children(record_id)
        elif resource.name == "customfield":
            self._read_definitions()
        return record

    def _delete_children(self, company_id: str) -> None:
        for collection in self.collections.values():
            field = collection.resource.company_field
            if field:
                gone = [key for key, record in collection.records.items() if record.get(field) == company_id]
                for key in gone:
                    collection.delete(key)
        for issue in self.collections["issues"].records.values():
            if company_id in (issue.get("companyIds") or ()):
                issue["companyIds"] = [other for other in issue["companyIds"] if other != company_id]

    def _list_domains(self, company: Record) -> None:
        for domain in company.get("domains") or ():
            self._domains.setdefault(domain.lower(), company["_id"])

    def _unlist_domains(self, company: Record) -> None:
        for domain in company.get("domains") or ():
            if self._domains.get(domain.lower()) == company["_id"]:
                del self._domains[domain.lower()]

    def hide_for_a_while(self, record_id: str) -> None:
        """Let reads see a new record or metric point after the `read_delay` only (planhat-api §13.32)."""
        if self.rules.read_delay:
            self._seen_at[record_id] = time.monotonic() + self.rules.read_delay

    def visible(self, record_id: str) -> bool:
        """Whether reads see the record already (planhat-api §13.32)."""
        if not self._seen_at:
            return True
        ready = self._seen_at.get(record_id)
        if ready is None or ready <= time.monotonic():
            self._seen_at.pop(record_id, None)
            return True
        return False

    # -- behind the API: for tests, demonstrations and the control API

    def records(self, model: str) -> list[Record]:
        """Copies of all records of `companies`, `endusers`, …; of `notes`; or of an event stream.

        Events: `metrics`, `activities`, `failed_metrics`, `failed_activities`.

        Raises:
            KeyError: no such model.
        """
        if model in EVENT_STREAMS:
            return [dict(event) for event in getattr(self, model)]
        if model in ("note", "notes"):
            return [record for record in self.records("conversations") if record.get("type") == NOTE]
        stored = list(self.collections[resource_named(model).path].records.values())
        return [{**r, "custom": dict(r["custom"])} if r.get("custom") else dict(r) for r in stored]

    def record(self, model: str, **where: Any) -> Record:
        """The one record whose fields equal `where`, e.g. `record("companies", externalId="a-1")`.

        Raises:
            LookupError: there is none, or more than one.
        """
        hits = [r for r in self.records(model) if all(r.get(k) == v for k, v in where.items())]
        if len(hits) != 1:
            raise LookupError(f"{len(hits)} records of {model} with {where}")
        return hits[0]

    def seed(self, model: str, rows: Iterable[Record]) -> list[str]:
        """Store records as if they had always been there; returns their `_id`s.

        A row may carry its own `_id`, computed fields, and company references in any form. No key is checked.

        Raises:
            KeyError: no such model.
            BadValueError: a value does not fit its field, or a company is not there.
        """
        resource = resource_named("conversation" if model in ("note", "notes") else model)
        ids: list[str] = []
        for row in rows:
            record: Record = {"_id": row.get("_id") or self.new_id(), **resource.defaults}
            if model in ("note", "notes"):
                record["type"] = NOTE
            record["updatedAt"] = iso(datetime.now(UTC))
            for name, value in row.items():
                spec = resource.specs.get(name)
                record[name] = value if spec is None or value is None else spec.cast(value)
            field = resource.company_field
            if record.get(field):
                record[field] = self.company_id(record[field])
            self.insert(resource, record)
            ids.append(record["_id"])
        return ids

    def edit(self, model: str, record_id: str, **values: Any) -> None:
        """Change a stored record as a person in the app would.

        Raises:
            KeyError: no such model or record.
        """
        resource = resource_named(model)
        record = self.collections[resource.path].records[record_id]
        self.change(resource, record, {**values, "updatedAt": iso(datetime.now(UTC))})

    def remove(self, model: str, record_id: str) -> None:
        """Delete a record as a person in the app would.

        Raises:
            KeyError: no such model or record.
        """
        if self.delete(resource_named(model), record_id) is None:
            raise KeyError(record_id)

    def counts(self) -> dict[str, int]:
        """Records per path, then events per stream."""
        counts = {path: len(collection) for path, collection in self.collections.items()}
        return counts | {stream: len(getattr(self, stream)) for stream in EVENT_STREAMS}

    def clear(self, model: str | None = None) -> None:
        """Forget everything, or everything of one model or event stream.

        Raises:
            KeyError: no such model.
        """
        self.changes += 1
        self.last_list = None
        if model in EVENT_STREAMS:
            getattr(self, model).clear()
            return
        paths = [resource_named(model).path] if model else list(self.collections)
        for path in paths:
            self.collections[path].clear()
        if "companies" in paths:
            self._domains.clear()
        if "customfields" in paths:
            self._read_definitions()
        if model is None:
            for stream in EVENT_STREAMS:
                getattr(self, stream).clear()
