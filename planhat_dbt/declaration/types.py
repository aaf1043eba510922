"""A declaration, read and checked: the frozen values the rest of the program works with (DESIGN §2, §3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeAlias

from planhat_dbt.objects import FieldType

if TYPE_CHECKING:
    import datetime as dt

    from planhat_dbt.objects import Field, ObjectType

JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"
KeyField = Literal["_id", "sourceId", "externalId", "email"]


class Mode(StrEnum):
    """What may happen to a row (DESIGN §5)."""

    UPSERT = "upsert"
    UPDATE = "update"
    INSERT = "insert"


class OnRemoved(StrEnum):
    """What happens in Planhat to the record of a row that left the model."""

    KEEP = "keep"
    CLEAR = "clear"
    DELETE = "delete"


class Nulls(StrEnum):
    """What a NULL does on update."""

    CLEAR = "clear"
    SKIP = "skip"


class Write(StrEnum):
    """When a field is sent."""

    ALWAYS = "always"
    ON_INSERT = "on_insert"


class Tests(StrEnum):
    """Which test results stop the sync (DESIGN §7)."""

    ERROR = "error"
    WARN = "warn"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class FromColumn:
    """A value taken from a model column."""

    column: str


@dataclass(frozen=True, slots=True)
class Constant:
    """The same value in every row."""

    value: JsonValue


@dataclass(frozen=True, slots=True)
class CompanyRef:
    """A company, named by its key in a model column; on the wire `extid-…`, `srcid-…` or the `_id`."""

    column: str
    by: Literal["externalId", "sourceId", "_id"] = "externalId"


@dataclass(frozen=True, slots=True)
class Lookup:
    """The `_id` of a user or enduser, found through the API by a key in a model column."""

    column: str
    object: Literal["user", "enduser"]
    by: KeyField


Source: TypeAlias = FromColumn | Constant | CompanyRef | Lookup


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """One Planhat field and where its value comes from."""

    target: str
    """The Planhat field, as declared: `name`, or `custom.Plan Tier`."""
    state_column: str
    """Its column in the plan and snapshot tables: `name`, `custom_plan_tier`."""
    field: Field
    """What Planhat keeps there; for custom fields of type `any`."""
    source: Source
    nulls: Nulls = Nulls.CLEAR
    write: Write = Write.ALWAYS

    @property
    def custom_name(self) -> str | None:
        """The display name of a custom field; None for a system field."""
        return self.target.removeprefix("custom.") if self.target.startswith("custom.") else None

    @property
    def sends_null(self) -> bool:
        """Whether a NULL is sent, so that it empties Planhat's value."""
        return self.nulls is Nulls.CLEAR and self.field.type not in (FieldType.COMPANY, FieldType.COMPANIES)

    @property
    def model_column(self) -> str | None:
        """The model column it reads; None for a constant."""
        return None if isinstance(self.source, Constant) else self.source.column


@dataclass(frozen=True, slots=True)
class Match:
    """The Planhat key and the model column that carries it."""

    field: KeyField
    column: str


@dataclass(frozen=True, slots=True)
class Limit:
    """A guard's limit: a share of the rows Planhat is known to hold, or a count."""

    share: float | None = None
    """0.1 for `10%`."""
    count: int | None = None

    def __str__(self) -> str:
        return f"{self.share * 100:g}%" if self.share is not None else str(self.count)


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view in the warehouse; `rendered` is dbt's own quoted name, ready for SQL."""

    database: str
    schema: str
    identifier: str
    rendered: str


@dataclass(frozen=True, slots=True)
class Model:
    """What a sync needs to know of its dbt model, seed or snapshot."""

    unique_id: str
    name: str
    relation: Relation
    path: str
    """The file a person edits for the declaration (the YAML file if there is one), relative to the project."""
    tags: tuple[str, ...] = ()
    fqn: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    is_table: bool = False
    """Whether its rows lie in a table; else (a view, a file) they may be others each time they are read."""
    is_incremental: bool = False
    """Whether a build leaves the table's columns as they are, unless it is a full refresh."""


@dataclass(frozen=True, slots=True)
class Sync:
    """One declaration: one model → one Planhat object."""

    name: str
    model: Model
    object: ObjectType
    mode: Mode
    match: Match | None
    key: str
    """The model column that identifies a row for us."""
    fields: tuple[FieldMapping, ...]
    on_removed: OnRemoved = OnRemoved.KEEP
    max_removals: Limit = Limit(share=0.10)
    max_changes: Limit | None = None
    tests: Tests = Tests.ERROR
    enabled: bool = True
    tags: tuple[str, ...] = ()
    previous_name: str = ""
    """The name its state may still stand under; empty: it was not renamed."""
    previous_match: Match | None = None
    """The key its state may still stand under; None: it did not change."""
    event_time: str = ""
    """The column that says when an event happened; empty: events are looked at however old they are."""
    lookback: dt.timedelta | None = None
    """How old an event may be to be looked at."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a declaration, told so that it can be corrected without looking elsewhere."""

    model: str
    file: str
    path: str
    """The YAML path: `config.meta.planhat.fields.phase`, `columns[first_name].config.meta.planhat`."""
    message: str
    """What is wrong and what was expected, with the nearest right word where there is one."""
    warning: bool = False
    """True: worth saying, does not stop the sync."""


@dataclass(frozen=True, slots=True)
class Declarations:
    """All syncs of a project, and all that is wrong with their declarations."""

    syncs: tuple[Sync, ...]
    faults: tuple[Fault, ...]

    @property
    def errors(self) -> tuple[Fault, ...]:
        """The faults that must be corrected before anything runs."""
        return tuple(f for f in self.faults if not f.warning)

    @property
    def warnings(self) -> tuple[Fault, ...]:
        """The faults that are only worth saying."""
        return tuple(f for f in self.faults if f.warning)
