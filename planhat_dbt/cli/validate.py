"""`planhat-dbt validate`: all faults of all declarations, at once."""

from __future__ import annotations

from typing import Any

import click

from planhat_dbt.bootstrap import load
from planhat_dbt.cli.options import project_options, request
from planhat_dbt.declaration.error import DeclarationError
from planhat_dbt.declaration.telling import render_faults
from planhat_dbt.report.wording import counted


@click.command()
@project_options
def validate(**given: Any) -> None:
    """Check all declarations, without a warehouse or network.

    Exit code 0: all right; 2: there are faults.
    """
    loaded = load(request(given))
    faults = (*loaded.project.faults, *loaded.declarations.faults)
    errors = tuple(f for f in faults if not f.warning)
    warnings = tuple(f for f in faults if f.warning)
    if warnings:
        click.echo(render_faults(warnings), err=True)
    if errors:
        raise DeclarationError(f"{counted(len(errors), 'fault')} in the declarations.", errors)
    syncs = loaded.declarations.syncs
    if not syncs:
        click.echo(
            "No declarations found. Add a `planhat` block under `config: meta:` of a model, run `dbt parse`, and try "
            "again."
        )
        return
    objects = len({s.object.name for s in syncs})
    click.echo(f"No faults: {counted(len(syncs), 'sync')} of {counted(objects, 'Planhat object')}.")
