"""Planhat's objects as data: what can be sent where, under which names (planhat-api §4, §9, §10).

Adding an object is adding data to `records` or `events`; nothing else in the program names an object.
"""

from __future__ import annotations

from planhat_dbt.objects.catalogue import OBJECTS, find_object, object_words
from planhat_dbt.objects.types import Field, FieldType, Kind, ObjectType, Rule, Scope

__all__ = [
    "OBJECTS",
    "Field",
    "FieldType",
    "Kind",
    "ObjectType",
    "Rule",
    "Scope",
    "find_object",
    "object_words",
]
