"""Faults as text, and the schema that keeps people from making them."""

from __future__ import annotations

import jsonschema
import pytest
import yaml

from declaration.manifests import declare
from planhat_dbt.declaration import Fault
from planhat_dbt.declaration.schema import json_schema
from planhat_dbt.declaration.telling import count_faults, render_faults

FAULTS = (
    Fault("b", "models/z.yml", "config.meta.planhat.mode", "expected `upsert`, found \"upsrt\"."),
    Fault("a", "models/a.yml", "config.meta.planhat.fields", "a warning.", warning=True),
    Fault("a", "models/a.yml", "config.meta.planhat.object", "word " * 40),
    Fault("", "dbt_project.yml", "vars.planhat.shema", "unknown key `shema`."),
)  # fmt: skip


def test_faults_are_grouped_by_file_and_model_errors_first():
    lines = render_faults(FAULTS).splitlines()
    assert [line for line in lines if not line.startswith("      ")] == [
        "dbt_project.yml",
        "    error: vars.planhat.shema",
        "models/a.yml",
        "  a",
        "    error: config.meta.planhat.object",
        "    warning: config.meta.planhat.fields",
        "models/z.yml",
        "  b",
        "    error: config.meta.planhat.mode",
    ]
    assert max(map(len, lines)) <= 100
    assert render_faults(()) == ""


@pytest.mark.parametrize(
    ("faults", "words"),
    [(FAULTS, "3 errors, 1 warning"), (FAULTS[1:2], "1 warning"), (FAULTS[:1], "1 error"), ((), "no faults")],
)
def test_counts(faults, words):
    assert count_faults(faults) == words


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(json_schema())


RIGHT = [
    "{object: company, match: {externalId: i}, fields: {name: n, status: {value: lost}, custom: {A b: c}}}",
    "{object: companies, match: {_id: i}, fields: {name: n, custom.A b: c}, tags: x, max_removals: 10%}",
    "{object: invoice, match: {extId: i}, fields: {cId: {company: c, by: _id}, currency: u, invoiceDate: d}}",
    "{object: asset, match: {sourceId: i}, max_changes: 5, tags: [a, b], fields: {name: n, companyId: c}}",
    "{object: metric, key: k, fields: {dimensionId: d, externalId: e, value: {column: v, write: on_insert}}}",
    "[{name: a, object: note, key: k, nulls: skip, fields: {companyId: {company: c}, subject: s}}]",
]
WRONG = [
    "{match: {externalId: i}, fields: {name: n}}",
    "{object: compnay, match: {externalId: i}, fields: {name: n}}",
    "{object: company, match: {extid: i}, fields: {name: n}}",
    "{object: company, match: {externalId: i}, fields: {nme: n}}",
    "{object: company, match: {externalId: i}, fields: {mrr: n}}",
    "{object: company, match: {externalId: i}, fields: {name: 5}}",
    "{object: company, match: {externalId: i}, fields: {name: {colum: n}}}",
    "{object: company, match: {externalId: i}, fields: {name: n}, onremoved: keep}",
    "{object: company, match: {externalId: i}, fields: {name: n}, mode: upsrt}",
    "{object: company, match: {externalId: i}, fields: {name: n}, max_changes: ten}",
    "{object: metric, key: k, fields: {dimensionId: d, externalId: e, value: v, custom: {A: b}}}",
]


@pytest.mark.parametrize("block", RIGHT)
def test_the_schema_takes_what_we_take(tmp_path, block):
    jsonschema.validate(yaml.safe_load(block), json_schema())
    assert declare(tmp_path, f"m: {block}").errors == ()


@pytest.mark.parametrize("block", WRONG)
def test_the_schema_refuses_what_we_refuse(tmp_path, block):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(block), json_schema())
    assert declare(tmp_path, f"m: {block}").errors
