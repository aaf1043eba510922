"""Configuration in, parts out: reads project, artifacts, profile and environment, and picks the concrete parts."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from planhat_dbt.artifacts import read_manifest, read_run_results, read_written
from planhat_dbt.declaration import read_declarations
from planhat_dbt.declaration.error import DeclarationError
from planhat_dbt.declaration.types import Mode
from planhat_dbt.environment import dbt_variable
from planhat_dbt.errors import RefusedError, UsageError
from planhat_dbt.gate import is_older, open_gate
from planhat_dbt.project import read_project
from planhat_dbt.run.context import Context, Overrides
from planhat_dbt.selection import select_syncs
from planhat_dbt.support import unsupported_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from planhat_dbt.artifacts import Manifest, RunResults
    from planhat_dbt.declaration import Declarations
    from planhat_dbt.declaration.types import Sync
    from planhat_dbt.gate import Gate
    from planhat_dbt.planhat import ClientSettings
    from planhat_dbt.project import Project
    from planhat_dbt.seal import Seal
    from planhat_dbt.settings import ProjectSettings
    from planhat_dbt.warehouse.port import Warehouse
    from planhat_dbt.warehouse.profile import AdapterTarget, Target


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line says of project, target and choice; the names are dbt's."""

    environ: Mapping[str, str] = field(repr=False)
    project_dir: str | None = None
    profiles_dir: str | None = None
    profile: str | None = None
    target: str | None = None
    target_path: str | None = None
    vars: str = ""
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """A project with its manifest and declarations; nothing has been opened."""

    project: Project
    manifest: Manifest
    declarations: Declarations


def load(request: Request) -> Loaded:
    """Read the project, dbt's manifest and all declarations.

    Raises:
        UsageError: The project or the manifest cannot be read.
    """
    project = read_project(
        project_dir=request.project_dir,
        target_path=request.target_path,
        cli_vars=request.vars,
        env=request.environ,
    )
    manifest = read_manifest(project.manifest_path)
    declarations = read_declarations(manifest, project.settings, project_dir=project.directory)
    refused = unsupported_settings(project.settings)
    return Loaded(project, manifest, replace(declarations, faults=(*declarations.faults, *refused)))


def load_checked(request: Request, *, on_faults: Callable[[list[str]], None] | None = None) -> Loaded:
    """Read as `load` does, and stop at any fault.

    Args:
        request: What to read.
        on_faults: Is told the models whose declarations have faults; their syncs are left out. None: they stop it, as
            faults of settings always do.

    Raises:
        DeclarationError: Settings or declarations have faults; it lists them all.
    """
    loaded = load(request)
    faults = (*loaded.project.faults, *loaded.declarations.errors)
    faults = tuple(f for f in faults if not f.warning)
    faulty = sorted({f.model for f in faults})
    if faults and (on_faults is None or "" in faulty):
        raise DeclarationError("The declarations have faults; nothing was done.", faults)
    if faults and on_faults is not None:
        on_faults(faulty)
    return loaded


def build_context(
    request: Request,
    *,
    overrides: Overrides | None = None,
    on_wait: Callable[[str], None] | None = None,
    on_faults: Callable[[list[str]], None] | None = None,
) -> Context:
    """Put together what a run needs.

    Args:
        request: What the command line says of project, target and choice.
        overrides: What it permits or changes for this run alone.
        on_wait: Is told what is waited for.
        on_faults: As for `load_checked`; for commands that only look.

    Raises:
        UsageError: Something of it is missing or wrong.
    """
    from planhat_dbt.warehouse.profile import data_source  # noqa: PLC0415 - not for commands that need none

    loaded = load_checked(request, on_faults=on_faults)
    project, settings = loaded.project, loaded.project.settings
    results = read_run_results(project.run_results_path)
    target = find_target(request, project, results)
    syncs = select_syncs(loaded.declarations.syncs, request.select, request.exclude, loaded.manifest.nodes)
    overrides = overrides or Overrides()
    _check_resync(syncs, overrides.resync)
    _check_names(overrides, {s.name for s in syncs})
    return Context(
        project_dir=project.directory,
        target_dir=project.target_path,
        target=target.name,
        settings=settings,
        manifest=loaded.manifest,
        gate=gate_for(target, loaded.manifest, results),
        invocation_id=(results.invocation_id if results else "") or loaded.manifest.invocation_id,
        syncs=syncs,
        all_syncs=loaded.declarations.syncs,
        warehouse=open_warehouse(target, settings, on_wait=on_wait),
        data_source=data_source(target),
        chosen=bool(request.select),
        git_sha=_git_sha(project.directory),
        overrides=overrides,
    )


