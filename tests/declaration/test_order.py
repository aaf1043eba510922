"""Syncs come after those they refer to; circles and keys that no parent sends are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from declaration.manifests import declare, node, told, write_manifest
from planhat_dbt.artifacts import read_manifest
from planhat_dbt.declaration import read_declarations
from planhat_dbt.settings import ProjectSettings

COMPANIES = "{object: company, match: {externalId: i}, fields: {name: n}}"
COMPANIES_OWNED = """{object: company, match: {externalId: i},
    fields: {name: n, owner: {lookup: user, by: email, column: o}}}"""
COMPANIES_CHAMPIONED = """{object: company, match: {externalId: i},
    fields: {name: n, custom: {Champion: {lookup: enduser, by: externalId, column: c}}}}"""
CHAMPIONS = """{object: company, mode: update, match: {externalId: i},
    fields: {custom: {Champion: {lookup: enduser, by: externalId, column: c}}}}"""
USERS = "{object: user, match: {email: e}, fields: {nickName: n, firstName: f, lastName: l}}"
USERS_KNOWN = """{object: user, match: {email: e}, fields: {nickName: n, firstName: f, lastName: l,
    custom: {Contact: {lookup: enduser, by: externalId, column: c}}}}"""
ENDUSERS = "{object: enduser, match: {externalId: i}, fields: {companyId: {company: c}}}"
ENDUSERS_BY_ID = "{object: enduser, match: {externalId: i}, fields: {companyId: {company: c, by: _id}}}"
LICENSES = """{object: license, match: {externalId: i},
    fields: {companyId: {company: c}, _currency: u, value: v, fromDate: f}}"""
NOTES = """{object: note, key: i,
    fields: {companyId: {company: c, by: _id}, companyExternalId: x, subject: s}}"""
METRICS = "{object: metric, key: i, fields: {dimensionId: d, value: v, externalId: e}}"
METRICS_OF_ALL = "{object: metric, key: i, fields: {dimensionId: d, value: v, externalId: e, model: m}}"
ACTIVITIES = "{object: user_activity, key: i, fields: {email: e, companyExternalId: c, action: a}}"


def off(block: str) -> str:
    return f"{block.removesuffix('}')}, enabled: false}}"


ORDERS = {
    "by rank, then by name": (
        {"b": COMPANIES, "a": METRICS, "d": USERS, "c": ENDUSERS, "f": LICENSES, "e": NOTES, "g": ACTIVITIES},
        "b d c f e a g",
    ),
    "users before the companies they own": (
        {"a": LICENSES, "b": ENDUSERS, "c": COMPANIES_OWNED, "d": USERS, "e": METRICS},
        "d c b a e",
    ),
    "no users, nothing to wait for": ({"b": COMPANIES_OWNED, "a": ENDUSERS}, "b a"),
    "a reference by `_id` waits for nothing": ({"b": COMPANIES_CHAMPIONED, "a": ENDUSERS_BY_ID}, "a b"),
    "a company named by a plain column": ({"a": COMPANIES_OWNED, "b": USERS, "c": NOTES}, "b a c"),
    "updates after creates, whatever their names": (
        {
            "z": COMPANIES,
            "a": "{object: company, mode: update, match: {externalId: i}, fields: {web: w}}",
            "b": "{object: company, mode: insert, key: i, fields: {name: n}}",
        },
        "b z a",
    ),
    "an update that needs what waits for the create": (
        {"a": CHAMPIONS, "b": COMPANIES, "c": ENDUSERS},
        "b c a",
    ),
    "none waits for an update": ({"a": ENDUSERS, "b": CHAMPIONS}, "a b"),
    "a record may refer to its own kind": (
        {
            "a": """{object: enduser, match: {externalId: i}, fields: {companyId: {company: c},
                custom: {Boss: {lookup: enduser, by: externalId, column: b}}}}""",
            "b": COMPANIES,
        },
        "b a",
    ),
    "an object matched by `_id` creates nothing": (
        {
            "a": "{object: company, match: {_id: i}, fields: {name: n}}",
            "b": "{object: company, mode: insert, key: i, fields: {name: n}}",
        },
        "b a",
    ),
    "a disabled parent is not waited for": ({"a": COMPANIES_OWNED, "b": off(USERS)}, "a b"),
    "a disabled child does not wait": ({"a": off(COMPANIES_OWNED), "b": USERS}, "a b"),
    "events of varying parents stay last": ({"a": METRICS_OF_ALL, "b": COMPANIES_OWNED, "c": USERS}, "c b a"),
}


@pytest.mark.parametrize(("blocks", "order"), ORDERS.values(), ids=ORDERS)
def test_syncs_come_after_those_they_refer_to(tmp_path, blocks, order):
    for names in (sorted(blocks), sorted(blocks, reverse=True)):
        declarations = declare(tmp_path, text(blocks, names))
        assert told(declarations) == []
        assert [s.name for s in declarations.syncs] == order.split()


CYCLES = {
    "companies and endusers": (
        {"endusers": ENDUSERS, "companies": COMPANIES_CHAMPIONED},
        "companies",
        "fields.custom.Champion",
        (
            "these syncs wait for each other: `companies` refers to `endusers` (`custom.Champion`), which refers to "
            "`companies` (`companyId`). Move `custom.Champion` to a second sync of company in `mode: update`: no other "
            "sync waits for such a one."
        ),
    ),
    "three in a circle": (
        {"endusers": ENDUSERS, "companies": COMPANIES_OWNED, "users": USERS_KNOWN, "licenses": LICENSES},
        "companies",
        "fields.owner",
        (
            "`companies` refers to `users` (`owner`), which refers to `endusers` (`custom.Contact`), which refers to "
            "`companies` (`companyId`). Move `owner` to"
        ),
    ),
    "two fields make one step": (
        {
            "endusers": ENDUSERS,
            "companies": """{object: company, match: {externalId: i}, fields: {name: n, custom: {
                A: {lookup: enduser, by: externalId, column: a}, B: {lookup: enduser, column: b}}}}""",
        },
        "companies",
        "fields.custom.A",
        (
            "`companies` refers to `endusers` (`custom.A`, `custom.B`), which refers to `companies` (`companyId`). "
            "Move `custom.A`, `custom.B` to"
        ),
    ),
    "syncs of one object": (
        {
            "a": """{object: enduser, mode: insert, key: i, fields: {email: e,
                companyId: {company: c}, custom: {Boss: {lookup: enduser, column: b}}}}""",
            "b": """{object: enduser, match: {externalId: i}, fields: {companyId: {company: c},
                custom: {Aide: {lookup: enduser, column: b}}}}""",
        },
        "a",
        "fields.custom.Boss",
        "`a` refers to `b` (`custom.Boss`), which refers to `a` (`custom.Aide`).",
    ),
}


@pytest.mark.parametrize(("blocks", "model", "path", "words"), CYCLES.values(), ids=CYCLES)
def test_syncs_that_wait_for_each_other_are_told_once(tmp_path, blocks, model, path, words):
    for names in (sorted(blocks), sorted(blocks, reverse=True)):
        declarations = declare(tmp_path, text(blocks, names))
        (fault,) = declarations.errors
        assert (fault.model, fault.path) == (model, f"config.meta.planhat.{path}")
        assert words in fault.message
        assert {s.name for s in declarations.syncs} == set(blocks) - {model}


def test_each_circle_is_told_on_its_first_sync_even_beside_other_faults(tmp_path):
    declarations = declare(
        tmp_path,
        text({"endusers": ENDUSERS, "users": USERS_KNOWN, "staff": USERS, "companies": COMPANIES_CHAMPIONED})
        + """
