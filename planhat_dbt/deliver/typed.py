"""Custom fields under the types that the tenant gives them: what each value becomes, and what is odd about a mapping.

Only what is sent goes by these types. The comparison goes by the columns, which are known without any call.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from planhat_dbt.declaration.manner import Creates, manner_of
from planhat_dbt.declaration.types import Constant, Lookup
from planhat_dbt.declaration.values import constant
from planhat_dbt.declaration.wording import did_you_mean
from planhat_dbt.errors import FailedError
from planhat_dbt.objects import FieldType
from planhat_dbt.values import conversion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planhat_dbt.binding import BoundField, BoundSync
    from planhat_dbt.declaration.types import Sync
    from planhat_dbt.planhat import CustomField, CustomFields


class Remark(NamedTuple):
    """Something about a custom field that is worth saying once."""

    subject: tuple[str, str, str]
    """What it is about: a further remark with this subject says nothing new."""
    text: str


def typed(bound: BoundSync, definitions: CustomFields) -> BoundSync:
    """Give the custom fields of a sync their types; those without a usable definition stay as they are.

    Raises:
        FailedError: A column, look-up or constant can never become what its field is in Planhat.
    """
    defined = definitions.of(bound.sync.object.custom_parent)
    misfits, fields = [], []
    for field in bound.fields:
        definition = defined.get(field.mapping.custom_name or "")
        if definition is None or definition.type is FieldType.ANY:
            fields.append(field)
            continue
        try:
            fields.append(_typed(field, definition))
        except ValueError as error:
            name = field.mapping.target
            misfits.append(f"`{name}` is of type {definition.planhat_type} in Planhat, {error}")
    if misfits:
        raise FailedError(
            f"sync {bound.name}: {'; '.join(misfits)}",
            hint="Correct the model, the declaration, or the field in Planhat; then run again.",
        )
    return replace(bound, fields=tuple(fields))


def remarks(sync: Sync, definitions: CustomFields, *, inserts: bool) -> Iterator[Remark]:
    """Tell what is odd about the custom fields of a sync, though none of it stops it.

    Args:
        sync: The sync.
        definitions: What the tenant defines.
        inserts: Whether it is about to create records.
    """
    obj = sync.object
    defined = definitions.of(obj.custom_parent)
    mapped = [f.custom_name for f in sync.fields if f.custom_name]
    for name in mapped:
        definition = defined.get(name)
        if definition is None:
            yield Remark(
                ("undefined", obj.custom_parent, name),
                f"Planhat has no custom field `{name}` for {obj.plural}.{did_you_mean(name, defined)} "
                "Its values are sent in the form of their column's type, unchecked.",
            )
        elif definition.is_formula:
            yield Remark(
                ("formula", obj.custom_parent, name),
                f"Custom field `{name}` of {obj.plural} is a formula: Planhat computes it, so sending values "
                "there is of no use.",
            )
    if not inserts or manner_of(sync).creates is Creates.NEVER:
        return
    for definition in defined.values():
        if definition.is_mandatory and not definition.is_formula and definition.name not in mapped:
            yield Remark(
                ("mandatory", obj.custom_parent, definition.name),
                f"Custom field `{definition.name}` of {obj.plural} is mandatory in Planhat, and sync {sync.name} "
                "does not map it: new records will be refused.",
            )


def _typed(bound: BoundField, definition: CustomField) -> BoundField:
    """Give one field its type.

    Raises:
        ValueError: Its source can never become that; the text goes on after the field and its type.
    """
    mapping = replace(bound.mapping, field=replace(bound.mapping.field, type=definition.type))
    if isinstance(mapping.source, Constant):
        try:
            value = constant(mapping.field, mapping.source.value)
        except ValueError as error:
            raise ValueError(f"its constant does not fit: {str(error).rstrip('.')}") from None
        return replace(bound, mapping=replace(mapping, source=Constant(value)))
    if isinstance(mapping.source, Lookup):
        found = mapping.source.object
        if definition.people != found and definition.type is not FieldType.TEXT:
            raise ValueError(f"a look-up gives the _id of one {found}: map another field, or a column")
        return replace(bound, mapping=mapping)
    found_conversion = conversion(bound.kind, mapping.field)
    if found_conversion is None:
        column = bound.column
        assert column is not None  # noqa: S101 - only constants have none
        raise ValueError(f"column {column.name} is of type {column.type}: cast it in the model")
    return replace(bound, mapping=mapping, conversion=found_conversion)
