"""Profiles, settings, views and tenants that are not as they should be: one clear message, no call (DESIGN §10)."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
import yaml
from harness import Outcome, Project, Row

from run.shop import (
    COMPANIES,
    COMPANY_COLUMNS,
    ENDUSER_COLUMNS,
    add_companies,
    add_endusers,
    enduser,
    mirrors,
)

SECRET = "s3cr3t-hunter2"
COMMANDS = [["sync"], ["plan"]]


def write(project: Project, text: str | bytes) -> None:
    project.share()
    content = text if isinstance(text, bytes) else text.encode()
    (project.directory / "profiles.yml").write_bytes(content)


def one_message(outcome: Outcome, codes: tuple[int, ...] = (1, 2)) -> str:
    assert outcome.code in codes, outcome.told
    assert outcome.kinds == []
    assert len([line for line in outcome.err.splitlines() if line.startswith("Error: ")]) == 1, outcome.err
    return outcome.err


def jinja(**more: str) -> str:
    """A target whose text cannot be rendered."""
    output = {"type": "duckdb", "path": "shop.duckdb", **more}
    return yaml.safe_dump({"shop": {"target": "dev", "outputs": {"dev": output}}})


BROKEN: dict[str, str | bytes] = {
    "open list": f"shop:\n  outputs:\n    dev: {{type: duckdb, password: {SECRET}, path: [\n",
    "open quote": f"shop:\n  password: '{SECRET}\n",
    "colon": f"shop:\n  password: {SECRET}: {SECRET}\n",
    "tab": f"shop:\n\tpassword: {SECRET}\n",
    "alias": f"shop: *{SECRET}\n",
    "tag": f"shop: !{SECRET} 1\n",
    "anchor twice": f"shop: {{a: &x {SECRET}, b: *y}}\n",
    "character": f"shop: {{password: {SECRET}\x07}}\n",
    "bytes": f"shop: {{password: {SECRET}".encode() + b"\xff\xfe}\n",
    "a text": f"{SECRET}\n",
    "jinja": jinja(path=SECRET + "{{ oops("),
    "jinja tag": jinja(path="{% " + SECRET + " %}"),
    "jinja name": jinja(path='{{ var("' + SECRET + '") }}'),
    "jinja number": jinja(threads='{{ "' + SECRET + '" | as_number }}'),
    "jinja arguments": jinja(path=SECRET + "{{ env_var() }}"),
    "jinja division": jinja(path=SECRET + "{{ 1 / 0 }}"),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_profiles_file_is_not_shown(project: Project, text: str | bytes) -> None:
    add_companies(project, 1)
    write(project, text)
    for command in COMMANDS:
        told = one_message(project.cli(*command), (2,))
        assert "profiles.yml" in told
        assert SECRET not in told
        assert "hunter2" not in told


WRONG: dict[str, tuple[Any, str]] = {
    "profile is a text": ("a text", "outputs"),
    "profile is a list": (["dev"], "outputs"),
    "profile is nothing": (None, "outputs"),
    "outputs is a text": ({"target": "dev", "outputs": "dev"}, "dev"),
    "outputs is a list": ({"target": "dev", "outputs": ["dev"]}, "dev"),
    "target is not there": ({"target": "staging", "outputs": {"dev": {}}}, "staging"),
    "target is a list": ({"target": ["dev"], "outputs": {"dev": {}}}, "dev"),
    "output is a text": ({"target": "dev", "outputs": {"dev": "shop.duckdb"}}, "dev"),
    "output is nothing": ({"target": "dev", "outputs": {"dev": None}}, "dev"),
    "type is missing": ({"target": "dev", "outputs": {"dev": {"path": "shop.duckdb"}}}, "dev"),
}


@pytest.mark.parametrize(("profile", "word"), WRONG.values(), ids=WRONG)
def test_a_profile_of_another_form(project: Project, profile: Any, word: str) -> None:
    add_companies(project, 1)
    write(project, yaml.safe_dump({"shop": profile}))
    for command in COMMANDS:
        told = one_message(project.cli(*command), (2,))
        assert "profiles.yml" in told
        assert word in told


@pytest.mark.duckdb("of DuckDB's files")
@pytest.mark.parametrize("environ", [{}, {"DBT_PROFILES_DIR": "."}], ids=["", "another is set"])
def test_what_dbt_built_with_other_profiles_is_what_is_read(
    project: Project, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    """The nearer profiles lead to tables that no test has passed."""
    add_companies(project, 1)
    project.share()
    other = project.directory / "ci"
    other.mkdir()
    shutil.copy(project.file, other / project.file.name)
    project.sql("update companies set name = 'untested'")
    profiles = yaml.safe_load((project.directory / "profiles.yml").read_text(encoding="utf-8"))
    profiles["shop"]["outputs"]["dev"]["path"] = str(other / project.file.name)
    (other / "profiles.yml").write_text(yaml.safe_dump(profiles), encoding="utf-8")
    project.build(profiles_dir=str(other))
    monkeypatch.setattr(project, "_place", lambda: ["--project-dir", str(project.directory)])
    monkeypatch.chdir(project.directory)
    assert project.cli("sync", env=environ).code == 0
    assert [r["name"] for r in project.sandbox.tenant.records("companies")] == ["Acme 1"]


def test_a_variable_that_was_not_set_for_dbt_is_no_target_of_its(project: Project) -> None:
    """dbt notes the target that DBT_TARGET named: where it notes none, it ran for the one of `profiles.yml`."""
    add_companies(project, 1)
    path = project.directory / "profiles.yml"
    profiles = yaml.safe_load(path.read_text(encoding="utf-8"))
    outputs = profiles["shop"]["outputs"]
    outputs["prod"] = dict(outputs["dev"])
    path.write_text(yaml.safe_dump(profiles), encoding="utf-8")
    outcome = project.sync(code=3, env={"DBT_TARGET": "prod"})
    assert "dbt was last run for target dev" in outcome.told
    project.build(target="prod")
    assert project.sync(env={"DBT_TARGET": "prod"}).document["metadata"]["target"] == "prod"


KEYS: dict[str, tuple[dict[str, Any], str]] = {
    "config_options is a text": ({"config_options": "x"}, "config_options"),
    "config_options is unknown": ({"config_options": {"no_such_option": 1}}, "no_such_option"),
    "config_options holds a list": ({"config_options": {"threads": [1]}}, "[1]"),
    "attach is a text": ({"attach": "x.db"}, "attach"),
    "attach is a list of texts": ({"attach": ["x.db"]}, "attach"),
    "attach has no path": ({"attach": [{"alias": "x"}]}, "attach"),
    "attached file is not there": ({"attach": [{"path": "no_such_file.duckdb"}]}, "no_such_file"),
    "attached type is unknown": ({"attach": [{"path": "x.db", "type": "no_such_type"}]}, "no_such_type"),
    "settings is a text": ({"settings": "x"}, "settings"),
    "settings is unknown": ({"settings": {"no_such_setting": 1}}, "no_such_setting"),
    "settings is no number": ({"settings": {"threads": "many"}}, "many"),
    "extensions is a text": ({"extensions": "httpfs"}, "extensions"),
    "extension is not installed": ({"extensions": ["no_such_extension"]}, "no_such_extension"),
    "extension has no name": ({"extensions": [{"repo": "community"}]}, "extensions"),
    "unknown key": ({"is_ducklake": True}, "is_ducklake"),
    "path is a list": ({"path": ["shop.duckdb"]}, "path"),
}


@pytest.mark.duckdb("of DuckDB's files and names")
@pytest.mark.parametrize(("more", "word"), KEYS.values(), ids=KEYS)
def test_a_target_that_cannot_be_opened(project: Project, more: dict[str, Any], word: str) -> None:
    add_companies(project, 1)
    output = {"type": "duckdb", "path": str(project.file), **more}
    write(project, yaml.safe_dump({"shop": {"target": "dev", "outputs": {"dev": output}}}))
    for command in COMMANDS:
        assert word in one_message(project.cli(*command))


# -- views


OTHER_SYNC: Row = {
    "object": "enduser",
    "match": {"externalId": "id"},
    "fields": {"companyId": {"company": "account", "by": "sourceId"}, "email": "email"},
}


@pytest.mark.duckdb("of DuckDB's files and names")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("alter table base drop column phase", "Sync companies: "),
        ("alter table base rename column phase to stage", "Sync companies: "),
        ("drop table base", "does not exist"),
    ],
)
def test_a_view_whose_source_changed_is_named_before_any_call(
    project: Project, change: str, words: str
) -> None:
    project.model("base", None, COMPANY_COLUMNS)
    project.sql("create view companies as select id, name, phase, seats from base")
    project.declare("companies", COMPANIES)
    project.sandbox.tenant.seed("companies", [{"name": "Bolt", "sourceId": "s-1"}])
    project.model("endusers", OTHER_SYNC, ENDUSER_COLUMNS, [enduser(1, account="s-1")])
    project.sql(change)
    for command in COMMANDS:
        outcome = project.cli(*command)
        assert (outcome.code in (1, 2), outcome.kinds) == (True, []), outcome.told
        assert words in outcome.err
        assert "dbt build --select companies" in outcome.err
    assert project.sync("--select", "endusers").counts("endusers") == {"inserted": 1}
    project.sql("create or replace table base as select 'c-1' id, 'Acme 1' \"name\", 'Live' phase, 1 seats")
    assert project.sync().counts("companies") == {"inserted": 1}
    project.quiet()


# -- settings


def synced(project: Project) -> Outcome:
    """A sync whose state is not in the schema where the harness looks."""
    outcome = project.cli("sync")
    assert outcome.code == 0, outcome.told
    return outcome


@pytest.mark.duckdb("of DuckDB's files and names")
def test_the_state_schema_may_be_spelt_otherwise(project: Project) -> None:
    project.settings(schema="Planhat_State")
    add_companies(project, 3, on_removed="delete")
    assert synced(project).counts("companies") == {"inserted": 3}
    for spelt in ("planhat_state", "PLANHAT_STATE", "Planhat_State"):
        project.settings(schema=spelt)
        assert synced(project).kinds == []
    project.sql("delete from companies where seats = 3")
    project.settings(schema="planhat_state")
    assert synced(project).counts("companies") == {"deleted": 1}
    assert project.query(
        "select count(distinct table_schema) from information_schema.tables where lower(table_schema) = 'planhat_state'"
    ) == [(1,)]
    assert project.query("select count(*) from planhat_state.runs") == [(5,)]
    assert mirrors(project)


def test_a_selection_of_disabled_syncs_is_told(project: Project) -> None:
    add_companies(project, 2, enabled=False)
    add_endusers(project, [])
    for command in COMMANDS:
        told = one_message(project.cli(*command, "--select", "companies"), (2,))
        assert "disabled" in told
        assert "companies" in told
    assert project.sync().kinds == []


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("alerts", {"webhook": "https://example.com"}),
        ("alerts", []),
    ],
)
def test_settings_without_effect_are_refused(project: Project, setting: str, value: Any) -> None:
    add_companies(project, 1)
    assert project.cli("validate").code == 0
    project.settings(**{setting: value})
    for command in (["validate"], *COMMANDS):
        told = one_message(project.cli(*command), (2,))
        assert setting in told
        assert "dbt_project.yml" in told


# -- tenants

OTHER = "5a0d0b0c-0000-4000-8000-00000000ffff"


def test_the_tenant_may_be_named_later_but_not_changed(project: Project) -> None:
    add_companies(project, 2)
    project.sync(env={"PLANHAT_TENANT_UUID": None})
    project.quiet()  # from here on it is named
    for _ in range(2):
        outcome = project.sync(code=3, env={"PLANHAT_TENANT_UUID": OTHER})
        assert outcome.kinds == []
        assert OTHER not in outcome.told
    project.sync(env={"PLANHAT_TENANT_UUID": None})
    assert project.sync(code=3, env={"PLANHAT_TENANT_UUID": OTHER}).kinds == []
    project.quiet()
