"""DuckDB's type names taken apart: what is inside a list, a struct or a map, and SQL that reaches every value there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias


@dataclass(frozen=True, slots=True)
class Leaf:
    """A type without parts, or one whose parts do not concern us."""

    name: str


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list, or an array of fixed size."""

    item: DuckDBType
    size: str = ""


@dataclass(frozen=True, slots=True)
class StructOf:
    """Named fields, in their order."""

    fields: tuple[tuple[str, DuckDBType], ...]


@dataclass(frozen=True, slots=True)
class MapOf:
    """Keys and values."""

    key: DuckDBType
    value: DuckDBType


DuckDBType: TypeAlias = "Leaf | ListOf | StructOf | MapOf"
_OnLeaf: TypeAlias = Callable[[str, str], str | None]
"""From an expression and the type's name to another expression; None: as it is."""

_SIZE: Final = re.compile(r"\[(\d*)\]")
_NAME: Final = re.compile(r'"(?:[^"]|"")*"|[^\s"(),\[\]]+')
_LEAF: Final = re.compile(r"(?:[^\s\"'(),\[\]]+|\"(?:[^\"]|\"\")*\")(?: [A-Z]+)*")
_QUOTED: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[()]")
_DECIMAL: Final = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")


@lru_cache(maxsize=512)
def parse(name: str) -> DuckDBType:
    """Read a type as DuckDB prints it; what is not understood is a leaf of that name."""
    try:
        found, end = _read(name, 0)
    except ValueError:
        return Leaf(name)
    return found if end == len(name) else Leaf(name)


def render(of: DuckDBType) -> str:
    """Write a type as DuckDB reads it."""
    match of:
        case Leaf(name):
            return name
        case ListOf(item, size):
            return f"{render(item)}[{size}]"
        case MapOf(key, value):
            return f"MAP({render(key)}, {render(value)})"
        case StructOf(fields):
            return f"STRUCT({', '.join(f'{quote(name)} {render(part)}' for name, part in fields)})"


def leaves(of: DuckDBType) -> tuple[str, ...]:
    """The names of all types inside, map keys included."""
    match of:
        case Leaf(name):
            return (name,)
        case ListOf(item):
            return leaves(item)
        case MapOf(key, value):
            return leaves(key) + leaves(value)
        case StructOf(fields):
            return tuple(leaf for _, part in fields for leaf in leaves(part))


def decimal(name: str) -> tuple[int, int] | None:
    """Width and scale of a decimal; None for all other types."""
    found = _DECIMAL.fullmatch(name)
    return (int(found[1]), int(found[2])) if found else None


def replaced(of: DuckDBType, leaf: Callable[[str], str]) -> DuckDBType:
    """The same shape with other types inside."""
    match of:
        case Leaf(name):
            return Leaf(leaf(name))
        case ListOf(item, size):
            return ListOf(replaced(item, leaf), size)
        case MapOf(key, value):
            return MapOf(replaced(key, leaf), replaced(value, leaf))
        case StructOf(fields):
            return StructOf(tuple((name, replaced(part, leaf)) for name, part in fields))


def rebuilt(expression: str, of: DuckDBType, leaf: _OnLeaf, depth: int = 0) -> str | None:
    """Change the values inside a nested value, map keys excepted; None where there is nothing to change."""
    item = f"planhat_{depth}"
    match of:
        case Leaf(name):
            return leaf(expression, name)
        case ListOf(part):
            inner = rebuilt(item, part, leaf, depth + 1)
            return inner and f"list_transform({expression}, lambda {item}: {inner})"
        case MapOf(_, part):
            inner = rebuilt(item, part, leaf, depth + 1)
            values = f"list_transform(map_values({expression}), lambda {item}: {inner})"
            return (
                inner and f"case when {expression} is not null then map(map_keys({expression}), {values}) end"
            )
        case StructOf(fields):
            old = [(name, _field(expression, name), part) for name, part in fields]
            new = [(name, field, rebuilt(field, part, leaf, depth)) for name, field, part in old]
            if all(changed is None for _, _, changed in new):
                return None
            pack = ", ".join(f"{quote(name)} := {changed or field}" for name, field, changed in new)
            return f"case when {expression} is not null then struct_pack({pack}) end"


def any_of(expression: str, of: DuckDBType, leaf: _OnLeaf, depth: int = 0) -> str | None:
    """Test whether a condition holds for any value inside; None where no type inside has one."""
    item = f"planhat_{depth}"
    match of:
        case Leaf(name):
            return leaf(expression, name)
        case ListOf(part):
            inner = any_of(item, part, leaf, depth + 1)
            return inner and f"list_bool_or(list_transform({expression}, lambda {item}: {inner}))"
        case MapOf(_, part):
            inner = any_of(item, part, leaf, depth + 1)
            return inner and f"list_bool_or(list_transform(map_values({expression}), lambda {item}: {inner}))"
        case StructOf(fields):
            found = [any_of(_field(expression, name), part, leaf, depth) for name, part in fields]
            return " or ".join(f"({test})" for test in found if test) or None


def quote(name: str) -> str:
    """Quote an identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Write a text literal; DuckDB knows no backslash escapes in it."""
    return "'" + text.replace("'", "''") + "'"


def _field(expression: str, name: str) -> str:
    return f"struct_extract({expression}, {literal(name)})"


def _read(text: str, at: int) -> tuple[DuckDBType, int]:
    found: DuckDBType
    if text.startswith("STRUCT(", at):
        found, at = _read_struct(text, at + len("STRUCT("))
    elif text.startswith("MAP(", at):
        key, at = _read(text, at + len("MAP("))
        value, at = _read(text, _past(text, at, ","))
        found, at = MapOf(key, value), _past(text, at, ")")
    else:
        word = _LEAF.match(text, at)
        if not word:
            raise ValueError(text)
        end = _closing(text, word.end()) if text.startswith("(", word.end()) else word.end()
        found, at = Leaf(text[at:end]), end
    while size := _SIZE.match(text, at):
        found, at = ListOf(found, size[1]), size.end()
    return found, at


def _read_struct(text: str, at: int) -> tuple[StructOf, int]:
    fields = []
    while True:
        name = _NAME.match(text, at)
        if not name or not text.startswith(" ", name.end()):
            raise ValueError(text)  # a field without a name
        part, at = _read(text, name.end() + 1)
        word = name[0]
        fields.append((word[1:-1].replace('""', '"') if word.startswith('"') else word, part))
        if text.startswith(")", at):
            return StructOf(tuple(fields)), at + 1
        at = _past(text, at, ",")


def _past(text: str, at: int, mark: str) -> int:
    if not text.startswith(mark, at):
        raise ValueError(text)
    at += len(mark)
    return at + 1 if text.startswith(" ", at) else at


def _closing(text: str, at: int) -> int:
    """Find the end of an argument list such as `(10,2)` or `('a', 'b)')`."""
    depth = 0
    for found in _QUOTED.finditer(text, at):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth == 0:
            return found.end()
    raise ValueError(text)
