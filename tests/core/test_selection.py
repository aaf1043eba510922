"""`--select` and `--exclude` in dbt's manner."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planhat_dbt.artifacts import Node
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


def node(name: str, *parents: str, kind: str = "model", folder: str = "marts") -> Node:
    return Node(
        unique_id=f"{kind}.shop.{name}", resource_type=kind, name=name, package_name="shop", database="shop",
        schema="main", alias=name, relation_name=f'"{name}"', original_file_path=f"models/{folder}/{name}.sql",
        patch_path=None, tags=("nightly",) if folder == "staging" else (), fqn=("shop", folder, name),
        depends_on=parents, meta={}, meta_place="config.meta", enabled=True, materialized="table", columns=(),
    )  # fmt: skip


NODES = {
    n.unique_id: n
    for n in (
        node("raw", kind="seed", folder="seeds"),
        node("base", "seed.shop.raw", "source.shop.crm.t", folder="staging"),
        node("companies", "model.shop.base"),
        node("people", "model.shop.companies"),
        node("notes", "model.shop.people", "model.shop.base"),
    )
}


@pytest.mark.parametrize(
    ("select", "exclude", "expected"),
    [
        (("+people",), (), "companies people_all"),
        (("companies+",), (), "companies people_all notes"),
        (("companies+1",), (), "companies people_all"),
        (("1+notes",), (), "people_all notes"),
        (("2+notes",), (), "companies people_all notes"),
        (("+companies+1",), (), "companies people_all"),
        (("base+1",), (), "companies notes"),
        (("raw+",), ("people",), "companies notes"),
        (("raw+,+people",), (), "companies people_all"),
        (("tag:nightly+1",), (), "companies notes"),
        (("+object:enduser",), (), "companies people_all"),
        (("path:models/staging+1",), (), "companies notes"),
        (("path:models/marts/p*.sql",), (), "people_all"),
        (("path:models",), (), "companies people_all notes"),
        (("path:models/",), ("tag:daily",), "people_all"),
        (("path:models/*",), (), "companies people_all notes"),
        (("path:models/m*",), (), "companies people_all notes"),
        (("path:models/m*/notes.sql",), (), "notes"),
        (("path:./models/marts/",), (), "companies people_all notes"),
        (("path:models/**/p*.sql",), (), "people_all"),
        (("path:**/notes.sql",), (), "notes"),
        (("path:models/**",), ("path:models/marts/c*",), "people_all notes"),
        (("path:marts/notes.sql",), (), ""),
        (("path:*.sql",), (), ""),
        (("path:notes.sql",), (), ""),
        (("mar*.companies",), (), "companies"),
        (("marts.*s",), (), "companies notes"),
        (("*.people",), (), "people_all"),
        (("shop.*.nobody",), (), ""),
        (("shop.p*",), (), ""),
        (("path:models/staging",), (), ""),
        (("marts.companies",), (), "companies"),
        (("shop.marts.p*",), (), "people_all"),
        (("fqn:marts",), (), "companies people_all notes"),
        (("resource_type:seed+2",), (), "companies notes"),
        (("package:shop",), ("people+",), "companies"),
        ((), ("+people",), "notes"),
    ],
)
def test_the_graph_is_dbts(syncs, select, exclude, expected):
    if not expected:
        with pytest.raises(UsageError, match="No sync matches"):
            select_syncs(syncs, select, exclude, NODES)
    else:
        assert [s.name for s in select_syncs(syncs, select, exclude, NODES)] == expected.split()


@pytest.mark.parametrize("selector", ["models/marts", "notes.sql"])
def test_a_path_without_its_method_is_told(syncs, selector):
    with pytest.raises(UsageError) as caught:
        select_syncs(syncs, [selector], (), NODES)
    assert caught.value.hint.endswith(f"--select path:{selector}")


@pytest.mark.parametrize("selector", ["@people", "state:modified", "+", "a+b", "source:crm+", ""])
def test_what_is_no_selector(syncs, selector):
    with pytest.raises(UsageError, match=r"no selector|not known|No sync"):
        select_syncs(syncs, [selector or "nobody"], (), NODES)
