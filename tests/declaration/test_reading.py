"""Right declarations become the syncs they mean."""

from __future__ import annotations

import datetime as dt

import pytest

from declaration.manifests import declare, node, told, write_manifest
from planhat_dbt.artifacts import read_manifest
from planhat_dbt.declaration import (
    CompanyRef,
    Constant,
    FromColumn,
    Limit,
    Lookup,
    Match,
    Mode,
    Nulls,
    OnRemoved,
    Write,
    missing_columns,
    read_declarations,
)
from planhat_dbt.objects import FieldType
from planhat_dbt.settings import ProjectSettings

DESIGN = """
planhat_companies:
  object: company
  mode: upsert
  match: {externalId: account_id}
  on_removed: clear
  fields:
    name: account_name
    phase: lifecycle_phase
    status: {value: customer}
    owner: {lookup: user, by: email, column: csm_email}
    custom:
      Plan Tier: plan_tier
      Seats: {column: seats, nulls: skip}
planhat_endusers:
  object: endusers
  match: {externalId: user_id}
  nulls: skip
  fields:
    companyId: {company: account_id}
    email: email
    phone: {column: phone, nulls: clear, write: on_insert}
columns of planhat_endusers:
  first_name: firstName
  city: {field: custom.Home City, nulls: clear}
"""


def test_the_example_of_the_design(tmp_path):
    declarations = declare(tmp_path, DESIGN)
    assert declarations.faults == ()
    company, enduser = declarations.syncs
    assert (company.name, company.object.name, company.mode) == ("planhat_companies", "company", Mode.UPSERT)
    assert (company.match, company.key) == (Match("externalId", "account_id"), "account_id")
    assert company.on_removed is OnRemoved.CLEAR
    assert (company.max_removals, company.max_changes) == (Limit(share=0.1), None)
    assert company.tests == "error"
    assert company.enabled
    assert [(f.target, f.state_column, f.source, f.nulls) for f in company.fields] == [
        ("name", "name", FromColumn("account_name"), Nulls.CLEAR),
        ("phase", "phase", FromColumn("lifecycle_phase"), Nulls.CLEAR),
        ("status", "status", Constant("customer"), Nulls.CLEAR),
        ("owner", "owner", Lookup("csm_email", "user", "email"), Nulls.CLEAR),
        ("custom.Plan Tier", "custom_plan_tier", FromColumn("plan_tier"), Nulls.CLEAR),
        ("custom.Seats", "custom_seats", FromColumn("seats"), Nulls.SKIP),
    ]
    assert company.fields[4].field.type is FieldType.ANY
    assert company.fields[4].custom_name == "Plan Tier"
    assert [(f.target, f.source, f.nulls, f.write) for f in enduser.fields] == [
        ("companyId", CompanyRef("account_id", "externalId"), Nulls.SKIP, Write.ALWAYS),
        ("email", FromColumn("email"), Nulls.SKIP, Write.ALWAYS),
        ("phone", FromColumn("phone"), Nulls.CLEAR, Write.ON_INSERT),
        ("firstName", FromColumn("first_name"), Nulls.SKIP, Write.ALWAYS),
        ("custom.Home City", FromColumn("city"), Nulls.CLEAR, Write.ALWAYS),
    ]
    model = company.model
    assert (model.path, model.tags) == ("models/planhat_companies.yml", ("crm",))
    assert (model.relation.identifier, model.relation.rendered) == (
        "planhat_companies",
        '"db"."main"."planhat_companies"',
    )


def test_syncs_come_in_delivery_order_whatever_the_order_of_the_manifest(tmp_path):
    declarations = declare(
        tmp_path,
        """
        a: {object: metric, key: id, fields: {dimensionId: d, externalId: e, value: v}}
        b: {object: sale, match: {externalId: s},
            fields: {companyId: {company: c}, _currency: cur, value: v}}
        c: {object: enduser, match: {email: e}, fields: {companyId: {company: c}}}
        d: {object: company, match: {sourceId: s}, fields: {name: n}}
        """,
    )
    assert told(declarations) == []
    assert [s.name for s in declarations.syncs] == ["d", "c", "b", "a"]


def test_several_syncs_of_one_model(tmp_path):
    declarations = declare(
        tmp_path,
        """
        accounts:
          - {name: companies, object: company, match: {externalId: id}, fields: {name: n}, tags: hourly}
          - {name: assets, object: asset, match: {externalId: id}, fields: {name: n, companyId: c}}
        columns of accounts:
          phase: {sync: companies, field: phase}
          both: [{sync: companies, field: web}, {sync: assets, field: status}]
        """,
    )
    assert told(declarations) == []
    companies, assets = declarations.syncs
    assert [f.target for f in companies.fields] == ["name", "phase", "web"]
    assert [f.target for f in assets.fields] == ["name", "companyId", "status"]
    assert companies.tags == ("crm", "hourly")


