"""The documentation as tests read it: pages, links, anchors, code blocks, and the scripts that write pages."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_FENCE = re.compile(r"^```(?P<language>[\w-]*)[^\n]*\n(?P<text>.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *$", re.MULTILINE)


def pages() -> list[Path]:
    """All Markdown pages whose links are ours: README and its neighbours, `docs/`, the example project."""
    found = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "dbt_project_example" / "README.md"]
    return sorted(found)


def code_blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    found = _FENCE.finditer(page.read_text(encoding="utf-8"))
    return [m["text"].strip() for m in found if m["language"] == language]


@dataclass(frozen=True)
class Link:
    """A link to a file of the repository, or to a heading of one."""

    page: Path
    target: str

    @property
    def file(self) -> Path:
        """The file it leads to; the page itself for a bare anchor."""
        path = self.target.partition("#")[0]
        return (self.page.parent / path).resolve() if path else self.page

    @property
    def anchor(self) -> str:
        """The heading it leads to; empty: none."""
        return self.target.partition("#")[2]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {self.target}"


def relative_links(page: Path) -> list[Link]:
    """Links that lead into the repository."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    text = re.sub(r"`[^`\n]*`", "", text)
    targets = (m["target"] for m in _LINK.finditer(text))
    return [Link(page, t) for t in targets if not re.match(r"[a-z]+:", t)]


def anchors(page: Path) -> set[str]:
    """The anchors GitHub gives a page's headings."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    found: set[str] = set()
    for heading in (m["text"] for m in _HEADING.finditer(text)):
        plain = re.sub(r"[`*\\]", "", heading).casefold()
        slug = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
        number = 0
        while (unique := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(unique)
    return found


def script(name: str) -> ModuleType:
    """A script of `docs/`, imported from its file."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
