"""Custom fields have the type that the tenant gives them: values get its form, or are rejected (planhat-api §3.5)."""

from __future__ import annotations

from typing import Any

import pytest
from harness import Project, Row

from run.custom import DEFINITIONS, ID, OTHER, block, custom, define, firms, notes
from run.shop import add_endusers, enduser, seed_company

# -- every type

GOOD: list[tuple[str, str, str, Any]] = [
    ("text", "varchar", "'007'", "007"),
    ("text", "integer", "7", "7"),
    ("text", "double", "3.0", "3"),
    ("text", "decimal(9,2)", "12.50", "12.5"),
    ("text", "boolean", "true", "true"),
    ("text", "date", "'2026-03-01'", "2026-03-01"),
    ("text", "timestamptz", "'2026-03-01 14:00:00+02'", "2026-03-01T12:00:00.000Z"),
    ("text", "integer[]", "[1, 2]", "[1,2]"),
    ("rich text", "varchar", "'<b>x</b>'", "<b>x</b>"),
    ("phone", "bigint", "46701234567", "46701234567"),
    ("email", "varchar", "'a@b.io'", "a@b.io"),
    ("url", "varchar", "'https://b.io'", "https://b.io"),
    ("list", "varchar", "'Gold'", "Gold"),
    ("number", "varchar", "' 12 '", 12),
    ("number", "varchar", "'1.5e3'", 1500),
    ("number", "integer", "12", 12),
    ("number", "decimal(9,2)", "12.50", 12.5),
    ("number", "double", "0.25", 0.25),
    ("checkbox", "boolean", "false", False),
    ("checkbox", "integer", "1", True),
    ("checkbox", "varchar", "'T'", True),
    ("rating", "integer", "4", 4),
    ("rating", "decimal(9,2)", "4.00", 4),
    ("rating", "varchar", "'5'", 5),
    ("date", "date", "'2026-03-01'", "2026-03-01T00:00:00.000Z"),
    ("date", "timestamp", "'2026-03-01 12:30:00.5'", "2026-03-01T12:30:00.500Z"),
    ("date", "varchar", "'2026-03-01'", "2026-03-01T00:00:00.000Z"),
    ("day", "date", "'2026-03-01'", 20513),
    ("day", "timestamptz", "'2026-03-01 01:00:00+02'", 20512),
    ("day", "varchar", "'2026-03-01'", 20513),
    ("day", "integer", "20513", 20513),
    ("multipicklist", "varchar[]", "['a', null, 'b']", ["a", "b"]),
    ("multipicklist", "integer[]", "[1, 2]", ["1", "2"]),
    ("multipicklist", "varchar", """'["a"]'""", ["a"]),
    ("multipicklist", "json", """'["a"]'""", ["a"]),
    ("team member", "varchar", f"'{ID}'", ID),
    ("team members", "varchar[]", f"['{ID}', '{OTHER}']", [ID, OTHER]),
    ("enduser", "varchar", f"'{ID}'", ID),
    ("endusers", "json", f"""'["{ID}"]'""", [ID]),
]


def wide(project: Project, cases: list[tuple[str, str]], **more: Any) -> list[str]:
    """A model with one custom field for each type and kind of column; returns their names."""
    names = [f"{n} {planhat} from {kind}" for n, (planhat, kind) in enumerate(cases)]
    define(project, **{name: planhat for name, (planhat, _) in zip(names, cases, strict=True)})
    columns = {f"v{n}": kind for n, (_, kind) in enumerate(cases)}
    fields = dict(zip(names, columns, strict=True))
    project.model("firms", block(fields, **more), {"id": "varchar", **columns})
    return names


