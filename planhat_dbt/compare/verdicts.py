"""Why a row that differs is not sent: the reasons in order, the first that holds counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from planhat_dbt.declaration.manner import Creates
from planhat_dbt.declaration.types import Mode
from planhat_dbt.state.event_times import TIME_COLUMN
from planhat_dbt.warehouse.port import Column, ColumnKind

if TYPE_CHECKING:
    from planhat_dbt.binding import BoundField
    from planhat_dbt.compare.comparison import Comparison
    from planhat_dbt.warehouse.port import Dialect


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason: when it holds, its code, and what it says."""

    condition: str
    code: str
    message: str


class Verdicts:
    """The reasons of one comparison, as SQL."""

    def __init__(self, comparison: Comparison, dialect: Dialect) -> None:
        self._comparison = comparison
        self._dialect = dialect
        self._bound = comparison.bound
        self._sync = comparison.bound.sync
        self._reasons = (*self._of_key(), *self._of_time(), *self._of_fields(), *self._of_parents())

    def number(self) -> str:
        """Number the first reason not to send; NULL for a row that may be sent."""
        first, *rest = enumerate(self._reasons)
        whens = [f"when {first[1].condition} then {first[0]}", "when _here is null then null"]
        whens += [f"when {reason.condition} then {n}" for n, reason in rest]
        return "case\n      " + "\n      ".join(whens) + "\n    end"

    def codes(self) -> str:
        """Spell the code of the numbered reason."""
        return self._told([r.code for r in self._reasons])

    def messages(self) -> str:
        """Spell what the numbered reason says."""
        return self._told([r.message for r in self._reasons])

    def _told(self, words: list[str]) -> str:
        whens = " ".join(f"when {n} then {self._dialect.literal(word)}" for n, word in enumerate(words))
        return f"case _verdict {whens} end"

    def _of_key(self) -> list[Reason]:
        sync = self._sync
        kept_by_id = not sync.object.is_event and sync.match is None and sync.mode is Mode.UPSERT
        without_id = "_snapshot_key is not null and _prior <> 'deleted' and _planhat_id is null"
        found = [
            Reason(  # the only one that concerns rows which left the model
                without_id if kept_by_id else "1 = 0",
                "no_id",
                "its Planhat id was never learnt, and nothing else finds it",
            ),
            Reason("_model_key is null", "null_key", "the key is NULL or empty"),
        ]
        if self._comparison.has_unknown:  # before all that may change from run to run: the doubt stays
            found.append(Reason("u.key is not null", "unknown", "sent before, outcome not learnt"))
        found.append(Reason("_duplicate = 1", "duplicate_key", "several rows of the model have this key"))
        if sync.mode is Mode.INSERT and not sync.object.is_event:
            text = "its row changed after it was created; mode insert leaves the record alone"
            known = "_snapshot_key is not null and _prior <> 'deleted'"
            found.append(Reason(known, "changed_after_insert", text))
        if sync.match and sync.match.field == "_id":
            text = "_id: expected a Planhat _id of 24 small hex characters"
            found.append(Reason(f"not ({self._dialect.is_object_id('_model_key')})", "bad_value", text))
        return found

    def _of_time(self) -> list[Reason]:
        column = self._bound.event_time
        if column is None:
            return []
        none = f"event_time ({column.name}) is NULL, so nothing says how old the event is"
        time = Column(TIME_COLUMN, self._dialect.timestamp, ColumnKind.TIMESTAMP)
        unfit = self._dialect.unfit(TIME_COLUMN, time) or "1 = 0"
        return [
            Reason(f"{TIME_COLUMN} is null", "missing_required", none),
            Reason(unfit, "bad_value", f"event_time ({column.name}): expected a time of the years 1 to 9999"),
        ]

    def _of_fields(self) -> list[Reason]:
        found = []
        creates = self._comparison.manner.creates is not Creates.NEVER
        for i, field in enumerate(self._bound.fields):
            target = field.mapping.target
            unfit = self._unfit(i, field)
            if unfit:
                found.append(Reason(unfit, "bad_value", f"{target}: JSON cannot carry this value"))
            if field.mapping.field.required and (creates or field.mapping.sends_null):
                empty = " or empty" if field.mapping.field.empty_is_missing else ""
                text = f"{target} is NULL{empty}, Planhat requires it"
                found.append(Reason(f"n_{i} is null", "missing_required", text))
        return found + (self._of_groups() if creates else [])

    def _unfit(self, number: int, field: BoundField) -> str | None:
        if field.column is None:
            return None
        if field.kind is ColumnKind.UNSUPPORTED:
            return f"x_{number} = 1"
        return self._dialect.unfit(f"n_{number}", field.stored)

    def _of_groups(self) -> list[Reason]:
        """Require one of a group of fields, where none of them is the match key."""
        found = []
        match = self._sync.match.field if self._sync.match else ""
        for group in self._sync.object.one_of:
            numbers = [i for i, f in enumerate(self._bound.fields) if f.mapping.target in group]
            if match in group or not numbers:
                continue
            empty = " and ".join(f"n_{i} is null" for i in numbers)
            found.append(Reason(empty, "missing_required", f"one of {', '.join(group)} is needed"))
        return found

    def _of_parents(self) -> list[Reason]:
        return [
            Reason(
                f"p{i}._key is null and p.{self._bound.value_name(c.state_column)} is not null",
                "parent_missing",
                f"{c.target}: {' or '.join(p.sync for p in c.parents)} has not brought this {c.object} to Planhat yet",
            )
            for i, c in enumerate(self._comparison.checks)
        ]
