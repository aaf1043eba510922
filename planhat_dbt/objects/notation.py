"""A short way to write down a table of fields, so that the catalogue reads like the notes it comes from.

Each keyword is a field type and holds names separated by blanks; a sign after a name says more:
`!` required to create, `~` recomputed by Planhat, `-` read-only.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, TypedDict, Unpack

from planhat_dbt.objects.types import Field, FieldType, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

SIGNS = "!~-"

WORD = Rule("letters (A to Z, a to z), digits, `_`, `-` and `.` only", r"[A-Za-z0-9_.-]+")
"""A name free of blanks and special characters (planhat-api §10.1)."""
FILLED = Rule("text that is not blank", r"(?s).*\S.*")
EMAIL = Rule("an e-mail address: something@something, without blanks", r"[^@\s]+@[^@\s]+")
NUMBER = Rule("a number that fits a double")
"""Sent as a number however large: a text in its place is refused (§10.1)."""
COUNT = Rule("a whole number, 1 or more", least=1)


class Names(TypedDict, total=False):
    """Field names by type; the keys are the values of `FieldType`."""

    text: str
    number: str
    integer: str
    boolean: str
    datetime: str
    day: str
    date: str
    id: str
    company: str
    companies: str
    texts: str
    ids: str
    object: str
    objects: str
    any: str


def fields(
    *,
    values: Mapping[str, str] | None = None,
    wire: Mapping[str, str] | None = None,
    rules: Mapping[str, Rule] | None = None,
    with_id: bool = True,
    **names: Unpack[Names],
) -> Mapping[str, Field]:
    """Build a field table.

    Args:
        values: closed lists, field name → comma-separated values.
        wire: field name → its name in JSON, where that differs.
        rules: field name → what its values must be beyond their type.
        with_id: whether the object has a Planhat `_id` (events have none).
        **names: field type → names with their signs.
    """
    table = {"_id": Field("_id", FieldType.ID, writable=False)} if with_id else {}
    for kind, words in names.items():
        for word in str(words).split():
            name = word.rstrip(SIGNS)
            signs = word[len(name) :]
            if name in table:
                raise ValueError(f"field {name} is written down twice")
            table[name] = Field(
                name=name,
                type=FieldType(kind),
                wire=(wire or {}).get(name, ""),
                writable="-" not in signs,
                required="!" in signs,
                recomputed="~" in signs,
                values=tuple(v.strip() for v in (values or {}).get(name, "").split(",") if v.strip()),
                rule=(rules or {}).get(name),
            )
    if unknown := (set(values or ()) | set(wire or ()) | set(rules or ())) - set(table):
        raise ValueError(f"no such field: {', '.join(sorted(unknown))}")
    return MappingProxyType(table)


def frozen(**items: str) -> Mapping[str, str]:
    """A read-only mapping of words."""
    return MappingProxyType(items)
