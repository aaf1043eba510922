"""Dagster: the models are assets of dagster-dbt; the sync follows in the same step, on the artifacts of that step."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dagster import AssetExecutionContext, Definitions, Failure
from dagster_dbt import DbtCliResource, DbtProject, dbt_assets

SHOP = Path("/srv/shop")
project = DbtProject(project_dir=SHOP, profiles_dir=SHOP)
project.preparer.prepare(project)


@dbt_assets(manifest=project.manifest_path)
def models(context: AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
    """Build, test, and send what differs."""
    build = dbt.cli(["build"], context=context, raise_on_error=False)
    yield from build.stream()
    # dagster-dbt gives every step a target folder of its own.
    sync = [SHOP / ".venv/bin/planhat-dbt", "sync", "--target-path", build.target_path]
    ended = subprocess.run(sync, cwd=SHOP, check=False).returncode
    if not build.is_successful() or ended:
        dbt_ended = "well" if build.is_successful() else "with failures"
        raise Failure(f"dbt ended {dbt_ended}, planhat-dbt sync with exit code {ended}")


defs = Definitions([models], resources={"dbt": DbtCliResource(project_dir=project)})
