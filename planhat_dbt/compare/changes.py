"""Which fields of a row are sent: when a value counts as changed, what `clear` empties, and both as JSON text.

Column names inside the statements: `n_` the model's new value, `o_` the snapshot's old one, numbered by field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from planhat_dbt.declaration.types import Constant, OnRemoved, Write
from planhat_dbt.objects import FieldType
from planhat_dbt.warehouse.port import Column, ColumnKind
from planhat_dbt.warehouse.text import concatenated

if TYPE_CHECKING:
    from collections.abc import Callable

    from planhat_dbt.binding import BoundField
    from planhat_dbt.compare.comparison import Comparison
    from planhat_dbt.warehouse.port import Dialect

    _Part = Callable[[str, str, str, BoundField], str]

REFERENCES: Final = (FieldType.COMPANY, FieldType.COMPANIES)
_KEYS: Final = ("externalId", "sourceId")
UNTOLD: Final = "(_snapshot_key is null or _prior in ('deleted', 'existing'))"
"""Condition on a row: what its record holds is not known, so an update tells all, and a clear empties all."""


def is_compared(field: BoundField) -> bool:
    """Whether later changes of the field are sent."""
    return field.mapping.write is Write.ALWAYS


def all_names(
    dialect: Dialect, fields: tuple[BoundField, ...], value: Callable[[int, BoundField], str]
) -> str:
    """Write the JSON list of every field that a row sends to a record it does not know yet."""
    parts = []
    for i, field in enumerate(fields):
        if is_compared(field):
            name = dialect.literal(f",{json_name(field.mapping.target)}")
            null = f"case when {value(i, field)} is null then '' else {name} end"
            parts.append(name if field.mapping.sends_null else null)
    return _joined("[", parts, "]") if parts else "'[]'"


class Changes:
    """The changes of one comparison, as SQL."""

    def __init__(self, comparison: Comparison, dialect: Dialect) -> None:
        self._comparison = comparison
        self._dialect = dialect
        self._fields = comparison.bound.fields
        self._sync = comparison.bound.sync

    def differs(self, field: BoundField, new: str, old: str, version: str | None) -> str:
        """Test whether a field is to be sent; without `version` by its value alone."""
        text = self._dialect.differs(new, old, field.kind)
        since = self._comparison.mapping.since(field.mapping.target)
        if version and since > 1:
            text = f"({text} or coalesce({version}, 0) < {since})"
        if not field.mapping.sends_null:
            text = f"({new} is not null and {text})"
        return text

    def behind_in_key(self, version: str) -> str | None:
        """Test whether Planhat has not been told a row's present key yet; None: it has, of every row."""
        since = self._comparison.key_since
        return f"coalesce({version}, 0) < {since}" if since > 1 else None

    def clearable(self) -> list[BoundField]:
        """Fields that `clear` empties: not references, not what a create requires, not constants (DESIGN §15)."""
        return [
            f
            for f in self._fields
            if not (isinstance(f.mapping.source, Constant) or f.mapping.field.required)
            and f.mapping.field.type not in REFERENCES
            and not any(f.mapping.target in group for group in self._sync.object.one_of)
        ]

    def planned(self, number: int, field: BoundField) -> str:
        """The value after the operation: also for a field that this row leaves as Planhat has it."""
        new, old = f"n_{number}", f"o_{number}"
        whens = []
        if self._sync.on_removed is not OnRemoved.KEEP:
            # A delete keeps references and keys: they tell whose record a key means, and which children went with it.
            kept = field.mapping.field.type in REFERENCES or field.mapping.target in _KEYS
            emptied = field in self.clearable() if self._sync.on_removed is OnRemoved.CLEAR else not kept
            whens.append(f"when _here is null then {'null' if emptied else old}")
        if not is_compared(field):
            whens.append(f"when _operation = 'update' then {old}")
        elif not field.mapping.sends_null:
            whens.append(f"when _operation = 'update' and {new} is null then {old}")
        return f"case {' '.join(whens)} else {new} end" if whens else new

    def names(self) -> str:
        """A JSON list of the fields to send; NULL for a whole row and for a delete."""
        every = all_names(self._dialect, self._fields, lambda i, _: f"n_{i}")
        first = f" when _operation = 'update' and {UNTOLD} then {every}"
        return self._per_field(
            "[",
            "]",
            lambda name, _new, _old, _field: self._dialect.literal(f",{name}"),
            first,
            key=self._dialect.literal(f",{self._key_name()}"),
        )

    def values(self) -> str:
        """A JSON object field → [old, new]; NULL for a whole row and for a delete."""

        def pair(name: str, new: str, old: str, field: BoundField) -> str:
            parts = [
                self._dialect.literal(f",{name}:["),
                self._dialect.json(old, field.stored),
                "','",
                self._dialect.json(new, field.stored),
                "']'",
            ]
            return " || ".join(parts)

        first = f" when _operation = 'update' and {UNTOLD} then cast(null as {self._dialect.text})"
        opened = self._dialect.literal(f",{self._key_name()}:[null,")
        own = Column("_key", self._dialect.text, ColumnKind.TEXT)
        key = f"{opened} || {self._dialect.json('_key', own)} || ']'"
        return self._per_field("{", "}", pair, first, key=key)

    def _key_name(self) -> str:
        return json_name(self._sync.match.field if self._sync.match else "")

    def _per_field(self, opening: str, closing: str, part: _Part, whens: str, *, key: str) -> str:
        if self._sync.object.is_event:
            return f"cast(null as {self._dialect.text})"
        updates = [
            f"case when {self.differs(f, f'n_{i}', f'o_{i}', '_mapping')} "
            f"then {part(json_name(f.mapping.target), f'n_{i}', f'o_{i}', f)} else '' end"
            for i, f in enumerate(self._fields)
            if is_compared(f)
        ]
        if behind := self.behind_in_key("_mapping"):
            updates.insert(0, f"case when {behind} then {key} else '' end")
        if updates:
            whens += f" when _operation = 'update' then {_joined(opening, updates, closing)}"
        if self._sync.on_removed is OnRemoved.CLEAR:
            clears = [
                f"case when o_{i} is not null or _prior = 'existing' "
                f"then {part(json_name(f.mapping.target), f'cast(null as {f.stored_type})', f'o_{i}', f)} else '' end"
                for i, f in enumerate(self._fields)
                if f in self.clearable()
            ]
            if clears:
                whens += f" when _operation = 'clear' then {_joined(opening, clears, closing)}"
        return f"case{whens} end" if whens else f"cast(null as {self._dialect.text})"


def _joined(opening: str, parts: list[str], closing: str) -> str:
    """Concatenate parts that each begin with a comma or are empty; the first comma goes."""
    return f"'{opening}' || substr({concatenated(parts)}, 2) || '{closing}'"


def json_name(target: str) -> str:
    """A field's name as it stands in a JSON list."""
    return orjson.dumps(target).decode()