def test_every_type_gets_its_form(project: Project) -> None:
    names = wide(project, [(planhat, kind) for planhat, kind, _, _ in GOOD], on_removed="clear")
    project.sql(f"insert into firms values ('c-1', {', '.join(value for _, _, value, _ in GOOD)})")
    project.sql("insert into firms (id) values ('c-2')")
    outcome = project.sync()
    assert outcome.kinds == [DEFINITIONS, "PUT /companies"]
    assert notes(outcome) == []
    full = {name: stored for name, (_, _, _, stored) in zip(names, GOOD, strict=True)}
    lists = ("multipicklist", "team members", "endusers")
    empty: Row = {
        name: [] if planhat in lists else None for name, (planhat, *_) in zip(names, GOOD, strict=True)
    }
    first, second = outcome.sent("/companies")
    assert as_json(first["custom"]) == as_json(full)
    assert second["custom"] == empty
    assert (custom(project), custom(project, "c-2")) == (full, empty)
    project.quiet()

    every = ", ".join(f"v{n} = {value}" for n, (_, _, value, _) in enumerate(GOOD))
    project.sql(f"update firms set {every} where id = 'c-2'")
    project.sql("update firms set v0 = null, v31 = null where id = 'c-1'")
    outcome = project.sync()
    assert outcome.kinds == [DEFINITIONS, "PUT /companies"]
    first, second = sorted(outcome.sent("/companies"), key=lambda row: len(row["custom"]))
    assert first["custom"] == {names[0]: None, names[31]: []}
    assert as_json(second["custom"]) == as_json(full)
    assert custom(project, "c-2") == full
    project.quiet()

    project.sql("delete from firms where id = 'c-2'")
    outcome = project.sync("--allow-removals", "firms")
    assert outcome.kinds == [DEFINITIONS, "PUT /companies"]
    assert [row["custom"] for row in outcome.sent("/companies")] == [empty]
    assert custom(project, "c-2") == empty
    project.quiet()


def as_json(values: Row) -> dict[str, tuple[type, Any]]:
    """Values with their types: 1 is not true, and 12 not '12'."""
    return {n: (float if type(v) is int else type(v), v) for n, v in values.items()}


BAD: list[tuple[str, str, str, str]] = [
    ("number", "varchar", "'a lot'", "expected a number"),
    ("number", "varchar", "''", "expected a number"),
    ("number", "varchar", "'1,5'", "expected a number"),
    ("number", "double", "'nan'", "v3"),
    ("checkbox", "varchar", "'yes'", "expected true or false"),
    ("checkbox", "integer", "2", "expected 0 or 1"),
    ("rating", "double", "4.5", "expected a whole number"),
    ("rating", "varchar", "'four'", "expected a whole number"),
    ("date", "varchar", "'soon'", "ISO 8601"),
    ("date", "date", "'infinity'", "v9"),
    ("day", "varchar", "'01.03.2026'", "ISO 8601"),
    ("multipicklist", "varchar", "'a, b'", "expected JSON of a list"),
    ("multipicklist", "json", """'{"a": 1}'""", "expected JSON of a list"),
    ("multipicklist", "json", """'[["a"]]'""", "expected a list of texts"),
    ("team member", "varchar", "'ann@b.io'", "expected a Planhat _id"),
    ("team members", "varchar[]", "['ann@b.io']", "expected a Planhat _id"),
    ("enduser", "varchar", "'u-1'", "expected a Planhat _id"),
    ("endusers", "varchar", f"'{ID}'", "expected JSON of a list"),
]


def test_a_value_that_does_not_fit_rejects_its_row_alone(project: Project) -> None:
    names = wide(project, [(planhat, kind) for planhat, kind, _, _ in BAD])
    for n, (_, _, value, _) in enumerate(BAD):
        project.sql(f"insert into firms (id, v{n}) values ('bad-{n}', {value})")
    project.sql("insert into firms (id) values ('good')")
    outcome = project.sync(code=1)
    assert outcome.kinds == [DEFINITIONS, "PUT /companies"]
    assert [row["externalId"] for row in outcome.sent("/companies")] == ["good"]
    assert outcome.counts("firms") == {"inserted": 1, "rejected": len(BAD)}
    assert project.failures() == {f"bad-{n}": ("rejected", "bad_value") for n in range(len(BAD))}
    told = dict(project.query("select key, message from planhat_sync.failures"))
    for n, (_, _, _, words) in enumerate(BAD):
        assert f"custom.{names[n]}" in told[f"bad-{n}"]
        assert words in told[f"bad-{n}"] or words == f"v{n}"
    outcome = project.sync(code=1)
    assert outcome.kinds == [DEFINITIONS], "nothing is sent, but the fields might have another type by now"
    assert outcome.counts("firms") == {"rejected": len(BAD)}
    project.sql("delete from firms where id <> 'good'")
    project.quiet()
    assert project.failures() == {}


