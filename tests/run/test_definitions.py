"""Definitions of custom fields: when they are read, what is told of them, what happens without (planhat-api §3.5)."""

from __future__ import annotations

import pytest
from harness import Outcome, Project

from planhat_dbt.sandbox import Fault, FaultKind, Rules
from run.custom import DEFINITIONS, block, custom, define, firms, notes
from run.shop import add_companies, add_endusers, company, enduser, seed_company

# -- what is read, and when


def test_the_definitions_are_read_once_for_all_syncs_of_a_run(project: Project) -> None:
    for parent in ("company", "enduser", "conversation"):
        define(project, parent=parent, Day="day")
    add_companies(project, 2, fields={"name": "name", "custom": {"Day": "seats"}})
    people = {"companyId": {"company": "account"}, "email": "email", "custom": {"Day": "role"}}
    add_endusers(project, [enduser(1, role="2026-03-01")], fields=people)
    project.model(
        "notes",
        {"object": "note", "key": "id", "fields": {"companyId": {"company": "c"}, "custom": {"Day": "d"}}},
        {"id": "varchar", "c": "varchar", "d": "date"},
        [("n-1", "c-1", "2026-03-01")],
    )
    outcome = project.sync()
    assert outcome.kinds == [DEFINITIONS, "PUT /companies", "PUT /endusers", "POST /conversations"]
    assert notes(outcome) == []
    assert custom(project) == {"Day": 1}
    assert custom(project, "u-1", "endusers") == {"Day": 20513}
    (note,) = project.sandbox.tenant.records("notes")
    assert note["custom"] == {"Day": 20513}, "a note's custom fields are those of conversations"
    project.quiet()


def test_they_are_not_read_where_nothing_is_sent_to_a_custom_field(project: Project) -> None:
    define(project, Seats="number")
    assert_nothing_read(project.cli("plan"))
    add_companies(project, 12, on_removed="delete", max_removals="50%")
    add_endusers(project, [enduser(1)])
    assert_nothing_read(project.cli("plan"))
    assert_nothing_read(project.cli("sync", "--dry-run"))
    assert_nothing_read(project.cli("plan", env={"PLANHAT_API_TOKEN": None}))
    assert project.sync().kinds == [DEFINITIONS, "PUT /companies", "PUT /endusers"]
    project.quiet()
    project.sql("update endusers set role = 'CEO'", "delete from companies where seats = 12")
    outcome = project.sync()
    assert {kind.partition("/")[0] for kind in outcome.kinds} == {"PUT ", "DELETE "}, "deletes send no value"
    project.sql("update companies set name = null where seats = 3")
    assert_nothing_read(project.sync(code=1))  # its only row is rejected by the comparison
    project.build(statuses={"companies": "error"})
    project.sql("update companies set name = 'x' where seats = 4")
    assert_nothing_read(project.sync(code=None))


def assert_nothing_read(outcome: Outcome) -> None:
    assert outcome.kinds == []


def test_a_clear_reads_them_unless_only_constants_would_stay(project: Project) -> None:
    define(project, Value="multipicklist", Source="text")
    firms(project, "varchar[]", "['a']", "['b']", on_removed="clear")
    project.sync()
    project.sql("delete from firms where id = 'c-2'")
    outcome = project.sync()
    assert outcome.kinds == [DEFINITIONS, "PUT /companies"]
    assert custom(project, "c-2") == {"Value": []}

    fields = {"name": "id", "phase": "phase", "custom": {"Source": {"value": "dbt"}}}
    add_companies(project, 2, name="more", fields=fields, match={"sourceId": "id"}, on_removed="clear")
    project.declare("firms", None)
    project.sync()
    project.sql("delete from companies where seats = 2")
    assert project.sync().kinds == ["PUT /companies"]


def test_definitions_that_the_run_itself_makes_are_used_by_it(project: Project) -> None:
    """Custom fields are delivered first; what was read before them is read again."""
    define(project, Value="text", Old="text")
    project.model(
        "definitions",
        {"object": "custom_field", "mode": "insert", "key": "name",
         "fields": {"name": "name", "parent": {"value": "company"}, "type": "type"}},
        {"name": "varchar", "type": "varchar"},
        [("When", "day")],
    )  # fmt: skip
    project.model("firms", block({"When": "v"}), {"id": "varchar", "v": "date"}, [("c-1", "2026-03-01")])
    outcome = project.sync()
    assert outcome.kinds == ["POST /customfields", DEFINITIONS, "PUT /companies"]
    assert notes(outcome) == []
    assert custom(project) == {"When": 20513}
    project.quiet()


