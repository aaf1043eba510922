"""The tracking host: metrics, activities, Segment (planhat-api §10). No quota, 200 for nearly all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planhat_dbt.sandbox import events
from planhat_dbt.sandbox.calls import NO_BODY, Answer, Call, text
from planhat_dbt.sandbox.service import credentials

if TYPE_CHECKING:
    from planhat_dbt.sandbox.service import Service
    from planhat_dbt.sandbox.values import Record


def is_tracking(call: Call) -> bool:
    """Whether the call belongs to the tracking host."""
    if call.method != "POST":
        return False
    segments = call.segments
    return (
        segments[:1] == ("analytics",)
        or segments == ("dock", "segment")
        or segments[:1] == ("dimensiondata",)
    )


def answer(service: Service, call: Call) -> Answer:
    """Take in what a data sink was sent."""
    tenant, segments = service.tenant, call.segments
    if segments == ("dock", "segment"):
        refused = not service.is_segment_user(call.headers)
    else:
        refused = tenant.rules.strict_tracking_auth and _wrong_token(service, call)
    if refused:
        return text(401, "Unauthorized")
    if call.body is NO_BODY:
        return text(400, "The body must be JSON")
    rows = call.body if isinstance(call.body, list) else [call.body]
    known = segments[-1] == service.tenant_uuid
    content: Record = {}
    match segments:
        case ("dimensiondata", _):
            content = events.receive_metrics(tenant, rows, known_tenant=known).body()
        case ("analytics", "bulk", _):
            content = events.receive_activities(tenant, rows, door="bulk", known_tenant=known).body()
        case ("analytics", _):
            events.receive_activities(tenant, rows, door="single", known_tenant=known)
        case ("dock", "segment"):
            if isinstance(call.body, dict):
                events.receive_segment(tenant, call.body)
        case _:
            return text(404, "Not Found")
    return Answer(200, content)


def _wrong_token(service: Service, call: Call) -> bool:
    """Whether a token was sent and is neither the API token nor the tenant's UUID as a Basic user (§1.2)."""
    if credentials(call.headers) == ("", ""):
        return False
    return not (service.authorised(call.headers) or service.is_segment_user(call.headers))
