"""`docs/commands.md` says what the commands' own help says."""

from __future__ import annotations

import pytest

from docs.pages import DOCS, script

PAGE = DOCS / "commands.md"
generator = script("generate_commands")


def test_the_page_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert generator.rendered(page) == page, "stale: run `python docs/generate_commands.py`"


def test_every_command_is_in_it() -> None:
    page = PAGE.read_text(encoding="utf-8")
    names = generator.command_names()
    assert {"sync", "plan", "validate", "status", "sandbox"} <= set(names)
    for name in names:
        assert f"### `planhat-dbt {name}`" in page
        assert f"Usage: planhat-dbt {name} " in page


def test_a_stale_page_is_noticed() -> None:
    page = PAGE.read_text(encoding="utf-8")
    stale = page.replace("--fail-fast", "--fail-slow")
    assert stale != page
    assert generator.rendered(stale) == page


def test_missing_markers_are_told() -> None:
    with pytest.raises(ValueError, match="needs the markers"):
        generator.rendered("# Commands\n")
