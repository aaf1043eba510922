"""`docs/declaration.md` names every key, setting and default that the code knows."""

from __future__ import annotations

import json
import re

from docs.pages import DOCS, code_blocks
from planhat_dbt.declaration.block import Block, Options
from planhat_dbt.objects import FieldType
from planhat_dbt.settings import ProjectSettings

PAGE = DOCS / "declaration.md"
TEXT = PAGE.read_text(encoding="utf-8")


def rows(title: str) -> dict[str, str]:
    """The second cell of a section's tables, by what is in backquotes in the first."""
    section = re.split(rf"^##+ {title}$", TEXT, flags=re.MULTILINE)[1].split("\n## ")[0]
    cells = (line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `"))
    return {name: c[1] for c in cells for name in re.findall(r"`(\w+)`", c[0])}


def test_every_key_of_the_block_is_told() -> None:
    assert set(Block.model_fields) <= set(rows("Keys of the block"))


def test_every_setting_is_told_with_its_default() -> None:
    told = rows("Project settings")
    fields = {f.alias or name: f for name, f in ProjectSettings.model_fields.items()}
    assert set(told) == set(fields)
    for name, field in fields.items():
        default = field.default
        if isinstance(default, int | float) and not isinstance(default, bool):
            assert told[name] == f"{default:.10g}", name
        elif isinstance(default, str):
            assert told[name] == f"`{default}`", name


def test_every_key_of_the_defaults_is_told() -> None:
    (line,) = [line for line in TEXT.splitlines() if line.startswith("| `defaults` |")]
    assert set(Options.model_fields) <= set(re.findall(r"`(\w+)`", line))


def test_every_field_type_is_told() -> None:
    section = TEXT.split("What each field type takes")[1].split("\n## ")[0]
    told = [line.strip("| ").split(" | ")[0] for line in section.splitlines() if line.startswith("| ")]
    assert [t.removesuffix(" (custom fields)") for t in told[1:]] == [t.value for t in FieldType]


def test_the_json_examples_are_json() -> None:
    for page in DOCS.glob("*.md"):
        for block in code_blocks(page, "json"):
            json.loads(block)
