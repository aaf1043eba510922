"""`python -m benchmarks`: run all cases, print the table, and write it to `benchmarks/results.md`."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import httpx
from rich.console import Console
from rich.table import Table

from benchmarks import project
from benchmarks.cases import CASES, Case
from benchmarks.measure import Measured, measure
from benchmarks.warehouses import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.warehouses import Warehouse

RESULTS = Path(__file__).parent / "results.md"
OURS, THEIRS = "planhat-dbt", "script"
TITLES = {"duckdb": "DuckDB", "postgres": "PostgreSQL"}
HEAD = ("case", "who", "wall s", "ratio", "CPU s", "peak MiB", "calls", "rows", "MB sent")


@dataclass(frozen=True, slots=True)
class Line:
    """One case by one side, the medians of its repeats."""

    case: str
    who: str
    measured: Measured
    counts: dict[str, int]
    ratio: float | None = None

    def cells(self) -> tuple[str, ...]:
        """The line as text."""
        m, c = self.measured, self.counts
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        peak, sent = f"{m.peak:.0f}", f"{c['bytes'] / 1e6:.1f}"
        return (
            self.case, self.who, f"{m.wall:.2f}", ratio, f"{m.cpu:.2f}", peak,
            f"{c['calls']:,}", f"{c['rows']:,}", sent,
        )  # fmt: skip


class Side:
    """One contestant: a folder and a warehouse with its own copy of the data, and a stub of its own."""

    def __init__(self, who: str, folder: Path, warehouse: Warehouse, url: str) -> None:
        self.who = who
        self._folder = folder
        self._warehouse = warehouse
        self._client = httpx.Client(base_url=url)
        self._url = url

    def start_over(self) -> None:
        """Begin with fresh data and a stub that knows nothing."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._warehouse.start_over()
        self._client.post("/-/reset?keys=1").raise_for_status()

    def run(self, case: Case) -> tuple[Measured, dict[str, int]]:
        """Change the data as the case says, then measure one sync."""
        place = self._warehouse
        place.run(*case.statements)
        project.write(self._folder, place.output, {case.model: case.block()}, place.database, place.schema)
        self._client.post("/-/reset").raise_for_status()
        measured = measure(self._command(case), self._environ(), self._folder / "log.txt")
        counts = self._client.get("/-/counts").json()
        # The removed rows are gone by now: 1 M rows of before count.
        need = case.calls(round(place.rows(case.model), -3))
        if not need <= counts["calls"] <= need + 2 + need // 100:
            raise RuntimeError(f"{case.name} by {self.who}: {counts['calls']} calls, {need} are needed")
        return measured, counts

    def _command(self, case: Case) -> Sequence[str]:
        if self.who == THEIRS:
            kind = self._warehouse.output["type"]
            script = "benchmarks.reference" if kind == "duckdb" else f"benchmarks.reference_{kind}"
            return (sys.executable, "-m", script, self._warehouse.address, self._url, case.script)
        place = ("--project-dir", str(self._folder), "--profiles-dir", str(self._folder))
        return (sys.executable, "-m", "planhat_dbt", "sync", *place)

    def _environ(self) -> dict[str, str]:
        ours = {
            "PLANHAT_API_TOKEN": "bench",
            "PLANHAT_TENANT_UUID": "00000000-0000-4000-8000-000000000000",
            "PLANHAT_API_URL": self._url,
            "PLANHAT_TRACKING_URL": self._url,
        }
        return {**os.environ, **ours}


@contextmanager
def stub() -> Iterator[str]:
    """A stub server in a process of its own; gives its address."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.stub"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout  # noqa: S101 - it was asked for
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        with httpx.Client(transport=httpx.HTTPTransport(retries=20)) as client:
            client.get(f"{url}/-/counts").raise_for_status()
        yield url
    finally:
        process.terminate()
        process.wait()


def run_all(rows: int, repeats: int, only: str = "", on: str = "duckdb") -> list[Line]:
    """Run every case for both sides, by turns, and take the medians."""
    cases = [c for c in CASES if only in c.name] if only else list(CASES)
    found: dict[tuple[str, str], list[tuple[Measured, dict[str, int]]]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="planhat-dbt-bench-") as name, stub() as ours, stub() as theirs:
        folder = Path(name)
        with KINDS[on](folder, rows, "ours", "theirs") as (our_place, their_place):
            sides = (
                Side(OURS, folder / "ours", our_place, ours),
                Side(THEIRS, folder / "theirs", their_place, theirs),
            )
            for repeat in range(repeats):
                for side in sides:
                    side.start_over()
                for case in cases:
                    for side in sides if repeat % 2 else reversed(sides):
                        found[case.name, side.who].append(side.run(case))
    return list(_lines(cases, found))


def _lines(
    cases: Sequence[Case], found: dict[tuple[str, str], list[tuple[Measured, dict[str, int]]]]
) -> Iterator[Line]:
    for case in cases:
        median = {}
        for who in (OURS, THEIRS):
            runs = found[case.name, who]
            parts = [statistics.median(getattr(m, f) for m, _ in runs) for f in ("wall", "cpu", "peak")]
            median[who] = Measured(*parts)
        for who in (OURS, THEIRS):
            ratio = median[OURS].wall / median[THEIRS].wall if who == OURS else None
            yield Line(case.name, who, median[who], found[case.name, who][-1][1], ratio)


def as_markdown(tables: Mapping[str, Sequence[Line]], rows: int, repeats: int) -> str:
    """The page `results.md`: warehouse → its lines."""
    machine = f"DuckDB {duckdb.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores"
    told = [
        "# Benchmark",
        "",
        (
            f"{rows:,} rows, medians of {repeats}; {machine}. Made by `make bench`; the cases are told in "
            "[docs/performance.md](../docs/performance.md)."
        ),
    ]
    for on, lines in tables.items():
        told += [
            "",
            f"## {TITLES[on]}",
            "",
            "| " + " | ".join(HEAD) + " |",
            "|" + "---|" * len(HEAD),
            *("| " + " | ".join(line.cells()) + " |" for line in lines),
        ]
    return "\n".join(told) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure as asked."""
    parser: Any = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of each model (default: 1 M)")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each case (default: 5)")
    parser.add_argument("--only", default="", help="only cases whose name has this in it")
    parser.add_argument("--on", choices=tuple(KINDS), help="only on this warehouse")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    given = parser.parse_args(arguments)
    tables = {}
    for on in (given.on,) if given.on else KINDS:
        tables[on] = run_all(given.rows, given.repeats, given.only, on)
        table = Table(*HEAD, title=f"{TITLES[on]}: {given.rows:,} rows, medians of {given.repeats}")
        for line in tables[on]:
            table.add_row(*line.cells())
        Console().print(table)
    if given.write:
        RESULTS.write_text(as_markdown(tables, given.rows, given.repeats), encoding="utf-8")


if __name__ == "__main__":
    main()