def test_a_row_goes_out_once_its_field_has_another_type(project: Project) -> None:
    define(project, Value="number")
    firms(project, "varchar", "'a lot'")
    assert project.sync(code=1).counts("firms") == {"rejected": 1}
    (definition,) = project.sandbox.tenant.records("customfields")
    project.sandbox.tenant.edit("customfields", definition["_id"], type="text")
    assert project.sync().counts("firms") == {"inserted": 1}
    assert custom(project) == {"Value": "a lot"}
    project.quiet()


IMPOSSIBLE = [
    ("number", "date"),
    ("number", "boolean"),
    ("number", "varchar[]"),
    ("checkbox", "double"),
    ("rating", "timestamp"),
    ("date", "integer"),
    ("date", "boolean"),
    ("day", "double"),
    ("multipicklist", "integer"),
    ("team member", "integer"),
    ("team member", "varchar[]"),
    ("team members", "boolean"),
    ("enduser", "json"),
    ("endusers", "date"),
]


@pytest.mark.parametrize("mode", ["upsert", "insert"])
def test_columns_that_never_fit_fail_the_sync_before_anything_is_sent(project: Project, mode: str) -> None:
    names = wide(project, IMPOSSIBLE, mode=mode)
    project.sql("insert into firms (id) values ('c-1'), ('c-2')")
    add_endusers(project, [enduser(1, account="c-7")])
    seed_company(project, "c-7")
    outcome = project.sync(code=1)
    look = ["GET /leancompanies"] if mode == "insert" else []
    assert outcome.kinds == [*look, DEFINITIONS]
    assert outcome.status("firms") == "failed"
    assert outcome.counts("firms") == {"held": 2}
    assert project.failures()["c-1"] == ("held", "not_sent")
    reason = outcome.result("firms")["reason"]
    assert reason.startswith("sync firms: ")
    assert reason.count("cast it in the model") == len(IMPOSSIBLE)
    for n, (planhat, _) in enumerate(IMPOSSIBLE):
        assert f"`custom.{names[n]}` is of type {planhat} in Planhat, column v{n} is of type " in reason
    assert project.snapshot("firms") == {}


def test_a_column_that_was_cast_goes_out(project: Project) -> None:
    define(project, Value="number")
    firms(project, "boolean", "true")
    outcome = project.sync(code=1)
    assert "column v is of type boolean: cast it in the model" in outcome.out.replace("BOOLEAN", "boolean")
    assert project.sync(code=1).status("firms") == "failed", "it is told until it is corrected"
    project.sql("alter table firms alter v type integer using cast(v as integer)")
    assert project.sync().counts("firms") == {"inserted": 1}
    assert custom(project) == {"Value": 1}
    assert project.failures() == {}
    project.quiet()


def test_other_syncs_go_on_unless_the_run_is_to_end(project: Project) -> None:
    define(project, Value="number")
    firms(project, "date", "'2026-03-01'")
    seed_company(project, "x-1")
    project.model(
        "assets",
        {"object": "asset", "match": {"externalId": "id"},
         "fields": {"name": "id", "companyId": {"company": "c", "by": "sourceId"}}},
        {"id": "varchar", "c": "varchar"},
    )  # fmt: skip
    project.sandbox.tenant.seed("companies", [{"name": "X", "sourceId": "x-2"}])
    project.insert("assets", [("a-1", "x-2")])
    outcome = project.sync("--fail-fast", code=1)
    assert (outcome.kinds, outcome.status("assets")) == ([DEFINITIONS], "failed")
    outcome = project.sync(code=1)
    assert outcome.kinds == [DEFINITIONS, "PUT /assets"]
    assert outcome.status("assets") == "success"


