"""One call of each kind, and which of them may be repeated."""

from __future__ import annotations

from collections.abc import Callable

from planhat_dbt.planhat import Answer, PlanhatClient

from .server import Action, Hang, Trickle

ID = "a" * 24
BULK = b'{"created": 1, "updated": 0, "nonupdates": 0}'


def upsert(client: PlanhatClient) -> Answer:
    return client.bulk("/companies", b'[{"externalId":"a"}]', repeatable=True)


def insert(client: PlanhatClient) -> Answer:
    return client.bulk("/companies", b'[{"name":"a"}]', repeatable=False)


CALLS: dict[str, Callable[[PlanhatClient], Answer]] = {
    "upsert": upsert,
    "insert": insert,
    "create": lambda client: client.create("/companies", b'{"name":"a"}'),
    "update": lambda client: client.update("/companies", ID, b'{"name":"b"}'),
    "get": lambda client: client.get("/companies", ID),
    "delete": lambda client: client.delete("/companies", ID),
    "metrics": lambda client: client.track("metrics", b"[]"),
    "activities": lambda client: client.track("activities", b"[]"),
}
REPEATABLE = ("upsert", "update", "get", "delete")
ONCE = ("insert", "create", "metrics", "activities")


def patience_for(action: Action) -> dict[str, float]:
    """A short read time-out, only where it is to be reached."""
    return {"read_timeout": 0.3} if isinstance(action, Hang | Trickle) else {}
