"""Versions, dbt's artifacts, declarations."""

from __future__ import annotations

import datetime as dt
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from planhat_dbt import __version__
from planhat_dbt.bootstrap import gate_for
from planhat_dbt.gate import check_gate
from planhat_dbt.report.wording import counted
from planhat_dbt.warehouse.profile import AdapterTarget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planhat_dbt.artifacts import Manifest, RunResults
    from planhat_dbt.declaration import Declarations
    from planhat_dbt.declaration.types import Sync
    from planhat_dbt.doctor.finding import Findings
    from planhat_dbt.project import Project
    from planhat_dbt.warehouse.profile import Target

_OLDEST_DBT: Final = (1, 8)
_TESTED_BELOW: Final = (2, 0)
_OLD: Final = dt.timedelta(days=2)
"""Results of before that are hardly those of the last scheduled run."""
_AHEAD: Final = dt.timedelta(minutes=5)


def check_versions(found: Findings, target: Target | None) -> None:
    """Say which versions are installed, and whether they go together."""
    kind = target.type if isinstance(target, AdapterTarget) else "duckdb"
    parts = {"duckdb": ("dbt-duckdb", "duckdb"), "postgres": ("dbt-postgres", "psycopg2-binary")}
    named = ("dbt-core", *parts.get(kind, ()))
    told = [f"Python {sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"]
    told += [f"planhat_dbt {__version__}", *(f"{name} {_version(name) or 'not installed'}" for name in named)]
    dbt = _numbers(_version("dbt-core"))
    text = ", ".join(told)
    if dbt and dbt < _OLDEST_DBT:
        found.fail("versions", text, "dbt before 1.8 is not supported: pip install -U dbt-core", 2)
    elif dbt and dbt >= _TESTED_BELOW:
        found.warn("versions", text, "dbt 2 was not run with planhat_dbt; its artifacts are read.")
    elif not dbt:
        found.warn("versions", text, "dbt is not in this environment: run it elsewhere before each sync.")
    else:
        found.ok("versions", text)


def check_manifest(found: Findings, manifest: Manifest) -> None:
    """Say who wrote the manifest, and when."""
    found.ok("manifest", f"written by dbt {manifest.dbt_version or '?'}, {_age(manifest.generated_at)}")


def check_results(
    found: Findings,
    manifest: Manifest,
    results: RunResults | None,
    target: Target | None,
    syncs: Sequence[Sync],
) -> tuple[Sync, ...]:
    """Say what dbt's results prove: which command, for which target, how old; hands back the syncs they let through."""
    gate = gate_for(target, manifest, results)
    closures = {s.name: check_gate(s, manifest, gate) for s in syncs}
    due = tuple(s for s in syncs if closures[s.name] is None)
    if gate.refusal:
        found.fail("run results", gate.refusal, gate.hint, 3)
        return due
    text = f"`dbt {results.command}`, {_age(results.generated_at)}" if results else ""
    closed = [(name, c.reason) for name, c in closures.items() if c and not c.not_due]
    if closed:
        names = ", ".join(name for name, _ in closed[:3]) + (", …" if len(closed) > 3 else "")
        of = f"{len(closed):,} of {counted(len(syncs), 'sync')}"
        told = f"{text}: {of} gated ({names})", closed[0][1]
        if due:
            found.warn("run results", *told)
        else:
            found.fail("run results", *told, 3)
    elif results is None or gate.notice:
        found.warn("run results", gate.notice, "")
    elif results.generated_at and results.generated_at - dt.datetime.now(dt.UTC) > _AHEAD:
        found.warn(
            "run results",
            text,
            "They were written on a machine whose clock is ahead, or this one's is behind.",
        )
    elif results.generated_at and dt.datetime.now(dt.UTC) - results.generated_at > _OLD:
        found.warn("run results", text, "A sync sends what dbt built last: run `dbt build` for newer data.")
    else:
        found.ok("run results", text)
    return due


def check_declarations(found: Findings, project: Project, declarations: Declarations) -> None:
    """Count the syncs and the faults of their declarations."""
    faults = [f for f in (*project.faults, *declarations.errors) if not f.warning]
    syncs = declarations.syncs
    if faults:
        first = f"{faults[0].path or faults[0].model}: {faults[0].message}"
        text = f"{counted(len(faults), 'fault')} in declarations or settings, the first in {first}"
        found.fail("declarations", text, "See them all: planhat-dbt validate", 2)
    elif not syncs:
        hint = "Add a `planhat` block under `config: meta:` of a model, then run `dbt parse`."
        found.warn("declarations", "the project declares no sync", hint)
    else:
        objects = len({s.object.name for s in syncs})
        found.ok(
            "declarations",
            f"{counted(len(syncs), 'sync')} of {counted(objects, 'Planhat object')}, no faults",
        )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdecimal())


def _age(at: dt.datetime | None) -> str:
    if at is None:
        return "at a time that it does not tell"
    minutes = int((dt.datetime.now(dt.UTC) - at).total_seconds() // 60)
    return f"{_span(minutes)} ago" if minutes >= 0 else f"{_span(-minutes)} in the future"


def _span(minutes: int) -> str:
    if minutes < 120:
        return f"{minutes} minutes"
    hours = minutes // 60
    return f"{hours} hours" if hours < 48 else f"{hours // 24:,} days"
