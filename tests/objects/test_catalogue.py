"""The catalogue says what planhat-api §4, §9 and §10 say."""

from __future__ import annotations

import pytest

from planhat_dbt.objects import OBJECTS, FieldType, Scope, find_object, object_words
from planhat_dbt.objects.notation import FILLED, fields

RECORDS = """
asset campaign company conversation enduser invoice issue license note opportunity project sale
churn custom_field nps objective task ticket user workspace
"""
EVENTS = ("metric", "user_activity")


def test_all_objects_are_there_in_delivery_order():
    assert set(OBJECTS) == {*RECORDS.split(), *EVENTS}
    names = list(OBJECTS)
    assert names[:4] == ["custom_field", "company", "user", "enduser"]
    assert names[-2:] == list(EVENTS)
    ranks = [o.rank for o in OBJECTS.values()]
    assert len(set(ranks)) == len(ranks)
    assert OBJECTS["company"].rank == 0


@pytest.mark.parametrize("name", OBJECTS)
def test_what_an_object_names_is_among_its_fields(name):
    obj = OBJECTS[name]
    named = {*obj.bulk_keys, *obj.path_keys, *obj.constants, *(f for group in obj.one_of for f in group)}
    named |= {obj.company_field} - {""}
    assert named <= set(obj.fields)
    assert all(obj.fields[f].writable for f in named - {"_id"})
    assert len({f.json_name for f in obj.fields.values()}) == len(obj.fields)
    assert obj.is_event == (name in EVENTS)
    if not obj.is_event:
        assert not obj.fields["_id"].writable
        assert obj.bulk_keys[0] == "_id"


BULK_KEYS = {
    "asset": "_id sourceId externalId",
    "campaign": "_id sourceId externalId",
    "churn": "_id sourceId",
    "company": "_id sourceId externalId",
    "conversation": "_id externalId",
    "enduser": "_id sourceId externalId email",
    "invoice": "_id sourceId externalId",
    "issue": "_id sourceId",
    "license": "_id sourceId externalId",
    "note": "_id",
    "nps": "_id sourceId",
    "objective": "_id sourceId externalId",
    "opportunity": "_id externalId",
    "project": "_id sourceId externalId",
    "sale": "_id sourceId externalId",
    "task": "_id sourceId",
    "ticket": "_id sourceId",
    "user": "_id externalId email",
    "workspace": "_id sourceId externalId",
}


@pytest.mark.parametrize(("name", "keys"), BULK_KEYS.items())
def test_bulk_keys_are_in_the_order_of_the_api(name, keys):
    assert OBJECTS[name].bulk_keys == tuple(keys.split())


REQUIRED = {
    "asset": "name companyId",
    "campaign": "name companyId",
    "company": "name",
    "conversation": "companyId",
    "custom_field": "name parent type",
    "enduser": "",
    "invoice": "companyId currency invoiceDate",
    "issue": "title",
    "license": "companyId _currency fromDate",
    "metric": "dimensionId externalId value",
    "note": "companyId type",
    "nps": "email score",
    "objective": "name companyId",
    "opportunity": "companyId",
    "project": "name companyId",
    "sale": "companyId _currency value",
    "task": "companyId mainType",
    "ticket": "sourceId email",
    "user": "email nickName firstName lastName",
    "user_activity": "",
    "workspace": "name companyId",
}


@pytest.mark.parametrize(("name", "required"), REQUIRED.items())
def test_required_fields_are_those_of_a_bulk_create(name, required):
    assert set(OBJECTS[name].required) == set(required.split())


def test_one_of_groups():
    groups = {o.name: o.one_of for o in OBJECTS.values() if o.one_of}
    assert groups == {
        "enduser": (("email", "externalId", "sourceId"),),
        "license": (("value", "mrr"),),
        "ticket": (("companyExternalId", "domains", "companyId"),),
        "user_activity": (("email", "externalId"),),
    }


@pytest.mark.parametrize(
    ("name", "field", "wire"),
    [
        ("invoice", "externalId", "extId"),
        ("invoice", "companyId", "cId"),
        ("nps", "companyId", "cId"),
        ("user_activity", "externalId", "euExtId"),
        ("enduser", "externalId", "externalId"),
    ],
)
def test_wire_names(name, field, wire):
    assert OBJECTS[name].fields[field].json_name == wire


@pytest.mark.parametrize(
    ("name", "field", "kind", "writable", "recomputed"),
    [
        ("company", "phase", FieldType.TEXT, True, True),
        ("company", "h", FieldType.INTEGER, True, True),
        ("company", "mrr", FieldType.NUMBER, False, False),
        ("company", "nrr30", FieldType.NUMBER, True, True),
        ("company", "owner", FieldType.ID, True, False),
        ("company", "followers", FieldType.IDS, True, False),
        ("enduser", "name", FieldType.TEXT, True, True),
        ("enduser", "companyId", FieldType.COMPANY, True, False),
        ("invoice", "dueDate", FieldType.DAY, True, False),
        ("invoice", "lineItems", FieldType.OBJECTS, True, True),
        ("issue", "companyIds", FieldType.COMPANIES, True, False),
        ("license", "status", FieldType.TEXT, False, False),
        ("churn", "churnDate", FieldType.DATE, True, False),
        ("churn", "reasons", FieldType.TEXTS, True, False),
        ("opportunity", "contractLength", FieldType.INTEGER, True, False),
        ("ticket", "companyId", FieldType.ID, True, False),
        ("nps", "euId", FieldType.ID, False, False),
        ("user_activity", "info", FieldType.OBJECT, True, False),
        ("metric", "date", FieldType.DATETIME, True, False),
    ],
)
def test_fields(name, field, kind, writable, recomputed):
    found = OBJECTS[name].fields[field]
    assert (found.type, found.writable, found.recomputed) == (kind, writable, recomputed)


