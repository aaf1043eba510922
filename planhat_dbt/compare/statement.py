"""The statement that compares: model and snapshot in one full join, then verdict, operation, changes, numbers.

Where the engine has fingerprints, a statement before it finds the keys of the rows that may differ: a join of keys and
numbers takes a fraction of the memory that one of whole rows does (decision 44).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from planhat_dbt.compare.changes import Changes, is_compared
from planhat_dbt.compare.numbering import PLAN_COLUMNS, columns_but, numbered, phase
from planhat_dbt.compare.verdicts import Verdicts
from planhat_dbt.declaration.manner import Creates
from planhat_dbt.declaration.types import CompanyRef, Constant, Lookup, Mode, OnRemoved
from planhat_dbt.plan import WAITING
from planhat_dbt.state.event_times import TIME_COLUMN, looked_at, model_key, model_time
from planhat_dbt.state.layout import EXISTS, HAS_VALUES
from planhat_dbt.state.patience import waiting
from planhat_dbt.warehouse.port import ColumnKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from planhat_dbt.binding import BoundField, BoundSync
    from planhat_dbt.compare.comparison import Comparison
    from planhat_dbt.parents import ParentCheck
    from planhat_dbt.state.layout import StateTables


def drop_plan(tables: StateTables, sync: str) -> str:
    """Write the statement that removes the plan of the run before."""
    return f"drop table if exists {tables.plan(sync)}"


def create_empty_plan(tables: StateTables, bound: BoundSync) -> str:
    """Write the statement that makes the plan of a sync of which no row differs."""
    time = [(TIME_COLUMN, "timestamp")] if bound.event_time else []
    own = tables.definition((*PLAN_COLUMNS.items(), *time))
    mapped = "".join(f", {tables.dialect.quote(f.name)} {f.stored_type}" for f in bound.fields)
    return f"create table {tables.plan(bound.name)} ({own}{mapped})"


def create_plan(tables: StateTables, comparison: Comparison, *, among: str | None = None) -> str:
    """Write the statement that compares and makes the plan table.

    Args:
        tables: The state tables.
        comparison: The comparison.
        among: A table of what `find_suspects` found: no other rows are looked at. None: all are.
    """
    return _Statement(tables, comparison, among).text()


def find_suspects(tables: StateTables, comparison: Comparison) -> str | None:
    """Write the query for the keys (`_key`) of all rows that may differ, '' for NULL; None: the engine has no way to.

    Rows are told apart by their fingerprints. Some of those that it names turn out to be unchanged.
    """
    if tables.dialect.fingerprints(()) is None:
        return None
    return _Suspicion(tables, comparison).text()


class _Statement:
    """The parts of one comparison, named as they appear in it."""

    def __init__(self, tables: StateTables, comparison: Comparison, among: str | None = None) -> None:
        self._among = among
        self._tables = tables
        self._dialect = tables.dialect
        self._comparison = comparison
        self._bound = comparison.bound
        self._sync = comparison.bound.sync
        self._changes = Changes(comparison, tables.dialect)
        self._verdicts = Verdicts(comparison, tables.dialect)

    def text(self) -> str:
        last = "patient" if self._comparison.has_waiting else "phased"
        single = self._comparison.single_creates
        select = numbered(self._dialect, self._comparison, last, single_creates=single)
        return (
            f"create table {self._tables.plan(self._bound.name)} as\n"
            f"with source as (\n{self._source()}\n),\n"
            f"duplicates as (\n{self._duplicates()}\n),\n"
            f"pairs as (\n{self._pairs()}\n),\n"
            f"judged as (\n{self._judged()}\n),\n"
            f"decided as (\n{self._decided()}\n),\n"
            f"phased as (\n{self._phased()}\n)"
            + (f",\npatient as (\n{self._patient()}\n)" if self._comparison.has_waiting else "")
            + f"\n{select}"
        )

    def _source(self) -> str:
        columns = [f"{model_key(self._bound, self._dialect)} as _key", "1 as _here"]
        if time := model_time(self._bound, self._dialect):
            columns.append(f"{time} as {TIME_COLUMN}")
        columns += [f"{self._value(f)} as n_{i}" for i, f in enumerate(self._bound.fields)]
        columns += [f"case when {test} then 1 end as {name}" for name, test in self._unfit_columns().items()]
        return self._of_model(columns)

    def _unfit_columns(self) -> dict[str, str]:
        """Columns of the source that are 1 where a value cannot be sent at all → the condition."""
        return {
            f"x_{i}": f"m.{self._dialect.quote(f.column.name)} is not null"
            for i, f in enumerate(self._bound.fields)
            if f.column is not None and f.kind is ColumnKind.UNSUPPORTED
        }

    def _duplicates(self) -> str:
        """Keys that several rows of the model have.

        A table's keys are read for themselves: DuckDB and PostgreSQL keep what is named twice (`source`) aside, all
        columns of all rows. The rows of a view may be others when they are read again, as engines do that keep nothing.
        """
        keys = f"(\n{self._of_model([f'{model_key(self._bound, self._dialect)} as _key'])}\n) k"
        source = keys if self._sync.model.is_table else "source"
        return f"  select _key from {source} where _key is not null group by _key having count(*) > 1"

    def _of_model(self, columns: list[str]) -> str:
        """Select from the rows of the model that are looked at."""
        conditions = []
        time, horizon = model_time(self._bound, self._dialect), self._comparison.horizon
        if time and horizon:
            conditions.append(looked_at(time, horizon, self._tables))
        if self._among:
            key = model_key(self._bound, self._dialect)
            conditions.append(f"coalesce({key}, '') in (select _key from {self._among})")
        where = f"\n  where {' and '.join(conditions)}" if conditions else ""
        return (
            "  select " + ",\n    ".join(columns) + f"\n  from {self._sync.model.relation.rendered} m{where}"
        )

    def _value(self, field: BoundField) -> str:
        source = field.mapping.source
        if isinstance(source, Constant):
            value = source.value
            return self._dialect.literal(value if isinstance(value, str) else orjson.dumps(value).decode())
        assert field.column is not None  # noqa: S101 - only constants have none
        column = f"m.{self._dialect.quote(field.column.name)}"
        if isinstance(source, CompanyRef | Lookup) and field.kind is not field.column.kind:
            return self._dialect.key_text(column, field.column)
        value = self._dialect.canonical(column, field.column)
        if field.mapping.field.empty_is_missing and field.column.kind is ColumnKind.TEXT:
            return f"nullif({value}, '')"
        return value

    def _pairs(self) -> str:
        """Join both sides and keep what is not plainly unchanged."""
        old = [f"s.{self._dialect.quote(f.name)} as o_{i}" for i, f in enumerate(self._bound.fields)]
        new = [f"m.n_{i}" for i, _ in enumerate(self._bound.fields)]
        new += [f"m.{name}" for name in self._unfit_columns()]
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
            *([f"m.{TIME_COLUMN}"] if self._bound.event_time else []),
            *new,
            *old,
        ]
        snapshot = self._tables.snapshot(self._bound.name)
        if self._among:
            snapshot = f"(select * from {snapshot} where _key in (select _key from {self._among}))"
        return (
            "  select " + ",\n    ".join(columns) + "\n  from source m\n"
            f"  full join {snapshot} s on m._key = s._key\n"
            "  left join duplicates d on d._key = m._key\n"
            f"  where {self._differs()}"
        )

    def _differs(self) -> str:
        present = ["m._key is null", "d._key is not null", "s._key is null"]
        # A value that JSON cannot carry stands as NULL: its row is told even if nothing else of it differs.
        present += (
            [f"m.{name} = 1" for name in self._unfit_columns()] if self._sync.mode is not Mode.INSERT else []
        )
        if self._sync.mode is not Mode.INSERT:
            present.append("s._state in ('deleted', 'existing')")
            present += self._value_tests("s._mapping")
            if behind := self._changes.behind_in_key("s._mapping"):
                present.append(behind)
        elif not self._sync.object.is_event:
            changed = " or ".join(self._tests_since_insert())
            present.append("s._state = 'deleted'")
            present += [f"(s._state = 'synced' and ({changed}))"] if changed else []
        any_of = "\n      or ".join(present)
        text = f"(m._here is not null and (\n      {any_of}))"
        if self._sync.on_removed is OnRemoved.KEEP:
            return text
        gone = f"m._here is null and {HAS_VALUES.replace('_state', 's._state')}"
        if self._sync.on_removed is OnRemoved.CLEAR:
            gone += f" and ({self._holds_something()})"
        return f"{text}\n    or ({gone})"

    def _holds_something(self) -> str:
        """Test whether a row that left the model has values to be cleared."""
        held = [f"s.{self._dialect.quote(f.name)} is not null" for f in self._changes.clearable()]
        held += ["s._state = 'existing'"] if held else []  # taken as done: what it holds is not known
        return " or ".join(held) or "1 = 0"

    def _value_tests(self, version: str | None) -> list[str]:
        return [
            self._changes.differs(f, f"m.n_{i}", f"s.{self._dialect.quote(f.name)}", version)
            for i, f in enumerate(self._bound.fields)
            if is_compared(f)
        ]

    def _tests_since_insert(self) -> list[str]:
        """Which rows changed after they were created; a field mapped since then says nothing of it."""
        compared = [f for f in self._bound.fields if is_compared(f)]
        sinces = [self._comparison.mapping.since(f.mapping.target) for f in compared]
        return [
            test if since == 1 else f"({test} and coalesce(s._mapping, 0) >= {since})"
            for test, since in zip(self._value_tests(None), sinces, strict=True)
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
        return f"  select p.*,\n    {self._verdicts.number()} as _verdict\n  from pairs p{joins}"

    def _parent_join(self, number: int, check: ParentCheck) -> str:
        parts = [f"select cast(null as {self._dialect.text}) as _key where 1 = 0"]
        for parent in check.parents:
            column = parent.state_column
            key = f"cast({self._dialect.quote(column)} as {self._dialect.text})" if column else "_key"
            since = None if column else self._comparison.rekeyed_parents.get(parent.sync)
            if parent.sync in self._comparison.known_parents and parent not in self._comparison.untold:
                told = f" and coalesce(_mapping, 0) >= {since}" if since else ""
                parts.append(
                    f"select {key} as _key from {self._tables.snapshot(parent.sync)} where {EXISTS}{told}"
                )
            if parent.sync in self._comparison.planned_parents:
                sent = "in ('insert', 'update')" if since or column else "= 'insert'"
                parts.append(
                    f"select {key} as _key from {self._tables.plan(parent.sync)} where _operation {sent}"
                )
        keys = f"select distinct _key from ({' union all '.join(parts)}) k{number}"
        value = self._bound.value_name(check.state_column)
        return f"\n  left join ({keys}) p{number} on p{number}._key = p.{value}"

    def _decided(self) -> str:
        removal = "delete" if self._sync.on_removed is OnRemoved.DELETE else "clear"
        new = "update" if self._comparison.manner.creates is Creates.NEVER else "insert"
        return (
            "  select judged.*,\n    case\n"
            "      when _verdict is not null then null\n"
            f"      when _here is null then '{removal}'\n"
            f"      when _snapshot_key is null or _prior = 'deleted' then '{new}'\n"
            "      else 'update'\n    end as _operation\n  from judged"
        )

    def _phased(self) -> str:
        columns = [
            "_operation",
            phase(single_creates=self._comparison.single_creates),
            f"{self._verdicts.codes()} as _code",
            f"{self._verdicts.messages()} as _message",
            "_key",
            "case when _prior = 'deleted' then null else _planhat_id end as _planhat_id",
            "_prior",
            "_origin",
            "_first_synced_at",
            f"{self._changes.names()} as _changed",
            f"{self._changes.values()} as _changes",
            *([TIME_COLUMN] if self._bound.event_time else []),
            *(
                f"{self._changes.planned(i, f)} as {self._dialect.quote(f.name)}"
                for i, f in enumerate(self._bound.fields)
            ),
        ]
        return "  select " + ",\n    ".join(columns) + "\n  from decided"

    def _patient(self) -> str:
        """Leave refused rows alone of which nothing has changed, until their next try is due."""
        version = self._comparison.mapping.version
        rest = columns_but(self._dialect, self._bound, "_row", "_batch", "_operation", "_code", "_message")
        columns = [
            "case when w.key is null then q._operation end as _operation",
            "case when w.key is null then q._phase else 0 end as _phase",
            f"case when w.key is null then q._code else {self._dialect.literal(WAITING)} end as _code",
            "case when w.key is null then q._message else w.message end as _message",
            *(f"q.{name}" for name in rest),
        ]
        join = waiting(self._tables, self._bound, version, self._comparison.run_number, "q")
        # Rows that our own checks stop stay with their reason.
        return (
            "  select "
            + ",\n    ".join(columns)
            + f"\n  from phased q\n  {join} and q._operation is not null"
        )


class _Suspicion(_Statement):
    """The same join on keys and fingerprints alone."""

    def text(self) -> str:
        return (
            f"with source as (\n{self._source()}\n),\n"
            f"duplicates as (\n{self._duplicates()}\n)\n"
            "select coalesce(m._key, s._key, '') as _key\nfrom source m\n"
            f"full join (\n{self._held()}\n) s on m._key = s._key\n"
            "left join duplicates d on d._key = m._key\n"
            f"where {self._differs()}"
        )

    def _source(self) -> str:
        columns = [f"{model_key(self._bound, self._dialect)} as _key", "1 as _here"]
        columns += self._fingerprints(self._value)
        columns += [f"case when {test} then 1 end as {name}" for name, test in self._unfit_columns().items()]
        return self._of_model(columns)

    def _unfit_columns(self) -> dict[str, str]:
        conditions = super()._unfit_columns().values()
        return {"_unfit": " or ".join(conditions)} if conditions else {}

    def _held(self) -> str:
        columns = ["s._key", "s._state", "s._mapping"]
        columns += self._fingerprints(lambda f: f"s.{self._dialect.quote(f.name)}")
        if self._sync.on_removed is OnRemoved.CLEAR:
            columns.append(f"({super()._holds_something()}) as _holds")
        return f"  select {', '.join(columns)} from {self._tables.snapshot(self._bound.name)} s"

    def _groups(self) -> list[list[BoundField]]:
        """Fields that have fingerprints together; whose NULL changes nothing, has them for itself."""
        compared = [f for f in self._bound.fields if is_compared(f)]
        together = [f for f in compared if f.mapping.sends_null]
        alone = [[f] for f in compared if not f.mapping.sends_null]
        return [together, *alone] if together else alone

    def _fingerprints(self, value: Callable[[BoundField], str]) -> list[str]:
        columns = []
        for g, fields in enumerate(self._groups()):
            numbers = self._dialect.fingerprints([(value(f), f.stored) for f in fields])
            assert numbers is not None  # noqa: S101 - `find_suspects` was told that there are
            for i, number in enumerate(numbers):
                only = f"case when {value(fields[0])} is not null then {number} end"
                text = number if fields[0].mapping.sends_null else only
                columns.append(f"{text} as {_print(g, i)}")
        return columns

    def _value_tests(self, version: str | None) -> list[str]:
        tests = []
        for g, fields in enumerate(self._groups()):
            numbers = self._dialect.fingerprints([("null", f.stored) for f in fields]) or ()
            names = [_print(g, i) for i, _ in enumerate(numbers)]
            differs = [f"m.{name} is distinct from s.{name}" for name in names]
            latest = max(self._comparison.mapping.since(f.mapping.target) for f in fields)
            if version and latest > 1:
                differs.append(f"coalesce({version}, 0) < {latest}")
            test = f"({' or '.join(differs)})"
            tests.append(test if fields[0].mapping.sends_null else f"(m.{names[0]} is not null and {test})")
        return tests

    def _tests_since_insert(self) -> list[str]:
        return self._value_tests(None)

    def _holds_something(self) -> str:
        return "s._holds"


def _print(group: int, number: int) -> str:
    """The column of a fingerprint."""
    return f"_print_{group}_{number}"
