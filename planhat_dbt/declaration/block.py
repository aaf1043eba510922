"""The `planhat` block as a person writes it (DESIGN §3): its shape alone; `check` looks at what it means.

The descriptions end up in the JSON Schema that editors use.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
)

from planhat_dbt.declaration.limits import LIMIT_SCHEMA, parse_limit
from planhat_dbt.declaration.lookback import LOOKBACK_SCHEMA, parse_lookback
from planhat_dbt.declaration.types import KeyField, Limit, Mode, Nulls, OnRemoved, Tests, Write
from planhat_dbt.declaration.wording import nearest

Name: TypeAlias = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Optional(_Strict):
    nulls: Annotated[
        Nulls | None, Field(description="What a NULL does on update; default: as the sync says.")
    ] = None
    write: Annotated[
        Write | None, Field(description="on_insert: sent only when the record is created; default: always.")
    ] = None


class ColumnValue(_Optional):
    """A model column, with options."""

    column: Annotated[Name, Field(description="The model column.")]


class ConstantValue(_Strict):
    """The same value in every row."""

    value: Annotated[Any, Field(description="The value Planhat receives in every row.")]
    write: Annotated[
        Write | None, Field(description="on_insert: sent only when the record is created; default: always.")
    ] = None


class CompanyValue(_Optional):
    """A company, named by its key in a column."""

    company: Annotated[Name, Field(description="The model column with the company's key.")]
    by: Annotated[
        Literal["externalId", "sourceId", "_id"],
        Field(description="Which key of the company the column holds."),
    ] = "externalId"


class LookupValue(_Optional):
    """The `_id` of a user or enduser, found through the API by a key in a column."""

    lookup: Annotated[Literal["user", "enduser"], Field(description="The object to look up.")]
    by: Annotated[KeyField, Field(description="Which of its keys the column holds.")] = "email"
    column: Annotated[Name, Field(description="The model column with the key.")]


def _form(value: object) -> str | None:
    if isinstance(value, str | ColumnValue):
        return "<name>" if isinstance(value, str) else "<column>"
    if not isinstance(value, dict) or not value:
        return None
    for key in ("value", "lookup", "company"):
        if key in value:
            return f"<{key}>"
    known = ("column", "value", "lookup", "company")
    meant = next((n for k in value if (n := nearest(str(k), known))), "column")
    return f"<{meant}>"


FieldValue: TypeAlias = Annotated[
    Annotated[Name, Tag("<name>")]
    | Annotated[ColumnValue, Tag("<column>")]
    | Annotated[ConstantValue, Tag("<value>")]
    | Annotated[CompanyValue, Tag("<company>")]
    | Annotated[LookupValue, Tag("<lookup>")],
    Discriminator(_form),
]


FIELD_FORMS: dict[str, type[BaseModel]] = {
    "<column>": ColumnValue,
    "<value>": ConstantValue,
    "<company>": CompanyValue,
    "<lookup>": LookupValue,
}
"""The mappings a field's value may be, by their tag in a location of pydantic's."""


class Fields(BaseModel):
    """Planhat field: model column. Left of the colon is Planhat, right of it the model."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, FieldValue]

    custom: Annotated[
        dict[str, FieldValue], Field(description="Custom fields by the display name Planhat shows.")
    ] = {}


def _no_fields() -> Fields:
    return Fields.model_validate({})


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


LimitValue: TypeAlias = Annotated[Limit, BeforeValidator(parse_limit), WithJsonSchema(LIMIT_SCHEMA)]


LookbackValue: TypeAlias = Annotated[
    dt.timedelta, BeforeValidator(parse_lookback), WithJsonSchema(LOOKBACK_SCHEMA)
]


class Options(_Strict):
    """The keys that may also stand in `vars: planhat: defaults`."""

    mode: Annotated[
        Mode | None, Field(description="What may happen to a row; default upsert, for events insert.")
    ] = None
    on_removed: Annotated[
        OnRemoved, Field(description="What happens in Planhat when a row leaves the model.")
    ] = OnRemoved.KEEP
    nulls: Annotated[
        Nulls, Field(description="What a NULL does on update: clear sends null, skip leaves Planhat's value.")
    ] = Nulls.CLEAR
    max_removals: Annotated[
        LimitValue, Field(description="Guard on clears and deletes: a share (10%) or a count.")
    ] = Limit(share=0.10)
    max_changes: Annotated[
        LimitValue | None, Field(description="Guard on inserts and updates: a share (10%) or a count.")
    ] = None
    tests: Annotated[
        Tests, Field(description="Which dbt test results stop the sync: error, warn (warnings too), ignore.")
    ] = Tests.ERROR
    enabled: Annotated[bool, Field(description="false: read and checked, never run.")] = True
    tags: Annotated[
        tuple[Name, ...],
        BeforeValidator(_as_list),
        Field(description="For --select tag:…, besides the model's tags."),
    ] = ()


class Block(Options):
    """One sync: one model feeds one Planhat object."""

    object: Annotated[Name, Field(description="The Planhat object: company, enduser, license, …")]
    name: Annotated[
        str | None, Field(description="Name of the sync, unique in the project; default: the model's name.")
    ] = None
    previous_name: Annotated[
        str | None,
        Field(
            description="The sync's name before it was renamed: its state is taken along, nothing is sent again."
        ),
    ] = None
    match: Annotated[
        dict[str, Name] | None,
        Field(
            description="The Planhat key and the model column that carries it.", min_length=1, max_length=1
        ),
    ] = None
    previous_match: Annotated[
        dict[str, Name] | None,
        Field(
            description="The key that was matched before, and the model column that still carries it: the state is "
            "re-keyed, and the new key is written into Planhat.",
            min_length=1,
            max_length=1,
        ),
    ] = None
    key: Annotated[
        Name | None,
        Field(
            description="The column that identifies a row where nothing is matched: events, keyless inserts."
        ),
    ] = None
    event_time: Annotated[
        Name | None, Field(description="Events: the column that says when it happened; with `lookback`.")
    ] = None
    lookback: Annotated[
        LookbackValue | None,
        Field(
            description="Events: older ones are not looked at, and their keys forgotten: `30 days`, `48 hours`."
        ),
    ] = None
    fields: Annotated[Fields, Field(description="Planhat field: model column.", default_factory=_no_fields)]


class ColumnBlock(_Strict):
    """The column-level form: `planhat: firstName`, or a mapping with options."""

    field: Annotated[Name, Field(description="The Planhat field, e.g. firstName or custom.Plan Tier.")]
    sync: Annotated[str | None, Field(description="Which sync, where the model feeds several.")] = None
    nulls: Annotated[Nulls | None, Field(description="What a NULL does on update.")] = None
    write: Annotated[Write | None, Field(description="When the field is sent.")] = None
