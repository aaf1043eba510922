"""What dbt's docs show on the page of an exposure: dbt itself has read the description, Jinja and all."""

from __future__ import annotations

import pytest

from lineage.test_exposures import Shop, built, shop  # noqa: F401 - fixtures


@pytest.mark.thorough
def test_a_page_shows_what_feeds_which_field(shop: Shop) -> None:  # noqa: F811
    file = shop.directory / "models" / "schema.yml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"Überschrift: #1":', '"a|b `c`":'), encoding="utf-8")
    shop.dbt("parse", "--quiet")
    shop.planhat("exposures")
    shop.dbt("parse", "--quiet")
    pages = {str(e["name"]): str(e["description"]) for e in shop.manifest["exposures"].values()}
    assert pages["companies_to_planhat"].splitlines() == [
        "Creates and updates Planhat companies from companies, matched on externalId (sync companies of planhat_dbt).",
        "",
        "| from | Planhat field |",
        "|---|---|",
        '| the value `"007"` | `custom.Level` |',
        '| the value `"Dear {{ name }}, {# no #}"` | `custom.Template` |',
        r"| `name` | `` custom.a\|b `c` `` |",
        "| `name` | `name` |",
        "| `phase` | `phase` |",
    ]
    assert "| `company`, a company's externalId | `companyId` |" in pages["assets_to_planhat_2"]
