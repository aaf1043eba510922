"""From a sent row to what would be stored: casts, references, required fields (planhat-api §3, §4, §9, §13).

Shared by bulk upsert and single calls, which differ in how they find the record and how they report a fault.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from planhat_dbt.sandbox.tenant import NOTE
from planhat_dbt.sandbox.values import BadValueError, Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planhat_dbt.sandbox.resources import Resource
    from planhat_dbt.sandbox.tenant import Tenant
    from planhat_dbt.sandbox.values import Spec


class RowError(Exception):
    """A row is refused; the text is what Planhat would say."""


class DroppedError(Exception):
    """A row is ignored without a word (planhat-api §12.2)."""


class RowReader:
    """Turns rows of one resource into values to store. One per call: it reads rules and definitions once."""

    def __init__(self, tenant: Tenant, resource: Resource) -> None:
        self._tenant = tenant
        self._resource = resource
        self._specs = resource.specs
        self._custom_specs = tenant.custom_specs(resource)
        self._mandatory = tenant.mandatory_custom(resource)
        self._refuse_custom = tenant.rules.unknown_custom == "refuse"
        self._replace_custom = tenant.rules.custom_update == "replace"
        self._plain_custom = not (self._custom_specs or self._refuse_custom)
        self._defaults = dict(resource.defaults)
        self._never_null = frozenset(resource.required_bulk) | {resource.company_field} - {""}

    # -- the company of a row

    def company(self, row: Record) -> str | None:
        """The `_id` of the company the row names, or None if it names none.

        Raises:
            RowError: it names one that does not exist.
        """
        field = self._resource.company_field
        reference = row.get(field) if field else None
        if reference is None:
            external = row.get("companyExternalId") if "companyExternalId" in self._specs else None
            if external is None or external == "":
                return None
            company = self._tenant.company_by_external_id(external)
            if company is None:
                raise RowError("companyExternalId: company not found")
            return company
        try:
            return self._tenant.company_id(reference, prefixes=self._resource.company_prefixes)
        except BadValueError as error:
            raise RowError(f"{field}: {error}") from None

    # -- values

    def values(self, row: Record, company: str | None) -> Record:
        """The row's writable fields, cast; unknown and computed fields are left out.

        Raises:
            RowError: a value does not fit, or null is sent for a required field (planhat-api §13.11).
        """
        values: Record = {}
        specs = self._specs
        for name, value in row.items():
            spec = specs.get(name)
            if spec is None:
                if self._resource.open_fields:
                    values[name] = value
            elif type(value) in spec.as_is:
                values[name] = value
            elif spec.writable:
                if value is None and name in self._never_null:
                    raise RowError(f"{name} is required")
                values[name] = None if value is None else _cast(spec, value)
        if company is not None:
            values[self._resource.company_field] = company
        if "custom" in values:
            values["custom"] = self._custom(values["custom"])
        if self._resource.path in _SPECIAL:
            self._special(values)
        return values

    def _special(self, values: Record) -> None:
        path = self._resource.path
        if path == "conversations" and "type" in values:
            known = self._tenant.rules.conversation_types
            values["type"] = values["type"] if values["type"] in known else NOTE
        elif path == "issues" and values.get("companyIds"):
            try:
                values["companyIds"] = [self._tenant.company_id(item) for item in values["companyIds"]]
            except BadValueError as error:
                raise RowError(f"companyIds: {error}") from None
        elif path == "endusers" and values.get("name") and not values.keys() & {"firstName", "lastName"}:
            first, _, last = values["name"].strip().partition(" ")
            values["firstName"], values["lastName"] = first, last.strip()

    def _custom(self, sent: Record | None) -> Record:
        if sent is None:
            return {}
        if self._plain_custom:
            for name, value in sent.items():
                if type(value) is dict:
                    raise RowError(f"custom.{name}: custom fields are one level deep")
            return sent
        values: Record = {}
        for name, value in sent.items():
            spec = self._custom_specs.get(name)
            if spec is None:
                if self._refuse_custom:
                    raise RowError(f"custom.{name}: no such custom field")
                values[name] = value
            elif spec.writable:
                values[name] = value if value is None else _cast(spec, value)
        return values

    # -- a new record

    def new_record(self, row: Record, company: str | None, required: Sequence[str], now: str) -> Record:
        """A complete record to store.

        Raises:
            RowError: required fields are missing, or a value does not fit.
            DroppedError: Planhat ignores such a row.
        """
        resource = self._resource
        self._check_complete(row, required)
        if company is None:
            company = self._found_company(row)
        values = self.values(row, company)
        if self._mandatory:
            custom = values.get("custom") or {}
            for name in self._mandatory:
                if custom.get(name) is None:
                    raise RowError(f"custom.{name} is required")
        record: Record = {"_id": self._tenant.new_id(), **self._defaults, **values}
        record.setdefault("updatedAt", now)
        if resource.path == "conversations" and not record.get("type"):
            record["type"] = NOTE
        elif resource.path == "endusers":
            _compose_name(record, record)
        return record

    def _check_complete(self, row: Record, required: Sequence[str]) -> None:
        resource = self._resource
        if resource.path == "tickets" and not row.get("email"):
            raise DroppedError
        for name in required:
            value = row.get(name)
            if value is None or (value == "" and name in _NEVER_EMPTY):
                raise RowError(f"{name} is required")
        for group in resource.one_of:
            if all(row.get(name) in _NOTHING for name in group):
                raise RowError(f"one of {', '.join(group)} is required")
        if resource.path == "licenses" and self._tenant.rules.strict_licenses and not row.get("fromDate"):
            raise RowError("fromDate is required")

    def _found_company(self, row: Record) -> str | None:
        """The company of a row that names none, as Planhat finds it (planhat-api §9.2, §9.14, §9.20)."""
        tenant, path = self._tenant, self._resource.path
        if path == "endusers":
            company = tenant.company_of_email(row.get("email"))
            if company is None and tenant.rules.unplaced_endusers == "drop":
                raise DroppedError
            if company is None:
                raise RowError("companyId is required")
            return company
        if path == "tickets":
            domains = row.get("domains") if isinstance(row.get("domains"), list) else []
            found = (tenant.company_of_domain(domain) for domain in domains or ())
            company = next((item for item in found if item), None)
            if company is None:
                raise RowError("domains: company not found")
            return company
        if path == "nps":
            hits = tenant.collections["endusers"].find("email", str(row.get("email") or ""))
            return (
                tenant.collections["endusers"].records[hits[0]].get("companyId") if len(hits) == 1 else None
            )
        return None

    # -- a change

    def changes(self, record: Record, row: Record, company: str | None) -> Record:
        """What the row would change of the stored record; empty if nothing.

        Raises:
            RowError: a value does not fit.
        """
        values = self.values(row, company)
        if "custom" in values and not self._replace_custom:
            values["custom"] = {**(record.get("custom") or {}), **values["custom"]}
        missing = object()
        changes = {
            name: value
            for name, value in values.items()
            if record.get(name, missing) != value and not (value is None and name not in record)
        }
        if self._resource.path == "endusers" and changes.keys() & {"firstName", "lastName", "name"}:
            _compose_name(changes, {**record, **changes})
            if changes.get("name") == record.get("name"):
                changes.pop("name", None)
        return changes


_SPECIAL = frozenset({"conversations", "issues", "endusers"})
_NEVER_EMPTY = frozenset({"name", "title", "sourceId", "email"})
_NOTHING: tuple[Any, ...] = (None, "", [])


def _cast(spec: Spec, value: Any) -> Any:
    if type(value) in spec.as_is:
        return value
    try:
        return spec.cast(value)
    except BadValueError as error:
        raise RowError(str(error)) from None


def _compose_name(target: Record, source: Record) -> None:
    """The enduser's `name` is made of first and last name (planhat-api §9.2)."""
    parts = [source.get("firstName"), source.get("lastName")]
    name = " ".join(str(part) for part in parts if part)
    if name or "firstName" in target or "lastName" in target:
        target["name"] = name


def clashing_keys(
    tenant: Tenant, resource: Resource, record_id: str, values: Record, company: Any
) -> list[str]:
    """Keys in `values` that another record has (planhat-api §3.1); the external id counts per company."""
    collection = tenant.collections[resource.path]
    clashes = []
    for key in resource.unique:
        value = values.get(key)
        if value and any(hit != record_id for hit in collection.find(key, value)):
            clashes.append(key)
    key = resource.external_key
    value = values.get(key) if key in resource.specs else None
    if value:
        field = resource.company_field
        for hit in collection.find(key, value):
            if hit != record_id and (not field or collection.records[hit].get(field) == company):
                clashes.append(key)
                break
    return clashes


def duplicate_message(resource: Resource, row: Record) -> str:
    """Planhat's text for a key clash: it names the keys of the row, as `externalId,email duplicated`."""
    names = [key for key in ("sourceId", resource.external_key, "email") if row.get(key)]
    return f"{','.join(names) or '_id'} duplicated"