def test_another_type_in_planhat_is_no_change_of_the_row(project: Project) -> None:
    define(project, Value="text")
    firms(project, "varchar", "'12'", "'13'")
    project.sync()
    (definition,) = project.sandbox.tenant.records("customfields")
    project.sandbox.tenant.edit("customfields", definition["_id"], type="number")
    project.quiet()
    project.sql("update firms set v = '14' where id = 'c-2'")
    outcome = project.sync()
    assert [row["custom"] for row in outcome.sent("/companies")] == [{"Value": 14}]
    assert custom(project) == {"Value": "12"}
    project.sync("--resync", "firms")
    assert custom(project) == {"Value": 12}


def test_a_record_that_somebody_deleted_is_sent_whole_in_the_form_of_the_types(project: Project) -> None:
    define(project, Value="day", Other="number")
    project.model(
        "firms",
        block({"Value": "v", "Other": "w"}),
        {"id": "varchar", "v": "date", "w": "varchar"},
        [("c-1", "2026-03-01", "5")],
    )
    project.sync()
    project.sandbox.tenant.remove("companies", project.snapshot("firms", "_planhat_id")["c-1"])
    project.sql("update firms set w = '6'")
    project.sync(legal=False)
    assert custom(project) == {"Value": 20513, "Other": 6}
    project.quiet()


# -- what is odd is told once and stops nothing


def test_names_without_a_definition_are_told_and_sent_as_before(project: Project) -> None:
    define(project, **{"Plan Tier": "day", "Seats": "number"})
    define(project, parent="enduser", Value="day")
    fields = {"name": "name", "custom": {"plan tier": "phase", "Seats": "seats", "Value": "day"}}
    add_companies(project, 2, fields=fields | {"custom": {"plan tier": "phase", "Seats": "seats"}})
    project.sql("alter table companies add column day date default date '2026-03-01'")
    project.declare("companies", {**project.models["companies"].block, "fields": fields})
    outcome = project.sync()
    wrong_case, unknown = notes(outcome)
    assert "no custom field `plan tier` for companies. Did you mean `Plan Tier`?" in wrong_case
    assert "no custom field `Value` for companies. Its values are sent" in unknown
    assert custom(project) == {"plan tier": "Live", "Seats": 1, "Value": "2026-03-01T00:00:00.000Z"}
    project.quiet()
    project.sql("update companies set seats = 9 where seats = 2")
    assert len(notes(project.sync())) == 2, "once in each run that sends"


def test_two_syncs_that_share_a_field_tell_it_once(project: Project) -> None:
    """Conversations and notes have the same custom fields."""
    define(project, parent="conversation", Other="number")
    seed_company(project, "c-1")
    fields = {"companyId": {"company": "c"}, "custom": {"Sort": "id"}}
    columns = {"id": "varchar", "c": "varchar"}
    project.model("notes", {"object": "note", "key": "id", "fields": fields}, columns, [("n-1", "c-1")])
    calls = {"object": "conversation", "match": {"externalId": "id"}, "fields": fields}
    project.model("calls", calls, columns, [("k-1", "c-1")])
    outcome = project.sync()
    (told,) = notes(outcome)
    assert "`Sort`" in told
    assert outcome.kinds.count(DEFINITIONS) == 1


def test_a_formula_is_told_and_its_values_go_as_the_column_says(project: Project) -> None:
    define(project, Value={"type": "number", "isFormula": True, "formula": "1"})
    firms(project, "date", "'2026-03-01'")
    outcome = project.sync()
    assert "`Value` of companies is a formula" in "".join(notes(outcome))
    assert outcome.sent("/companies")[0]["custom"] == {"Value": "2026-03-01T00:00:00.000Z"}
    assert not custom(project)
    project.quiet()


def test_mandatory_fields_that_no_new_record_would_carry_are_told(project: Project) -> None:
    define(
        project,
        Value={"type": "text", "isMandatory": True},
        Tier={"type": "text", "isMandatory": True},
        Sum={"type": "number", "isMandatory": True, "isFormula": True},
        Free="text",
    )
    seed_company(project, "c-1")
    firms(project, "varchar", "'x'", mode="update")
    outcome = project.sync()
    assert notes(outcome) == []
    assert outcome.counts("firms") == {"updated": 1}, "an update needs none"
    firms(project, "varchar", "'x'", "'y'", mode="update")
    outcome = project.sync()
    assert notes(outcome) == []
    firms(project, "varchar", "'x'", "'y'")
    outcome = project.sync(code=1)
    (told,) = notes(outcome)
    assert "`Tier` of companies is mandatory in Planhat, and sync firms does not map it" in told
    assert "new records will be refused" in told
    assert project.failures() == {"c-2": ("rejected", "refused")}


# -- a tenant or token that does not tell


