"""Rows that the warehouse wrote as JSON: one body, of which single rows are looked at only where something failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, overload

if TYPE_CHECKING:
    from collections.abc import Iterable

    from planhat_dbt.warehouse.port import Dialect

_BETWEEN: Final = ",\n"
"""Between two rows of a body: inside JSON that the warehouse writes there is no new line."""
_MARK: Final = "\x1f"
"""Between the parts of a head; of these only the key, which comes last, may have one inside."""
_PARTS: Final = 5


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


def head(dialect: Dialect, new_key: str) -> str:
    """Write all of a planned row `p` but its item as one text; `new_key` is the condition that it gives a new key."""
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

    __slots__ = ("_heads", "_rows", "body", "operations")

    def __init__(self, operations: Iterable[str], heads: Sequence[str], items: Iterable[str]) -> None:
        """Join items to a body; heads and items are in the same order."""
        self.operations = Counter(operations)
        self._heads = heads
        self._rows: tuple[SentRow, ...] | None = None
        self.body = f"[{_BETWEEN.join(items)}]".encode()

    def __len__(self) -> int:
        return len(self._heads)

    @overload
    def __getitem__(self, index: int) -> SentRow: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[SentRow]: ...
    def __getitem__(self, index: int | slice) -> SentRow | Sequence[SentRow]:
        if self._rows is None:
            items = self.body[1:-1].split(_BETWEEN.encode())
            self._rows = tuple(_row(*pair) for pair in zip(self._heads, items, strict=True))
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


def row_number(of: str) -> int:
    """The number of the row that a head belongs to."""
    return int(of.partition(_MARK)[0])


def _row(of: str, item: bytes) -> SentRow:
    number, operation, new_key, planhat_id, key = of.split(_MARK, _PARTS - 1)
    return SentRow(int(number), key, operation, planhat_id or None, item, bool(new_key))
