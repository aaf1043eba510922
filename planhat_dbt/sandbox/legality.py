"""Whether a client keeps the API's rules, call by call (planhat-api §2, §3.2, §4, §5.3, §6, §9).

The sandbox answers an illegal call as Planhat would, often with a success; here it is written down all the
same. A client that keeps the rules leaves no violation behind.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from planhat_dbt.sandbox.resources import MAX_BYTES, MAX_ROWS
from planhat_dbt.sandbox.values import is_object_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from planhat_dbt.sandbox.resources import Resource
    from planhat_dbt.sandbox.tenant import Tenant

_ID_FIELDS = frozenset(
    {"_id", "externalId", "sourceId", "extId", "email", "companyId", "cId", "companyExternalId"}
)
_NEVER_NULL = frozenset({"_id", "companyId", "cId"})
_RESERVED_TYPES = frozenset({"email", "chat", "ticket", "call"})


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule broken by one call."""

    call: int
    """The call's number in the log."""
    rule: str
    method: str
    path: str
    detail: str

    def as_json(self) -> dict[str, Any]:
        """All of it, for the control API."""
        return asdict(self)


def size_faults(size: int, rows: int, *, bulk: bool) -> Iterator[tuple[str, str]]:
    """Bodies and batches beyond the limits of planhat-api §2."""
    if size > MAX_BYTES:
        yield "body_too_large", f"{size} bytes"
    if bulk and rows > MAX_ROWS:
        yield "too_many_rows", f"{rows} rows"


def bulk_faults(tenant: Tenant, resource: Resource, rows: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """What a bulk call should not have sent: rule and detail, one per fault."""
    writable, known = resource.writable | {"_id"}, resource.specs.keys()
    stored = tenant.collections[resource.path].records
    seen: set[tuple[str, str, Any]] = set()
    for row in rows:
        if type(row) is not dict:
            yield "row_not_an_object", str(row)[:80]
            continue
        if not row.keys() <= writable:
            yield from _field_faults(resource, row, known)
        yield from _id_faults(row)
        yield from _type_faults(resource, row)
        key = next((name for name in resource.bulk_keys if row.get(name)), None)
        if key is None:
            continue
        if key == "_id" and row["_id"] not in stored:
            yield "unknown_id", str(row["_id"])
        scope = (
            row.get(resource.company_field)
            if key == resource.external_key and resource.company_field
            else None
        )
        same = (key, str(row[key]), str(scope))
        if same in seen:
            yield "key_twice_in_batch", f"{key} {row[key]}"
        seen.add(same)


def single_faults(resource: Resource, row: Any, *, update: bool) -> Iterator[tuple[str, str]]:
    """What a single create or update should not have sent."""
    if type(row) is not dict:
        yield "row_not_an_object", str(row)[:80]
        return
    if "_id" in row:
        yield ("id_in_update_body" if update else "id_in_create_body"), str(row["_id"])
    if not row.keys() <= resource.writable:
        yield from _field_faults(
            resource, {k: v for k, v in row.items() if k != "_id"}, resource.specs.keys()
        )
    yield from _id_faults(row)
    yield from _type_faults(resource, row)


def path_faults(resource: Resource, method: str, path_id: str) -> Iterator[tuple[str, str]]:
    """Ids in paths that a client must not send (planhat-api §3.2, §13.20, §13.25)."""
    if not path_id:
        yield "empty_id", "the path became the list or bulk route"
        return
    prefixes = {"GET": resource.get_prefixes, "DELETE": {}}.get(method, resource.update_prefixes)
    if is_object_id(path_id):
        return
    if path_id[:6] not in prefixes or not path_id[6:]:
        yield "malformed_id", path_id[:80]


def _field_faults(resource: Resource, row: dict[str, Any], known: Any) -> Iterator[tuple[str, str]]:
    for name in row.keys() - resource.writable - {"_id"}:
        if name in known:
            yield "read_only_field", name
        elif not resource.open_fields:
            yield "unknown_field", name


def _type_faults(resource: Resource, row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Conversation types that only Planhat itself should create (planhat-api §9.5)."""
    if resource.path == "conversations" and row.get("type") in _RESERVED_TYPES:
        yield "reserved_type", str(row["type"])


def _id_faults(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name in row.keys() & _ID_FIELDS:
        value = row[name]
        if type(value) is str:
            if not value:
                yield "empty_key", name
        elif value is None:
            if name in _NEVER_NULL:
                yield "null_key", name
        else:
            yield "id_not_a_string", f"{name} {value!r}"