contacts: {object: enduser, match: {externalId: i},
    fields: {companyId: {company: c}, emial: e, custom: {Guide: {lookup: user, column: g}}}}""",
    )
    assert {(f.model, f.path.removeprefix("config.meta.planhat.")) for f in declarations.errors} == {
        ("companies", "fields.custom.Champion"),
        ("contacts", "fields.emial"),
        ("users", "fields.custom.Contact"),
        ("staff", "fields.firstName"),
        ("staff", "fields.lastName"),
        ("staff", "fields.nickName"),
    }
    assert [s.name for s in declarations.syncs] == ["endusers"]


def test_a_circle_through_a_column_is_told_where_the_column_says_so(tmp_path):
    declarations = declare(
        tmp_path,
        text({"companies": COMPANIES_CHAMPIONED, "users": USERS_KNOWN})
        + "\ncolumns of endusers: {x: companyExternalId}"
        + "\nendusers: {object: enduser, match: {externalId: i}, fields: {companyId: {company: c}}}",
    )
    assert [f.path for f in declarations.errors] == [
        "config.meta.planhat.fields.custom.Champion",
        "columns[x].config.meta.planhat",
    ]


@pytest.mark.parametrize("disabled", ["companies", "endusers"])
def test_a_disabled_sync_makes_no_circle(tmp_path, disabled):
    blocks = {"companies": COMPANIES_CHAMPIONED, "endusers": ENDUSERS}
    declarations = declare(tmp_path, text(blocks | {disabled: off(blocks[disabled])}))
    assert told(declarations) == []
    assert len(declarations.syncs) == 2


BY_SOURCE = "{object: enduser, match: {externalId: i}, fields: {companyId: {company: c, by: sourceId}}}"
COMPANY = "{object: company, match: {externalId: i}, fields: {name: n"
KEYS = {
    "another key than the parent's": (
        {"a": BY_SOURCE, "b": COMPANIES},
        (
            "fields.companyId: refers to companies by `sourceId`, a key that is not sent by `b`: it meets only "
            "companies that others made. Map `sourceId` there, or refer to them `by: externalId`."
        ),
    ),
    "… which the parent maps": ({"a": BY_SOURCE, "b": f"{COMPANY}, sourceId: s}}}}"}, ""),
    "… which another sync of the parent maps": (
        {
            "a": BY_SOURCE,
            "b": COMPANIES,
            "c": "{object: company, mode: update, match: {externalId: i}, fields: {sourceId: s}}",
        },
        "",
    ),
    "no sync feeds the parent": ({"a": BY_SOURCE}, ""),
    "a disabled sync feeds the parent": ({"a": BY_SOURCE, "b": off(COMPANIES)}, ""),
    "a disabled child": ({"a": off(BY_SOURCE), "b": COMPANIES}, ""),
    "parents that are only updated": (
        {"a": BY_SOURCE, "b": "{object: company, mode: update, match: {externalId: i}, fields: {web: w}}"},
        "",
    ),
    "parents matched by `_id`": (
        {"a": BY_SOURCE, "b": "{object: company, match: {_id: i}, fields: {name: n}}"},
        "",
    ),
    "a look-up": (
        {
            "a": """{object: company, match: {externalId: i},
                fields: {name: n, owner: {lookup: user, by: externalId, column: o}}}""",
            "b": USERS,
        },
        (
            "fields.owner: refers to users by `externalId`, a key that is not sent by `b`: it meets only users that "
            "others made. Map `externalId` there, or refer to them `by: email`."
        ),
    ),
    "metrics know one key only": (
        {"a": METRICS, "b": "{object: company, match: {sourceId: i}, fields: {name: n}}"},
        (
            "fields.externalId: refers to companies by `externalId`, a key that is not sent by `b`: it meets only "
            "companies that others made. Map `externalId` there."
        ),
    ),
    "metrics of assets": (
        {
            "a": """{object: metric, key: i,
                fields: {dimensionId: d, value: v, externalId: e, model: {value: Asset}}}""",
            "b": "{object: asset, match: {sourceId: i}, fields: {name: n, companyId: {company: c}}}",
        },
        "fields.externalId: refers to assets by `externalId`",
    ),
    "activities bring their person along": ({"a": ACTIVITIES, "b": ENDUSERS}, ""),
}


@pytest.mark.parametrize(("blocks", "words"), KEYS.values(), ids=KEYS)
def test_a_key_that_no_parent_sends_is_warned_of(tmp_path, blocks, words):
    declarations = declare(tmp_path, text(blocks))
    assert told(declarations) == []
    found = [f"{f.path.removeprefix('config.meta.planhat.')}: {f.message}" for f in declarations.warnings]
    assert len(found) == bool(words), found
    assert not words or found[0].startswith(words)


def text(blocks: dict[str, str], names: list[str] | None = None) -> str:
    return "\n".join(f"{name}: {blocks[name]}" for name in names or blocks)


CORE = ("company", "user", "enduser")
LEAVES = ("license", "project", "metric", "user_activity")
FIELDS = {
    "company": {"name": "n"},
    "user": {"email": "e", "nickName": "n", "firstName": "f", "lastName": "l"},
    "enduser": {"email": "e"},
    "license": {"_currency": "u", "value": "v", "fromDate": "f", "companyId": {"company": "c"}},
    "project": {"name": "n", "companyId": {"company": "c"}},
    "metric": {"dimensionId": "d", "value": "v", "externalId": "e"},
    "user_activity": {"externalId": "e"},
}
ALWAYS = {"license": {"company"}, "project": {"company"}, "metric": {"company"}, "user_activity": {"enduser"}}


@dataclass
class Made:
    """A sync as drawn: its references are known without asking the code that is tested."""

    name: str
    object: str
    mode: str
    enabled: bool
    refers: set[str] = field(default_factory=set)

    @property
    def block(self) -> dict[str, Any]:
        fields = {} if self.mode == "update" else dict(FIELDS[self.object])
        for parent in self.refers - ALWAYS.get(self.object, set()):
            if parent == "company":
                fields["companyId"] = {"company": "c"}
            else:
                lookup = {"lookup": parent, "by": "externalId", "column": "x"}
                fields.setdefault("custom", {})[f"{self.name} {parent}"] = lookup
        fields = fields or {"custom": {self.name: "x"}}
        keyed = {"key": "i"} if self.mode == "insert" else {"match": {"externalId": "i"}}
        return {"object": self.object, "mode": self.mode, "enabled": self.enabled, **keyed, "fields": fields}


@st.composite
def acyclic(draw) -> list[Made]:
    """Objects drawn in a row: creators refer only to those before their own, updates to any."""
    row = draw(st.permutations(CORE))
    syncs = []
    for name in draw(st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=10)):
        kind = draw(st.sampled_from((*CORE, *LEAVES)))
        mode = draw(st.sampled_from(("upsert", "insert", "update"))) if kind in CORE else "insert"
        if mode == "upsert" and any(s.object == kind and s.mode == "upsert" for s in syncs):
            mode = "insert"  # two upserts would write the same fields
        allowed = row if mode == "update" or kind not in CORE else row[: row.index(kind)]
        allowed = [p for p in allowed if kind == "enduser" or p != "company"]
        refers = draw(st.sets(st.sampled_from(allowed))) if kind in CORE and allowed else set()
        syncs.append(Made(name, kind, mode, draw(st.booleans()), refers | ALWAYS.get(kind, set())))
    return syncs


def order(syncs: list[Made]) -> list[str]:
    with TemporaryDirectory() as directory:
        path = write_manifest(Path(directory), *(node(s.name, s.block) for s in syncs))
        declarations = read_declarations(read_manifest(path), ProjectSettings())
    assert told(declarations) == [], yaml.safe_dump({s.name: s.block for s in syncs})
    return [s.name for s in declarations.syncs]


@given(syncs=acyclic(), data=st.data())
def test_any_syncs_come_after_those_they_refer_to_whatever_the_manifests_order(syncs, data):
    found = order(syncs)
    assert sorted(found) == sorted(s.name for s in syncs)
    assert order(data.draw(st.permutations(syncs))) == found
    for sync in syncs:
        needed = sync.refers | ({sync.object} if sync.mode == "update" else set())
        for other in syncs:
            if sync.enabled and other.enabled and other.mode != "update" and other.object in needed:
                assert found.index(other.name) < found.index(sync.name)
