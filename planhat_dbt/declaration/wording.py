"""How faults are worded: the nearest right word, what was expected, pydantic's findings in our words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from planhat_dbt.declaration.types import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from pydantic_core import ErrorDetails


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The right word that a wrong one most likely means, if any comes near."""
    by_bare: dict[str, str] = {}
    for known in words:
        by_bare.setdefault(_bare(known), known)
    found = get_close_matches(_bare(word), by_bare, n=1, cutoff=0.6)
    return by_bare[found[0]] if found else None


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """` Did you mean …?`, or nothing."""
    found = nearest(word, words)
    return f" Did you mean `{found}`?" if found else ""


def one_of(words: Iterable[str]) -> str:
    """`a`, `b` or `c`."""
    *rest, last = [f"`{w}`" for w in words]
    return f"{', '.join(rest)} or {last}" if rest else last


def told(value: object) -> str:
    """A value as a person wrote it, short enough for a line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}…"


def kind_of(value: object) -> str:
    """What YAML calls a value of this type."""
    names = ((bool, "true/false"), (str, "text"), (int, "a number"), (float, "a number"), (list, "a list"))
    if value is None:
        return "nothing"
    return next((name for kind, name in names if isinstance(value, kind)), "a mapping")


def _bare(word: str) -> str:
    return re.sub(r"[\s_-]", "", word.casefold())


@dataclass(slots=True)
class Faults:
    """Collects the faults of one declaration; paths are given relative to its place."""

    model: str
    file: str
    place: str
    """`config.meta.planhat`, `config.meta.planhat[1]`, `vars.planhat`."""
    found: list[Fault] = field(default_factory=list)

    def error(self, path: str, message: str) -> None:
        """Add a fault at a path below `place`; an empty path is the place itself."""
        self.found.append(Fault(self.model, self.file, self.at(path), message))

    def warn(self, path: str, message: str) -> None:
        """Add what is only worth saying."""
        self.found.append(Fault(self.model, self.file, self.at(path), message, warning=True))

    def at(self, path: str) -> str:
        """The whole YAML path; one that starts with `/` stands on its own."""
        if path.startswith("/"):
            return path[1:]
        return f"{self.place}.{path}" if path else self.place

    def tells_of(self, path: str) -> bool:
        """Whether something at or below a path was told already, so that what follows from it need not be."""
        whole = self.at(path)
        return any(f.path == whole or f.path.startswith((f"{whole}.", f"{whole}[")) for f in self.found)

    @property
    def has_errors(self) -> bool:
        """Whether anything found so far must be corrected."""
        return any(not f.warning for f in self.found)


def dotted(location: Sequence[int | str]) -> str:
    """A YAML path from pydantic's location; parts like `<column>` are tags of a union and left out."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part == "[key]" or part.startswith("<"):
            continue
        else:
            path += f".{part}" if path else part
    return path


def explain(error: ErrorDetails, keys_at: Callable[[tuple[int | str, ...]], Collection[str]]) -> str:
    """One of pydantic's findings in our words.

    Args:
        error: the finding.
        keys_at: the keys that are right in the mapping at a location.
    """
    kind, location, value = error["type"], error["loc"], error["input"]
    context: dict[str, Any] = error.get("ctx", {})
    if kind == "extra_forbidden":
        keys, word = sorted(keys_at(location[:-1])), str(location[-1])
        return f"unknown key `{word}`; expected {one_of(keys)}.{did_you_mean(word, keys)}"
    if kind == "missing":
        return f"`{location[-1]}` is missing"
    if kind in ("enum", "literal_error"):
        words = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        return f"expected {one_of(words)}, found {told(value)}.{did_you_mean(str(value), words)}"
    if kind == "value_error":
        return str(context["error"])
    expected = _EXPECTED.get(kind)
    if expected is None:
        return f"{error['msg'][:1].lower()}{error['msg'][1:]}, found {told(value)}"
    quotes = " (YAML reads yes, no, on and off so: put it in quotes)" if kind == "string_type" else ""
    return f"expected {expected.format(**context)}, found {told(value)}{quotes * isinstance(value, bool)}"


_EXPECTED = {
    "string_type": "text",
    "string_too_short": "text, not an empty one",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "a plain name (letters, digits, underscores)",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "too_long": "exactly one key",
    "too_short": "exactly one key",
    "list_type": "a list",
    "tuple_type": "a list",
    "union_tag_not_found": "a column name, or a mapping with `column`, `value`, `company` or `lookup`",
}
