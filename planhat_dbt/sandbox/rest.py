"""The main API: what each path and verb does (planhat-api §4 to §8)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from planhat_dbt.sandbox import legality, reads
from planhat_dbt.sandbox.bulk import error_item, refuse_clash, upsert
from planhat_dbt.sandbox.calls import HTML, NO_BODY, Answer, Call, text
from planhat_dbt.sandbox.legality import Violation
from planhat_dbt.sandbox.resources import MAX_ROWS, RESOURCES
from planhat_dbt.sandbox.rows import DroppedError, RowError, RowReader, clashing_keys, duplicate_message
from planhat_dbt.sandbox.values import is_object_id, iso

if TYPE_CHECKING:
    from collections.abc import Iterable

    from planhat_dbt.sandbox.resources import Resource
    from planhat_dbt.sandbox.service import Service

_DELETED = {"n": 1, "ok": 1, "deletedCount": 1}
_NOT_FOUND = text(404, "Not Found", content_type=HTML)
_NOT_ALLOWED = text(405, "Method Not Allowed", content_type=HTML)


def answer(service: Service, call: Call) -> Answer:
    """Answer a call to the main API that is authorised and within its quota."""
    segments = call.segments
    if segments == ("leancompanies",) and call.method == "GET":
        return _reading(service, "companies", lambda: reads.lean_companies(service.tenant, call.query))
    if segments == ("dimensiondata",) and call.method == "GET":
        return _reading(service, "dimensiondata", lambda: reads.metric_points(service.tenant, call.query))
    resource = RESOURCES.get(segments[0]) if segments else None
    if resource is None or len(segments) > 2:
        return _NOT_FOUND
    desk = _Desk(service, resource, call)
    if len(segments) == 2 and not segments[1]:
        desk.report(legality.path_faults(resource, call.method, ""))
    return desk.answer()


def _reading(service: Service, path: str, read: Any) -> Answer:
    if not service.tenant.rules.allows(path, "read"):
        return text(403, f"No permission to read {path}")
    try:
        return Answer(200, read())
    except reads.BadQueryError as error:
        return text(400, str(error))


class _Desk:
    """One call to one resource."""

    def __init__(self, service: Service, resource: Resource, call: Call) -> None:
        self._service = service
        self._tenant = service.tenant
        self._resource = resource
        self._call = call

    def report(self, faults: Iterable[tuple[str, str]]) -> None:
        """Write down what the client should not have done."""
        call = self._call
        self._service.log.report(
            Violation(call.number, rule, call.method, call.path, detail) for rule, detail in faults
        )

    def answer(self) -> Answer:
        """Answer the call."""
        path_id = self._call.segments[1] if len(self._call.segments) == 2 else ""
        try:
            return self._one(path_id) if path_id else self._all()
        except _RefusedError as refusal:
            return self._refused(refusal.status, refusal.row, str(refusal))
        except RowError as error:
            return self._refused(400, self._call.body, str(error))
        except reads.BadQueryError as error:
            return text(400, str(error))

    # -- /{model}

    def _all(self) -> Answer:
        method, verbs = self._call.method, self._resource.verbs
        if method == "GET" and "L" in verbs:
            return _reading(
                self._service,
                self._resource.path,
                lambda: reads.list_records(self._tenant, self._resource, self._call.query),
            )
        if method == "PUT" and "B" in verbs:
            return self._bulk()
        if method == "POST" and "C" in verbs:
            return self._create()
        return _NOT_ALLOWED if method in ("GET", "PUT", "POST", "PATCH", "DELETE") else _NOT_FOUND

    def _bulk(self) -> Answer:
        rows = self._call.body
        if rows is NO_BODY:
            return text(400, "The body must be JSON")
        if isinstance(rows, dict) and self._resource.path == "tickets":
            rows = [rows]
        if not isinstance(rows, list):
            return text(400, "The body must be an array")
        self.report(legality.size_faults(self._call.size, len(rows), bulk=True))
        if len(rows) > MAX_ROWS:
            return text(400, f"At most {MAX_ROWS} items per request")
        self.report(legality.bulk_faults(self._tenant, self._resource, rows))
        outcome = upsert(self._tenant, self._resource, rows)
        return Answer(outcome.status(self._tenant.rules), outcome.body())

    def _create(self) -> Answer:
        row, resource, tenant = self._call.body, self._resource, self._tenant
        if not isinstance(row, dict):
            return text(400, "The body must be an object")
        self.report(legality.single_faults(resource, row, update=False))
        self._require("create", row)
        reader = RowReader(tenant, resource)
        try:
            record = reader.new_record(row, reader.company(row), resource.required, iso(datetime.now(UTC)))
        except DroppedError:
            raise _RefusedError(400, row, "companyId is required") from None
        if tenant.rules.post_duplicates == "refuse":
            company = record.get(resource.company_field) if resource.company_field else None
            if clashing_keys(tenant, resource, record["_id"], record, company):
                raise RowError(duplicate_message(resource, row))
        if resource.name == "customfield" and record["name"] in self._names_defined_for(record["parent"]):
            raise RowError("parent,name duplicated")
        tenant.insert(resource, record)
        return Answer(200, reads.render(tenant, resource, record))

    def _names_defined_for(self, parent: str) -> set[str]:
        definitions = self._tenant.collections["customfields"].records.values()
        return {definition["name"] for definition in definitions if definition["parent"] == parent}

    # -- /{model}/{id}

    def _one(self, path_id: str) -> Answer:
        method, verbs = self._call.method, self._resource.verbs
        self.report(legality.path_faults(self._resource, method, path_id))
        if method == "GET" and "G" in verbs:
            return self._get(path_id)
        if (method == "PUT" or (method == "PATCH" and self._tenant.rules.patch)) and "U" in verbs:
            return self._update(path_id)
        if method == "DELETE" and "D" in verbs:
            return self._delete(path_id)
        return _NOT_ALLOWED if method in ("GET", "PUT", "POST", "PATCH", "DELETE") else _NOT_FOUND

    def _get(self, path_id: str) -> Answer:
        def read() -> Any:
            hits = reads.find_in_path(self._tenant, self._resource, self._resource.get_prefixes, path_id)
            records = self._tenant.collections[self._resource.path].records
            return reads.render(self._tenant, self._resource, records[hits[0]]) if hits else None

        found = _reading(self._service, self._resource.path, read)
        return _NOT_FOUND if found.status == 200 and found.content is None else found

    def _update(self, path_id: str) -> Answer:
        row, resource, tenant = self._call.body, self._resource, self._tenant
        if not isinstance(row, dict):
            return text(400, "The body must be an object")
        self.report(legality.single_faults(resource, row, update=True))
        self._require("update", row)
        if "_id" in row and tenant.rules.strict_updates:
            raise RowError("_id must not be sent")
        hits = reads.find_in_path(tenant, resource, resource.update_prefixes, path_id)
        if len(hits) > 1:
            raise RowError(duplicate_message(resource, row))
        if not hits:
            return _NOT_FOUND
        record = tenant.collections[resource.path].records[hits[0]]
        reader = RowReader(tenant, resource)
        changes = reader.changes(record, row, reader.company(row))
        refuse_clash(tenant, resource, record, changes, row)
        # `updatedAt` moves even if nothing changed (planhat-api §12.1).
        tenant.change(resource, record, {"updatedAt": iso(datetime.now(UTC)), **changes})
        return Answer(200, reads.render(tenant, resource, record))

    def _delete(self, path_id: str) -> Answer:
        resource, tenant = self._resource, self._tenant
        self._require("delete", {})
        if not is_object_id(path_id):
            return text(400, f"Cast to ObjectId failed for value {path_id!r}")
        record = tenant.delete(resource, path_id)
        if record is None:
            return _NOT_FOUND
        if tenant.rules.delete_body == "empty":
            return text(200, "")
        if resource.path == "conversations":
            return Answer(200, reads.render(tenant, resource, record))
        return Answer(200, _DELETED)

    def _require(self, verb: str, row: Any) -> None:
        if not self._tenant.rules.allows(self._resource.path, verb):
            raise _RefusedError(403, row, f"No permission to {verb} {self._resource.name}")

    def _refused(self, status: int, row: Any, message: str) -> Answer:
        if self._tenant.rules.error_body == "object":
            return Answer(status, {"error": error_item(self._tenant.rules, row, message)})
        return text(status, message)


class _RefusedError(Exception):
    """A single call is refused with a status of its own."""

    def __init__(self, status: int, row: Any, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.row = row
