"""Wrong declarations are told with their place, what was expected and the nearest right word, in one pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from declaration.manifests import declare, node, told, write_manifest
from planhat_dbt.artifacts import read_manifest
from planhat_dbt.declaration import read_declarations
from planhat_dbt.settings import ProjectSettings

BLOCK = "m: {object: company, match: {externalId: i}, fields: {name: n}}"


def _cases():
    """The lines of `wrong_blocks.txt`: path, words, block."""
    lines = (Path(__file__).parent / "wrong_blocks.txt").read_text(encoding="utf-8").splitlines()
    cases = [line.split("  |  ") for line in lines if line and not line.startswith("#")]
    return [(block, "" if path == "-" else path, words) for path, words, block in cases]


CASES = _cases()


@pytest.mark.parametrize(
    ("block", "path", "words"), CASES, ids=[f"{p or 'block'}: {w[:30]}" for _, p, w in CASES]
)
def test_one_fault_is_told_once_and_alone(tmp_path, block, path, words):
    declarations = declare(tmp_path, f"model: {block}")
    assert declarations.syncs == ()
    found = told(declarations)
    assert [p for p, _ in found] == [path], found
    assert words in found[0][1]
    (fault,) = declarations.errors
    assert (fault.model, fault.file) == ("model", "models/model.yml")


def test_all_faults_of_all_models_come_in_one_pass(tmp_path):
    declarations = declare(
        tmp_path,
        """
        a:
          objct: company
          onremoved: erase
          match: {extid: i}
          fields: {nme: n, phase: 5, mrr: m, owner: {lookup: users, column: c}, custom: {' A': b}}
        b: {object: nothing, mode: upsrt}
        c: {object: company, match: {sourceId: i}, fields: {name: n}}
        columns of c: {x: nope, y: [web, 5]}
        """,
    )
    assert {(f.model, f.path.replace("config.meta.planhat", "…")) for f in declarations.errors} == {
        ("a", "….objct"),
        ("a", "….onremoved"),
        ("a", "….on_removed"),
        ("a", "….match.extid"),
        ("a", "….fields.nme"),
        ("a", "….fields.phase"),
        ("a", "….fields.mrr"),
        ("a", "….fields.owner.lookup"),
        ("a", "….fields.custom. A"),
        ("b", "….mode"),
        ("b", "….object"),
        ("c", "columns[x].…"),
        ("c", "columns[y].…[1]"),
    }
    assert len(declarations.errors) == 13


COLUMN_CASES = [
    ("m: null", "columns of m: {a: name}", "the model has no `planhat` block"),
    (BLOCK, "columns of m: {a: name}", "`name` is mapped twice"),
    (BLOCK, "columns of m: {a: wbe}", "Did you mean `web`?"),
    (BLOCK, "columns of m: {a: 5}", "expected a Planhat field"),
    (BLOCK, "columns of m: {a: {fild: web}}", "Did you mean `field`?"),
    (BLOCK, "columns of m: {a: {field: web, sync: mm}}", "Did you mean `m`?"),
    (BLOCK, "columns of m: {a: {field: web, nulls: no}}", "expected `clear` or `skip`"),
]


@pytest.mark.parametrize(("block", "columns", "words"), COLUMN_CASES, ids=[w for _, _, w in COLUMN_CASES])
def test_faults_of_columns_name_the_column(tmp_path, block, columns, words):
    (fault,) = declare(tmp_path, f"{block}\n{columns}").errors
    assert fault.path.startswith("columns[a].config.meta.planhat")
    assert words in fault.message


def test_a_column_of_a_model_with_several_syncs_says_which(tmp_path):
    declarations = declare(
        tmp_path,
        """
        m:
          - {name: one, object: company, match: {externalId: i}, fields: {name: n}}
          - {name: two, object: project, match: {externalId: i}, fields: {name: n, companyId: c}}
        columns of m: {a: web}
        """,
    )
    assert told(declarations) == [
        (
            "columns[a].config.meta.planhat",
            "the model feeds several syncs; say which: `{sync: one, field: web}`.",
        )
    ]


def test_several_syncs_of_a_model_have_names(tmp_path):
    declarations = declare(
        tmp_path,
        """
        m:
          - {object: company, match: {externalId: i}, fields: {name: n}}
          - {name: two, object: project, match: {externalId: i}, fields: {name: n, companyId: c}}
        """,
    )
    ((path, message),) = told(declarations)
    assert path == "[0]"
    assert "`name` is missing" in message


def test_names_are_unique_in_the_project(tmp_path):
    declarations = declare(
        tmp_path,
        """
        a: {name: b, object: company, match: {externalId: i}, fields: {name: n}}
        b: {object: project, match: {externalId: i}, fields: {name: n, companyId: c}}
        """,
    )
    (fault,) = declarations.errors
    assert (fault.model, fault.file) == ("b", "models/b.yml")
    assert "already a sync named `b`: model a, models/a.yml" in fault.message


@pytest.mark.parametrize("enabled", ["", ", enabled: false"])
def test_a_previous_name_that_another_sync_bears(tmp_path, enabled):
    declarations = declare(
        tmp_path,
        f"""
        a: {{object: company, match: {{externalId: i}}, fields: {{name: n}}{enabled}}}
        b: {{object: project, match: {{externalId: i}}, fields: {{name: n, companyId: c}}, previous_name: a}}
        """,
    )
    (fault,) = declarations.errors
    assert (fault.model, fault.path) == ("b", "config.meta.planhat.previous_name")
    assert "`a` is the name of another sync (model a, models/a.yml)" in fault.message


def test_a_previous_name_that_two_syncs_claim(tmp_path):
    declarations = declare(
        tmp_path,
        """
        a: {object: company, match: {externalId: i}, fields: {name: n}, previous_name: old}
        b: {object: project, match: {externalId: i}, fields: {name: n, companyId: c}, previous_name: old}
        """,
    )
    (fault,) = declarations.errors
    assert (fault.model, fault.path) == ("b", "config.meta.planhat.previous_name")
    assert "`old` is the previous name of the sync `a` already (model a, models/a.yml)" in fault.message


def test_names_that_are_swapped_are_told_at_both(tmp_path):
    text = """
        a: {object: company, match: {externalId: i}, fields: {name: n}, previous_name: b}
        b: {object: project, match: {externalId: i}, fields: {name: n, companyId: c}, previous_name: a}
        """
    assert {f.model for f in declare(tmp_path, text).errors} == {"a", "b"}


def test_a_model_name_that_cannot_name_a_sync(tmp_path):
    text = "Accounts: {object: company, match: {externalId: i}, fields: {name: n}}"
    ((path, message),) = told(declare(tmp_path, text))
    assert path == ""
    assert "Add `name: …`" in message


def test_two_syncs_do_not_write_one_field(tmp_path):
    declarations = declare(
        tmp_path,
        """
        a: {object: enduser, match: {externalId: i},
            fields: {companyId: {company: c}, email: e, custom: {A: x}}}
        b: {object: enduser, mode: update, match: {externalId: i},
            fields: {companyId: {company: c}, custom: {A: x, B: y}}}
        c: {object: enduser, mode: update, enabled: false, match: {externalId: i}, fields: {email: e}}
        d: {object: metric, key: k, fields: {dimensionId: d, externalId: e, value: v}}
        e: {object: metric, key: k, fields: {dimensionId: d, externalId: e, value: v}}
        f: {object: note, key: k, fields: {companyId: c, subject: s}}
        g: {object: note, key: k, fields: {companyId: c, subject: s}}
        """,
    )
    (fault,) = declarations.errors
    assert (fault.model, fault.path) == ("b", "config.meta.planhat.fields.custom.A")
    assert "written by the sync `a` already (model a, models/a.yml)" in fault.message


def test_a_model_without_a_table_cannot_be_synced(tmp_path):
    block = {"object": "company", "match": {"externalId": "i"}, "fields": {"name": "n"}}
    path = write_manifest(tmp_path, node("m", block, relation_name=None))
    (fault,) = read_declarations(read_manifest(path), ProjectSettings()).errors
    assert "no table in the warehouse (ephemeral)" in fault.message


@pytest.mark.parametrize(
    ("block", "path", "words"),
    [
        ("{object: enduser, match: {email: e}, fields: {firstName: f}}", "fields", "by e-mail domain"),
        (
            "{object: company, match: {externalId: e}, fields: {name: f}, on_removed: delete}",
            "on_removed",
            "takes its",
        ),
        (
            "{object: note, key: k, fields: {companyId: c, type: {value: note}}}",
            "fields.type",
            "can be left out",
        ),
        ("{object: user_activity, key: k, fields: {email: e}}", "fields", "no `action`: without it, Planhat"),
    ],
)
def test_warnings_do_not_stop_a_sync(tmp_path, block, path, words):
    declarations = declare(tmp_path, f"m: {block}")
    assert len(declarations.syncs) == 1
    (warning,) = declarations.warnings
    assert warning.path == f"config.meta.planhat.{path}"
    assert words in warning.message


def test_an_empty_block(tmp_path):
    path = write_manifest(tmp_path, node("m", config={"meta": {"planhat": None}}))
    (fault,) = read_declarations(read_manifest(path), ProjectSettings()).errors
    assert "the block is empty" in fault.message
