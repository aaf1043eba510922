"""`planhat-dbt plan`: what would be sent, and nothing more."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from planhat_dbt.bootstrap import build_context
from planhat_dbt.cli.options import project_options, request, retry_option, selection_options
from planhat_dbt.cli.progress import Progress
from planhat_dbt.report.document import as_json, plan_document
from planhat_dbt.report.markdown import plan_markdown
from planhat_dbt.report.text import show_plan
from planhat_dbt.run.context import Overrides
from planhat_dbt.run.engine import Run
from planhat_dbt.seal import write_seal


@click.command()
@project_options
@selection_options
@click.option("--resync", multiple=True, metavar="SYNC", help="Plan to send all rows of this sync again.")
@retry_option
@click.option(
    "--samples",
    default=3,
    show_default=True,
    type=click.IntRange(0, 100),
    help="Rows shown of each operation.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Seal the plan into a file, for `sync --plan FILE`.",
)
@click.option("--output", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
def plan(
    *,
    output: str,
    out: Path | None,
    samples: int,
    resync: tuple[str, ...],
    retry_rejected: bool,
    **given: Any,
) -> None:
    """Compare and show what would be sent: counts, calls, and rows with old → new values.

    Sends nothing and needs no token. Values are shown on the screen: they may be personal data.
    """
    with Progress() as progress:
        context = build_context(
            request(given),
            overrides=Overrides(resync=frozenset(resync), retry_rejected=retry_rejected),
            on_wait=progress.notice,
        )
        results = Run(context, progress, "plan").plan(samples, partial(write_seal, out) if out else None)
    if output == "json":
        click.echo(as_json(plan_document(context.target, results)))
    elif output == "markdown":
        click.echo(plan_markdown(context.target, results, context.settings.max_calls_per_minute))
    else:
        show_plan(context.target, results, context.settings.max_calls_per_minute)
    if out:
        click.echo(f"Sealed into {out}: apply it with `planhat-dbt sync --plan {out}`.", err=True)
