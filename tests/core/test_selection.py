"""`--select` and `--exclude` in dbt's manner."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planhat_dbt.errors import UsageError
from planhat_dbt.selection import select_syncs

BLOCK = {"object": "company", "match": {"externalId": "id"}}


@pytest.fixture
def syncs(bench):
    found = bench.declare({
        "companies": {**BLOCK, "fields": {"name": "n"}, "tags": ["daily"]},
        "people": [{**BLOCK, "object": "enduser", "name": "people_all", "fields": {"firstName": "n"}},
                   {**BLOCK, "object": "enduser", "name": "people_off", "fields": {"phone": "n"}, "enabled": False}],
        "notes": {"object": "note", "key": "id", "fields": {"companyId": {"company": "c"}}, "tags": ["daily", "slow"]},
    })  # fmt: skip
    return tuple(
        replace(s, model=replace(s.model, tags=("crm",))) if s.name == "companies" else s
        for s in found.values()
    )


@pytest.mark.parametrize(
    ("select", "exclude", "expected"),
    [
        ((), (), "companies people_all notes"),
        (("companies",), (), "companies"),
        (("people",), (), "people_all"),
        (("people_all",), (), "people_all"),
        (("p*",), (), "people_all"),
        (("tag:daily",), (), "companies notes"),
        (("tag:crm",), (), "companies"),
        (("tag:daily,tag:slow",), (), "notes"),
        (("tag:slow companies",), (), "companies notes"),
        (("tag:slow", "companies"), (), "companies notes"),
        (("object:company",), (), "companies"),
        (("object:Endusers",), (), "people_all"),
        (("path:models/notes.sql",), (), "notes"),
        (("path:models",), (), "companies people_all notes"),
        (("path:models/",), ("tag:daily",), "people_all"),
        ((), ("companies",), "people_all notes"),
        ((), ("companies people_all notes",), ""),
    ],
)
def test_selectors(syncs, select, exclude, expected):
    assert [s.name for s in select_syncs(syncs, select, exclude)] == expected.split()


@pytest.mark.parametrize(
    ("select", "exclude", "message"),
    [
        (["companies"], ["companies"], "left out by --exclude"),
        (["people_off"], [], r"people_off \(enabled: false\)"),
    ],
)
def test_a_selection_that_leaves_nothing_is_a_mistake(syncs, select, exclude, message):
    with pytest.raises(UsageError, match=message):
        select_syncs(syncs, select, exclude)


@pytest.mark.parametrize(
    ("selector", "message", "hint"),
    [
        ("compnies", "No sync matches 'compnies'", "Did you mean companies?"),
        ("zzz", "No sync matches", "planhat-dbt list"),
        ("tag:none", "No sync matches", ""),
        ("object:nonsense", "No sync matches", ""),
        ("tag:daily,people", "No sync matches", ""),
        ("state:modified", "is no selector", "tag:"),
        ("path:model", "No sync matches", ""),
    ],
)
@pytest.mark.parametrize("side", ["select", "exclude"])
def test_a_selector_that_names_nothing_is_a_mistake(syncs, selector, message, hint, side):
    given = ((selector,), ()) if side == "select" else ((), (selector,))
    with pytest.raises(UsageError, match=message) as caught:
        select_syncs(syncs, *given)
    assert hint in caught.value.hint
