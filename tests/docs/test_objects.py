"""`docs/objects.md` says what the catalogue says."""

from __future__ import annotations

from docs.pages import DOCS, script
from planhat_dbt.objects import OBJECTS

PAGE = DOCS / "objects.md"
generator = script("generate_objects")


def section(name: str) -> str:
    return PAGE.read_text(encoding="utf-8").split(f"\n## {name}\n")[1].split("\n## ")[0]


def test_the_page_is_up_to_date() -> None:
    fresh = generator.page()
    assert PAGE.read_text(encoding="utf-8") == fresh, "stale: run `python docs/generate_objects.py`"


def test_every_field_of_every_object_is_in_it() -> None:
    for obj in OBJECTS.values():
        fields = section(obj.name).split("| field | type |")[1]
        rows = [line for line in fields.splitlines() if line.startswith("| `")]
        assert [row.split("`")[1] for row in rows] == [f for f in obj.fields if f != "_id"]


def test_what_the_page_says_of_single_objects() -> None:
    invoice = section("invoice")
    assert "- path `/invoices`" in invoice
    assert "required to create: `companyId`, `currency`, `invoiceDate`" in invoice
    assert "`extId` in Planhat's JSON" in invoice
    assert "at least one of: `email`, `externalId`, `sourceId`" in section("enduser")
    assert "`companyIds`, a list: `{company: <column>}`" in section("issue")
    assert "`type` is always `note`" in section("note")
    assert "| `mrr` | number | no |  |  |" in section("company")