@pytest.mark.parametrize(
    ("block", "mode", "match", "key"),
    [
        ("note, key: k, fields: {companyId: c}", "upsert", None, "k"),
        ("note, mode: insert, key: k, fields: {companyId: c}", "insert", None, "k"),
        ("note, mode: update, match: {_id: i}, fields: {subject: s}", "update", "_id", "i"),
        ("asset, mode: update, match: {sourceId: i}, fields: {status: s}", "update", "sourceId", "i"),
        ("company, mode: insert, key: k, fields: {name: n}", "insert", None, "k"),
        (
            "company, mode: insert, match: {externalId: k}, key: k, fields: {name: n}",
            "insert",
            "externalId",
            "k",
        ),
        ("activities, key: k, fields: {email: e, action: a}", "insert", None, "k"),
        ("ticket, match: {sourceId: i}, fields: {email: e, domains: d}", "upsert", "sourceId", "i"),
        ("custom_field, key: k, fields: {name: n, parent: p, type: t}", "upsert", None, "k"),
    ],
)
def test_modes_and_keys(tmp_path, block, mode, match, key):
    declarations = declare(tmp_path, f"m: {{object: {block}}}")
    assert told(declarations) == []
    (sync,) = declarations.syncs
    assert (sync.mode, sync.match, sync.key) == (mode, Match(match, key) if match else None, key)


def test_wire_names_are_other_spellings_of_ours(tmp_path):
    declarations = declare(
        tmp_path,
        """
        m: {object: invoices, match: {extId: invoice_no},
            fields: {cId: {company: c}, currency: {value: EUR}, invoiceDate: {value: '2024-01-01'}}}
        """,
    )
    assert told(declarations) == []
    (sync,) = declarations.syncs
    assert sync.match == Match("externalId", "invoice_no")
    assert [(f.target, f.field.json_name) for f in sync.fields] == [
        ("companyId", "cId"),
        ("currency", "currency"),
        ("invoiceDate", "invoiceDate"),
    ]
    assert sync.fields[2].source == Constant(19723)


def test_issues_refer_to_companies_in_a_list(tmp_path):
    text = (
        "m: {object: issue, match: {sourceId: i}, fields: {title: t, companyIds: {company: c, by: sourceId}}}"
    )
    (sync,) = declare(tmp_path, text).syncs
    assert sync.fields[1].source == CompanyRef("c", "sourceId")


def test_a_company_reference_may_come_as_it_is(tmp_path):
    text = "m: {object: asset, match: {sourceId: i}, fields: {name: n, companyId: planhat_company}}"
    (sync,) = declare(tmp_path, text).syncs
    assert sync.fields[1].source == FromColumn("planhat_company")


def test_a_field_of_type_id_takes_the_company_by_its_id(tmp_path):
    text = "m: {object: nps, match: {sourceId: i}, fields: {email: e, score: s, cId: {company: c, by: _id}}}"
    (sync,) = declare(tmp_path, text).syncs
    assert sync.fields[2].source == CompanyRef("c", "_id")


@pytest.mark.parametrize(
    ("written", "limit"),
    [
        ("10%", Limit(share=0.1)),
        ("'2.5 %'", Limit(share=0.025)),
        ("0.1", Limit(share=0.1)),
        ("5", Limit(count=5)),
        ("'5'", Limit(count=5)),
        ("0", Limit(count=0)),
    ],
)
def test_limits(tmp_path, written, limit):
    text = f"m: {{object: company, match: {{externalId: i}}, fields: {{name: n}}, max_changes: {written}}}"
    (sync,) = declare(tmp_path, text).syncs
    assert sync.max_changes == limit


def test_defaults_hold_where_a_block_says_nothing_and_where_they_suit(tmp_path):
    settings = ProjectSettings(
        defaults={
            "on_removed": "delete",
            "nulls": "skip",
            "mode": "update",
            "max_changes": 5,
            "tests": "warn",
        }
    )
    declarations = declare(
        tmp_path,
        """
        a: {object: company, match: {externalId: i}, fields: {phase: n}}
        b: {object: enduser, mode: upsert, match: {email: i}, fields: {companyId: c}, max_changes: null}
        c: {object: metric, key: k, fields: {dimensionId: d, externalId: e, value: v}}
        """,
        settings,
    )
    assert told(declarations) == []
    a, b, c = declarations.syncs
    assert (a.mode, a.on_removed, a.fields[0].nulls, a.max_changes) == (
        "update",
        "keep",
        "skip",
        Limit(count=5),
    )
    assert (b.mode, b.on_removed, b.max_changes, b.tests) == ("upsert", "delete", None, "warn")
    assert (c.mode, c.on_removed) == ("insert", "keep")


