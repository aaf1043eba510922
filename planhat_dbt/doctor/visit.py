"""The round from one check to the next; each takes what the ones before it found, as far as they found it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planhat_dbt.artifacts import read_manifest, read_run_results
from planhat_dbt.bootstrap import check_target_allowed, find_target, open_warehouse
from planhat_dbt.declaration import read_declarations
from planhat_dbt.doctor.finding import Finding, Findings
from planhat_dbt.doctor.planhat_checks import check_planhat, check_tenant_uuid
from planhat_dbt.doctor.project_checks import (
    check_declarations,
    check_manifest,
    check_results,
    check_versions,
)
from planhat_dbt.doctor.warehouse_checks import check_warehouse
from planhat_dbt.planhat import Endpoint
from planhat_dbt.project import read_project
from planhat_dbt.warehouse.profile import DuckDBTarget

if TYPE_CHECKING:
    from planhat_dbt.bootstrap import Request
    from planhat_dbt.project import Project
    from planhat_dbt.warehouse.port import Warehouse
    from planhat_dbt.warehouse.profile import Target

_PATIENCE = 1.0
"""Seconds to wait for a locked file or table: the doctor says who holds it, and waits for nobody."""


def examine(request: Request, *, offline: bool = False) -> list[Finding]:
    """Check everything that can be checked; nothing is changed in the warehouse, nothing sent to Planhat.

    Args:
        request: The project, profile and target to look at.
        offline: Whether Planhat is left alone.
    """
    found = Findings()
    project = found.attempt("project", lambda: _project(request, found))
    target = results = manifest = declarations = None
    if project:
        manifest = found.attempt("manifest", lambda: read_manifest(project.manifest_path))
        results = found.attempt("run results", lambda: read_run_results(project.run_results_path))
        target = found.attempt("profile", lambda: find_target(request, project, results))
    check_versions(found, target)
    if target:
        found.ok("profile", f"target {target.name}: {_kind(target)}")
    if project and manifest:
        declarations = read_declarations(manifest, project.settings, project_dir=project.directory)
        check_manifest(found, manifest)
        check_declarations(found, project, declarations)
    warehouse = _warehouse(found, project, target) if project and target else None
    if project and target:
        found.attempt("target", lambda: check_target_allowed(project.settings, target.name))
    enabled = tuple(s for s in declarations.syncs if s.enabled) if declarations else ()
    endpoint = found.attempt("environment", lambda: Endpoint.from_env(request.environ))
    check_tenant_uuid(found, endpoint, enabled)
    due = enabled
    if manifest and not found.has("run results"):  # they can be read, or there are none
        due = check_results(found, manifest, results, target, enabled)
    if project and warehouse:
        declared = declarations.syncs if declarations and not declarations.errors else None
        check_warehouse(found, warehouse, project.settings.state_schema, due, declared, endpoint)
    elif not target:
        found.skip("warehouse", "not looked at: there is no target to open")
    check_planhat(found, endpoint, offline=offline)
    return found.all


def _project(request: Request, found: Findings) -> Project:
    project = read_project(
        project_dir=request.project_dir,
        target_path=request.target_path,
        cli_vars=request.vars,
        env=request.environ,
    )
    found.ok("project", f"{project.name} in {project.directory}")
    return project


def _kind(target: Target) -> str:
    return f"duckdb, {target.path}" if isinstance(target, DuckDBTarget) else target.type


def _warehouse(found: Findings, project: Project, target: Target) -> Warehouse | None:
    settings = project.settings.model_copy(update={"duckdb_lock_wait": _PATIENCE})
    return found.attempt("adapter", lambda: open_warehouse(target, settings))