def test_enumerations_are_closed_only_where_the_notes_say_so():
    closed = {(o.name, f.name): f.values for o in OBJECTS.values() for f in o.fields.values() if f.values}
    assert closed[("company", "status")] == ("prospect", "coming", "customer", "canceled", "lost")
    assert closed[("metric", "model")] == ("Company", "EndUser", "Asset", "Project")
    assert set(closed) == {
        ("company", "status"),
        ("custom_field", "type"),
        ("license", "renewalStatus"),
        ("metric", "model"),
        ("note", "type"),
        ("opportunity", "status"),
        ("task", "repeat"),
    }


def test_rules_are_those_of_events():
    ruled = {(o.name, f.name) for o in OBJECTS.values() for f in o.fields.values() if f.rule}
    assert ruled == {
        ("metric", "dimensionId"),
        ("metric", "externalId"),
        ("metric", "value"),
        ("user_activity", "email"),
        ("user_activity", "externalId"),
        ("user_activity", "companyExternalId"),
        ("user_activity", "weight"),
        ("user_activity", "count"),
    }
    assert all(f.type in (FieldType.TEXT, FieldType.NUMBER, FieldType.INTEGER) for f in RULED)


RULED = [f for o in OBJECTS.values() for f in o.fields.values() if f.rule]


@pytest.mark.parametrize("found", RULED, ids=lambda f: f.name)
def test_a_rule_of_numbers_allows_no_text_and_one_of_texts_no_number(found):
    assert found.rule.allows(5) == (not found.empty_is_missing)
    assert not found.rule.allows("" if found.empty_is_missing else float("nan"))
    assert not found.rule.allows(10**400)
    assert not found.rule.allows(None)


def test_what_is_advised_is_among_the_fields():
    assert {o.name: set(o.advised) for o in OBJECTS.values() if o.advised} == {"user_activity": {"action"}}
    assert all(
        name in o.fields and not o.fields[name].required for o in OBJECTS.values() for name in o.advised
    )


def test_pages_filters_and_scopes():
    sizes = {o.name: o.page_size for o in OBJECTS.values() if o.page_size != 2000}
    assert sizes == {
        "company": 5000,
        "user": 10000,
        "task": 10000,
        "ticket": 10000,
        "nps": 10000,
        "churn": 1000,
    }
    assert {o.name for o in OBJECTS.values() if o.list_filters} == {"nps"}
    assert {o.name: o.hidden_flag for o in OBJECTS.values() if o.hidden_flag} == {
        "enduser": "archived",
        "task": "isArchived",
    }
    assert [o.name for o in OBJECTS.values() if o.lean_list] == ["company"]
    assert [o.name for o in OBJECTS.values() if not o.single_calls] == ["ticket"]
    # An externalId is unique within a company, except where the object has none or no company (§3.1).
    scoped = {o.name for o in OBJECTS.values() if o.key_scope is Scope.COMPANY}
    assert scoped == {
        o.name for o in OBJECTS.values() if o.company_field and "externalId" in o.bulk_keys and not o.is_event
    }
    assert [o.name for o in OBJECTS.values() if not o.bulk] == ["custom_field"]
    assert OBJECTS["note"].path == OBJECTS["conversation"].path


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("company", "company"),
        ("Companies", "company"),
        ("licence", "license"),
        ("licences", "license"),
        ("EndUser", "enduser"),
        ("end_users", "enduser"),
        ("user activities", "user_activity"),
        ("activities", "user_activity"),
        ("custom-fields", "custom_field"),
        ("nps", "nps"),
        ("churn", "churn"),
        ("opportunities", "opportunity"),
        ("compnay", None),
        ("", None),
    ],
)
def test_words_find_objects(word, name):
    found = find_object(word)
    assert (found.name if found else None) == name


def test_every_suggested_word_is_understood():
    assert all(find_object(word) for word in object_words())
    assert {find_object(word).name for word in object_words()} == set(OBJECTS)


def test_notation_refuses_slips_of_the_pen():
    with pytest.raises(ValueError, match="twice"):
        fields(text="name name")
    with pytest.raises(ValueError, match="no such field: stauts"):
        fields(text="status", values={"stauts": "a, b"})
    with pytest.raises(ValueError, match="no such field: stauts"):
        fields(text="status", rules={"stauts": FILLED})
    with pytest.raises(ValueError, match="colour"):
        fields(colour="name")
