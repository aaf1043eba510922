"""What dbt itself writes, read back: the declarations of a real project in all the places they may stand."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from harness.dbt import MINOR, run_dbt

from planhat_dbt.artifacts import read_manifest, read_run_results
from planhat_dbt.declaration import Constant, FromColumn, read_declarations
from planhat_dbt.project import read_project

FILES = {
    "dbt_project.yml": """
name: shop
version: "1.0"
profile: shop
vars:
  planhat: {schema: crm_state, defaults: {nulls: skip}}
models:
  shop: {+meta: {team: crm}}
seeds:
  shop: {+enabled: true}
""",
    "profiles.yml": """
shop: {target: dev, outputs: {dev: {type: duckdb, path: shop.duckdb}}}
""",
    "seeds/campaigns.csv": "id,name,company\n1,Spring,a\n",
    "models/companies.sql": """
{{ config(materialized='table', tags=['hourly']) }}
select 'a' as id, 'Acme' as name, 'Adoption' as phase
""",
    "models/endusers.sql": "select 1 as id, 'a' as company, 'x' as email from {{ ref('companies') }}",
    "models/assets.sql": """
{{ config(meta={'planhat': {'object': 'asset', 'match': {'externalId': 'id'},
          'fields': {'name': 'id', 'companyId': {'company': 'id'}}}}) }}
select id from {{ ref('companies') }}
""",
    "models/ghosts.sql": "{{ config(materialized='ephemeral') }} select 1 as id",
    "models/schema.yml": """
models:
  - name: companies
    config:
      meta:
        planhat:
          object: company
          match: {externalId: id}
          fields: {name: name, status: {value: customer}}
    columns:
      - name: id
        data_tests: [unique, {not_null: {config: {severity: warn}}}]
      - name: phase
        config: {meta: {planhat: phase}}
  - name: endusers
    meta:
      planhat: {object: enduser, match: {externalId: id}, fields: {companyId: {company: company}}}
    columns:
      - name: email
        meta: {planhat: email}
  - name: ghosts
    config:
      meta:
        planhat: {object: issue, match: {sourceId: id}, fields: {title: id}}
seeds:
  - name: campaigns
    config:
      meta:
        planhat:
          {object: campaign, match: {sourceId: id}, fields: {name: name, companyId: {company: company}}}
unit_tests:
  - name: companies_have_a_phase
    model: companies
    given: []
    expect: {rows: [{phase: Adoption}]}
""",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    directory = tmp_path_factory.mktemp("shop")
    for name, text in FILES.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(text, encoding="utf-8")
    env = {**os.environ, "DBT_PROFILES_DIR": str(directory), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    done = run_dbt("build", "--quiet", cwd=directory, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return read_project(project_dir=directory, env={})


def test_the_manifest_of_dbt(project):
    found = read_manifest(project.manifest_path)
    assert (found.project_name, found.adapter_type) == ("shop", "duckdb")
    assert found.generated_at is not None
    assert set(found.nodes) == {
        "model.shop.companies",
        "model.shop.endusers",
        "model.shop.assets",
        "model.shop.ghosts",
        "seed.shop.campaigns",
    }
    companies = found.nodes["model.shop.companies"]
    assert companies.relation_name == '"shop"."main"."companies"'
    assert (companies.patch_path, companies.materialized) == ("models/schema.yml", "table")
    assert companies.meta["team"] == "crm"
    assert found.nodes["model.shop.endusers"].depends_on == ("model.shop.companies",)
    tests = {t.name: (t.attached_node, t.severity) for t in found.tests}
    assert tests == {
        "unique_companies_id": ("model.shop.companies", "error"),
        "not_null_companies_id": ("model.shop.companies", "warn"),
        "companies_have_a_phase": ("model.shop.companies", "error"),
    }


def test_the_run_results_of_dbt(project):
    found = read_run_results(project.run_results_path)
    manifest = read_manifest(project.manifest_path)
    assert (found.command, found.target, found.empty, found.sample) == ("build", None, False, False)
    assert found.invocation_id == manifest.invocation_id
    assert found.warning == ""
    assert {r.status for k, r in found.results.items() if k.startswith(("model.", "seed."))} == {"success"}
    assert {r.status for k, r in found.results.items() if "test." in k} == {"pass"}
    if MINOR >= (1, 10):  # before, run results do not tell when dbt began
        assert found.started_at < found.generated_at


def test_the_declarations_of_a_dbt_project(project):
    manifest = read_manifest(project.manifest_path)
    found = read_declarations(manifest, project.settings, project_dir=project.directory)
    assert [(s.name, s.object.name, s.model.path) for s in found.syncs] == [
        ("companies", "company", "models/schema.yml"),
        ("endusers", "enduser", "models/schema.yml"),
        ("assets", "asset", "models/assets.sql"),
        ("campaigns", "campaign", "models/schema.yml"),
    ]
    companies, endusers, *_ = found.syncs
    assert [(f.target, f.source, f.nulls) for f in companies.fields] == [
        ("name", FromColumn("name"), "skip"),
        ("status", Constant("customer"), "skip"),
        ("phase", FromColumn("phase"), "skip"),
    ]
    assert [f.target for f in endusers.fields] == ["companyId", "email"]
    assert companies.tags == ("hourly",)
    assert [(f.model, f.path) for f in found.errors] == [("ghosts", "config.meta.planhat")]
    assert [(f.model, f.path) for f in found.warnings] == [
        ("endusers", "meta.planhat"),
        ("endusers", "columns[email].meta.planhat"),
    ]


def test_without_the_yaml_files_the_old_place_cannot_be_seen(project):
    found = read_declarations(read_manifest(project.manifest_path), project.settings)
    # Up to 1.9 the manifest tells apart where a column's `meta` stood.
    seen = [] if MINOR >= (1, 10) else ["columns[email].meta.planhat"]
    assert [f.path for f in found.warnings] == seen


def test_reading_a_project_does_not_import_the_heavy_ones(project):
    code = (
        "import sys\n"
        "from planhat_dbt.project import read_project\n"
        "from planhat_dbt.artifacts import read_manifest, read_run_results\n"
        "from planhat_dbt.declaration import read_declarations\n"
        "from planhat_dbt.declaration.telling import render_faults\n"
        "p = read_project(project_dir=sys.argv[1])\n"
        "d = read_declarations(read_manifest(p.manifest_path), p.settings, project_dir=p.directory)\n"
        "render_faults(d.faults)\n"
        "print(len(d.syncs), sorted({'dbt', 'duckdb', 'httpx', 'rich', 'jinja2'} & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", code, str(project.directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "4 []\n"
