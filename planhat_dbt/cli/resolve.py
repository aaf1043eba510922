"""`planhat-dbt resolve`: decide on rows whose outcome was never learnt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from planhat_dbt.bootstrap import build_context
from planhat_dbt.cli.options import project_options, request
from planhat_dbt.cli.progress import Progress
from planhat_dbt.errors import UsageError
from planhat_dbt.report.wording import counted
from planhat_dbt.run.engine import Run
from planhat_dbt.settings import OnUnknown


@click.command()
@click.argument("sync")
@click.option("--resend", is_flag=True, help="Send them again: some may then be there twice.")
@click.option("--discard", is_flag=True, help="Take them as done: some may be missing.")
@click.option("--key", "keys", multiple=True, metavar="KEY", help="Only this row; repeatable.")
@project_options
def resolve(sync: str, keys: tuple[str, ...], *, resend: bool, discard: bool, **given: Any) -> None:
    """Decide on events and creates that were sent by a run which never learnt the outcome.

    The next sync asks Planhat for metrics itself, and decides what is certain; `planhat-dbt failures` tells what is
    not. For all else look into Planhat first: `planhat-dbt failures -s SYNC --keys 1000` names the keys. Upserts need
    no decision: the next sync sends them again.
    """
    if resend == discard:
        what = "--resend and --discard do not go together." if resend else "Say what to do."
        raise UsageError(what, hint=f"Give one: planhat-dbt resolve {sync} --resend, or --discard")
    decision = OnUnknown.RESEND if resend else OnUnknown.DISCARD
    asked = replace(request(given), select=(sync,))
    with Progress() as progress:
        context = build_context(asked, on_wait=progress.notice)
        if len(context.syncs) != 1:
            raise UsageError(f"{sync!r} names {len(context.syncs)} syncs.", hint="Name one sync.")
        rows = Run(context, progress, "resolve").resolve(decision, keys)
    if not rows and keys:
        named = "this key" if len(keys) == 1 else "these keys"
        raise UsageError(
            f"{sync} has no row of unknown outcome with {named}: nothing was decided.",
            hint=f"See the keys of those it has: planhat-dbt failures -s {sync} --keys 1000",
        )
    if not rows:
        click.echo(f"{sync} has no rows of unknown outcome.")
    elif resend:
        click.echo(f"{counted(rows, 'row')} of {sync} will be sent again by the next sync.")
    else:
        click.echo(f"Taken as done: {counted(rows, 'row')} of {sync}.")
