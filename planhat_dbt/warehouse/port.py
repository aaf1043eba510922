"""What the rest of the program asks of a warehouse, in as few methods as will do.

How to add a warehouse: (1) a `Dialect` that spells the handful of expressions below; (2) a `Session` over a
driver connection whose `transaction` really is one for changes of rows (tables may be made at once, as on Snowflake
and BigQuery, decision 38), or a `StepwiseSession` where an engine has none (decision 43); (3) a `Warehouse` whose
`open` takes and whose `release` gives back whatever other programs may wait for (DuckDB: the file lock).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

Row = tuple[Any, ...]


class ColumnKind(StrEnum):
    """What a column holds, as far as comparing and sending it goes (dbt-notes §7)."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    TIME = "time"
    UUID = "uuid"
    JSON = "json"
    NESTED = "nested"
    """Lists, structs, maps."""
    UNSUPPORTED = "unsupported"
    """Blobs, intervals: no JSON form; ask for a cast in the model."""


class WireForm(StrEnum):
    """The form in which a value is fetched for sending."""

    NATIVE = "native"
    """As the driver gives it: text, whole numbers, floats, booleans."""
    TEXT = "text"
    """Cast to text."""
    KEY = "key"
    """Text, whole numbers without point or exponent (`Dialect.key_text`)."""
    NUMBER = "number"
    """Text of a JSON number: exact, without exponent."""
    INSTANT = "instant"
    """Text: ISO 8601 in UTC with milliseconds and `Z`."""
    DAY_NUMBER = "day_number"
    """Whole days since 1970-01-01."""
    DAY_TEXT = "day_text"
    """Text: `YYYY-MM-DD`."""
    JSON = "json"
    """Text of a JSON value."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, under the name and type the warehouse gives it."""

    name: str
    type: str
    kind: ColumnKind


class Dialect(Protocol):
    """The SQL that differs from engine to engine. Every method is pure."""

    name: str
    placeholder: str
    """How a bound parameter is written."""
    text: str
    integer: str
    bigint: str
    boolean: str
    double: str
    timestamp: str
    """The type of our own time columns: UTC, without zone."""
    utc_now: str
    """The present moment in that type."""
    numbering: str
    """The order in which rows of a plan are numbered, where the engine asks for one: `order by …`, else empty."""

    def quote(self, name: str) -> str:
        """Quote an identifier, escaping what must be."""

    def literal(self, text: str) -> str:
        """Write a text literal, escaping what must be."""

    def create_schema(self, database: str, schema: str) -> str:
        """Write the statement that makes a schema unless it exists."""

    def find_schema(self, schema: str) -> str:
        """Write the query that has a row if a schema exists; empty where nobody needs a right to make one that does."""

    def kind(self, type_name: str) -> ColumnKind:
        """Classify a column type by the name the engine prints."""

    def stored_type(self, column: Column) -> str:
        """Say the type in which a snapshot table keeps this column's canonical values."""

    def canonical(self, expression: str, column: Column) -> str:
        """Bring values of a model column that mean the same to the same value of its stored type (DESIGN §5)."""

    def differs(self, left: str, right: str, kind: ColumnKind) -> str:
        """Compare null-safely; true where the canonical values differ."""

    def joined(self, texts: Sequence[str]) -> str:
        """Put texts together of which none is NULL."""

    def fingerprints(self, values: Sequence[tuple[str, Column]]) -> Sequence[str] | None:
        """Write numbers that differ, all but surely, where a value of a row (expression, stored column) does.

        None: the engine compares rows by their values alone, in the memory of a server.
        """

    def key_text(self, expression: str, column: Column) -> str:
        """Write a key as text: `007` stays `007`, 1.0 is `1`, 1.50 is `1.5`."""

    def utc(self, expression: str, kind: ColumnKind) -> str:
        """Write a date or time in the type of our own time columns; a date is its first moment."""

    def is_object_id(self, expression: str) -> str:
        """Test whether a text is a Planhat `_id`: 24 small hex characters."""

    def only(self, expression: str, characters: str) -> str:
        """Test whether a text has some of these characters (no quotes, no backslash) and no others."""

    def within(self, expression: str, limit: int) -> str:
        """Test whether a whole number is between `-limit` and `limit`; false or NULL: it is not."""

    def digest(self, text: str) -> str:
        """Write the MD5 of a text expression, in hex."""

    def digest_number(self, hex_digits: str) -> str:
        """Write up to 15 hex digits as a number that can be summed up."""

    def contains(self, text: str, part: str) -> str:
        """Test whether one text expression holds another."""

    def alike(self, old: str, new: str) -> bool:
        """Say whether a value of one stored type may be the same value in the other, and be cast to it."""

    def fits(self, expression: str, old: str, new: str) -> str:
        """Test whether a value of the old type, or NULL, is the same value in the new one."""

    def converted(self, expression: str, old: str, new: str) -> str:
        """Cast a value of the old type, that fits, to the new one."""

    def rename_table(self, path: tuple[str, str], old: str, new: str) -> str:
        """Write the statement that renames a table of a schema (database, schema)."""

    def retyped(self, table: str, column: str, type_name: str, value: str) -> Sequence[str]:
        """Write the statements that give a column (quoted) of a table another type, and `value` for what it held."""

    def update_from(self, table: str, changes: str, source: str, condition: str) -> str:
        """Write the statement that changes rows of a table by those of a source (`(query) alias`).

        The condition finds one row of the source at most; columns of the table have names that the source has not.
        """

    def unfit(self, expression: str, column: Column) -> str | None:
        """Test for stored values that JSON or Planhat cannot carry; None: there are none in this type."""

    def json(self, expression: str, column: Column) -> str:
        """Write a stored value as JSON text, NULL as `null`."""

    def json_text(self, expression: str) -> str:
        """Write a text value as a JSON text, with its quotes; NULL stays NULL."""

    def float_text(self, expression: str) -> str:
        """Write a float of a usual size, 0.0001 to 10^15, as the number a double reads back: no exponent."""

    def wire(self, expression: str, column: Column, form: WireForm) -> str:
        """Fetch a stored value in the form in which it is sent."""


