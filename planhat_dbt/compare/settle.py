"""A plan after its look-ups: what each row turns out to be, now that Planhat's own ids are known.

| way | found one | found none | found several |
|---|---|---|---|
| never creates (update; match on `_id`) | update by `_id` | held, `no_match` | held, `no_match` |
| insert by key | `existing`: noted, nothing sent | insert | `existing` |
| upsert by a key that the bulk call does not know | update by `_id` | insert | held, `no_match` |
| clear, delete | by `_id` | done: there is nothing to remove | held, `no_id` |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from planhat_dbt.compare.changes import all_names, is_compared, json_name
from planhat_dbt.compare.former import former_candidates
from planhat_dbt.compare.numbering import numbered, phase
from planhat_dbt.compare.searches import (
    company_join,
    company_reference,
    in_need_by_present_key,
    in_need_of_lookup,
    lookup_fields,
)
from planhat_dbt.declaration.manner import Creates

if TYPE_CHECKING:
    from planhat_dbt.compare.comparison import Comparison
    from planhat_dbt.state.layout import StateTables


def settled_plan(
    tables: StateTables, comparison: Comparison, *, single_creates: bool, people_asked: bool
) -> str:
    """Write the query that gives the plan anew, with its rows decided and its batches full.

    Args:
        tables: The state tables.
        comparison: The comparison that made the plan.
        single_creates: Whether inserts travel one by one.
        people_asked: Whether the people of look-up fields were looked up already.
    """
    settlement = _Settlement(tables, comparison, people_asked=people_asked)
    return settlement.text(single_creates=single_creates)


class _Settlement:
    def __init__(self, tables: StateTables, comparison: Comparison, *, people_asked: bool) -> None:
        self._people = lookup_fields(comparison) if people_asked else []
        self._tables = tables
        self._dialect = tables.dialect
        self._comparison = comparison
        self._bound = comparison.bound
        self._sync = comparison.bound.sync
        self._reference = company_reference(tables, comparison)

    def text(self, *, single_creates: bool) -> str:
        return (
            f"with candidates as (\n{self._candidates()}\n),\n"
            f"found as (\n{self._found()}\n),\n"
            f"placed as (\n{self._placed()}\n),\n"
            f"judged as (\n  select placed.*,\n    {self._why()} as _why\n  from placed\n),\n"
            f"phased as (\n{self._phased(single_creates=single_creates)}\n)\n"
            + numbered(self._dialect, self._comparison, "phased", single_creates=single_creates)
        )

    def _candidates(self) -> str:
        """Count the records that each key may mean: in the row's company, and in all."""
        sync, literal = self._sync, self._dialect.literal
        join, here = "", "1 = 1"
        if self._reference:
            join = company_join(self._tables, self._reference) + "\n  "
            here = f"({self._reference} is null or f.company_id = c.planhat_id)"
        key_field = sync.match.field if sync.match else ""
        # Whether capitals count in an e-mail is not known: what differs in them alone is not guessed (§13 no. 33).
        exact = "f.key = p._key"
        key = "lower(f.key) = lower(p._key)" if key_field == "email" else exact
        here = f"{exact} and {here}" if key_field == "email" else here
        return (
            "  select p._row as _place, count(distinct f.planhat_id) as _anywhere,\n"
            f"    count(distinct case when {here} then f.planhat_id end) as _count,\n"
            f"    min(case when {here} then f.planhat_id end) as _id,\n"
            f"    count(distinct case when not ({exact}) then f.planhat_id end) as _alike\n"
            f"  from {self._tables.plan(self._bound.name)} p\n  {join}"
            f"join {self._tables.lookups} f on f.object = {literal(sync.object.name)} "
            f"and f.key_field = {literal(key_field)} and {key} "
            "and f.planhat_id is not null\n"
            f"  where {in_need_by_present_key(self._comparison)} group by p._row"
            + former_candidates(self._tables, self._comparison)
        )

    def _found(self) -> str:
        people = "".join(
            f"\n  left join (select key, count(distinct planhat_id) as persons from {self._tables.lookups} "
            f"where object = '{lookup.object}' and key_field = '{lookup.by}' group by key) v{i} "
            f"on v{i}.key = p.{self._dialect.quote(field.name)}"
            for i, field, lookup in self._people
        )
        persons = "".join(f", coalesce(v{i}.persons, 0) as _persons_{i}" for i, _, _ in self._people)
        return (
            f"  select p.*, case when {in_need_of_lookup(self._comparison)} then 1 else 0 end as _need,\n"
            f"    case when {self._comparison.by_former_key} then 1 else 0 end as _former,\n"
            "    coalesce(k._count, 0) as _count, coalesce(k._anywhere, 0) as _anywhere, "
            "coalesce(k._alike, 0) as _alike, "
            f"case when k._count = 1 then k._id end as _found_id{persons}\n"
            f"  from {self._tables.plan(self._bound.name)} p left join candidates k on k._place = p._row{people}"
        )

    def _placed(self) -> str:
        """Turn inserts of what exists into updates, and updates of what is gone into inserts, where that is meant."""
        operation, changed = "_operation", "_changed"
        manner = self._comparison.manner
        if manner.finds_first and manner.changes_found and manner.creates is not Creates.NEVER:
            to_update = "_need = 1 and _operation = 'insert' and _count = 1"
            to_insert = "_need = 1 and _operation = 'update' and _count = 0"
            operation = (
                f"case when {to_update} then 'update' when {to_insert} then 'insert' else _operation end"
            )
            every = all_names(self._dialect, self._bound.fields, lambda _, f: self._dialect.quote(f.name))
            changed = f"case when {to_update} then {every} when {to_insert} then null else _changed end"
        elif self._comparison.former and manner.creates is not Creates.NEVER:
            anew = "_former = 1 and _operation = 'update' and _count = 0 and _anywhere = 0"
            operation = f"case when {anew} then 'insert' else _operation end"
            changed = f"case when {anew} then null else _changed end"
        return f"  select found.*, {operation} as _way, {changed} as _fields from found"

    def _reasons(self) -> list[tuple[str, str, str]]:
        """Condition, code, message; the first that holds counts."""
        obj, key = self._sync.object, self._sync.match.field if self._sync.match else "key"
        several = f"several {obj.plural} in Planhat have this {key}"
        elsewhere = f"the {obj.name} with this {key} belongs to another company in Planhat"
        none = f"Planhat has no {obj.name} with this {key}"
        capitals = f"{obj.plural} in Planhat have this {key} in other capitals: which is meant?"
        manner = self._comparison.manner
        change = "_need = 1 and _operation in ('insert', 'update')"
        removal = "_need = 1 and _operation in ('clear', 'delete')"
        unsure = "(_count > 1 or (_count = 0 and _anywhere > 0))"
        former = f"_former = 1 and _operation = 'update' and {unsure}"
        found = [
            (former, "no_id", "its record cannot be found for certain by the key it had before"),
            (f"{removal} and _count > 1", "no_id", several),
            (f"{removal} and _count = 0 and _alike > 0", "no_id", capitals),
            (f"{removal} and _count = 0 and _anywhere > 0", "no_id", elsewhere),
            (f"{change} and _count = 0 and _alike > 0", "no_match", capitals),
        ]
        if not manner.changes_found:
            found.append((f"{change} and _count > 0", "existing", "it is in Planhat already; mode insert"))
        else:
            found.append((f"{change} and _count > 1", "no_match", several))
        if manner.creates is Creates.NEVER:
            found.append((f"{change} and _count = 0 and _anywhere > 0", "no_match", elsewhere))
            found.append((f"{change} and _count = 0", "no_match", none))
        for i, field, lookup in self._people:
            target = field.mapping.target
            named = self._dialect.contains("_fields", self._dialect.literal(json_name(target)))
            sent = f"(_way = 'insert' or (_way = 'update' and {named}))"
            missing = f"{sent} and {self._dialect.quote(field.name)} is not null and _persons_{i} <> 1"
            text = f"{target}: Planhat has no {lookup.object} with this {lookup.by}, or several"
            found.append((missing, "lookup_missing", text))
        return found

    def _why(self) -> str:
        whens = [f"when {condition} then {n}" for n, (condition, _, _) in enumerate(self._reasons())]
        return "case\n      " + "\n      ".join(whens) + "\n    end"

    def _told(self, part: int, otherwise: str) -> str:
        whens = " ".join(
            f"when {n} then {self._dialect.literal(reason[part])}" for n, reason in enumerate(self._reasons())
        )
        return f"case _why {whens} else {otherwise} end"

    def _phased(self, *, single_creates: bool) -> str:
        mapped = []
        for field in self._bound.fields:
            name = self._dialect.quote(field.name)
            untold = f"case when _way <> _operation and _way = 'update' then null else {name} end as {name}"
            mapped.append(name if is_compared(field) else untold)
        decided = [
            "case when _why is null then _way end as _operation",
            f"{self._told(1, '_code')} as _code",
            f"{self._told(2, '_message')} as _message",
            "_key",
            "case when _need = 1 then _found_id else _planhat_id end as _planhat_id",
            "_prior",
            "_origin",
            "_first_synced_at",
            "_fields as _changed",
            "case when _way <> _operation then null else _changes end as _changes",
            *mapped,
        ]
        inner = "select " + ",\n      ".join(decided) + "\n    from judged"
        return f"  select {phase(single_creates=single_creates)}, d.* from (\n    {inner}\n  ) d"
