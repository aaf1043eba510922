"""Texts, JSON and the plain types whose values are texts elsewhere; and the types that no JSON can carry."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from core.spelling.kinds import Type, quoted
from core.spelling.meaning import BAD, SAFE, Double, Moment, Said, Tree, plain
from core.spelling.numbers import MONEY, number_into
from core.spelling.times import DAYS, clock, time_into, zone
from planhat_dbt.objects import FieldType as F

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
STUBBORN = st.sampled_from(
    [
        "007",
        "1e5",
        "2020-01-01",
        " x ",
        "",
        "null",
        "NaN",
        '"',
        "\\",
        "ü" * 5000 + "🙂",
        "a\x00b",
        "[1]",
        '{"a": 1.0}',
        "1.0",
    ]
)
JUNK = st.text("xyzé -", min_size=1, max_size=5).map(lambda t: f"x{t}")


def number_text(value: str) -> Any:
    found = re.fullmatch(r"\s*(-?\d+(\.\d+)?([eE][-+]?\d{1,2})?)\s*", value, re.ASCII)
    return Decimal(found[1]) if found else None


def text_into(value: str, of: F) -> Any:
    meaning = getattr(value, "meaning", None)
    match of:
        case F.NUMBER | F.INTEGER:
            number = number_text(value)
            return BAD if number is None else number_into(number, of)
        case F.BOOLEAN:
            words = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
            return words.get(value.strip().lower(), BAD)
        case F.DATETIME | F.DAY | F.DATE:
            return time_into(meaning.ns, of) if isinstance(meaning, Moment) else BAD
        case F.TEXTS | F.OBJECT | F.OBJECTS:
            return tree_into(meaning.value, of) if isinstance(meaning, Tree) else BAD
        case _:
            return str(value)


ISO = st.builds(
    Moment, st.integers(*DAYS).map(lambda n: n // 1000 * 1000), st.sampled_from([0, 60, -570])
).map(
    lambda m: Said.of(clock(m.ns, 6, m.offset).replace(" ", "T") + (zone(m.offset) if m.offset else "Z"), m)
)
NUMBER_TEXT = st.sampled_from(
    [" -3 ", "1.50", "007", "1e3", "12E-1", "0.1", "1e20", "-0", "9007199254740993"]
) | st.integers().map(str)


LEAVES = st.none() | st.booleans() | st.integers(-SAFE, SAFE) | MONEY.map(Double) | ANY_TEXT
TREES = st.recursive(
    LEAVES, lambda t: st.lists(t, max_size=3) | st.dictionaries(ANY_TEXT, t, max_size=3), max_leaves=6
)
TEXTS = st.lists(
    st.none() | ANY_TEXT | st.integers(-100, 100) | MONEY.map(Double) | st.booleans(), max_size=4
)
OBJECTS = st.dictionaries(ANY_TEXT, TREES, max_size=3)


def dumped(tree: Any, **more: Any) -> str:
    return json.dumps(bare(tree, whole=more.pop("whole", False)), **more)


def bare(tree: Any, *, whole: bool) -> Any:
    """A tree for `json.dumps`; `whole`: whole numbers are written 1.0, not 1."""
    match tree:
        case Double(value):
            return value if whole or value != int(value) else int(value)
        case bool():
            return tree
        case int():
            return float(tree) if whole else tree
        case list():
            return [bare(i, whole=whole) for i in tree]
        case dict():
            return {k: bare(v, whole=whole) for k, v in tree.items()}
    return tree


def tree_into(tree: Any, of: F) -> Any:
    match of:
        case F.TEXT:
            return Tree(tree)
        case F.TEXTS:
            if not isinstance(tree, list):
                return BAD
            items = [item_text(i) for i in tree if i is not None]
            return BAD if any(i is BAD for i in items) else items
        case F.OBJECT:
            return tree if isinstance(tree, dict) else BAD
        case F.OBJECTS:
            fits = isinstance(tree, list) and all(isinstance(i, dict) for i in tree)
            return tree if fits else BAD
        case _:
            return tree


def item_text(item: Any) -> Any:
    match item:
        case bool():
            return "true" if item else "false"
        case Double(value):
            return plain(Decimal(repr(float(value)))) if value else "0"
        case int() | Decimal():
            return plain(Decimal(item))
        case str():
            return item
    return BAD


STRUCTURED = (F.TEXT, F.TEXTS, F.OBJECT, F.OBJECTS, F.ANY)


def tree_values(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(strategy.map(Tree), max_size=4)


def json_means(value: Any) -> Any:
    return value.value if isinstance(value, Tree) else BAD


JSON = Type(
    "json",
    tree_values(TREES)
    | st.lists(TREES.map(Tree) | st.sampled_from(["[NaN]", '{"NaN": -Infinity}', "NaN"]), max_size=4),
    STRUCTURED,
    spell=lambda v: dumped(v.value) if isinstance(v, Tree) else v,
    means=json_means,
    into=lambda v, of: tree_into(v.value, of) if isinstance(v, Tree) else BAD,
    others=(
        ("json", lambda v: dumped(v.value, indent=3)),
        ("json", lambda v: dumped(v.value, separators=(" ,", " : "), ensure_ascii=False, whole=True)),
    ),
    only={
        F.TEXTS: tree_values(TEXTS),
        F.OBJECT: tree_values(OBJECTS),
        F.OBJECTS: tree_values(st.lists(OBJECTS, max_size=3)),
    },
)
SAID = {F.TEXTS: TEXTS, F.OBJECT: OBJECTS, F.OBJECTS: st.lists(OBJECTS, max_size=3)}
VARCHAR = Type(
    "varchar",
    st.lists(ANY_TEXT | STUBBORN, max_size=4),
    (F.TEXT, F.NUMBER, F.INTEGER, F.BOOLEAN, F.DATETIME, F.DAY, F.DATE, F.TEXTS, F.OBJECT, F.OBJECTS, F.ANY),
    into=text_into,
    means=str,
    others=(("varchar", str),),
    only={
        **dict.fromkeys((F.NUMBER, F.INTEGER), st.lists(NUMBER_TEXT | JUNK, max_size=4)),
        F.BOOLEAN: st.lists(st.sampled_from(["true", " F", "1", "0", "T"]) | JUNK, max_size=4),
        **dict.fromkeys((F.DATETIME, F.DAY, F.DATE), st.lists(ISO | JUNK, max_size=4)),
        **{
            f: st.lists(s.map(lambda t: Said.of(dumped(t), Tree(t))) | JUNK, max_size=4)
            for f, s in SAID.items()
        },
    },
)
WORDS = ["a", "B c", "it's", "ü)", "[]"]
ENUM_NAME = "enum(" + ", ".join(map(quoted, WORDS)) + ")"
ENUM = Type(
    ENUM_NAME,
    st.lists(st.sampled_from(WORDS), max_size=4),
    (F.TEXT, F.ANY),
    others=(("varchar", str), ("enum(" + ", ".join(map(quoted, reversed(WORDS))) + ")", str)),
)
BIT = Type(
    "bit",
    st.lists(st.text("01", min_size=1, max_size=70), max_size=4),
    (F.TEXT, F.ANY),
    others=(("varchar", str),),
)
UUID = Type(
    "uuid",
    st.lists(st.uuids().map(str), max_size=4),
    (F.TEXT, F.ANY),
    others=(("uuid", str.upper),),
)
TIME = Type(
    "time",
    st.lists(st.times().map(lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000)), max_size=4),
    (F.TEXT, F.ANY),
    spell=lambda t: t.isoformat(),
    means=lambda t: t.isoformat() if not t.microsecond else t.isoformat().rstrip("0"),
    others=(("time", lambda t: t.isoformat("microseconds")),),
)
BOOLEAN = Type(
    "boolean",
    st.lists(st.booleans(), max_size=4),
    (F.TEXT, F.BOOLEAN, F.ANY),
    spell=lambda b: str(b).lower(),
    into=lambda b, of: str(b).lower() if of is F.TEXT else b,
    others=(("boolean", lambda b: "1" if b else "0"),),
)


UNSUPPORTED = [
    Type(
        name,
        st.lists(st.just(text), max_size=1),
        (F.TEXT, F.NUMBER, F.ANY),
        means=lambda _: BAD,
        nested=nested,
    )
    for name, text, nested in (
        ("blob", "\\xAA", False),
        ("interval", "1 month", False),
        ("time with time zone", "10:00:00+01", False),
        ("blob[]", "['\\xAA'::blob]", True),
        ("struct(a integer, b interval)", "{'a': 1, 'b': interval 1 day}", True),
    )
]


PLAIN = [BOOLEAN, TIME, UUID, ENUM, BIT, VARCHAR, JSON]