def find_target(request: Request, project: Project, results: RunResults | None) -> Target:
    """Read the target to use: the one asked for, else that of dbt's last run, else the profile's own.

    So it is with the profile and its folder, too: what dbt built elsewhere is not what a sync is to read.

    Raises:
        UsageError: There is no such profile or target.
    """
    from planhat_dbt.warehouse.profile import read_target  # noqa: PLC0415 - not for commands that need none

    built = results.profile if results else None
    profile = request.profile or built or dbt_variable(request.environ, "PROFILE") or project.profile
    if not profile:
        raise UsageError("dbt_project.yml names no profile.", hint="Name one with --profile.")
    return read_target(
        profile,
        project.directory,
        request.environ,
        profiles_dir=Path(request.profiles_dir) if request.profiles_dir else None,
        built_with=Path(results.profiles_dir) if results and results.profiles_dir else None,
        target=request.target or _target_of(results),
    )


def gate_for(target: Target | None, manifest: Manifest, results: RunResults | None) -> Gate:
    """Judge dbt's results for a target; None: which one is not known."""
    written = read_written(manifest, results, texts=not _tells_all(manifest, results))
    if target is None:
        return open_gate(manifest, results, written=written)
    built_for = (results.target or target.default) if results else ""
    return open_gate(manifest, results, target=target.name, built_for=built_for, written=written)


def _tells_all(manifest: Manifest, results: RunResults | None) -> bool:
    """Whether dbt built the whole project and said with which flags: nothing in it is from a command before."""
    if results is None or results.command != "build" or results.retried or results.selected:
        return False
    return not manifest.has_default_selector and not is_older(results, manifest)


def open_warehouse(
    target: Target, settings: ProjectSettings, *, on_wait: Callable[[str], None] | None = None
) -> Warehouse:
    """Pick the warehouse of a target; only what it needs is imported, and nothing is connected yet.

    Raises:
        UsageError: Its adapter is not installed, the profile does not fit it, or a word of consent is missing.
    """
    from planhat_dbt.warehouse.profile import UNPROVEN, DuckDBTarget  # noqa: PLC0415

    if isinstance(target, DuckDBTarget):
        from planhat_dbt.warehouse.duckdb import DuckDBWarehouse  # noqa: PLC0415

        return DuckDBWarehouse(target, lock_wait=settings.duckdb_lock_wait, on_wait=on_wait)
    if target.type in UNPROVEN and not settings.unproven_warehouse:
        raise UsageError(
            f"Target {target.name!r} is of type {target.type!r}: planhat_dbt has never been run on a real one, only on "
            "a stand-in of its tests.",
            hint="docs/warehouses.md says what was tested and what was not. To try it, set `unproven_warehouse: true` "
            "under `vars: planhat:` in dbt_project.yml, and begin with `planhat-dbt plan`, which sends nothing.",
        )
    return _through_adapter(target, settings)


