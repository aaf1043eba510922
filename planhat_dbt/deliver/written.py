"""Rows that the warehouse wrote as JSON: one body, of which single rows are looked at only where something failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, overload

import orjson

from planhat_dbt.plan import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from planhat_dbt.warehouse.port import Dialect, Row

_BETWEEN: Final = ",\n"
"""Between two rows of a body: inside JSON that the warehouse writes there is no new line."""
_MARK: Final = "\x1f"
"""Between the parts of a head; of these only the key, which comes last, may have one inside."""
_PARTS: Final = 5
_ITEM, _TOLD, _OPERATION = 1, 2, 3


class SentRow(NamedTuple):
    """One row, encoded. A tuple, as windows hold tens of thousands of them."""

    row: int
    key: str
    operation: str
    planhat_id: str | None
    item: bytes
    """The JSON object."""
    new_key: bool = False
    """Whether it gives a record that exists another key: refused, it may be that another record has that key."""


@dataclass(frozen=True, slots=True)
class WrittenForm:
    """How planned rows are fetched that the warehouse writes: batch, item, and what tells the row apart.

    The item is NULL where a value is not plain. Where every row is an insert and the item has the key, the row's number
    is enough (`key_name`); else a head goes with it, and its operation.
    """

    select: tuple[str, ...]
    """The SQL expressions, of plan rows `p`."""
    key_name: str | None = None
    """The member of the item that is the key."""

    @classmethod
    def of_inserts(cls, item: str, key_name: str) -> WrittenForm:
        """Rows that are all inserts, and whose items have their key."""
        return cls(("p._batch", item, "p._row"), key_name)

    @classmethod
    def of_any(cls, dialect: Dialect, item: str, new_key: str) -> WrittenForm:
        """Rows of any kind; `new_key` is the condition that one gives its record a new key."""
        return cls(("p._batch", item, _head(dialect, new_key), "p._operation"))

    @staticmethod
    def is_plain(row: Row) -> bool:
        """Whether the warehouse wrote a fetched row."""
        return row[_ITEM] is not None

    def row_number(self, row: Row) -> int:
        """The number of a fetched row."""
        return int(row[_TOLD] if self.key_name else row[_TOLD].partition(_MARK)[0])

    def rows(self, fetched: Sequence[Row]) -> WrittenRows:
        """Join the items of fetched rows to a body."""
        operations = (
            Counter({Operation.INSERT.value: len(fetched)})
            if self.key_name
            else Counter([row[_OPERATION] for row in fetched])
        )
        return WrittenRows(self, operations, [row[_TOLD] for row in fetched], [row[_ITEM] for row in fetched])

    def read(self, told: Any, item: bytes) -> SentRow:
        """Read one row."""
        if self.key_name:
            return SentRow(int(told), orjson.loads(item)[self.key_name], Operation.INSERT.value, None, item)
        number, operation, new_key, planhat_id, key = told.split(_MARK, _PARTS - 1)
        return SentRow(int(number), key, operation, planhat_id or None, item, bool(new_key))


def _head(dialect: Dialect, new_key: str) -> str:
    """Write all of a planned row `p` but its item as one text."""
    mark = dialect.literal(_MARK)
    parts = (
        f"cast(p._row as {dialect.text})",
        "p._operation",
        f"case when {new_key} then '1' else '' end",
        "coalesce(p._planhat_id, '')",
        "p._key",
    )
    return f" || {mark} || ".join(parts)


class WrittenRows(Sequence[SentRow]):
    """Rows that travel in one call."""

    __slots__ = ("_form", "_rows", "_told", "body", "operations")

    def __init__(
        self, form: WrittenForm, operations: Counter[str], told: Sequence[Any], items: Iterable[str]
    ) -> None:
        """Join items to a body; what tells the rows apart is in the same order."""
        self.operations = operations
        self._form = form
        self._told = told
        self._rows: tuple[SentRow, ...] | None = None
        self.body = f"[{_BETWEEN.join(items)}]".encode()

    def __len__(self) -> int:
        return len(self._told)

    @overload
    def __getitem__(self, index: int) -> SentRow: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[SentRow]: ...
    def __getitem__(self, index: int | slice) -> SentRow | Sequence[SentRow]:
        if self._rows is None:
            items = self.body[1:-1].split(_BETWEEN.encode())
            self._rows = tuple(self._form.read(*pair) for pair in zip(self._told, items, strict=True))
        return self._rows[index]


def operations_of(rows: Sequence[SentRow]) -> Counter[str]:
    """Operation → rows."""
    return rows.operations if isinstance(rows, WrittenRows) else Counter([r.operation for r in rows])


def json_array(rows: Iterable[SentRow]) -> bytes:
    """Join encoded rows to the body of a call."""
    if isinstance(rows, WrittenRows):
        return rows.body
    return b"[" + b",".join([r.item for r in rows]) + b"]"


def array_bytes(rows: Sequence[SentRow]) -> int:
    """Size of the body that `json_array` makes."""
    if isinstance(rows, WrittenRows):
        return len(rows.body)
    return sum([len(r.item) for r in rows]) + len(rows) + 1
