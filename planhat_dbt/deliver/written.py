"""Rows that the warehouse wrote as JSON: one body, of which single rows are looked at only where something failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, overload

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
    """Write all of a planned row `p` but its item as one JSON text.

    Args:
        dialect: The warehouse's.
        new_key: The condition that the row gives a new key.
    """
    mark = dialect.literal(_MARK)
    parts = (
        f"cast(p._row as {dialect.text})",
        "p._operation",
        f"case when {new_key} then '1' else '' end",
        "coalesce(p._planhat_id, '')",
        "p._key",
    )
    return dialect.json_text(f" || {mark} || ".join(parts))


def line_by_line(dialect: Dialect, written: Sequence[str], source: str) -> str:
    """Select the rows of each batch and operation as one text, head and item by turns, each on a line of its own.

    One value for thousands of rows: a driver takes longer to hand out rows than a warehouse to write them. The line
    of an item is empty where a value is not plain.

    Args:
        dialect: The warehouse's.
        written: Batch, operation, head and item of planned rows `p`, as SQL.
        source: From where, and which.
    """
    batch, operation, its_head, item = written
    line = f"{its_head} || chr(10) || coalesce({item}, '')"
    return (
        f"select {batch}, {operation}, {dialect.joined(line, 'p._row')} "
        f"from {source} group by {batch}, {operation} order by {batch}, {operation}"
    )


def read_lines(text: str) -> tuple[list[str], list[str]]:
    """Heads and items of such a text; neither has a new line inside, as JSON has none in texts."""
    lines = text.split("\n")
    return lines[::2], lines[1::2]


class WrittenRows(Sequence[SentRow]):
    """Rows that travel in one call."""

    __slots__ = ("_heads", "_rows", "body", "operations")

    def __init__(self, operations: Mapping[str, int], heads: Sequence[str], items: Iterable[str]) -> None:
        """Join items to a body; heads and items are in the same order, operations are counted."""
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


def row_number(of: str) -> int:
    """The number of the row that a head belongs to."""
    return int(orjson.loads(of).partition(_MARK)[0])


def _row(of: str, item: bytes) -> SentRow:
    number, operation, new_key, planhat_id, key = orjson.loads(of).split(_MARK, _PARTS - 1)
    return SentRow(int(number), key, operation, planhat_id or None, item, bool(new_key))
