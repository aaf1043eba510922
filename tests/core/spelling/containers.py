"""Lists, arrays, structs and maps of all the other types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from core.spelling.kinds import Spell, Type, literal, quoted
from core.spelling.meaning import BAD, Double
from core.spelling.numbers import DECIMALS, FLOATS, INTEGERS
from core.spelling.texts import BIT, BOOLEAN, ENUM, JSON, PLAIN, TIME, UUID, VARCHAR, tree_into
from core.spelling.times import DATE, STAMPS
from planhat_dbt.objects import FieldType as F


def element(part: Type) -> st.SearchStrategy[Any]:
    return st.none() | part.values.filter(bool).map(lambda values: values[0])


def nested(
    parts: tuple[Type, ...],
    name: Callable[..., str],
    value: st.SearchStrategy[Any],
    sql: Callable[[Any, list[Spell]], str | None],
    means: Callable[[Any, list[Callable[[Any], Any]]], Any],
    feeds: tuple[F, ...],
) -> Type:
    """A nested type, which can be written otherwise wherever all its parts can."""

    def part_sql(type_name: str, spell: Spell, *, deep: bool) -> Spell:
        def text(v: Any) -> str | None:
            if v is not None and spell(v) is None:
                return None
            return literal(type_name, v, spell, nested=deep)

        return text

    own = [part_sql(p.name, p.spell, deep=p.nested) for p in parts]
    count = max(len(p.others) for p in parts)
    others = []
    for n in range(count):
        chosen = [p.others[n % len(p.others)] for p in parts]
        spells = [part_sql(o[0], o[1], deep=p.nested) for p, o in zip(parts, chosen, strict=True)]
        others.append((name(*(o[0] for o in chosen)), lambda v, spells=spells: sql(v, spells)))

    def meaning(v: Any) -> Any:
        return means(v, [lambda x, p=p: None if x is None else p.means(x) for p in parts])

    return Type(
        name(*(p.name for p in parts)),
        st.lists(value, max_size=4),
        feeds,
        spell=lambda v: sql(v, own) or "",
        means=meaning,
        into=lambda v, of: BAD if (tree := meaning(v)) is BAD else tree_into(tree, of),
        others=tuple(others),
        nested=True,
    )


def all_good(items: list[Any]) -> Any:
    return BAD if any(i is BAD for i in items) else items


def list_of(part: Type, size: int = 0) -> Type:
    items = (
        st.lists(element(part), max_size=3)
        if not size
        else st.lists(element(part), min_size=size, max_size=size)
    )

    def sql(value: list[Any], spells: list[Spell]) -> str | None:
        texts = [spells[0](v) for v in value]
        return None if None in texts else f"[{', '.join(t or '' for t in texts)}]"

    feeds = (F.TEXT, F.TEXTS, F.ANY) + ((F.OBJECTS,) if "STRUCT" in part.name.upper() else ())
    return nested(
        (part,),
        lambda n: f"{n}[{size or ''}]",
        items,
        sql,
        lambda v, means: all_good([means[0](i) for i in v]),
        feeds,
    )


def struct_of(**parts: Type) -> Type:
    names = [n.replace("_", " ") for n in parts]

    def sql(value: tuple[Any, ...], spells: list[Spell]) -> str | None:
        texts = [spell(v) for spell, v in zip(spells, value, strict=True)]
        if None in texts:
            return None
        return "{" + ", ".join(f"'{n}': {t}" for n, t in zip(names, texts, strict=True)) + "}"

    def means(value: tuple[Any, ...], parts: list[Callable[[Any], Any]]) -> Any:
        items = all_good([mean(v) for mean, v in zip(parts, value, strict=True)])
        return items if items is BAD else dict(zip(names, items, strict=True))

    return nested(
        tuple(parts.values()),
        lambda *types: "struct(" + ", ".join(f'"{n}" {t}' for n, t in zip(names, types, strict=True)) + ")",
        st.tuples(*(element(p) for p in parts.values())),
        sql,
        means,
        (F.TEXT, F.OBJECT, F.ANY),
    )


def map_of(part: Type) -> Type:
    def sql(value: dict[str, Any], spells: list[Spell]) -> str | None:
        texts = {k: spells[0](v) for k, v in value.items()}
        if None in texts.values():
            return None
        return "map {" + ", ".join(f"{quoted(k)}: {t}" for k, t in texts.items()) + "}"

    def means(value: dict[str, Any], parts: list[Callable[[Any], Any]]) -> Any:
        items = {k: parts[0](v) for k, v in value.items()}
        return BAD if any(i is BAD for i in items.values()) else items

    return nested(
        (part,),
        lambda n: f"map(varchar, {n})",
        st.dictionaries(st.sampled_from(["a", "it's", "ü"]), element(part), max_size=3),
        sql,
        means,
        (F.TEXT, F.OBJECT, F.ANY),
    )


_by = {t.name: t for t in (*INTEGERS, *DECIMALS, *FLOATS, *STAMPS, *PLAIN, DATE)}
NESTED = [
    list_of(_by["integer"]),
    list_of(_by["double"]),
    list_of(_by["decimal(10,2)"]),
    list_of(_by["decimal(18,18)"]),
    list_of(replace(_by["decimal(38,38)"], means=Double)),
    list_of(VARCHAR),
    list_of(ENUM),
    list_of(replace(DATE, others=DATE.others[:1])),  # inside a list a day is not its midnight
    list_of(_by["timestamptz"]),
    list_of(_by["timestamp_ns"], 2),
    list_of(_by["bigint"], 3),
    list_of(JSON),
    struct_of(a=_by["tinyint"], B_c=ENUM, t=_by["timestamp"]),
    struct_of(f=_by["float"], u=UUID, b=BIT, z=_by["timestamptz"], ok=BOOLEAN, at=TIME),
    list_of(struct_of(a=_by["decimal(18,4)"], l=list_of(_by["timestamp_ms"]))),
    struct_of(inner=struct_of(x=list_of(list_of(_by["timestamp"])), w=VARCHAR), j=JSON),
    map_of(_by["double"]),
    map_of(list_of(struct_of(t=_by["timestamp"], e=ENUM))),
]  # fmt: skip
