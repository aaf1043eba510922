"""The definitions of custom fields, as planhat-api §3.5 and §9.16 tell them, and as a careless API might."""

from __future__ import annotations

from typing import Any

import pytest

from planhat_dbt.objects import OBJECTS, FieldType
from planhat_dbt.planhat import CustomFields, read_definitions
from planhat_dbt.planhat.definitions import TYPES
from planhat_dbt.sandbox.resources import RESOURCES, resource_named


def read(*rows: dict[str, Any]) -> CustomFields:
    return read_definitions({"parent": "company", "name": "Value", "type": "text", **row} for row in rows)


def test_every_type_that_planhat_has_is_known() -> None:
    assert set(TYPES) == set(OBJECTS["custom_field"].fields["type"].values)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("rich text", FieldType.TEXT),
        ("richText", FieldType.TEXT),
        ("Rich_Text", FieldType.TEXT),
        ("rating", FieldType.INTEGER),
        ("date", FieldType.DATETIME),
        ("day", FieldType.DAY),
        ("team members", FieldType.IDS),
        ("teamMember", FieldType.ID),
        ("", FieldType.ANY),
        ("hologram", FieldType.ANY),
        (None, FieldType.ANY),
        (7, FieldType.ANY),
    ],
)
def test_types_by_their_words(word: Any, kind: FieldType) -> None:
    assert read({"type": word}).type_of("company", "Value") is kind


@pytest.mark.parametrize(
    ("word", "people"),
    [("team member", "user"), ("team members", "user"), ("enduser", "enduser"), ("endusers", "enduser"),
     ("text", ""), ("multipicklist", "")],
)  # fmt: skip
def test_whose_ids_a_field_holds(word: str, people: str) -> None:
    assert read({"type": word}).of("company")["Value"].people == people


def test_a_name_is_one_of_its_object_and_letter_by_letter() -> None:
    found = read({"type": "day"}, {"parent": "Enduser", "type": "number"}, {"name": "Other"})
    assert found.type_of("company", "Value") is FieldType.DAY
    assert found.type_of("enduser", "Value") is FieldType.NUMBER
    assert found.type_of("company", "value") is FieldType.ANY
    assert found.type_of("asset", "Value") is FieldType.ANY
    assert sorted(found.of("company")) == ["Other", "Value"]
    assert found.of("asset") == {}


def test_flags() -> None:
    found = read({"name": "F", "type": "number", "isFormula": True}, {"name": "M", "isMandatory": True},
                 {"name": "N", "isFormula": None, "isMandatory": "no"}).of("company")  # fmt: skip
    assert (found["F"].is_formula, found["F"].type) == (True, FieldType.ANY)
    assert (found["M"].is_mandatory, found["M"].is_formula) == (True, False)
    assert (found["N"].is_mandatory, found["N"].is_formula) == (False, False)


def test_rows_that_name_nothing_are_passed_over() -> None:
    assert read({"name": None}, {"parent": 3}).by_parent == {}
    assert read_definitions([]).by_parent == {}
    assert read_definitions([{}]).by_parent == {}


def test_every_object_with_custom_fields_has_the_parent_that_the_sandbox_serves() -> None:
    for obj in OBJECTS.values():
        if obj.custom:
            assert obj.custom_parent == resource_named(obj.path.strip("/")).name, obj.name
    assert OBJECTS["note"].custom_parent == "conversation"
    assert RESOURCES["customfields"].name not in {o.custom_parent for o in OBJECTS.values() if o.custom}
