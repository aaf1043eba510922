"""The comparison: one SQL statement that sets a model against its snapshot table and writes the plan table.

Model and snapshot meet in one full join on the key, so each is scanned once; what is unchanged never leaves the
engine. Only rows that differ are looked at further: is the value fit to be sent, is a required field there, has the
parent reached Planhat, which fields changed from what to what. The text of the statement is made here without a
connection; `planhat_dbt.plan` reads what it wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from planhat_dbt.declaration.types import CompanyRef, Constant, Lookup, Mode, Nulls, OnRemoved, Write
from planhat_dbt.objects import FieldType, Kind
from planhat_dbt.state.layout import EXISTS, HAS_VALUES
from planhat_dbt.warehouse.port import ColumnKind

if TYPE_CHECKING:
    from planhat_dbt.binding import BoundField, BoundSync
    from planhat_dbt.parents import ParentCheck
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.state.snapshot import MappingRecord

CREATE_BATCHES_FROM: Final = 500_001
"""Creates that travel one by one are numbered from here, in small batches."""
CREATE_BATCH_ROWS: Final = 20
"""So many creates at most are in doubt after a crash."""
CLEAR_BATCHES_FROM: Final = 1_000_001
"""Batches of clears are numbered from here, so that one pass numbers all."""
DELETE_BATCHES_FROM: Final = 2_000_001
"""Deletes, one call each, are numbered from here."""

_REFERENCES: Final = (FieldType.COMPANY, FieldType.COMPANIES)

PLAN_COLUMNS: Final = (
    "_row",
    "_batch",
    "_operation",
    "_code",
    "_message",
    "_key",
    "_planhat_id",
    "_prior",
    "_origin",
    "_first_synced_at",
    "_changed",
    "_changes",
)
"""The columns of every `plan__<sync>` before its mapped columns."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that decides the comparison of one sync."""

    bound: BoundSync
    mapping: MappingRecord
    checks: tuple[ParentCheck, ...]
    batch_rows: int
    single_creates: bool = False
    """Whether inserts travel one by one, because only then the answer names the new id."""
    has_unknown: bool = False
    """Whether `failures` holds events or keyless creates of this sync whose outcome is not known."""
    known_parents: frozenset[str] = frozenset()
    """Syncs that have a snapshot table."""
    planned_parents: frozenset[str] = frozenset()
    """Syncs whose planned inserts count as present (for plans that are shown, not delivered)."""


def drop_plan(tables: StateTables, sync: str) -> str:
    """Write the statement that removes the plan of the run before."""
    return f"drop table if exists {tables.plan(sync)}"


def create_plan(tables: StateTables, comparison: Comparison) -> str:
    """Write the statement that compares and makes the plan table."""
    return _Statement(tables, comparison).text()


