"""Constants are checked against their field and come out as the JSON that is sent."""

from __future__ import annotations

import pytest

from planhat_dbt.declaration.state_columns import LONGEST, RESERVED, state_columns
from planhat_dbt.declaration.values import constant
from planhat_dbt.objects import Field, FieldType

ID = "5f1a" * 6


@pytest.mark.parametrize(
    ("kind", "value", "sent"),
    [
        ("text", "a", "a"),
        ("text", "", ""),
        ("number", 1, 1),
        ("number", 1.5, 1.5),
        ("integer", -3, -3),
        ("boolean", False, False),
        ("datetime", "2024-02-29", "2024-02-29T00:00:00.000Z"),
        ("datetime", "2024-02-29T10:00:00.1234+02:00", "2024-02-29T08:00:00.123Z"),
        ("day", "1970-01-02", 1),
        ("day", 19723, 19723),
        ("date", "2024-02-29", "2024-02-29"),
        ("id", ID, ID),
        ("company", "extid-7", "extid-7"),
        ("company", "srcid-7", "srcid-7"),
        ("company", ID, ID),
        ("companies", ["extid-7", ID], ["extid-7", ID]),
        ("texts", [], []),
        ("texts", ["a"], ["a"]),
        ("ids", [ID], [ID]),
        ("object", {"a": [1]}, {"a": [1]}),
        ("objects", [{"title": "a"}], [{"title": "a"}]),
        ("any", ["a", 1, False], ["a", 1, False]),
    ],
)
def test_what_fits_is_sent(kind, value, sent):
    assert constant(Field("f", FieldType(kind)), value) == sent


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("text", 5, "Put it in quotes"),
        ("text", True, "expected text, found true"),
        ("text", ["a"], "expected text"),
        ("number", "5", "expected a number"),
        ("number", True, "expected a number"),
        ("number", float("nan"), "expected a number"),
        ("number", float("inf"), "expected a number"),
        ("integer", 1.5, "whole number"),
        ("boolean", "true", "true or false"),
        ("datetime", "yesterday", "ISO 8601"),
        ("datetime", 5, "ISO 8601"),
        ("day", "29.2.2024", "a date, or whole days"),
        ("day", 1.5, "a date, or whole days"),
        ("date", "2023-02-29", "YYYY-MM-DD"),
        ("id", "me", "24 hex"),
        ("id", ID + "0", "24 hex"),
        ("company", "acme", "extid-…"),
        ("company", "extid-", "extid-…"),
        ("companies", "extid-7", "a list of companies"),
        ("texts", ["a", 5], "a list of texts"),
        ("ids", ["me"], "24 hex"),
        ("object", [], "a mapping"),
        ("objects", {}, "a list of mappings"),
        ("any", None, "leave the field out"),
    ],
)
def test_what_does_not_fit_is_told(kind, value, words):
    with pytest.raises(ValueError, match=r"expected|null") as told:
        constant(Field("f", FieldType(kind)), value)
    assert words in str(told.value)


def test_an_enumeration_is_closed():
    field = Field("status", values=("won", "lost"))
    assert constant(field, "won") == "won"
    with pytest.raises(ValueError, match=r'expected `won` or `lost`, found "lots"\. Did you mean `lost`'):
        constant(field, "lots")


def test_state_columns_are_readable():
    targets = ["name", "companyId", "_currency", "custom.Plan Tier", "custom.planTier 2", "custom.Größe (m²)"]
    assert list(state_columns(targets).values()) == [
        "name",
        "companyId",
        "_currency",
        "custom_plan_tier",
        "custom_plan_tier_2",
        "custom_grosse_m2",
    ]


def test_state_columns_never_collide_nor_depend_on_order():
    targets = [
        "custom.Plan Tier",
        "custom.plan_tier",
        "custom.PLAN-TIER!",
        "custom.日本",
        "custom.中国",
        "custom.???",
        "name",
        "Name",
        "custom." + "x" * 80,
        "custom." + "x" * 81,
        *RESERVED,
    ]
    columns = state_columns(targets, taken=("externalId",))
    names = [c.casefold() for c in columns.values()]
    assert len(set(names)) == len(targets)
    assert not set(names) & {*RESERVED, "externalid"}
    assert all(len(c) <= LONGEST and c.isascii() for c in columns.values())
    assert state_columns(targets[::-1], taken=("externalId",)) == columns


def test_the_match_field_keeps_its_column():
    assert state_columns(["EXTERNALID"], taken=("externalId",))["EXTERNALID"].startswith("EXTERNALID_")
