"""Metrics, user activities and Segment calls: data sinks that answer 200 whatever comes (planhat-api §10).

What cannot be used lands in `failed_metrics` or `failed_activities` with its reason, as in Planhat's app.
Only faults that show in the row itself are named in the answer; an unknown company or person shows there
alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from planhat_dbt.sandbox.values import BadValueError, Record, iso

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from planhat_dbt.sandbox.tenant import Tenant

_MODELS: Mapping[str, str] = MappingProxyType(
    {"Company": "companies", "EndUser": "endusers", "Asset": "assets", "Project": "projects"}
)
_PERSON_SPELLINGS = ("externalId", "euExtId", "id")
_COMPANY_SPELLINGS = ("companyExternalId", "cId")
_DAY_SECONDS = 86_400


@dataclass(slots=True)
class Receipt:
    """The answer of a data sink: rows received, and those whose fault shows at once (planhat-api §13.28)."""

    processed: int = 0
    errors: list[Record] = field(default_factory=list)

    def body(self) -> Record:
        """As JSON."""
        return {"processed": self.processed, "errors": self.errors}


# -- metrics


def receive_metrics(tenant: Tenant, rows: Sequence[Any], *, known_tenant: bool = True) -> Receipt:
    """Store metric points; none is ever taken for a repetition of another (planhat-api §10.1)."""
    receipt = Receipt(processed=len(rows))
    now = datetime.now(UTC)
    for row in rows:
        fault = _metric_fault(row)
        if fault:
            receipt.errors.append({"item": row, "error": fault})
        else:
            fault = _store_metric(tenant, row, now) if known_tenant else "unknown tenant"
        if fault:
            tenant.failed_metrics.append({"item": row, "error": fault})
    tenant.changes += 1
    return receipt


def _metric_fault(row: Any) -> str:
    if not isinstance(row, dict):
        return "item must be an object"
    if not isinstance(row.get("dimensionId"), str) or not row["dimensionId"]:
        return "dimensionId must be specified"
    if isinstance(row.get("value"), bool) or not isinstance(row.get("value"), int | float):
        return "value must be a number"
    if not isinstance(row.get("externalId"), str) or not row["externalId"]:
        return "externalId must be specified"
    return ""


def _store_metric(tenant: Tenant, row: Record, now: datetime) -> str:
    model = row.get("model", "Company")
    path = _MODELS.get(model) if isinstance(model, str) else None
    if path is None:
        return f"model must be one of {', '.join(_MODELS)}"
    try:
        moment = _moment(row.get("date"), now)
    except BadValueError as error:
        return str(error)
    collection = tenant.collections[path]
    hits = collection.find("externalId", row["externalId"])
    if not hits:
        return f"{model} with externalId not found"
    company = hits[0] if path == "companies" else collection.records[hits[0]].get("companyId")
    tenant.metrics.append(
        {
            "_id": tenant.new_id(),
            "dimensionId": row["dimensionId"],
            "time": iso(moment),
            "day": int(moment.timestamp() // _DAY_SECONDS),
            "value": row["value"],
            "model": model,
            "parentId": hits[0],
            "companyId": company,
            "externalId": row["externalId"],
        }
    )
    tenant.hide_for_a_while(tenant.metrics[-1]["_id"])
    return ""


def _moment(value: Any, default: datetime) -> datetime:
    if value is None or value == "":
        return default
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise BadValueError("date must be an ISO date") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# -- activities


def receive_activities(
    tenant: Tenant, rows: Sequence[Any], *, door: str, known_tenant: bool = True
) -> Receipt:
    """Store user activities; `door` is `single`, `bulk` or `segment`, kept with each (planhat-api §10.2)."""
    receipt = Receipt(processed=len(rows))
    now = datetime.now(UTC)
    for row in rows:
        fault = _activity_fault(row)
        if fault:
            receipt.errors.append({"item": row, "error": fault})
        else:
            fault = _store_activity(tenant, row, now, door) if known_tenant else "unknown tenant"
        if fault:
            tenant.failed_activities.append({"item": row, "error": fault, "door": door})
    tenant.changes += 1
    return receipt


def _spelt(row: Record, spellings: Sequence[str]) -> str | None:
    return next((name for name in spellings if row.get(name)), None)


def _activity_fault(row: Any) -> str:
    if not isinstance(row, dict):
        return "item must be an object"
    return (
        "" if row.get("email") or _spelt(row, _PERSON_SPELLINGS) else "email or externalId must be specified"
    )


def _store_activity(tenant: Tenant, row: Record, now: datetime, door: str) -> str:
    person_key, company_key = _spelt(row, _PERSON_SPELLINGS), _spelt(row, _COMPANY_SPELLINGS)
    try:
        moment = _moment(row.get("date"), now)
    except BadValueError as error:
        return str(error)
    company = tenant.company_by_external_id(row[company_key]) if company_key else None
    external = str(row[person_key]) if person_key else None
    enduser = _person(tenant, external, row.get("email"), company)
    if enduser is None:
        company = company or tenant.company_of_email(row.get("email"))
        if company is None:
            return "enduser not found, and no company to create it in"
        enduser = _new_person(tenant, row, external, company)
    at = iso(moment)
    tenant.activities.append(
        {
            "_id": tenant.new_id(),
            "euId": enduser["_id"],
            "companyId": enduser.get("companyId"),
            "externalId": external,
            "email": row.get("email"),
            "action": row.get("action"),
            "weight": row.get("weight", 1),
            "count": row.get("count", 1),
            "date": at,
            "info": row.get("info"),
            "shown": bool(row.get("action")),
            "spelling": {"person": person_key or "email", "company": company_key},
            "door": door,
        }
    )
    _touch(enduser, at)
    _touch(tenant.collections["companies"].records.get(enduser.get("companyId") or ""), at)
    return ""


def _person(tenant: Tenant, external: str | None, email: Any, company: str | None) -> Record | None:
    endusers = tenant.collections["endusers"]
    hits = [
        *(endusers.find("externalId", external) if external else ()),
        *(endusers.find("email", email) if isinstance(email, str) and email else ()),
    ]
    if company:
        hits = [hit for hit in hits if endusers.records[hit].get("companyId") == company] or hits
    return endusers.records[hits[0]] if hits else None


def _new_person(tenant: Tenant, row: Record, external: str | None, company: str) -> Record:
    first, _, last = str(row.get("name") or "").partition(" ")
    first, last = row.get("firstName") or first, row.get("lastName") or last
    facts = {"externalId": external, "email": row.get("email"), "firstName": first, "lastName": last}
    enduser: Record = {"_id": tenant.new_id(), "companyId": company, "archived": False}
    enduser |= {key: value for key, value in facts.items() if value}
    if first or last:
        enduser["name"] = f"{first} {last}".strip()
    enduser["updatedAt"] = iso(datetime.now(UTC))
    tenant.insert(tenant.collections["endusers"].resource, enduser)
    return enduser


def _touch(record: Record | None, at: str) -> None:
    if record is not None and (record.get("lastActive") or "") < at:
        record["lastActive"] = at


# -- Segment


def receive_segment(tenant: Tenant, payload: Record) -> None:
    """A Segment `identify` or `track`; what matches nobody is dropped in silence (planhat-api §10.3)."""
    traits = payload.get("traits") or (payload.get("context") or {}).get("traits") or {}
    row = {
        "externalId": payload.get("userId"),
        "email": traits.get("email"),
        "name": traits.get("name"),
        "companyExternalId": traits.get("companyId"),
    }
    row = {key: value for key, value in row.items() if value}
    if payload.get("type") == "track":
        event = {
            "action": payload.get("event"),
            "date": payload.get("timestamp"),
            "info": payload.get("properties"),
        }
        receive_activities(tenant, [{**row, **event}], door="segment")
    elif payload.get("type") == "identify" and (row.keys() & {"externalId", "email"}):
        external, email = row.get("externalId"), row.get("email")
        company = tenant.company_by_external_id(row.get("companyExternalId")) or tenant.company_of_email(
            email
        )
        if company and _person(tenant, str(external) if external else None, email, company) is None:
            _new_person(tenant, row, str(external) if external else None, company)
