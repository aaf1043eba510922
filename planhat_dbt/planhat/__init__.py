"""Planhat over HTTP: endpoint, client, budget of calls, and the reading of answers.

Knows HTTP and Planhat's answers, and nothing of warehouses, plans, declarations or dbt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from planhat_dbt.planhat.answer import Answer, CallRecord, ClientSettings
from planhat_dbt.planhat.definitions import CustomField, CustomFields, read_definitions
from planhat_dbt.planhat.endpoint import Endpoint, Secret
from planhat_dbt.planhat.errors import (
    AccessDeniedError,
    CallError,
    NotSentError,
    OutcomeUnknownError,
    StoppedError,
    UnreadableAnswerError,
)
from planhat_dbt.planhat.response import (
    BulkReport,
    EventError,
    MetricsReport,
    RecordKeys,
    RowError,
    is_bulk_body,
    read_bulk,
    read_message,
    read_metrics,
)

if TYPE_CHECKING:
    from planhat_dbt.planhat.budget import Budget
    from planhat_dbt.planhat.client import PlanhatClient

__all__ = [
    "AccessDeniedError",
    "Answer",
    "Budget",
    "BulkReport",
    "CallError",
    "CallRecord",
    "ClientSettings",
    "CustomField",
    "CustomFields",
    "Endpoint",
    "EventError",
    "MetricsReport",
    "NotSentError",
    "OutcomeUnknownError",
    "PlanhatClient",
    "RecordKeys",
    "RowError",
    "Secret",
    "StoppedError",
    "UnreadableAnswerError",
    "is_bulk_body",
    "read_bulk",
    "read_definitions",
    "read_message",
    "read_metrics",
]


def __getattr__(name: str) -> object:
    # Imported on first use: httpx, tenacity and pyrate_limiter cost a good part of the start-up time, and
    # `plan` or `status` need only the endpoint and the error types.
    if name == "PlanhatClient":
        from planhat_dbt.planhat.client import PlanhatClient  # noqa: PLC0415 (see above)

        return PlanhatClient
    if name == "Budget":
        from planhat_dbt.planhat.budget import Budget  # noqa: PLC0415 (see above)

        return Budget
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