@pytest.mark.parametrize("status", [403, 404, 400])
def test_without_definitions_values_go_as_their_columns_say(project: Project, status: int) -> None:
    define(project, Value="day")
    if status == 403:
        project.sandbox.rules = Rules(denied=("customfields:read",))
    else:
        project.sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=status, path="/customfields"))
    firms(project, "date", "'2026-03-01'", custom={"column": "v", "nulls": "skip"})
    fields = {"companyId": {"company": "account"}, "email": "email", "custom": {"Sort": "role"}}
    add_endusers(project, [enduser(1, account="c-1")], fields=fields)
    outcome = project.sync(code=1)
    assert outcome.kinds == [DEFINITIONS, "PUT /companies"], "asked once, though refused"
    (told,) = notes(outcome)
    assert "types of custom fields cannot be read" in told
    assert str(status) in told
    assert outcome.sent("/companies")[0]["custom"] == {"Value": "2026-03-01T00:00:00.000Z"}
    assert project.failures()["c-1"] == ("rejected", "refused"), "the sandbox casts by its definitions"
    project.sandbox.rules = Rules()
    project.sync()
    assert custom(project) == {"Value": 20513}
    project.quiet()


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("fault", "ends_run"),
    [
        (Fault(kind=FaultKind.STATUS, status=401, path="/customfields"), True),
        (Fault(kind=FaultKind.RESET_BEFORE, path="/customfields"), True),
        (Fault(kind=FaultKind.STATUS, status=503, path="/customfields"), False),
        (Fault(kind=FaultKind.STATUS, status=501, path="/customfields"), False),
        (Fault(kind=FaultKind.NOT_JSON, path="/customfields"), False),
        (Fault(kind=FaultKind.STATUS, status=200, body="{}", path="/customfields"), False),
    ],
    ids=lambda v: f"{v.kind}-{v.status}" if isinstance(v, Fault) else str(v),
)
def test_definitions_that_cannot_be_read_hold_the_sync(
    project: Project, fault: Fault, ends_run: bool
) -> None:
    project.settings(max_tries=1)
    define(project, Seats="number")
    add_companies(project, 12, on_removed="delete", max_removals="50%")
    seed_company(project, "x-1")
    project.sync()
    project.sql("update companies set seats = 70 where seats = 7", "delete from companies where seats = 5")
    project.insert("companies", [company(13)])
    project.model(
        "users",
        {"object": "user", "match": {"email": "email"},
         "fields": {"nickName": "n", "firstName": "n", "lastName": "n"}},
        {"email": "varchar", "n": "varchar"}, [("a@b.io", "n")],
    )  # fmt: skip
    project.sandbox.faults.add(fault)
    outcome = project.sync(code=1)
    assert outcome.kinds == ([DEFINITIONS] if ends_run else [DEFINITIONS, "PUT /users"])
    assert outcome.status("companies") == "failed"
    assert outcome.counts("companies") == {"held": 3}, "held, not unknown: nothing was sent"
    assert outcome.status("users") == ("failed" if ends_run else "success")
    assert {key: project.failures()[key] for key in ("c-5", "c-7", "c-13")} == dict.fromkeys(
        ("c-5", "c-7", "c-13"), ("held", "not_sent")
    )
    assert "customfields" in outcome.result("companies")["reason"]
    outcome = project.sync()
    assert outcome.counts("companies") == {"inserted": 1, "updated": 1, "deleted": 1}
    assert project.failures() == {}
    project.quiet()


def test_a_passing_fault_costs_another_attempt(project: Project) -> None:
    define(project, Value="day")
    firms(project, "date", "'2026-03-01'")
    project.sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=503, path="/customfields"))
    outcome = project.sync()
    assert outcome.kinds == [DEFINITIONS, DEFINITIONS, "PUT /companies"]
    assert outcome.result("firms")["calls"] == 3
    assert custom(project) == {"Value": 20513}


@pytest.mark.thorough
def test_more_definitions_than_fit_on_a_page(project: Project) -> None:
    define(project, **{f"Field {i}": "text" for i in range(2100)}, Value="day")
    firms(project, "date", "'2026-03-01'")
    outcome = project.sync()
    assert outcome.kinds == [DEFINITIONS, DEFINITIONS, "PUT /companies"]
    assert custom(project) == {"Value": 20513}


def test_the_warehouse_is_not_open_while_definitions_are_read(project: Project) -> None:
    define(project, Value="day")
    firms(project, "date", "'2026-03-01'")
    project.sandbox.faults.add(Fault(kind=FaultKind.HANG, path="/customfields"))
    project.settings(read_timeout=20)
    process = project.start("sync")
    while not project.sandbox.log.total:
        assert process.poll() is None, process.communicate()
    assert project.query("select count(*) from firms") == [(1,)]
    process.kill()
    process.communicate()
    assert project.sync().counts("firms") == {"inserted": 1}


@pytest.mark.parametrize("rule", ["store", "refuse"])
def test_nothing_is_refused_where_every_field_is_defined(project: Project, rule: str) -> None:
    project.sandbox.rules = Rules(unknown_custom=rule)
    define(project, Seats="number")
    add_companies(project, 3)
    assert project.sync().counts("companies") == {"inserted": 3}
    project.quiet()