def test_a_removal_waits_as_well_where_a_column_never_fits(project: Project) -> None:
    firms(project, "date", "'2026-03-01'", "'2026-03-02'", on_removed="clear")
    project.sync()
    define(project, Value="number")
    project.sql("delete from firms where id = 'c-2'")
    outcome = project.sync(code=1)
    assert outcome.kinds == [DEFINITIONS]
    assert outcome.counts("firms") == {"held": 1}
    assert project.failures() == {"c-2": ("held", "not_sent")}


# -- look-ups and constants


@pytest.mark.parametrize(
    ("kind", "several"), [("team member", False), ("team members", True), ("text", False)]
)
def test_a_user_is_looked_up_for_the_field(project: Project, kind: str, several: bool) -> None:
    people = {"email": "ada@x.io", "nickName": "Ada", "firstName": "A", "lastName": "L"}
    (ada,) = project.sandbox.tenant.seed("users", [people])
    define(project, Value=kind)
    source = {"lookup": "user", "by": "email", "column": "v"}
    firms(project, "varchar", "'ada@x.io'", "null", "'who@x.io'", custom=source)
    outcome = project.sync()
    assert outcome.kinds[-2:] == [DEFINITIONS, "PUT /companies"], (
        "people first: rows may be left without a call"
    )
    assert outcome.counts("firms") == {"inserted": 2, "held": 1}
    assert custom(project) == {"Value": [ada] if several else ada}
    assert custom(project, "c-2") == {"Value": [] if several else None}
    project.sql("update firms set v = null where id = 'c-1'")
    project.sync()
    assert custom(project) == {"Value": [] if several else None}


@pytest.mark.parametrize("kind", ["enduser", "endusers", "number", "multipicklist", "checkbox"])
def test_a_look_up_of_somebody_else_never_fits(project: Project, kind: str) -> None:
    people = {"email": "ada@x.io", "nickName": "Ada", "firstName": "A", "lastName": "L"}
    project.sandbox.tenant.seed("users", [people])
    define(project, Value=kind)
    firms(project, "varchar", "'ada@x.io'", custom={"lookup": "user", "by": "email", "column": "v"})
    outcome = project.sync(code=1)
    assert outcome.kinds == ["GET /users", DEFINITIONS]
    assert outcome.counts("firms") == {"held": 1}
    reason = outcome.result("firms")["reason"]
    assert f"`custom.Value` is of type {kind} in Planhat, a look-up gives the _id of one user" in reason


CONSTANTS: list[tuple[str, Any, Any]] = [
    ("text", "x", "x"),
    ("number", 1.5, 1.5),
    ("checkbox", True, True),
    ("rating", 3, 3),
    ("date", "2026-03-01", "2026-03-01T00:00:00.000Z"),
    ("day", "2026-03-01", 20513),
    ("multipicklist", ["a"], ["a"]),
    ("team member", ID, ID),
    ("endusers", [ID], [ID]),
]


def test_constants_get_the_form_of_the_type(project: Project) -> None:
    define(project, **{f"C {kind}": kind for kind, _, _ in CONSTANTS})
    fields = {f"C {kind}": {"value": value} for kind, value, _ in CONSTANTS}
    project.model("firms", block(fields), {"id": "varchar"}, [("c-1",)])
    outcome = project.sync()
    sent = {f"C {kind}": sent for kind, _, sent in CONSTANTS}
    assert outcome.sent("/companies")[0]["custom"] == sent
    assert custom(project) == sent
    project.quiet()


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("number", "12", "expected a number, found"),
        ("text", 12, "Put it in quotes"),
        ("day", "soon", "expected a date"),
        ("team member", "ann", "24 hex characters"),
    ],
)
def test_a_constant_that_does_not_fit_fails_the_sync(
    project: Project, kind: str, value: Any, words: str
) -> None:
    define(project, Value=kind)
    project.model("firms", block({"Value": {"value": value}}), {"id": "varchar"}, [("c-1",)])
    outcome = project.sync(code=1)
    assert outcome.kinds == [DEFINITIONS]
    reason = outcome.result("firms")["reason"]
    assert f"`custom.Value` is of type {kind} in Planhat, its constant does not fit: " in reason
    assert words in reason
