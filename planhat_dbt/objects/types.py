"""The shape of what we know of a Planhat object; the facts themselves are in `catalogue`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class FieldType(StrEnum):
    """What Planhat keeps in a field, and so what JSON it wants (planhat-api §3.4, §3.5, §9)."""

    TEXT = "text"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    """ISO 8601 text in UTC, with `Z`."""
    DAY = "day"
    """Whole days since 1970-01-01."""
    DATE = "date"
    """`YYYY-MM-DD` text (churn)."""
    ID = "id"
    """A Planhat `_id`: 24 hex characters."""
    COMPANY = "company"
    """A company reference: `_id`, `extid-…` or `srcid-…` (§3.3)."""
    COMPANIES = "companies"
    """A list of company references (issues)."""
    TEXTS = "texts"
    IDS = "ids"
    OBJECT = "object"
    OBJECTS = "objects"
    ANY = "any"
    """Custom fields: the tenant knows the type, we do not."""


class Kind(StrEnum):
    """Records are kept equal to the model; events are sent once."""

    RECORD = "record"
    EVENT = "event"


class Scope(StrEnum):
    """Within what an `externalId` is unique (planhat-api §3.1)."""

    TENANT = "tenant"
    COMPANY = "company"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value must be beyond its type, where Planhat answers OK to bad ones and drops them later (§10)."""

    expected: str
    """What is told of a value that is not so: "expected …"."""
    pattern: str = ""
    """A regular expression for the whole text; empty: the rule is about a number, which fits a double."""
    least: int | None = None
    """The smallest number allowed."""

    def allows(self, value: object) -> bool:
        """Say whether a value keeps to the rule."""
        if self.pattern:
            return isinstance(value, str) and re.fullmatch(self.pattern, value) is not None
        try:
            number = float(value)  # type: ignore[arg-type]
        except (OverflowError, TypeError, ValueError):
            return False
        return math.isfinite(number) and (self.least is None or number >= self.least)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an object, under the name a declaration uses."""

    name: str
    type: FieldType = FieldType.TEXT
    wire: str = ""
    """Its name in JSON where that differs from `name` (invoice: `extId`, `cId`)."""
    writable: bool = True
    required: bool = False
    """A bulk create without it is refused, so it is never cleared."""
    recomputed: bool = False
    """Planhat may overwrite what is sent (y* in planhat-api §9)."""
    values: tuple[str, ...] = ()
    """The closed list of an enumeration; empty: anything."""
    rule: Rule | None = None

    @property
    def empty_is_missing(self) -> bool:
        """Whether an empty text says as little as NULL."""
        return self.rule is not None and bool(self.rule.pattern)

    @property
    def json_name(self) -> str:
        """The name on the wire."""
        return self.wire or self.name


@dataclass(frozen=True, slots=True)
class ObjectType:
    """All we know of one Planhat object (planhat-api §4, §9, §10)."""

    name: str
    plural: str
    path: str
    """REST path, e.g. `/companies`; for events the tracking path without the tenant."""
    rank: int
    """Its place in the delivery order where no reference says otherwise (DESIGN §4)."""
    fields: Mapping[str, Field]
    kind: Kind = Kind.RECORD
    bulk_keys: tuple[str, ...] = ()
    """Fields a bulk upsert matches on, in the API's order of priority, by our names."""
    path_keys: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Keys of `GET /path/{prefix}{value}`: our field name → prefix (`extid-`, `srcid-`)."""
    bulk: bool = True
    """Whether `PUT path` with an array exists."""
    company_field: str = ""
    """The field that refers to the company, by our name; empty: none."""
    key_scope: Scope = Scope.COMPANY
    one_of: tuple[tuple[str, ...], ...] = ()
    """Groups of fields of which a create needs at least one each."""
    advised: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Fields that may be left out, and what happens then."""
    constants: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Fields that every row carries with a fixed value (note: `type`)."""
    custom: bool = True
    """Whether records carry `custom` fields."""
    custom_owner: str = ""
    """Whose definitions its custom fields are, where that is not its own name (a note is a conversation)."""
    page_size: int = 2000
    """Largest legal `limit` of its list."""
    list_filters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Query parameters an existence check by list must send, so that nothing is hidden (§12.11)."""
    hidden_flag: str = ""
    """The flag that hides a record from lists, and the parameter that asks for it (§7: archived ones)."""
    lean_list: bool = False
    """Whether `GET /leancompanies` names all records with their keys in one call (§7)."""
    single_calls: bool = True
    """Whether one record can be created, read and changed by a call of its own; deletes are there for all."""
    aliases: tuple[str, ...] = ()
    """Other spellings accepted in a declaration."""

    @property
    def is_event(self) -> bool:
        """Insert-only, sent once."""
        return self.kind is Kind.EVENT

    def path_prefix(self, key: str) -> str | None:
        """What goes before a value of this key in `GET /path/{…}`; None: it cannot be read so."""
        if not self.single_calls:
            return None
        return "" if key == "_id" else self.path_keys.get(key)

    def needs_company(self, key: str) -> bool:
        """Whether a key says who is meant only together with the company (§3.1)."""
        return self.key_scope is Scope.COMPANY and key not in ("_id", "sourceId")

    @property
    def custom_parent(self) -> str:
        """The `parent` of its custom fields' definitions (§9.16)."""
        return self.custom_owner or self.name

    @property
    def required(self) -> tuple[str, ...]:
        """The fields a create must carry, by our names."""
        return tuple(f.name for f in self.fields.values() if f.required)
