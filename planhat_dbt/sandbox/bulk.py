"""Bulk upsert, `PUT /{model}` (planhat-api §5): match by key, insert or change, count, answer.

Rows are independent: good ones stay written when others fail. The answer is not aligned with the request
and names no row index.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from planhat_dbt.sandbox.rows import DroppedError, RowError, RowReader, clashing_keys, duplicate_message
from planhat_dbt.sandbox.tenant import NOTE
from planhat_dbt.sandbox.values import iso

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planhat_dbt.sandbox.resources import Resource
    from planhat_dbt.sandbox.rules import Rules
    from planhat_dbt.sandbox.tenant import Tenant
    from planhat_dbt.sandbox.values import Record


@dataclass(slots=True)
class BulkOutcome:
    """What happened to the rows of one call; its `body` is that of planhat-api §5.1."""

    inserted: list[Record] = field(default_factory=list)
    """Keys of new records: `_id` and whichever external keys they have."""
    changed: list[Record] = field(default_factory=list)
    unchanged: int = 0
    dropped: int = 0
    created_errors: list[Any] = field(default_factory=list)
    updated_errors: list[Any] = field(default_factory=list)
    permission_errors: list[Any] = field(default_factory=list)

    def status(self, rules: Rules) -> int:
        """200, 206, 400 or 403 (planhat-api §5.2, §13.6)."""
        if self.permission_errors:
            return 403
        if not (self.created_errors or self.updated_errors):
            return 200
        return int(rules.partial_status) if self.inserted or self.changed or self.unchanged else 400

    def body(self) -> Record:
        """The answer as JSON."""
        return {
            "created": len(self.inserted),
            "createdErrors": self.created_errors,
            "insertsKeys": self.inserted,
            "updated": len(self.changed),
            "updatedErrors": self.updated_errors,
            "updatesKeys": self.changed,
            "nonupdates": self.unchanged,
            "modified": [keys["_id"] for keys in self.changed],
            "upsertedIds": [keys["_id"] for keys in self.inserted],
            "permissionErrors": self.permission_errors,
            "validationErrors": [],
        }


def upsert(tenant: Tenant, resource: Resource, rows: Sequence[Any]) -> BulkOutcome:
    """Apply the rows of one bulk call in order."""
    batch = _Batch(tenant, resource)
    for row in rows:
        batch.apply(row)
    return batch.outcome


class _Batch:
    """One bulk call under way."""

    def __init__(self, tenant: Tenant, resource: Resource) -> None:
        self.outcome = BulkOutcome()
        self._tenant = tenant
        self._resource = resource
        self._collection = tenant.collections[resource.path]
        self._reader = RowReader(tenant, resource)
        self._rules = tenant.rules
        self._touched: set[str] = set()
        self._inserted: set[str] = set()
        self._two_inserts = self._rules.batch_duplicates == "insert"
        self._may_create = self._rules.allows(resource.path, "create")
        self._may_update = self._rules.allows(resource.path, "update")
        self._now = iso(datetime.now(UTC))
        self._answer_keys = tuple(key for key in (resource.external_key, "sourceId") if key in resource.specs)

    def apply(self, row: Any) -> None:
        outcome = self.outcome
        if type(row) is not dict:
            outcome.created_errors.append(self._item(row, "expected an object"))
            return
        try:
            company = self._reader.company(row)
            record_id = self._match(row, company)
        except RowError as error:
            errors = outcome.updated_errors if self._matches_something(row) else outcome.created_errors
            errors.append(self._item(row, str(error)))
            return
        if not (self._may_update if record_id else self._may_create):
            verb = "update" if record_id else "create"
            outcome.permission_errors.append(
                self._item(row, f"no permission to {verb} {self._resource.name}")
            )
            return
        try:
            if record_id:
                self._update(row, record_id, company)
            else:
                self._insert(row, company)
        except DroppedError:
            outcome.dropped += 1
        except RowError as error:
            errors = outcome.updated_errors if record_id else outcome.created_errors
            errors.append(self._item(row, str(error)))

    # -- matching

    def _keys(self, row: Record) -> Sequence[str]:
        if self._resource.path == "conversations" and row.get("type") == NOTE:
            return ("_id",)
        return self._resource.bulk_keys

    def _match(self, row: Record, company: str | None) -> str | None:
        """The `_id` of the record the row means: the first of its keys that is known wins (planhat-api §5).

        Raises:
            RowError: an unknown `_id` (never an insert, §13.8), or a key that several records share.
        """
        for key in self._keys(row):
            value = row.get(key)
            if value is None or value == "":
                continue
            if key == "_id":
                if value not in self._collection.records:
                    raise RowError("_id not found")
                return str(value)
            hits = self._collection.find(key, value if type(value) is str else str(value))
            if hits:
                hits = self._narrowed(key, value, hits, company)
            if len(hits) > 1:
                raise RowError(duplicate_message(self._resource, row))
            if hits:
                return hits[0]
        return None

    def _narrowed(self, key: str, value: Any, hits: Sequence[str], company: str | None) -> Sequence[str]:
        records, field = self._collection.records, self._resource.company_field
        if key == "email" and self._rules.email_case == "exact":
            hits = [hit for hit in hits if records[hit].get("email") == value]
        if (
            company is not None
            and (key == self._resource.external_key or len(hits) > 1)
            and key != "sourceId"
        ):
            hits = [hit for hit in hits if records[hit].get(field) == company]
        if self._two_inserts:
            hits = [hit for hit in hits if hit not in self._inserted]
        return hits

    def _matches_something(self, row: Record) -> bool:
        """Whether a row that failed before it was placed means a stored record: an update that failed."""
        if row.get("_id"):
            return True
        keys = [(key, row.get(key)) for key in self._keys(row)]
        return any(value and self._collection.find(key, str(value)) for key, value in keys)

    # -- writing

    def _insert(self, row: Record, company: str | None) -> None:
        resource = self._resource
        record = self._reader.new_record(row, company, resource.required_bulk, self._now)
        if not self._two_inserts and record.get("type") != NOTE:
            placed = record.get(resource.company_field) if resource.company_field else None
            if clashing_keys(self._tenant, resource, record["_id"], record, placed):
                raise RowError(duplicate_message(resource, row))
        self._tenant.insert(resource, record)
        if resource.path == "tickets":
            self._create_submitter(record)
        self._touched.add(record["_id"])
        self._inserted.add(record["_id"])
        self.outcome.inserted.append(self._named(record))

    def _update(self, row: Record, record_id: str, company: str | None) -> None:
        if record_id in self._touched and not self._two_inserts:
            raise RowError(duplicate_message(self._resource, row))
        record = self._collection.records[record_id]
        changes = self._reader.changes(record, row, company)
        self._touched.add(record_id)
        if not changes:
            self.outcome.unchanged += 1
            return
        refuse_clash(self._tenant, self._resource, record, changes, row)
        changes["updatedAt"] = changes.get("updatedAt", self._now)
        self._tenant.change(self._resource, record, changes)
        self.outcome.changed.append(self._named(record))

    def _create_submitter(self, ticket: Record) -> None:
        """A ticket of an unknown e-mail creates the enduser (planhat-api §9.14)."""
        endusers = self._tenant.collections["endusers"]
        if not endusers.find("email", ticket["email"]):
            enduser: Record = {
                "_id": self._tenant.new_id(),
                "email": ticket["email"],
                "companyId": ticket["companyId"],
                "archived": False,
                "updatedAt": self._now,
            }
            self._tenant.insert(endusers.resource, enduser)

    # -- answering

    def _named(self, record: Record) -> Record:
        keys = {"_id": record["_id"]}
        for key in self._answer_keys:
            value = record.get(key)
            if value:
                keys[key] = value
        return keys

    def _item(self, row: Any, message: str) -> Any:
        return error_item(self._rules, row, message)


def error_item(rules: Rules, row: Any, message: str) -> Any:
    """An entry of an error list in the shape the rules ask for (planhat-api §13.5)."""
    if rules.error_items == "object":
        return {"item": row, "error": message}
    return message if rules.error_items == "string" else {"message": message}


def refuse_clash(tenant: Tenant, resource: Resource, record: Record, changes: Record, row: Record) -> None:
    """Check keys that change, or that come into another company.

    Raises:
        RowError: another record has one of them (planhat-api §13.9).
    """
    watched = {*resource.unique, resource.external_key, resource.company_field}
    if changes.keys().isdisjoint(watched) or record.get("type") == NOTE:
        return
    after = {**record, **changes}
    company = after.get(resource.company_field) if resource.company_field else None
    checked = after if resource.company_field in changes else changes
    if clashing_keys(tenant, resource, record["_id"], checked, company):
        raise RowError(duplicate_message(resource, row))
