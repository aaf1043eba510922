"""The JSON Schema of the `planhat` block, for editors that complete and check YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from planhat_dbt.declaration.block import Block
from planhat_dbt.declaration.check import KEY_FIELDS, NAME, NAME_LENGTH
from planhat_dbt.objects import OBJECTS, object_words

if TYPE_CHECKING:
    from planhat_dbt.objects import ObjectType


def json_schema() -> dict[str, Any]:
    """What may stand under `config.meta.planhat`: one block, or a list of blocks."""
    schema = TypeAdapter(Block | list[Block]).json_schema()
    block = schema["$defs"]["Block"]
    properties = block["properties"]
    properties["object"]["enum"] = list(object_words())
    properties["max_removals"]["default"] = "10%"
    properties["tags"]["anyOf"] = [
        {"type": "string"},
        {"type": "array", "items": properties["tags"].pop("items")},
    ]
    del properties["tags"]["type"]
    # `anyOf[0]` is the value itself, the other branch is null, which counts as not given.
    for name in ("name", "previous_name"):
        properties[name]["anyOf"][0] |= {"pattern": f"^{NAME.pattern}$", "maxLength": NAME_LENGTH}
    wire = {
        f.wire for o in OBJECTS.values() if o.bulk_keys for f in o.fields.values() if f.name in KEY_FIELDS
    }
    for name in ("match", "previous_match"):
        properties[name]["anyOf"][0]["propertyNames"] = {"enum": [*KEY_FIELDS, *sorted(wire - {""})]}
    block["allOf"] = [_fields_of(o) for o in OBJECTS.values()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "planhat",
        "description": "A planhat_dbt declaration: what stands under `config.meta.planhat` of a dbt model.",
        **schema,
    }


def _fields_of(obj: ObjectType) -> dict[str, Any]:
    """If the block is for this object, then these are the fields it may name."""
    writable = {name for f in obj.fields.values() if f.writable for name in (f.name, f.wire) if name}
    names: dict[str, Any] = {"enum": sorted(writable)}
    if obj.custom:
        names = {"anyOf": [{"enum": [*sorted(writable), "custom"]}, {"pattern": r"^custom\."}]}
    return {
        "if": {"properties": {"object": {"enum": list(dict.fromkeys((obj.name, obj.plural)))}}},
        "then": {"properties": {"fields": {"propertyNames": names}}},
    }
