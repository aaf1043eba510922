"""Companies and their people: the tables and declarations that the tests of the comparison share."""

from __future__ import annotations

import json
from typing import Any

from core.workbench import Bench

COMPANIES = """
companies:
  object: company
  match: {externalId: id}
  fields: {name: name, phase: phase}
"""


def companies(bench: Bench, *rows: str) -> None:
    values = ", ".join(rows) or "(null, null, null)"
    where = "" if rows else " where false"
    bench.table(
        "companies",
        f"select cast(id as varchar) as id, cast(name as varchar) as name, cast(phase as varchar) as phase "
        f"from (values {values}) t(id, name, phase){where}",
    )


def started(bench: Bench, text: str = COMPANIES, *rows: str) -> Bench:
    """A bench whose rows a, b, c Planhat has accepted."""
    bench.declare(text)
    companies(bench, *(rows or ("('a', 'Acme', 'new')", "('b', 'Beta', 'old')", "('c', 'Cosa', null)")))
    bench.accept("companies")
    return bench


def changed(row: dict[str, Any]) -> list[str]:
    found: list[str] = json.loads(row["_changed"])
    return found


FAMILY = (
    COMPANIES
    + """
people:
  object: enduser
  match: {externalId: id}
  on_removed: delete
  fields: {companyId: {company: company}, email: email}
"""
)


def people(bench: Bench, *rows: str) -> None:
    bench.table("people", f"select * from (values {', '.join(rows)}) t(id, company, email)")
