"""The event objects: insert-only, sent once, to the tracking host (planhat-api §10)."""

from __future__ import annotations

from planhat_dbt.objects.notation import fields
from planhat_dbt.objects.types import Kind, ObjectType, Scope

METRIC = ObjectType(
    name="metric",
    plural="metrics",
    path="/dimensiondata",
    rank=90,
    kind=Kind.EVENT,
    key_scope=Scope.TENANT,
    custom=False,
    aliases=("dimension_data",),
    fields=fields(
        with_id=False,
        text="dimensionId! externalId! model",
        number="value!",
        datetime="date",
        values={"model": "Company, EndUser, Asset, Project"},
    ),
)

USER_ACTIVITY = ObjectType(
    name="user_activity",
    plural="user_activities",
    path="/analytics/bulk",
    rank=91,
    kind=Kind.EVENT,
    key_scope=Scope.TENANT,
    one_of=(("email", "externalId"),),
    custom=False,
    aliases=("activity", "activities"),
    fields=fields(
        with_id=False,
        text="email externalId name firstName lastName companyExternalId action",
        number="weight",
        integer="count",
        datetime="date",
        object="info",
        wire={"externalId": "euExtId"},
    ),
)
