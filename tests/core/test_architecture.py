"""The house keeps its shape, and two independent readings of the API notes agree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from planhat_dbt.objects import OBJECTS, FieldType, ObjectType
from planhat_dbt.sandbox.resources import RESOURCES, Resource

ROOT = Path(__file__).parents[2]


def test_arrows_go_one_way():
    """The import contract (DESIGN §13)."""
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "0 broken" in found.stdout


RECORDS = [o for o in OBJECTS.values() if not o.is_event]


def resource(obj: ObjectType) -> Resource:
    return RESOURCES[obj.path.removeprefix("/")]


def wire(obj: ObjectType, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(obj.fields[n].json_name for n in names)


def test_every_object_has_its_path_and_every_path_its_object():
    assert {o.path.removeprefix("/") for o in RECORDS} == set(RESOURCES)


@pytest.mark.parametrize("obj", RECORDS, ids=lambda o: o.name)
def test_both_readings_agree(obj):
    served = resource(obj)
    if obj.bulk and obj.name != "note":  # a note is a conversation that matches on its `_id` only (§4)
        assert wire(obj, obj.bulk_keys) == served.bulk_keys
    assert obj.bulk == ("B" in served.verbs)
    if obj.name not in STRICTER:
        assert set(wire(obj, obj.required)) == set(served.required_bulk or served.required)
        assert {frozenset(g) for g in obj.one_of} == {frozenset(g) for g in served.one_of}
    assert obj.page_size <= served.max_page
    assert obj.page_size == served.max_page or obj.name == "churn"
    assert {served.get_prefixes.get(p[:6]) for p in obj.path_keys.values()} == set(
        wire(obj, tuple(obj.path_keys))
    )
    if served.company_field:
        assert obj.fields[obj.company_field].json_name == served.company_field


STRICTER = {
    # ours asks for more than the sandbox enforces, each time as planhat-api §13 says of the client
    "license": ({"fromDate"}, "§13 no. 34: the client requires fromDate, the simulator in strict mode only"),
    "ticket": ({"email"}, "§9.14: rows without an e-mail are dropped in silence, not refused"),
    "churn": ({"companyId"}, "§4: suggested only; a churn log without a company is of no use"),
    "note": ({"companyId", "type"}, "§9.6 requires both; the path is that of conversations"),
    "conversation": ({"companyId"}, "§4; the path also serves notes, which may name companyExternalId"),
}


@pytest.mark.parametrize("name", STRICTER)
def test_where_we_ask_for_more(name):
    obj, served = OBJECTS[name], resource(OBJECTS[name])
    extra, _ = STRICTER[name]
    assert set(wire(obj, obj.required)) - set(served.required_bulk) == extra
    assert set(served.required_bulk) <= set(wire(obj, obj.required))


@pytest.mark.parametrize("obj", RECORDS, ids=lambda o: o.name)
def test_what_we_may_write_is_served_as_writable(obj):
    served = resource(obj)
    ours = {f.json_name for f in obj.fields.values() if f.writable}
    assert ours - served.writable == UNSERVED.get(obj.name, set())
    # The other way round: a path shared by two objects serves the fields of both.
    if obj.path != "/conversations":
        assert served.writable - ours - {"custom"} == UNOFFERED.get(obj.name, set())


UNSERVED: dict[str, set[str]] = {
    "opportunity": {"recurringValue"},  # §9.10: legacy, only in samples
}
UNOFFERED: dict[str, set[str]] = {}

SAME_KIND = {
    FieldType.TEXT: {"text", "enum"}, FieldType.NUMBER: {"number", "integer"}, FieldType.INTEGER: {"integer"},
    FieldType.BOOLEAN: {"boolean"}, FieldType.DATETIME: {"datetime"}, FieldType.DAY: {"day"}, FieldType.DATE: {"date"},
    FieldType.ID: {"id", "company"}, FieldType.COMPANY: {"company"}, FieldType.COMPANIES: {"companies"},
    FieldType.TEXTS: {"texts", "list"}, FieldType.IDS: {"ids", "list"}, FieldType.OBJECTS: {"objects", "list"},
    FieldType.OBJECT: {"object"},
}  # fmt: skip


@pytest.mark.parametrize("obj", RECORDS, ids=lambda o: o.name)
def test_types_are_read_alike(obj):
    served = resource(obj).specs
    for field in obj.fields.values():
        spec = served.get(field.json_name)
        if field.writable and spec is not None and spec.writable and field.type in SAME_KIND:
            assert spec.kind in SAME_KIND[field.type], field.name
