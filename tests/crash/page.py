"""The table of the crash matrix in `docs/reliability.md`: `python page.py FOLDER` writes it from what was seen."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- crash matrix: made by `make crash-matrix` -->", "<!-- end of crash matrix -->"
HEAD = ("scenario", "points", "exact after one `sync`", "told as unknown", "rows sent again, at most")


def table(found: list[dict[str, Any]]) -> str:
    """The table, its sums, and the kinds of points."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    for one in found:
        held = f"{one['held']} (≤ {one['most_held']} rows)" if one["held"] else "0"
        lines.append(f"| {one['name']} | {one['killed']} | {one['exact']} | {held} | {one['most_again']} |")
    killed, exact, held = (sum(one[name] for one in found) for name in ("killed", "exact", "held"))
    faults = sum(len(one["faults"]) for one in found)
    lines.append(f"| **all** | **{killed:,}** | **{exact:,}** | **{held:,}** | |")
    kinds = Counter(point for one in found for point in one["points"])
    told = [
        f"`{name}` {number}" for name, number in sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))
    ]
    lost = f"Points after which something was lost, sent twice untold, or did not come to rest: **{faults}**."
    return "\n".join(
        [*lines, "", lost, "", "The points, and how often each was died at: " + ", ".join(told) + ".", ""]
    )


def documented() -> list[str]:
    """The scenarios of the table on the page, in order."""
    inside = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    rows = [line.split(" | ")[0].removeprefix("| ") for line in inside.splitlines() if line.startswith("| ")]
    return [name for name in rows if name != HEAD[0] and not name.startswith("**")]


def main() -> None:
    """Write the table into the page."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from crash.scenarios import SCENARIOS  # noqa: PLC0415 - the order of the lines

    found = [json.loads(file.read_text(encoding="utf-8")) for file in Path(sys.argv[1]).glob("*.json")]
    found.sort(key=lambda one: list(SCENARIOS).index(one["name"]))
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{table(found)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
