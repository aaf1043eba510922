"""The same with dbt itself: build, sync, change, build, sync."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from harness import Project
from harness.dbt import MINOR, run_dbt

from planhat_dbt.sandbox import Sandbox

ACCEPTED = "{values: [Live, Risk]}"
MODELS = {
    "models/companies.sql": """
{{ config(materialized='table') }}
select 'c-' || i as account_id, 'Acme ' || i as account_name,
  case when i = 2 then '{{ var("phase") }}' else 'Live' end as phase
from range(1, {{ var("rows") }} + 1) r(i)
""",
    "models/endusers.sql": """
select 'u-' || account_id as user_id, account_id, account_id || '@example.com' as mail,
  cast(date '2026-03-01' as timestamp) as seen
from {{ ref('companies') }}
""",
    "models/schema.yml": """
models:
  - name: companies
    config:
      meta:
        planhat:
          object: company
          match: {externalId: account_id}
          on_removed: delete
          fields: {name: account_name, phase: phase}
    columns:
      - name: account_id
        data_tests: [unique, not_null]
      - name: phase
        data_tests:
          - accepted_values: """
    + (f"{{arguments: {ACCEPTED}}}" if MINOR >= (1, 10) else ACCEPTED)
    + """
  - name: endusers
    config:
      meta:
        planhat:
          object: enduser
          match: {externalId: user_id}
          fields:
            companyId: {company: account_id}
            custom: {Seen: seen}
    columns:
      - name: mail
        config: {meta: {planhat: email}}
""",
}


def build(directory: Path, variables: str) -> int:
    environment = {
        **os.environ,
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_PROFILES_DIR": str(directory),
    }
    done = run_dbt("build", "--vars", variables, cwd=directory, env=environment)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.returncode


@pytest.mark.thorough
def test_dbt_build_then_sync(folder: Path, sandbox: Sandbox) -> None:
    project = Project(folder / "shop", sandbox)
    for name, text in MODELS.items():
        (project.directory / name).parent.mkdir(exist_ok=True)
        (project.directory / name).write_text(text, encoding="utf-8")

    assert build(project.directory, "{rows: 3, phase: Live}") == 0
    outcome = project.sync()
    assert outcome.kinds == ["PUT /companies", "GET /customfields", "PUT /endusers"]
    companies = sandbox.tenant.records("companies")
    assert [(c["externalId"], c["name"], c["phase"]) for c in companies] == [
        (f"c-{i}", f"Acme {i}", "Live") for i in (1, 2, 3)
    ]
    person = sandbox.tenant.record("endusers", externalId="u-c-1")
    assert (person["companyId"], person["email"]) == (companies[0]["_id"], "c-1@example.com")
    assert person["custom"] == {"Seen": "2026-03-01T00:00:00.000Z"}
    project.quiet()

    assert build(project.directory, "{rows: 4, phase: Risk}") == 0
    outcome = project.sync()
    assert outcome.counts("companies") == {"inserted": 1, "updated": 1}
    assert outcome.counts("endusers") == {"inserted": 1}
    assert {"_id": companies[1]["_id"], "phase": "Risk"} in outcome.sent("/companies")
    project.quiet()

    assert (
        build(project.directory, "{rows: 1, phase: Lost, none: 1}") == 0
    )  # fewer companies, and their endusers
    outcome = project.sync()
    assert outcome.counts("companies") == {"deleted": 3}

    assert build(project.directory, "{rows: 2, phase: Lost}") == 1  # a test fails
    outcome = project.sync(code=3)
    assert outcome.kinds == []
    assert outcome.status("companies") == "gated"
    assert "accepted_values" in outcome.out