class _Statement:
    """The parts of one comparison, named as they appear in it.

    Column prefixes inside the statement: `n_` the model's new value, `o_` the snapshot's old one, numbered by field.
    """

    def __init__(self, tables: StateTables, comparison: Comparison) -> None:
        self._tables = tables
        self._dialect = tables.dialect
        self._comparison = comparison
        self._bound = comparison.bound
        self._sync = comparison.bound.sync
        self._event = self._sync.object.kind is Kind.EVENT
        self._once = self._event or self._sync.mode is Mode.INSERT

    def text(self) -> str:
        return (
            f"create table {self._tables.plan(self._bound.name)} as\n"
            f"with source as (\n{self._source()}\n),\n"
            f"duplicates as (\n  select _key from source where _key is not null group by _key having count(*) > 1\n),\n"
            f"pairs as (\n{self._pairs()}\n),\n"
            f"judged as (\n{self._judged()}\n),\n"
            f"decided as (\n{self._decided()}\n),\n"
            f"phased as (\n{self._phased()}\n)\n"
            f"{self._numbered()}"
        )

    def _source(self) -> str:
        quote = self._dialect.quote
        key = self._dialect.key_text(f"m.{quote(self._bound.key.name)}", self._bound.key.kind)
        columns = [f"nullif({key}, '') as _key", "1 as _here"]
        columns += [f"{self._value(f)} as n_{i}" for i, f in enumerate(self._bound.fields)]
        columns += [
            f"case when m.{quote(f.column.name)} is not null then 1 end as x_{i}"
            for i, f in enumerate(self._bound.fields)
            if f.column is not None and f.kind is ColumnKind.UNSUPPORTED
        ]
        return "  select " + ",\n    ".join(columns) + f"\n  from {self._sync.model.relation.rendered} m"

    def _value(self, field: BoundField) -> str:
        source = field.mapping.source
        if isinstance(source, Constant):
            value = source.value
            return self._dialect.literal(value if isinstance(value, str) else orjson.dumps(value).decode())
        assert field.column is not None  # noqa: S101 - only constants have none
        column = f"m.{self._dialect.quote(field.column.name)}"
        if isinstance(source, CompanyRef | Lookup) and field.kind is not field.column.kind:
            return self._dialect.key_text(column, field.column.kind)
        return self._dialect.canonical(column, field.column.kind)

    def _pairs(self) -> str:
        """Join both sides and keep what is not plainly unchanged."""
        old = [f"s.{self._dialect.quote(f.name)} as o_{i}" for i, f in enumerate(self._bound.fields)]
        new = [f"m.n_{i}" for i, _ in enumerate(self._bound.fields)]
        new += [f"m.x_{i}" for i in self._unsupported()]
        columns = [
            "m._here",
            "m._key as _model_key",
            "coalesce(m._key, s._key) as _key",
            "s._key as _snapshot_key",
            "s._planhat_id",
            "s._state as _prior",
            "s._origin",
            "s._first_synced_at",
            "s._mapping",
            "case when d._key is not null then 1 end as _duplicate",
            *new,
            *old,
        ]
        return (
            "  select " + ",\n    ".join(columns) + "\n  from source m\n"
            f"  full join {self._tables.snapshot(self._bound.name)} s on m._key = s._key\n"
            "  left join duplicates d on d._key = m._key\n"
            f"  where {self._differs()}"
        )

    def _differs(self) -> str:
        present = ["m._key is null", "d._key is not null", "s._key is null"]
        if not self._once:
            present.append("s._state = 'deleted'")
            present += [self._changed(f, f"m.n_{i}", f"s.{self._dialect.quote(f.name)}", "s._mapping")
                        for i, f in enumerate(self._bound.fields) if self._compared(f)]  # fmt: skip
        any_of = "\n      or ".join(present)
        text = f"(m._here is not null and (\n      {any_of}))"
        if self._sync.on_removed is OnRemoved.KEEP or self._once:
            return text
        gone = f"m._here is null and {HAS_VALUES.replace('_state', 's._state')}"
        if self._sync.on_removed is OnRemoved.CLEAR:
            held = [f"s.{self._dialect.quote(f.name)} is not null" for f in self._clearable()]
            held += ["s._state = 'existing'"] if held else []  # taken as done: what it holds is not known
            gone += f" and ({' or '.join(held) or '1 = 0'})"
        return f"{text}\n    or ({gone})"

    def _compared(self, field: BoundField) -> bool:
        return field.mapping.write is Write.ALWAYS

    def _changed(self, field: BoundField, new: str, old: str, version: str) -> str:
        since = self._comparison.mapping.since(field.mapping.target)
        text = self._dialect.differs(new, old, field.kind)
        if since > 1:
            text = f"({text} or coalesce({version}, 0) < {since})"
        if _leaves_nulls(field):
            text = f"({new} is not null and {text})"
        return text

    def _clearable(self) -> list[BoundField]:
        """Fields that `clear` empties: not references, not what a create requires, not constants (DESIGN §15)."""
        return [
            f
            for f in self._bound.fields
            if not (isinstance(f.mapping.source, Constant) or f.mapping.field.required)
            and f.mapping.field.type not in _REFERENCES
            and not any(f.mapping.target in group for group in self._sync.object.one_of)
        ]

    def _judged(self) -> str:
        """Say of each row that differs whether it may be sent, and if not, why."""
        joins = "".join(self._parent_join(i, c) for i, c in enumerate(self._comparison.checks))
        if self._comparison.has_unknown:
            joins += (
                f"\n  left join (select key from {self._tables.failures} where sync = "
                f"{self._dialect.literal(self._bound.name)} and status = 'unknown' and operation = 'insert') u "
                "on u.key = p._key"
            )
        return f"  select p.*,\n    {self._code()} as _verdict\n  from pairs p{joins}"

    def _verdicts(self) -> list[tuple[str, str, str]]:
        """All reasons not to send a row, the first that holds counts: condition, code, message."""
        without_id = "_snapshot_key is not null and _prior <> 'deleted' and _planhat_id is null"
        keyless = not self._event and self._sync.match is None
        found = [
            (
                without_id if keyless else "1 = 0",
                "no_id",
                "its Planhat id was never learnt, and nothing else finds it",
            ),
            ("_model_key is null", "null_key", "the key is NULL or empty"),
        ]
        if self._comparison.has_unknown:  # before all that may change from run to run: the doubt stays
            found.append(("u.key is not null", "unknown", "sent before, outcome not learnt"))
        found.append(("_duplicate = 1", "duplicate_key", "several rows of the model have this key"))
        for i, field in enumerate(self._bound.fields):
            target = field.mapping.target
            unfit = self._unfit(i, field)
            if unfit:
                found.append((unfit, "bad_value", f"{target}: JSON cannot carry this value"))
            if field.mapping.field.required:
                found.append((f"n_{i} is null", "missing_required", f"{target} is NULL, Planhat requires it"))
        found += self._one_of_verdicts()
        found += [
            (
                f"p{i}._key is null and p.{self._field_value(c.state_column)} is not null",
                "parent_missing",
                f"{c.target}: {' or '.join(c.parents)} has not brought this {c.object} to Planhat yet",
            )
            for i, c in enumerate(self._comparison.checks)
        ]
        return found

    def _code(self) -> str:
        """Number the first reason not to send; NULL for a row that may be sent."""
        first, *rest = enumerate(self._verdicts())
        whens = [f"when {first[1][0]} then {first[0]}", "when _here is null then null"]
        whens += [f"when {condition} then {n}" for n, (condition, _, _) in rest]
        return "case\n      " + "\n      ".join(whens) + "\n    end"

    def _told(self, part: int) -> str:
        """Spell the numbered reason: its code (1) or its message (2)."""
        whens = " ".join(
            f"when {n} then {self._dialect.literal(verdict[part])}"
            for n, verdict in enumerate(self._verdicts())
        )
        return f"case _verdict {whens} end"

    def _unfit(self, number: int, field: BoundField) -> str | None:
        if field.column is None:
            return None
        if field.kind is ColumnKind.UNSUPPORTED:
            return f"x_{number} = 1"
        return self._dialect.unfit(f"n_{number}", field.kind)

    def _unsupported(self) -> list[int]:
        return [i for i, f in enumerate(self._bound.fields) if f.kind is ColumnKind.UNSUPPORTED]

    def _one_of_verdicts(self) -> list[tuple[str, str, str]]:
        """Require one of a group of fields, where none of them is the match key."""
        found = []
        match = self._sync.match.field if self._sync.match else ""
        for group in self._sync.object.one_of:
            numbers = [i for i, f in enumerate(self._bound.fields) if f.mapping.target in group]
            if match in group or not numbers:
                continue
            empty = " and ".join(f"n_{i} is null" for i in numbers)
            found.append((empty, "missing_required", f"one of {', '.join(group)} is needed"))
        return found

    def _field_value(self, state_column: str) -> str:
        number = next(i for i, f in enumerate(self._bound.fields) if f.name == state_column)
        return f"n_{number}"

    def _parent_join(self, number: int, check: ParentCheck) -> str:
        parts = [f"select cast(null as {self._dialect.text}) as _key where 1 = 0"]
        for parent in check.parents:
            if parent in self._comparison.known_parents:
                parts.append(f"select _key from {self._tables.snapshot(parent)} where {EXISTS}")
            if parent in self._comparison.planned_parents:
                parts.append(f"select _key from {self._tables.plan(parent)} where _operation = 'insert'")
        keys = " union ".join(parts)
        return (
            f"\n  left join ({keys}) p{number} on p{number}._key = p.{self._field_value(check.state_column)}"
        )

    def _decided(self) -> str:
        removal = "delete" if self._sync.on_removed is OnRemoved.DELETE else "clear"
        return (
            "  select judged.*,\n    case\n"
            "      when _verdict is not null then null\n"
            f"      when _here is null then '{removal}'\n"
            "      when _snapshot_key is null or _prior = 'deleted' then 'insert'\n"
            "      else 'update'\n    end as _operation\n  from judged"
        )

    def _phased(self) -> str:
        inserts = 4 if self._comparison.single_creates else 1
        others = "when 'update' then 1 when 'clear' then 2 when 'delete' then 3"
        columns = [
            "_operation",
            f"case _operation when 'insert' then {inserts} {others} else 0 end as _phase",
            f"{self._told(1)} as _code",
            f"{self._told(2)} as _message",
            "_key",
            "case when _prior = 'deleted' then null else _planhat_id end as _planhat_id",
            "_prior",
            "_origin",
            "_first_synced_at",
            f"{self._changed_names()} as _changed",
            f"{self._changed_values()} as _changes",
            *(
                f"{self._planned(i, f)} as {self._dialect.quote(f.name)}"
                for i, f in enumerate(self._bound.fields)
            ),
        ]
        return "  select " + ",\n    ".join(columns) + "\n  from decided"

    def _planned(self, number: int, field: BoundField) -> str:
        """The value after the operation: also for a field that this row leaves as Planhat has it."""
        new, old = f"n_{number}", f"o_{number}"
        whens = []
        if self._sync.on_removed is not OnRemoved.KEEP:
            # A delete keeps the reference: it tells whose record a key means, if the id must be looked up.
            reference = field.mapping.field.type in _REFERENCES
            emptied = (
                field in self._clearable() if self._sync.on_removed is OnRemoved.CLEAR else not reference
            )
            whens.append(f"when _here is null then {'null' if emptied else old}")
        if field.mapping.write is Write.ON_INSERT and not self._once:
            whens.append(f"when _operation = 'update' then {old}")
        elif _leaves_nulls(field) and not self._once:
            whens.append(f"when _operation = 'update' and {new} is null then {old}")
        return f"case {' '.join(whens)} else {new} end" if whens else new

    def _changed_names(self) -> str:
        """A JSON list of the fields to send; NULL for a whole row and for a delete."""
        return self._per_field("[", "]", lambda name, _new, _old, _field: self._dialect.literal(f",{name}"))

    def _changed_values(self) -> str:
        """A JSON object field → [old, new]; NULL for a whole row and for a delete."""

        def pair(name: str, new: str, old: str, field: BoundField) -> str:
            parts = [
                self._dialect.literal(f",{name}:["),
                self._dialect.json(old, field.kind),
                "','",
                self._dialect.json(new, field.kind),
                "']'",
            ]
            return " || ".join(parts)

        return self._per_field("{", "}", pair)

    def _per_field(self, opening: str, closing: str, part: _Part) -> str:
        if self._once:
            return f"cast(null as {self._dialect.text})"
        updates = [
            f"case when {self._changed(f, f'n_{i}', f'o_{i}', '_mapping')} "
            f"then {part(_json_name(f), f'n_{i}', f'o_{i}', f)} else '' end"
            for i, f in enumerate(self._bound.fields)
            if self._compared(f)
        ]
        whens = ""
        if updates:
            whens += f" when _operation = 'update' then {_joined(opening, updates, closing)}"
        if self._sync.on_removed is OnRemoved.CLEAR:
            clears = [
                f"case when o_{i} is not null then {part(_json_name(f), 'null', f'o_{i}', f)} else '' end"
                for i, f in enumerate(self._bound.fields)
                if f in self._clearable()
            ]
            if clears:
                whens += f" when _operation = 'clear' then {_joined(opening, clears, closing)}"
        return f"case{whens} end" if whens else f"cast(null as {self._dialect.text})"

    def _numbered(self) -> str:
        """Number rows and batches in one pass that needs no sort."""
        size = self._comparison.batch_rows
        window = "over (rows between unbounded preceding and current row)"

        def nth(phase: int) -> str:
            return f"(sum(case when _phase = {phase} then 1 else 0 end) {window})"

        batch = (
            "cast(case _phase\n"
            f"    when 1 then floor(({nth(1)} - 1) / {size}) + 1\n"
            f"    when 2 then floor(({nth(2)} - 1) / {size}) + {CLEAR_BATCHES_FROM}\n"
            f"    when 3 then {nth(3)} - 1 + {DELETE_BATCHES_FROM}\n"
            f"    when 4 then floor(({nth(4)} - 1) / {CREATE_BATCH_ROWS}) + {CREATE_BATCHES_FROM}\n"
            f"  end as {self._dialect.integer}) as _batch"
        )
        rest = [c for c in PLAN_COLUMNS if c not in ("_row", "_batch")]
        rest += [self._dialect.quote(f.name) for f in self._bound.fields]
        return (
            f"select cast(row_number() over () as {self._dialect.bigint}) as _row,\n  {batch},\n  "
            + ",\n  ".join(rest)
            + "\nfrom phased"
        )


def _leaves_nulls(field: BoundField) -> bool:
    """Whether a NULL leaves Planhat's value: so declared, or a reference, which Planhat does not take away."""
    return field.mapping.nulls is Nulls.SKIP or field.mapping.field.type in _REFERENCES


def _joined(opening: str, parts: list[str], closing: str) -> str:
    """Concatenate parts that each begin with a comma or are empty; the first comma goes."""
    return f"'{opening}' || substr({' || '.join(parts)}, 2) || '{closing}'"


def _json_name(field: BoundField) -> str:
    return orjson.dumps(field.mapping.target).decode()


if TYPE_CHECKING:
    from collections.abc import Callable

    _Part = Callable[[str, str, str, BoundField], str]
