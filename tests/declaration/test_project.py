"""`dbt_project.yml` and the settings in it."""

from __future__ import annotations

import pytest

from planhat_dbt.errors import UsageError
from planhat_dbt.project import find_project_dir, read_project
from planhat_dbt.settings import OnUnknown, ProjectSettings


def project(directory, text):
    (directory / "dbt_project.yml").write_text(text, encoding="utf-8")
    return directory


def settings_of(directory, planhat, **options):
    project(directory, f"name: shop\nvars:\n  planhat: {planhat}\n")
    return read_project(project_dir=directory, env={}, **options)


def test_defaults(tmp_path):
    found = read_project(project_dir=project(tmp_path, "name: shop\nprofile: crm\n"), env={})
    assert (found.name, found.profile, found.faults) == ("shop", "crm", ())
    assert found.manifest_path == tmp_path / "target" / "manifest.json"
    assert found.run_results_path == tmp_path / "target" / "run_results.json"
    s = found.settings
    assert s == ProjectSettings()
    assert (s.state_schema, s.allow_targets, s.defaults, s.alerts, s.hook) == (
        "planhat_sync",
        None,
        {},
        (),
        False,
    )
    assert (s.max_calls_per_minute, s.batch_rows, s.batch_bytes, s.single_insert_rows) == (
        200,
        5000,
        2**23,
        200,
    )
    assert (s.read_timeout, s.connect_timeout, s.max_tries, s.max_wait) == (120, 10, 6, 120)
    assert (s.breaker_failures, s.duckdb_lock_wait, s.lease_seconds) == (3, 60, 60)
    assert s.on_unknown is OnUnknown.HOLD


def test_settings_are_read(tmp_path):
    found = settings_of(
        tmp_path,
        "{schema: crm_state, max_calls_per_minute: 120, allow_targets: prod, on_unknown: resend, hook: true,"
        " alerts: {webhook: X}, changes_retention_days: 7, defaults: {nulls: skip, max_removals: 5}}",
    )
    assert found.faults == ()
    s = found.settings
    assert (s.state_schema, s.max_calls_per_minute, s.allow_targets) == ("crm_state", 120, ("prod",))
    assert (s.on_unknown, s.hook, s.alerts) == ("resend", True, ({"webhook": "X"},))
    assert (s.changes_retention_days, s.defaults) == (7, {"nulls": "skip", "max_removals": 5})


@pytest.mark.parametrize(
    ("planhat", "path", "words"),
    [
        ("{max_calls: 5}", "max_calls", "Did you mean `max_calls_per_minute`?"),
        ("{shema: a}", "shema", "Did you mean `schema`?"),
        ("{schema: 'a-b'}", "schema", "expected a plain name"),
        ("{batch_rows: 5001}", "batch_rows", "expected at most 5000, found 5001"),
        ("{max_tries: 0}", "max_tries", "expected at least 1"),
        ("{read_timeout: soon}", "read_timeout", "expected a number"),
        ("{on_unknown: holt}", "on_unknown", "Did you mean `hold`?"),
        ("{allow_targets: 5}", "allow_targets", "expected a list"),
        ("{defaults: 5}", "defaults", "expected a mapping"),
        ("{defaults: {on_removed: erase}}", "defaults.on_removed", "expected `keep`, `clear` or `delete`"),
        ("{defaults: {object: company}}", "defaults.object", "unknown key `object`"),
        ("{defaults: {max_change: 5}}", "defaults.max_change", "Did you mean `max_changes`?"),
        ("{schema: \"{{ env_var('NOPE') }}\"}", "schema", "NOPE is not set"),
        ("{schema: \"{{ target.schema }}\"}", "schema", "no other Jinja"),
        ("5", "", "expected a mapping of settings, found a number"),
    ],
)  # fmt: skip
def test_faults_of_settings_leave_the_defaults_in_force(tmp_path, planhat, path, words):
    found = settings_of(tmp_path, planhat)
    fault = found.faults[0]
    assert fault.path == f"vars.planhat.{path}".rstrip(".")
    assert fault.file == "dbt_project.yml"
    assert words in fault.message
    assert found.settings.batch_rows == 5000
    assert found.settings.defaults in ({}, {"max_changes": 5})


def test_settings_of_the_project_go_before_and_those_of_the_command_line_go_first(tmp_path):
    project(
        tmp_path,
        """
        name: shop
        vars:
          planhat: {schema: a, max_calls_per_minute: 100, max_tries: 2, defaults: {nulls: skip, tests: warn}}
          shop: {planhat: {max_calls_per_minute: 50, max_tries: 3}}
        """,
    )
    found = read_project(
        project_dir=tmp_path, cli_vars="{planhat: {max_tries: 4, defaults: {tests: ignore}}, x: 1}", env={}
    )
    assert found.faults == ()
    s = found.settings
    assert (s.state_schema, s.max_calls_per_minute, s.max_tries) == ("a", 50, 4)
    assert s.defaults == {"nulls": "skip", "tests": "ignore"}


