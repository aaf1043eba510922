"""Equal is what Planhat would keep equally: rows are compared by value (DESIGN §5, dbt-notes §7)."""

from __future__ import annotations

import pytest
from harness import Project, Row
from harness.warehouses import ON

BLOCK: Row = {
    "object": "company",
    "match": {"externalId": "id"},
    "fields": {"name": "id", "custom": {"Value": "value"}},
}
SAME, CHANGED = False, True

CASES = [
    ("double", "1", "1.0", SAME),
    ("double", "0.1", "0.10000000000000001", SAME),
    ("double", "1", "1.0000000000000002", CHANGED),
    ("decimal(12,4)", "1.5", "1.5000", SAME),
    ("decimal(12,4)", "1.5", "1.5001", CHANGED),
    ("bigint", "9007199254740993", "9007199254740992", CHANGED),
    ("timestamptz", "'2026-01-01 12:00:00+00'", "'2026-01-01 14:00:00+02'", SAME),
    ("timestamptz", "'2026-01-01 12:00:00+00'", "'2026-01-01 12:00:00+01'", CHANGED),
    ("timestamp", "'2026-01-01 12:00:00.123456'", "'2026-01-01 12:00:00.123999'", SAME),
    ("timestamp", "'2026-01-01 12:00:00.123'", "'2026-01-01 12:00:00.124'", CHANGED),
    ("timestamptz", "'2026-01-01 12:00:00.1231+00'", "'2026-01-01 13:00:00.1239+01'", SAME),
    ("date", "'2026-01-01'", "'2026-01-02'", CHANGED),
    ("json", """'[{"a": 1, "b": [1, 2]}]'""", """'[ { "a":1,"b":[1,2]  }]'""", SAME),
    ("json", """'[{"a": 1}]'""", """'[{"a": 2}]'""", CHANGED),
    ("json", """'[1, 2]'""", """'[2, 1]'""", CHANGED),
    ("varchar", "'007'", "'7'", CHANGED),
    ("varchar", "'a'", "'a '", CHANGED),
    ("varchar", "'a'", "'A'", CHANGED),
    ("varchar", "''", "null", CHANGED),
    ("varchar", "null", "null", SAME),
    ("varchar[]", "['a', 'b']", "['b', 'a']", CHANGED),
    ("varchar[]", "['a', 'b']", "['a', 'b']", SAME),
    ("integer[]", "[]", "null", CHANGED),
    ("struct(a integer, b varchar)[]", "[{'a': 1, 'b': 'x'}]", "[{'a': 1, 'b': 'x'}]", SAME),
    ("struct(a integer, b varchar)[]", "[{'a': 1, 'b': 'x'}]", "[{'a': 1, 'b': null}]", CHANGED),
    ("boolean", "true", "false", CHANGED),
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("kind", "before", "after", "changed"), CASES)
def test_comparison(project: Project, kind: str, before: str, after: str, changed: bool) -> None:
    if ON != "duckdb" and "struct" in kind:
        pytest.skip("a type of its own elsewhere")
    project.model("values", BLOCK, {"id": "varchar", "value": kind})
    project.sql(f"insert into \"values\" values ('c-1', {before}), ('c-2', {before})")
    project.sync()
    project.sql(f"update \"values\" set value = {after} where id = 'c-2'")
    outcome = project.sync()
    assert [row["custom"].keys() for row in outcome.sent("/companies")] == [{"Value"}] * changed
    assert outcome.status("values") == ("success" if changed else "nothing_to_do")


@pytest.mark.parametrize(
    ("kind", "value", "sent"),
    [
        ("varchar", "'007'", "007"),
        ("varchar", "''", ""),
        ("bigint", "9007199254740993", "9007199254740993"),
        ("double", "1e-7", 1e-7),
        ("double", "1e22", 1e22),
        ("decimal(38,10)", "12345678901234567890.5", 12345678901234567890.5),
        ("timestamptz", "'2026-01-01 14:00:00.5+02'", "2026-01-01T12:00:00.500Z"),
        ("date", "'2026-01-01'", "2026-01-01T00:00:00.000Z"),
        ("json", """'{"a": [1, null]}'""", {"a": [1, None]}),
        ("integer[]", "[1, 2]", [1, 2]),
        ("struct(a integer, b varchar[])", "{'a': 1, 'b': ['x']}", {"a": 1, "b": ["x"]}),
        ("uuid", "'5a0d0b0c-0000-4000-8000-00000000000a'", "5a0d0b0c-0000-4000-8000-00000000000a"),
        ("boolean", "false", False),
    ],
)
def test_what_is_sent(project: Project, kind: str, value: str, sent: object) -> None:
    if ON != "duckdb" and "struct" in kind:
        pytest.skip("a type of its own elsewhere")
    project.model("values", BLOCK, {"id": "varchar", "value": kind})
    project.sql(f"insert into \"values\" values ('c-1', {value})")
    outcome = project.sync(code=None)
    if isinstance(
        sent, dict
    ):  # custom fields are one level deep (planhat-api §3.5): Planhat says so, row by row
        assert outcome.code == 1
    assert outcome.sent("/companies")[0]["custom"] == {"Value": sent}


@pytest.mark.parametrize(
    ("kind", "value", "key"),
    [
        ("varchar", "'007'", "007"),
        ("integer", "7", "7"),
        ("bigint", "9007199254740993", "9007199254740993"),
        ("double", "7", "7"),
        ("decimal(10,2)", "7", "7"),
        ("uuid", "'5a0d0b0c-0000-4000-8000-00000000000a'", "5a0d0b0c-0000-4000-8000-00000000000a"),
    ],
)
def test_keys_are_text(project: Project, kind: str, value: str, key: str) -> None:
    block = {**BLOCK, "fields": {"name": "name"}}
    project.model("values", block, {"id": kind, "name": "varchar"})
    project.sql(f"insert into \"values\" values ({value}, 'Acme')")
    assert project.sync().sent("/companies") == [{"externalId": key, "name": "Acme"}]
    project.quiet()


def test_keys_survive_a_change_of_type(project: Project) -> None:
    block = {**BLOCK, "fields": {"name": "name"}}
    for kind in ("integer", "bigint", "double", "decimal(10,2)", "varchar"):
        project.model("values", block, {"id": kind, "name": "varchar"})
        project.sql("insert into \"values\" values (7, 'Acme')")
        project.sync()
    assert len(project.sandbox.tenant.records("companies")) == 1
    project.quiet()


@pytest.mark.duckdb("of its types")
@pytest.mark.parametrize("kind", ["uhugeint", "hugeint"])
def test_whole_numbers_of_128_bits(project: Project, kind: str) -> None:
    values = [0, 2**53, 2**53 + 1, 2**127 - 1, *([2**127, 2**128 - 1] if kind == "uhugeint" else [-(2**127)])]
    project.model("values", BLOCK, {"id": "varchar", "value": kind}, [("c", None)])
    project.sql(*(f"insert into \"values\" values ('{n}', '{n}'::{kind})" for n in values))
    sent = {row["externalId"]: row["custom"]["Value"] for row in project.sync().sent("/companies")}
    assert sent == {"c": None} | {str(n): n if n <= 2**53 and n >= 0 else str(n) for n in values}
    project.quiet()
    project.sql('update "values" set value = case when value > 0 then value - 1 else value + 1 end')
    assert project.sync().counts("values") == {"updated": len(values)}
    project.quiet()
