"""The custom fields of a tenant, as the rows of `GET /customfields` define them (planhat-api §3.5, §9.16)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from planhat_dbt.objects import FieldType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SELECT: Final = "parent,name,type,isFormula,isMandatory"
"""What is asked of each definition: without it a list may leave fields out (planhat-api §7)."""

TYPES: Final[Mapping[str, FieldType]] = MappingProxyType(
    {
        **dict.fromkeys(("text", "rich text", "phone", "email", "url", "list"), FieldType.TEXT),
        "number": FieldType.NUMBER,
        "checkbox": FieldType.BOOLEAN,
        "rating": FieldType.INTEGER,
        "date": FieldType.DATETIME,
        "day": FieldType.DAY,
        "multipicklist": FieldType.TEXTS,
        **dict.fromkeys(("team member", "enduser"), FieldType.ID),
        **dict.fromkeys(("team members", "endusers"), FieldType.IDS),
    }
)
"""Planhat's word for a type → what is sent to such a field."""


@dataclass(frozen=True, slots=True)
class CustomField:
    """One defined custom field."""

    name: str
    """The display name: the key inside `custom`."""
    planhat_type: str
    """Its type in Planhat's word."""
    is_formula: bool = False
    """Whether Planhat computes it."""
    is_mandatory: bool = False
    """Whether a new record must carry it."""

    @property
    def type(self) -> FieldType:
        """What is sent to it; `any` for a formula, and for a type that is not known here."""
        return FieldType.ANY if self.is_formula else _BY_WORD.get(_bare(self.planhat_type), FieldType.ANY)

    @property
    def people(self) -> str:
        """The object whose `_id`s it holds: `user`, `enduser`, or none."""
        return next((obj for word, obj in _PEOPLE.items() if _bare(self.planhat_type).startswith(word)), "")


@dataclass(frozen=True, slots=True)
class CustomFields:
    """All defined custom fields of a tenant."""

    by_parent: Mapping[str, Mapping[str, CustomField]]
    """The object's name, as Planhat writes it → display name → definition."""

    def of(self, parent: str) -> Mapping[str, CustomField]:
        """Those of one object, by display name."""
        return self.by_parent.get(parent, {})

    def type_of(self, parent: str, name: str) -> FieldType:
        """What is sent to a field; `any` if it is not defined, a formula, or of an unknown type."""
        found = self.of(parent).get(name)
        return found.type if found else FieldType.ANY


def read_definitions(rows: Iterable[Mapping[str, object]]) -> CustomFields:
    """Read the rows of the list; one that lacks object or name says nothing."""
    by_parent: dict[str, dict[str, CustomField]] = {}
    for row in rows:
        parent, name, kind = (row.get(key) for key in ("parent", "name", "type"))
        if not isinstance(parent, str) or not isinstance(name, str):
            continue
        by_parent.setdefault(parent.strip().lower(), {})[name] = CustomField(
            name=name,
            planhat_type=kind if isinstance(kind, str) else "",
            is_formula=row.get("isFormula") is True,
            is_mandatory=row.get("isMandatory") is True,
        )
    return CustomFields(MappingProxyType(by_parent))


def _bare(word: str) -> str:
    return re.sub(r"[\s_-]", "", word.lower())


_PEOPLE: Final = {"teammember": "user", "enduser": "enduser"}
_BY_WORD: Final = {_bare(word): kind for word, kind in TYPES.items()}