def test_a_fault_is_told_where_its_setting_is_from(tmp_path):
    project(
        tmp_path,
        """
        name: shop
        vars:
          planhat: {max_tries: 0, batch_rows: 0, defaults: {nulls: a, tests: a}}
          shop: {planhat: {batch_rows: -1}}
        """,
    )
    found = read_project(
        project_dir=tmp_path, cli_vars="{planhat: {shema: x, allow_targets: 5, defaults: {tests: b}}}", env={}
    )
    assert {(f.file, f.path) for f in found.faults} == {
        ("dbt_project.yml", "vars.planhat.max_tries"),
        ("dbt_project.yml", "vars.shop.planhat.batch_rows"),
        ("dbt_project.yml", "vars.planhat.defaults.nulls"),
        ("--vars", "planhat.shema"),
        ("--vars", "planhat.allow_targets"),
        ("--vars", "planhat.defaults.tests"),
    }
    (wrong,) = read_project(project_dir=tmp_path, cli_vars="{planhat: 5}", env={}).faults[:1]
    assert (wrong.file, wrong.path) == ("--vars", "planhat")


def test_a_project_that_is_itself_called_planhat(tmp_path):
    project(tmp_path, "name: planhat\nvars: {planhat: {schema: a, planhat: {max_tries: 2}}}")
    found = read_project(project_dir=tmp_path, env={})
    assert found.faults == ()
    assert (found.settings.state_schema, found.settings.max_tries) == ("a", 2)


def test_vars_of_a_file_of_their_own(tmp_path):
    """As dbt reads them from 1.12 on."""
    project(tmp_path, "name: shop\n")
    (tmp_path / "vars.yml").write_text(
        "vars: {planhat: {max_tries: 3, shema: x}, shop: {planhat: {schema: a}}}"
    )
    found = read_project(project_dir=tmp_path, cli_vars="{planhat: {batch_rows: 7}}", env={})
    assert (found.settings.max_tries, found.settings.state_schema, found.settings.batch_rows) == (3, "a", 7)
    assert [(f.file, f.path) for f in found.faults] == [("vars.yml", "vars.planhat.shema")]
    project(tmp_path, "name: shop\nvars: {planhat: {max_tries: 5}}\n")
    assert read_project(project_dir=tmp_path, env={}).settings.max_tries == 5


def test_environment_variables_are_filled_in(tmp_path):
    project(
        tmp_path,
        """
        name: "{{ env_var('NAME', 'shop') }}"
        profile: '{{ env_var("PROFILE") }}'
        target-path: "{{ env_var('OUT', 'out') }}/dbt"
        vars:
          planhat: {schema: "{{env_var('SCHEMA','x')}}", max_tries: "{{ env_var('TRIES') | as_number }}"}
        """,
    )
    found = read_project(project_dir=tmp_path, env={"PROFILE": "crm", "TRIES": "9"})
    assert found.faults == ()
    assert (found.name, found.profile) == ("shop", "crm")
    assert found.target_path == tmp_path / "out" / "dbt"
    assert (found.settings.state_schema, found.settings.max_tries) == ("x", 9)


@pytest.mark.parametrize(
    ("given", "env", "expected"),
    [
        (None, {}, "from_file"),
        (None, {"DBT_TARGET_PATH": "from_env"}, "from_env"),
        ("from_flag", {"DBT_TARGET_PATH": "from_env"}, "from_flag"),
        (None, {"DBT_ENGINE_TARGET_PATH": "engine"}, "engine"),
    ],
)
def test_where_the_artifacts_are(tmp_path, given, env, expected):
    project(tmp_path, "name: shop\ntarget-path: from_file\n")
    assert read_project(project_dir=tmp_path, target_path=given, env=env).target_path == tmp_path / expected


def test_the_project_is_searched_as_dbt_does(tmp_path):
    project(tmp_path, "name: shop\n")
    below = tmp_path / "models" / "marts"
    below.mkdir(parents=True)
    assert find_project_dir(env={}, cwd=below) == tmp_path
    assert find_project_dir("..", env={}, cwd=tmp_path / "models") == tmp_path
    assert find_project_dir(env={"DBT_PROJECT_DIR": str(tmp_path)}, cwd=tmp_path.parent) == tmp_path
    with pytest.raises(UsageError, match="there is no dbt_project"):
        find_project_dir("models", env={}, cwd=tmp_path)
    with pytest.raises(UsageError, match="there is no dbt_project") as told:
        find_project_dir(env={}, cwd=tmp_path.parent)
    assert "--project-dir" in told.value.hint


@pytest.mark.parametrize(
    ("text", "words"),
    [("name: [", "is not YAML"), ("- a", "should hold a mapping, not a list"), ("", "not nothing")],
)
def test_a_broken_project_file(tmp_path, text, words):
    with pytest.raises(UsageError, match=words):
        read_project(project_dir=project(tmp_path, text), env={})


@pytest.mark.parametrize(
    ("text", "words"), [("{", "--vars is not YAML"), ("5", "--vars should be a YAML mapping")]
)
def test_broken_vars_on_the_command_line(tmp_path, text, words):
    with pytest.raises(UsageError, match=words):
        read_project(project_dir=project(tmp_path, "name: shop"), cli_vars=text, env={})


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        ProjectSettings().batch_rows = 1
