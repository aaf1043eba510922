"""The table of the fault matrix in `docs/reliability.md`: `python page.py FOLDER` writes it from what was seen."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- fault matrix: made by `make fault-matrix` -->", "<!-- end of fault matrix -->"
HEAD = ("fault", "struck", "exact after one more run at most", "told as unknown, exact once decided")


def table(found: list[dict[str, Any]], names: list[str]) -> str:
    """The table and its sums."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    for name in names:
        numbers = [sum(one[part].get(name, 0) for one in found) for part in ("tried", "exact", "held")]
        lines.append(f"| {name} | " + " | ".join(f"{number:,}" for number in numbers) + " |")
    sums = [sum(sum(one[part].values()) for one in found) for part in ("tried", "exact", "held")]
    lines.append("| **all** | " + " | ".join(f"**{number:,}**" for number in sums) + " |")
    faults = sum(len(one["faults"]) for one in found)
    lost = f"Cases in which something was lost, sent twice untold, or did not come to rest: **{faults}**."
    return "\n".join([*lines, "", lost, ""])


def documented() -> list[str]:
    """The faults of the table on the page, in order."""
    inside = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    rows = [line.split(" | ")[0].removeprefix("| ") for line in inside.splitlines() if line.startswith("| ")]
    return [name for name in rows if name != HEAD[0] and not name.startswith("**")]


def main() -> None:
    """Write the table into the page."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from faults.matrix import FAULTS  # noqa: PLC0415 - the order of the lines

    found = [json.loads(file.read_text(encoding="utf-8")) for file in Path(sys.argv[1]).glob("*.json")]
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{table(found, list(FAULTS))}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
