"""The event objects: insert-only, sent once, to the tracking host (planhat-api §10).

Planhat answers OK to whatever comes and drops bad events later, so all that is known of them is a rule here.
"""

from __future__ import annotations

from planhat_dbt.objects.notation import COUNT, EMAIL, FILLED, NUMBER, WORD, fields, frozen
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
        rules={"dimensionId": WORD, "externalId": FILLED, "value": NUMBER},
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
    advised=frozen(action="without it, Planhat does not show the event in the stream"),
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
        rules={
            "email": EMAIL,
            "externalId": FILLED,
            "companyExternalId": FILLED,
            "weight": NUMBER,
            "count": COUNT,
        },
    ),
)