def test_a_disabled_sync_is_read_and_marked(tmp_path):
    text = "m: {object: company, match: {externalId: i}, fields: {name: n}, enabled: false}"
    (sync,) = declare(tmp_path, text).syncs
    assert not sync.enabled


def test_models_of_other_packages_tell_where_their_file_is(tmp_path):
    block = {"object": "company", "match": {"externalId": "i"}, "fields": {"name": "n"}}
    path = write_manifest(tmp_path, node("m", block, package_name="crm", patch_path="crm://models/m.yml"))
    (sync,) = read_declarations(read_manifest(path), ProjectSettings()).syncs
    assert sync.model.path == "dbt_packages/crm/models/m.yml"


def test_missing_columns_are_told_with_the_nearest_name(tmp_path):
    (sync,) = declare(
        tmp_path,
        """
        m: {object: company, match: {externalId: account_id},
            fields: {name: NAME, status: {value: lost}, owner: {lookup: user, column: csm},
                     custom: {Tier: teir}}}
        """,
    ).syncs
    assert missing_columns(sync, ["ACCOUNT_ID", "name", "csm", "teir"]) == ()
    faults = missing_columns(sync, ["accountid", "name", "tier"])
    assert [(f.path, f.file) for f in faults] == [
        ("config.meta.planhat.match.externalId", "models/m.yml"),
        ("config.meta.planhat.fields.owner", "models/m.yml"),
        ("config.meta.planhat.fields.custom.Tier", "models/m.yml"),
    ]
    assert "Did you mean `accountid`?" in faults[0].message
    assert "Did you mean" not in faults[1].message
    assert "no column `teir`. Did you mean `tier`?" in faults[2].message


@pytest.mark.parametrize(
    ("materialized", "build"), [("table", "dbt build"), ("incremental", "dbt build --full-refresh")]
)
def test_a_table_that_lacks_a_column_is_built_anew(tmp_path, materialized, build):
    block = {"object": "company", "match": {"externalId": "i"}, "fields": {"name": "n"}}
    config = {"materialized": materialized, "meta": {"planhat": block}}
    path = write_manifest(tmp_path, node("m", config=config))
    (sync,) = read_declarations(read_manifest(path), ProjectSettings()).syncs
    (fault,) = missing_columns(sync, ["i"])
    assert f"run `{build} --select m`." in fault.message


def test_the_key_column_of_an_event_is_looked_for_too(tmp_path):
    text = "m: {object: metric, key: id, fields: {dimensionId: d, externalId: e, value: v}}"
    (sync,) = declare(tmp_path, text).syncs
    assert [f.path for f in missing_columns(sync, ["d", "e", "v"])] == ["config.meta.planhat.key"]


@pytest.mark.parametrize(
    ("key", "warned"), [("Planhat", True), ("planht", True), ("planhat_defaults", False), ("owner", False)]
)
def test_a_meta_key_that_looks_like_ours_is_not_passed_over(tmp_path, key, warned):
    config = {"materialized": "table", "meta": {key: {"object": "company"}}}
    manifest = read_manifest(write_manifest(tmp_path, node("accounts", config=config)))
    faults = read_declarations(manifest, ProjectSettings()).faults
    assert [(f.path, f.warning) for f in faults] == ([(f"config.meta.{key}", True)] if warned else [])
    assert all("did you mean `planhat`" in f.message for f in faults)


@pytest.mark.parametrize(
    ("lookback", "hours"),
    [
        ("30 days", 720),
        ("1 day", 24),
        ("48 hours", 48),
        ("1 hour", 1),
        ("30", 720),
        (30, 720),
        (0.5, 12),
        ("1.5 days", 36),
    ],
)
def test_a_lookback_is_a_duration(tmp_path, lookback, hours):
    (sync,) = declare(
        tmp_path,
        f"""
        m: {{object: metric, key: k, event_time: t, lookback: {lookback},
            fields: {{dimensionId: d, externalId: e, value: v}}}}
        """,
    ).syncs
    assert (sync.event_time, sync.lookback) == ("t", dt.timedelta(hours=hours))
