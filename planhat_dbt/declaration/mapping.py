"""From a declared field to a `FieldMapping`: does the field exist, may it be written, does the value fit?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from planhat_dbt.declaration.block import ColumnValue, CompanyValue, ConstantValue, LookupValue
from planhat_dbt.declaration.types import (
    CompanyRef,
    Constant,
    FieldMapping,
    FromColumn,
    Lookup,
    Source,
    Write,
)
from planhat_dbt.declaration.values import constant
from planhat_dbt.declaration.wording import did_you_mean, nearest, one_of
from planhat_dbt.objects import OBJECTS, Field, FieldType, ObjectType

if TYPE_CHECKING:
    from planhat_dbt.declaration.types import Nulls
    from planhat_dbt.declaration.wording import Faults

Value: TypeAlias = str | ColumnValue | ConstantValue | CompanyValue | LookupValue
USER_FIELDS = frozenset({"owner", "coOwner", "ownerId"})
"""System fields that hold the `_id` of a user (planhat-api §3.3)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One field as declared, before it is checked."""

    target: str
    value: Value
    path: str
    """Where it stands, for `Faults`."""


def canonical(obj: ObjectType, target: str) -> str:
    """Our name of a field that may be written by its wire name as well (invoice: `extId`, `cId`)."""
    return next(
        (f.name for f in obj.fields.values() if target == f.wire and target not in obj.fields), target
    )


def find_field(obj: ObjectType, entry: Entry, faults: Faults) -> Field | None:
    """The Planhat field an entry means; None, and a fault, if it cannot be written."""
    if entry.target.startswith("custom."):
        name = entry.target.removeprefix("custom.")
        if not obj.custom:
            faults.error(entry.path, f"{obj.name} has no custom fields.")
        elif not name.strip() or name != name.strip():
            faults.error(entry.path, "expected the display name of a custom field, without blanks around it.")
        else:
            return Field(name=entry.target, type=FieldType.ANY)
        return None
    field = obj.fields.get(entry.target)
    if field is None:
        faults.error(entry.path, _unknown_field(obj, entry.target))
    elif entry.target == "_id":
        faults.error(entry.path, "`_id` is Planhat's own and is never written; use `match: {_id: <column>}`.")
    elif not field.writable:
        faults.error(entry.path, f"`{entry.target}` of {obj.name} is read-only: Planhat computes it.")
    else:
        return field
    return None


def _unknown_field(obj: ObjectType, target: str) -> str:
    message = f"{obj.name} has no field `{target}`."
    writable = [f.name for f in obj.fields.values() if f.writable]
    suggestion = did_you_mean(target, writable)
    if not suggestion and (computed := nearest(target, obj.fields)):
        suggestion = f" (`{computed}` exists, but is read-only.)"
    suggestion = suggestion or f" docs/objects.md lists the fields of {obj.plural}."
    custom = (
        f" If it is a custom field, put it under `custom`: `custom: {{{target}: …}}`." if obj.custom else ""
    )
    return f"{message}{suggestion}{custom}"


def read_source(obj: ObjectType, field: Field, entry: Entry, faults: Faults) -> Source | None:
    """Where the field's value comes from; None, and a fault, if that form does not fit the field."""
    match entry.value:
        case ColumnValue(column=column) | str(column):
            return FromColumn(column)
        case ConstantValue(value=value):
            try:
                return Constant(constant(field, value))
            except ValueError as e:
                faults.error(f"{entry.path}.value", str(e))
        case CompanyValue(company=column, by=by):
            if _takes_company(obj, field, by):
                return CompanyRef(column, by)
            faults.error(entry.path, _no_company(obj, field))
        case LookupValue(lookup=found, by=by, column=column):
            if problem := _lookup_problem(field, found, by):
                faults.error(entry.path, problem)
            else:
                return Lookup(column, found, by)
    return None


def _takes_company(obj: ObjectType, field: Field, by: str) -> bool:
    if field.type in (FieldType.COMPANY, FieldType.COMPANIES):
        return True
    return field.type is FieldType.ID and field.name == obj.company_field and by == "_id"


def _no_company(obj: ObjectType, field: Field) -> str:
    if field.name == obj.company_field:
        other = " Or map `companyExternalId` to the column." if "companyExternalId" in obj.fields else ""
        return (
            f"`{field.name}` of {obj.name} takes a company's `_id` only: write "
            f"`{{company: <column with the _id>, by: _id}}`.{other}"
        )
    references = [f.name for f in obj.fields.values() if f.type in (FieldType.COMPANY, FieldType.COMPANIES)]
    where = f"; the one of {obj.name} is {one_of(references)}" if references else ""
    return (
        f"`{field.name}` is not a company reference, so `{{company: …}}` does not fit{where}. Give a column."
    )


def _lookup_problem(field: Field, found: str, by: str) -> str:
    if by == "_id":
        return "a lookup by `_id` finds what the column holds already: give the column itself."
    if by not in (keys := [k for k in OBJECTS[found].bulk_keys if k != "_id"]):
        return f"a {found} has no `{by}`; look it up by {one_of(keys)}."
    if field.type is FieldType.IDS:
        return f"`{field.name}` takes a list of `_id`s, a lookup gives one: give a column with the list."
    if field.type not in (FieldType.ID, FieldType.ANY):
        return f"`{field.name}` takes {field.type.value}, not an `_id`: a lookup does not fit. Give a column."
    if field.type is FieldType.ID and (found != "user" or field.name not in USER_FIELDS):
        holds = "a user" if field.name in USER_FIELDS else "neither a user nor an enduser"
        return f"`{field.name}` holds {holds}, so a lookup of a {found} does not fit."
    return ""


def read_mapping(
    obj: ObjectType, entry: Entry, state_column: str, nulls: Nulls, faults: Faults, *, creates: bool
) -> FieldMapping | None:
    """The checked mapping of one entry; None, and faults, if it is wrong."""
    field = find_field(obj, entry, faults)
    if field is None:
        return None
    source = read_source(obj, field, entry, faults)
    own_write = None if isinstance(entry.value, str) else entry.value.write
    own_nulls = None if isinstance(entry.value, str | ConstantValue) else entry.value.nulls
    if own_write is Write.ON_INSERT and not creates:
        faults.error(f"{entry.path}.write", "this sync creates nothing, so this field would never be sent.")
    if source is None:
        return None
    return FieldMapping(
        target=entry.target,
        state_column=state_column,
        field=field,
        source=source,
        nulls=own_nulls or nulls,
        write=own_write or Write.ALWAYS,
    )
