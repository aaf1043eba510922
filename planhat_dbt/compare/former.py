"""Rows that Planhat knows by a key of before alone, since the match key changed and their `_id` was never learnt.

Sent by the new key, they would be made a second time. So they are looked up by the old one, in the company that the
snapshot row names: the model may name another by now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from planhat_dbt.compare.searches import (
    Search,
    company_join,
    company_search,
    known_records,
    reference_text,
)

if TYPE_CHECKING:
    from planhat_dbt.compare.comparison import Comparison
    from planhat_dbt.state.layout import StateTables


def former_searches(tables: StateTables, comparison: Comparison) -> list[Search]:
    """The companies that snapshot rows refer to, then the records that their old keys mean."""
    searches = []
    for field in comparison.former.fields if comparison.former else ():
        former = _Former(tables, comparison, field)
        if former.reference:
            searches.append(company_search(tables, former.rows, former.reference, former.condition))
        searches.append(former.search())
    return searches


def former_candidates(tables: StateTables, comparison: Comparison) -> str:
    """Count the records that each old key may mean, as further rows of a settlement's candidates."""
    fields = comparison.former.fields if comparison.former else ()
    return "".join(_Former(tables, comparison, field).candidates() for field in fields)


class _Former:
    """The rows that are known by one key field of before."""

    def __init__(self, tables: StateTables, comparison: Comparison, field: str) -> None:
        self._tables = tables
        self._object = comparison.bound.sync.object
        self._field = field
        plan, snapshot = tables.plan(comparison.bound.name), tables.snapshot(comparison.bound.name)
        entries = comparison.former.rows if comparison.former else ""
        self.rows = (
            f"{plan} p join ({entries}) e on e.key = p._key and e.key_field = {tables.dialect.literal(field)}\n"
            f"  left join {snapshot} s on s._key = p._key"
        )
        self.condition = comparison.by_former_key
        needed = self._object.needs_company(field)
        self.reference = reference_text(tables, comparison, "coalesce(s.{0}, p.{0})") if needed else None

    def search(self) -> Search:
        known = f"{known_records(self._tables, self._object.name, self._field)} and l.key = e.previous_key"
        company, join = f"cast(null as {self._tables.dialect.text})", ""
        where = f"{self.condition} and not exists ({known})"
        if self.reference:
            company, join = "c.planhat_id", company_join(self._tables, self.reference)
            # A company that is not in Planhat has no records there: no need to ask.
            where = (
                f"{self.condition} and c.planhat_id is not null "
                f"and not exists ({known} and l.company_id = c.planhat_id)"
            )
        wanted = f"select distinct e.previous_key as key, {company} as company_id from {self.rows} {join} where {where}"
        return Search(self._object, self._field, wanted)

    def candidates(self) -> str:
        literal = self._tables.dialect.literal
        join, here, where, unplaced = "", "1 = 1", self.condition, ""
        if self.reference:
            join, here = company_join(self._tables, self.reference) + "\n  ", "f.company_id = c.planhat_id"
            where += f" and {self.reference} is not null"
            # Whose it is cannot be told: as if another company had it.
            unplaced = (
                f"\n  union all select p._row, 1, 0, null, 0 from {self.rows} "
                f"where {self.condition} and {self.reference} is null"
            )
        return (
            "\n  union all select p._row, count(distinct f.planhat_id),\n"
            f"    count(distinct case when {here} then f.planhat_id end), "
            f"min(case when {here} then f.planhat_id end), 0\n"
            f"  from {self.rows}\n  {join}"
            f"join {self._tables.lookups} f on f.object = {literal(self._object.name)} "
            f"and f.key_field = {literal(self._field)} and f.key = e.previous_key and f.planhat_id is not null\n"
            f"  where {where} group by p._row{unplaced}"
        )
