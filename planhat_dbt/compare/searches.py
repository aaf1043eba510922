"""What must be looked up in Planhat before a plan can be delivered, as queries on the plan and on `lookups`.

Three things are looked up: the records that keys mean, the companies that references mean (a key may be unique only
within its company, planhat-api §3.1), and the people that look-up fields name. A search wants only what `lookups`
does not know yet; what it did not find is entered there as well, without an id, so that nobody asks twice in a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from planhat_dbt.declaration.types import CompanyRef, Constant, Lookup
from planhat_dbt.objects import OBJECTS, FieldType
from planhat_dbt.values import KEY_PREFIXES

if TYPE_CHECKING:
    from planhat_dbt.binding import BoundField
    from planhat_dbt.compare.comparison import Comparison
    from planhat_dbt.objects import ObjectType
    from planhat_dbt.state.layout import StateTables

REFERENCE = "reference"
"""Key field of companies under the words that references use: `extid-…`, `srcid-…` or the bare `_id`."""


@dataclass(frozen=True, slots=True)
class Search:
    """Records of one object, wanted by one key."""

    object: ObjectType
    key_field: str
    wanted: str
    """A query: the keys that are still wanted, each with the `_id` of the company it must belong to, or NULL."""
    any_company: bool = False
    """Whether the record that Planhat itself takes a key for is the one that is meant."""


def in_need_of_lookup(comparison: Comparison) -> str:
    """The condition on plan rows `p` whose record must be found first; never true for rows without a match key."""
    usual = _by_present_key(comparison)
    return f"({usual} or {comparison.by_former_key})" if comparison.former else usual


def in_need_by_present_key(comparison: Comparison) -> str:
    """Those of them that are looked up by the declared match key."""
    usual = _by_present_key(comparison)
    return f"({usual} and not {comparison.by_former_key})" if comparison.former else usual


def _by_present_key(comparison: Comparison) -> str:
    if comparison.bound.sync.match is None:
        return "1 = 0"
    found_first = "'insert', 'update', " if comparison.manner.finds_first else ""
    return f"p._planhat_id is null and p._operation in ({found_first}'clear', 'delete')"


def lookup_fields(comparison: Comparison) -> list[tuple[int, BoundField, Lookup]]:
    """The fields that name people by a key of theirs, with their place among the fields."""
    return [
        (i, f, f.mapping.source)
        for i, f in enumerate(comparison.bound.fields)
        if isinstance(f.mapping.source, Lookup)
    ]


def company_reference(tables: StateTables, comparison: Comparison) -> str | None:
    """Write the company reference of plan rows `p` as it goes over the wire; None: the key needs no company."""
    sync = comparison.bound.sync
    if sync.match is None or not sync.object.needs_company(sync.match.field):
        return None
    return reference_text(tables, comparison, "p.{0}")


def reference_text(tables: StateTables, comparison: Comparison, value: str) -> str | None:
    """Write a company reference as it goes over the wire; `value` gives the column's value, as in `p.{0}`."""
    sync, fields = comparison.bound.sync, comparison.bound.fields
    field = next((f for f in fields if f.mapping.target == sync.object.company_field), None)
    if field is None or field.mapping.field.type is not FieldType.COMPANY:
        return None
    source = field.mapping.source
    if isinstance(source, Constant):
        return tables.dialect.literal(str(source.value))
    column = value.format(tables.dialect.quote(field.name))
    prefix = KEY_PREFIXES[source.by] if isinstance(source, CompanyRef) else ""
    # In parentheses: where operators rank as in old PostgreSQL, `is null` binds tighter than `||`.
    return f"({tables.dialect.literal(prefix)} || {column})" if prefix else column


def company_join(tables: StateTables, reference: str) -> str:
    """Join the company `c` that a plan row refers to."""
    return (
        f"left join {tables.lookups} c on c.object = 'company' and c.key_field = '{REFERENCE}' "
        f"and c.key = {reference} and c.planhat_id is not null"
    )


def record_searches(tables: StateTables, comparison: Comparison) -> list[Search]:
    """The companies that references mean, then the records that keys mean."""
    if comparison.bound.sync.match is None:
        return []
    reference = company_reference(tables, comparison)
    in_need = in_need_by_present_key(comparison)
    records = _records(tables, comparison, reference, in_need)
    if not reference:
        return [records]
    plan = f"{tables.plan(comparison.bound.name)} p"
    return [company_search(tables, plan, reference, in_need), records]


def keys_may_move(comparison: Comparison) -> bool:
    """Whether a change of one row may give another row's record its key, with no answer to tell of it.

    Answers name records by `externalId` and `sourceId` (planhat-api §5.1): under an e-mail, no row learns its id.
    """
    sync = comparison.bound.sync
    others = {field.mapping.target for field in comparison.bound.fields} & {"externalId", "sourceId"}
    return sync.match is not None and sync.match.field == "email" and bool(others)


def removal_search(tables: StateTables, comparison: Comparison) -> Search:
    """The records of planned removals, by the keys by which they were found before, which need no company."""
    return _records(tables, comparison, None, "p._operation in ('clear', 'delete')")


def people_searches(tables: StateTables, comparison: Comparison) -> list[Search]:
    """The people that look-up fields name."""
    return [_people(tables, comparison, field, lookup) for _, field, lookup in lookup_fields(comparison)]


def company_search(tables: StateTables, rows: str, reference: str, condition: str) -> Search:
    """The companies that references of some rows mean."""
    wanted = (
        f"select distinct {reference} as key, cast(null as {tables.dialect.text}) as company_id "
        f"from {rows} where {condition} and {reference} is not null "
        f"and not exists ({known_records(tables, 'company', REFERENCE)} and l.key = {reference})"
    )
    return Search(OBJECTS["company"], REFERENCE, wanted)


def _records(tables: StateTables, comparison: Comparison, reference: str | None, condition: str) -> Search:
    sync = comparison.bound.sync
    key_field = sync.match.field if sync.match else ""
    known = f"{known_records(tables, sync.object.name, key_field)} and l.key = p._key"
    company, join = f"cast(null as {tables.dialect.text})", ""
    where = f"{condition} and not exists ({known})"
    if reference:
        company, join = "c.planhat_id", company_join(tables, reference)
        # A company that is not in Planhat has no records there: no need to ask.
        where = (
            f"{condition} and ({reference} is null or c.planhat_id is not null) "
            f"and not exists ({known} and ({reference} is null or l.company_id = c.planhat_id))"
        )
    wanted = (
        f"select distinct p._key as key, {company} as company_id "
        f"from {tables.plan(sync.name)} p {join} where {where}"
    )
    return Search(sync.object, key_field, wanted)


def _people(tables: StateTables, comparison: Comparison, field: BoundField, lookup: Lookup) -> Search:
    column = f"p.{tables.dialect.quote(field.name)}"
    wanted = (
        f"select distinct {column} as key, cast(null as {tables.dialect.text}) as company_id "
        f"from {tables.plan(comparison.bound.name)} p where p._operation in ('insert', 'update') "
        f"and {column} is not null "
        f"and not exists ({known_records(tables, lookup.object, lookup.by)} and l.key = {column})"
    )
    return Search(OBJECTS[lookup.object], lookup.by, wanted)


def known_records(tables: StateTables, object_name: str, key_field: str) -> str:
    """Begin the query of look-ups `l` of an object by one of its keys."""
    return (
        f"select 1 from {tables.lookups} l where l.object = {tables.dialect.literal(object_name)} "
        f"and l.key_field = {tables.dialect.literal(key_field)}"
    )
