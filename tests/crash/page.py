"""The tables of `docs/reliability.md`: `python page.py crash|faults FOLDER` writes one from what was seen."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
Seen = Sequence[dict[str, Any]]
"""The tallies of the scenarios, as JSON."""


@dataclass(frozen=True)
class Section:
    """One table of the page, between two comments."""

    name: str
    head: tuple[str, ...]
    lines: Callable[[Seen, Sequence[str]], list[str]]
    """The lines of the table from what was seen and the names of its rows, sums last."""
    bad: str
    """What is counted as a fault."""
    after: Callable[[Seen], str] = lambda _: ""
    """What stands below the table."""

    @property
    def begin(self) -> str:
        """The comment before it."""
        return f"<!-- {self.name} matrix: made by `make {self.name}-matrix` -->"

    @property
    def end(self) -> str:
        """The comment behind it."""
        return f"<!-- end of {self.name} matrix -->"

    def write(self, seen: Seen, names: Sequence[str]) -> None:
        """Put the table into the page."""
        faults = sum(len(one["faults"]) for one in seen)
        table = ["| " + " | ".join(self.head) + " |", "|" + "---|" * len(self.head), *self.lines(seen, names)]
        sums = f"{self.bad} something was lost, sent twice untold, or did not come to rest: **{faults}**."
        told = self.after(seen)
        text = "\n".join([*table, "", sums, *(["", told] if told else []), ""])
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(self.begin)
        behind = rest.partition(self.end)[2]
        PAGE.write_text(f"{before}{self.begin}\n{text}\n{self.end}{behind}", encoding="utf-8")

    def documented(self) -> list[str]:
        """The names of the rows on the page, in order."""
        inside = PAGE.read_text(encoding="utf-8").partition(self.begin)[2].partition(self.end)[0]
        rows = [
            line.split(" | ")[0].removeprefix("| ") for line in inside.splitlines() if line.startswith("| ")
        ]
        return [name for name in rows if name != self.head[0] and not name.startswith("**")]


def _crash_lines(seen: Seen, names: Sequence[str]) -> list[str]:
    lines = []
    for one in sorted(seen, key=lambda one: names.index(one["name"])):
        held = f"{one['held']} (≤ {one['most_held']} rows)" if one["held"] else "0"
        lines.append(f"| {one['name']} | {one['killed']} | {one['exact']} | {held} | {one['most_again']} |")
    killed, exact, held = (sum(one[part] for one in seen) for part in ("killed", "exact", "held"))
    return [*lines, f"| **all** | **{killed:,}** | **{exact:,}** | **{held:,}** | |"]


def _crash_points(seen: Seen) -> str:
    kinds = Counter(point for one in seen for point in one["points"])
    told = [
        f"`{name}` {number}" for name, number in sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))
    ]
    return "The points, and how often each was died at: " + ", ".join(told) + "."


def _fault_lines(seen: Seen, names: Sequence[str]) -> list[str]:
    parts = ("tried", "exact", "held")
    lines = []
    for name in names:
        numbers = [sum(one[part].get(name, 0) for one in seen) for part in parts]
        lines.append(f"| {name} | " + " | ".join(f"{number:,}" for number in numbers) + " |")
    sums = [sum(sum(one[part].values()) for one in seen) for part in parts]
    return [*lines, "| **all** | " + " | ".join(f"**{number:,}**" for number in sums) + " |"]


CRASH = Section(
    "crash",
    ("scenario", "points", "exact after one `sync`", "told as unknown", "rows sent again, at most"),
    _crash_lines,
    "Points after which",
    _crash_points,
)
FAULT = Section(
    "fault",
    ("fault", "struck", "exact after one more run at most", "told as unknown, exact once decided"),
    _fault_lines,
    "Cases in which",
)


def main() -> None:
    """Write one table into the page."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from faults.matrix import FAULTS  # noqa: PLC0415

    from crash.scenarios import SCENARIOS  # noqa: PLC0415 - imported by themselves, the tests find their own way

    kind, folder = sys.argv[1:]
    seen = [json.loads(file.read_text(encoding="utf-8")) for file in Path(folder).glob("*.json")]
    section, names = (CRASH, SCENARIOS) if kind == "crash" else (FAULT, FAULTS)
    section.write(seen, list(names))


if __name__ == "__main__":
    main()