def _through_adapter(target: AdapterTarget, settings: ProjectSettings) -> Warehouse:
    from planhat_dbt.state.scratch import scratch_tables  # noqa: PLC0415
    from planhat_dbt.warehouse.dbt_adapter import Adapter  # noqa: PLC0415

    adapter, schema, wait = Adapter(target), settings.state_schema, settings.duckdb_lock_wait
    match target.type:
        case "snowflake":
            from planhat_dbt.warehouse.snowflake import SnowflakeWarehouse  # noqa: PLC0415

            scratch = scratch_tables(SnowflakeWarehouse.dialect)
            return SnowflakeWarehouse(adapter.database, adapter.connect, scratch, schema, lock_wait=wait)
        case "bigquery":
            from planhat_dbt.warehouse.bigquery import BigQueryWarehouse, settings_of  # noqa: PLC0415

            scratch, jobs = scratch_tables(BigQueryWarehouse.dialect), settings_of(adapter)
            return BigQueryWarehouse(adapter.database, adapter.connect, scratch, jobs, lock_wait=wait)
        case "trino":
            from planhat_dbt.warehouse.trino import TrinoWarehouse, connected  # noqa: PLC0415

            return TrinoWarehouse(adapter.database, lambda: connected(adapter), schema)
        case "databricks":
            from planhat_dbt.warehouse.spark import DatabricksWarehouse  # noqa: PLC0415

            return DatabricksWarehouse(adapter.database, adapter.connect, schema)
        case "spark":
            from planhat_dbt.warehouse.spark import CATALOG, SparkWarehouse, connected  # noqa: PLC0415

            return SparkWarehouse(CATALOG, lambda: connected(adapter), schema)
        case "redshift":
            from planhat_dbt.warehouse.redshift import RedshiftWarehouse  # noqa: PLC0415

            return RedshiftWarehouse(adapter.database, adapter.connect, lock_wait=wait)
        case _:
            from planhat_dbt.warehouse.postgres import PostgresWarehouse  # noqa: PLC0415

            return PostgresWarehouse(adapter.database, adapter.connect, lock_wait=wait)


def sealed_context(context: Context, seal: Seal) -> Context:
    """Take the syncs of a sealed plan, in delivery order, and no others.

    Raises:
        RefusedError: The seal is of another target, or the project has a sync no longer.
    """
    sealed = {s.sync for s in seal.syncs}
    gone = sorted(sealed - {s.name for s in context.all_syncs})
    if gone or seal.target != context.target:
        other = f"sync {gone[0]} is not in the project" if gone else f"it is of target {seal.target}"
        raise RefusedError(
            f"The sealed plan does not fit: {other}. Nothing was sent.",
            hint="Look at the plan of now and seal it: planhat-dbt plan --out FILE",
        )
    return replace(context, syncs=tuple(s for s in context.all_syncs if s.name in sealed))


def check_target_allowed(settings: ProjectSettings, target: str) -> None:
    """Refuse to write to Planhat from a dbt target that may not.

    Raises:
        RefusedError: `allow_targets` does not name it.
    """
    allowed = settings.allow_targets
    if allowed is not None and target not in allowed:
        raise RefusedError(
            f"Target {target!r} may not write to Planhat (allow_targets: {', '.join(allowed) or 'none'}). "
            "Nothing was sent.",
            hint="See what would be sent with `planhat-dbt plan`, or use --target.",
        )


def client_settings(settings: ProjectSettings) -> ClientSettings:
    """Translate project settings to the client's."""
    from planhat_dbt.planhat import ClientSettings  # noqa: PLC0415

    return ClientSettings(
        read_timeout=settings.read_timeout,
        connect_timeout=settings.connect_timeout,
        max_tries=settings.max_tries,
        max_wait=settings.max_wait,
        calls_per_minute=settings.max_calls_per_minute,
    )


def _target_of(results: RunResults | None) -> str | None:
    # dbt tells the target only where --target was given; the manifest it wrote is that target's.
    return results.target if results else None


def _check_resync(syncs: Iterable[Sync], names: frozenset[str]) -> None:
    for sync in syncs:
        if sync.name not in names or sync.mode is not Mode.INSERT:
            continue
        if sync.object.is_event:
            raise UsageError(
                f"--resync {sync.name}: events are sent once, and Planhat would count them twice.",
                hint="Resync records only. To send lost events again, give them new keys in the model.",
            )
        raise UsageError(
            f"--resync {sync.name}: mode insert sends a record once, and never changes one.",
            hint="To bring its records to the model's values, declare mode upsert or update.",
        )


def _check_names(overrides: Overrides, selected: set[str]) -> None:
    for option, names in (
        ("--allow-removals", overrides.removals),
        ("--allow-changes", overrides.changes),
        ("--resync", overrides.resync),
    ):
        unknown = sorted(names - selected)
        if unknown:
            raise UsageError(
                f"{option} {unknown[0]}: no such sync is selected.",
                hint="See the syncs with `planhat-dbt list`.",
            )


def _git_sha(directory: Path) -> str:
    try:
        place = directory.resolve()
        if "GIT_DIR" not in os.environ and not any((p / ".git").exists() for p in (place, *place.parents)):
            return ""  # without a process for it
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