class Session(Protocol):
    """A connection in use. Times go in and come out as naive UTC."""

    @property
    def lease_settles(self) -> float:
        """Seconds after which a lease that was taken is known to be ours alone; 0: `lock` sees to it."""

    @property
    def takes_back(self) -> bool:
        """Whether a transaction that fails has been carried out until then, and is undone; else it was put aside."""

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> None:
        """Run one statement."""

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Run a query with a small result."""

    def stream(self, sql: str, size: int) -> Iterator[list[Row]]:
        """Run a query and hand out its rows in lists of at most `size`; no other statement meanwhile."""

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Append a few rows."""

    def load(self, name: str, columns: Mapping[str, str], lists: Sequence[Sequence[object]]) -> None:
        """Make a scratch table of lists, one per column (name → type), replacing one of that name."""

    def scratch(self, name: str, query: str) -> None:
        """Make a scratch table of a query's result, replacing one of that name, which the query must not read.

        It ends with the session.
        """

    def columns(self, relation: str) -> tuple[Column, ...] | None:
        """Describe a table or view by its rendered name; None if it does not exist."""

    def tables(self, database: str, schema: str) -> dict[str, tuple[Column, ...]]:
        """Describe all tables of a schema, by name; empty if there is no such schema."""

    def lock(self, table: str) -> None:
        """Keep other sessions from writing a table until the transaction ends, where several can write at all."""

    def index(self, table: str, *columns: str) -> None:
        """Make rows of a new table quick to find by each of these columns, where scans are too slow for it."""

    def transaction(self) -> AbstractContextManager[None]:
        """Commit what is done inside, or nothing of it.

        What is read inside, scratch tables included, may be the state before: an engine may write at the end only.
        """

    def finish(self) -> None:
        """Carry out what transactions of an earlier session left to be done, where that can be; under the lease."""


class Warehouse(Protocol):
    """The place where models and state tables live."""

    @property
    def dialect(self) -> Dialect:
        """How this engine spells its SQL."""

    @property
    def database(self) -> str:
        """The database (catalog) in which the state schema is kept."""

    def open(self) -> AbstractContextManager[Session]:
        """Connect; outside `kept`, let go of everything at the end."""

    def spare(self) -> AbstractContextManager[Session | None]:
        """Connect for one short write beside what else is under way, from any thread and without waiting.

        None: it cannot be now, for a session is open or another program holds what it needs.
        """

    def kept(self) -> AbstractContextManager[None]:
        """Inside, what `open` took may be held until `release` instead of the session's end."""

    def release(self, after: float = 0.0) -> None:
        """Let go of everything, for a wait begins; a session that is open keeps it. Any thread may ask.

        Args:
            after: Seconds that the wait must last for it; a session that is opened before then takes the word back.
        """
