"""Project settings: `vars: planhat:` of `dbt_project.yml`, with the defaults of DESIGN §15."""

from __future__ import annotations

from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from planhat_dbt.objects import find_object, object_words

BATCH_ROWS = 5000
"""The most items Planhat takes in one bulk request (planhat-api §2)."""
BATCH_BYTES = 32 * 1024 * 1024
"""The hard limit of a request body (planhat-api §2)."""


class OnUnknown(StrEnum):
    """What happens to events whose outcome was not learnt (DESIGN §9)."""

    HOLD = "hold"
    RESEND = "resend"
    DISCARD = "discard"


class Maturity(StrEnum):
    """How far an exposure can be relied on, in dbt's words."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


def _listed(value: object) -> object:
    """One alone counts as a list of one; nothing as an empty list."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str | dict) else value


def _by_object(urls: dict[str, str]) -> dict[str, str]:
    """The same under the names of the objects, however they were spelt."""
    found = {}
    for word, url in urls.items():
        known = find_object(word)
        if known is None and word != "default":
            near = get_close_matches(word, object_words(), n=1)
            meant = f"; did you mean `{near[0]}`?" if near else ""
            raise ValueError(f"expected objects of Planhat or `default`, found `{word}`{meant}")
        found[known.name if known else word] = url
    return found


Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class ProjectSettings(BaseModel):
    """What holds for all syncs of a project; the secrets are in the environment, never here."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    state_schema: Annotated[
        str, Field(alias="schema", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=60)
    ] = "planhat_sync"
    """Schema of the state tables; `schema` in the file."""
    defaults: dict[str, Any] = {}
    """Keys of the declaration that hold unless a block says otherwise."""
    allow_targets: Annotated[
        tuple[str, ...] | None, BeforeValidator(lambda v: v if v is None else _listed(v))
    ] = None
    """dbt targets that may write to Planhat; None: all."""
    alerts: Annotated[tuple[dict[str, Any], ...], BeforeValidator(_listed)] = ()
    """Who is told about a run; one mapping each, checked by `alerts`."""
    exposure_owner: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    """Who owns the exposures of the syncs; None: named after the project."""
    exposure_owner_email: Annotated[str | None, Field(min_length=3, max_length=200)] = None
    exposure_maturity: Maturity = Maturity.HIGH
    exposure_urls: Annotated[
        dict[str, Annotated[str, Field(pattern=r"^https?://\S+$")]], AfterValidator(_by_object)
    ] = {}
    """Object → where people see it in Planhat; `default` for those that are not named."""
    openlineage: bool = False
    """Whether `sync` tells OpenLineage what it read and wrote."""
    openlineage_namespace: str = "planhat_dbt"
    """Namespace of the jobs."""
    openlineage_timeout: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Seconds that the end of a run waits for events that are not sent yet."""
    hook: bool = False
    """Whether plain `dbt build` ends with a sync (DESIGN §10)."""
    unproven_warehouse: bool = False
    """Whether a warehouse may be used on which this program was never run (decision 41)."""
    skip_unbuilt: bool = False
    """Whether a sync is not compared again whose model was not rebuilt since it was last clean (decision 42)."""
    on_unknown: OnUnknown = OnUnknown.HOLD
    read_back_after: Annotated[float, Field(ge=0, le=7 * 86_400)] = 600.0
    """Seconds since a metric point was sent, until its absence in Planhat counts (planhat-api §13 no. 32)."""
    read_back_calls: Annotated[int, Field(ge=0)] = 200
    """Calls that one sync may spend in a run on reading metric points back; 0: none are."""

    max_calls_per_minute: Count = 200
    batch_rows: Annotated[int, Field(ge=1, le=BATCH_ROWS)] = BATCH_ROWS
    batch_bytes: Annotated[int, Field(ge=1024, le=BATCH_BYTES)] = 8 * 1024 * 1024
    single_insert_rows: Annotated[int, Field(ge=0)] = 200
    """Up to this many keyless inserts travel one by one, to learn their `_id` (DESIGN §5)."""

    read_timeout: Seconds = 120.0
    connect_timeout: Seconds = 10.0
    max_tries: Count = 6
    max_wait: Seconds = 120.0
    """Seconds of waiting between the tries of one call, altogether."""
    breaker_failures: Count = 3
    """A sync stops after so many failed calls in a row."""
    duckdb_lock_wait: Annotated[float, Field(ge=0, le=86_400)] = 60.0
    lease_seconds: Seconds = 60.0

    changes_retention_days: Count = 90
    requests_retention_days: Count = 30
