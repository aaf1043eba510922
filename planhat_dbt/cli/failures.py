"""`planhat-dbt failures`: rows that did not go through, grouped by reason."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from planhat_dbt.cli.looking import look
from planhat_dbt.cli.options import project_options, selection_options
from planhat_dbt.declaration.manner import manner_of
from planhat_dbt.report.document import as_json
from planhat_dbt.report.wording import counted, printable
from planhat_dbt.run.compare_step import reads_back
from planhat_dbt.state.failures import read_failures
from planhat_dbt.state.layout import existing_tables
from planhat_dbt.state.rename import state_name

if TYPE_CHECKING:
    from planhat_dbt.declaration.types import Sync
    from planhat_dbt.settings import ProjectSettings
    from planhat_dbt.state.failures import FailureGroup

_NEXT = {
    "rejected": "Correct the row, its model or its mapping.",
    "held": "Each sync tries again.",
    "unknown": "Each sync compares and sends it again; it may have arrived.",
    "decide": "Look into Planhat, then decide: planhat-dbt resolve {sync} --resend, or --discard (--key for one row).",
    "read_back": "`sync` asks Planhat for it first. To decide yourself: planhat-dbt resolve {sync} --resend, or "
    "--discard (--key for one row).",
    "no_id": "Enter its Planhat id into _planhat_id of snapshot__{sync}; then it can be changed again.",
    "not_sent": "The run ended before it: see the reason of that run in `planhat-dbt status`, then run sync again.",
    "no_match": "It is sent once Planhat has exactly one record of it: each sync looks again.",
    "same_record": "It is sent by the next sync, over what the other row sent: give the two rows one key.",
    "lookup_missing": "It is sent once Planhat has exactly one person with this key: each sync looks again.",
    "parent_missing": "It is sent once its parent is in Planhat; if no model has that parent, correct the reference.",
}
"""What to do next, by code or else by status."""


@click.command()
@project_options
@selection_options
@click.option(
    "--keys", default=5, show_default=True, type=click.IntRange(1), help="Keys named for each reason."
)
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def failures(*, keys: int, output: str, **given: Any) -> None:
    """List rows that are held, rejected or of unknown outcome, by reason, with example keys."""
    seen = look(given)
    context, tables = seen.context, seen.tables
    with context.warehouse.open() as session:
        present = existing_tables(session, tables)
        names = {state_name(s, present): s.name for s in context.syncs}
        found = read_failures(session, tables, tuple(names), keys=keys) if "failures" in present else []
    groups = [replace(group, sync=names[group.sync]) for group in found]
    if output == "json":
        click.echo(as_json({"failures": [asdict(g) for g in groups], "left_out": seen.left_out}))
    elif not groups and context.syncs:
        click.echo("No row is held, rejected or of unknown outcome.")
    steps = {s.name: _step(s, context.settings) for s in context.syncs if manner_of(s).sent_once}
    for group in groups if output == "text" else ():
        _show(group, steps.get(group.sync, "") if group.status == "unknown" else "")


def _step(sync: Sync, settings: ProjectSettings) -> str:
    """What settles rows of unknown outcome of a sync that sends them once."""
    return "read_back" if reads_back(sync, settings) else "decide"


def _show(group: FailureGroup, unknown: str) -> None:
    rows = counted(group.rows, "row")
    click.echo(f"{group.sync}: {rows} {group.status} ({group.code}), since {group.since:%Y-%m-%d %H:%M} UTC")
    click.echo(f"  {group.message}")
    keys = ", ".join(printable(k) or "(no key)" for k in group.keys)
    click.echo(f"  {keys}{' …' if group.rows > len(group.keys) else ''}")
    step = _NEXT[unknown] if unknown else _NEXT.get(group.code, _NEXT[group.status])
    click.echo(f"  {step.format(sync=group.sync)}{_when(group)}\n")


def _when(group: FailureGroup) -> str:
    """When refused rows are tried again."""
    if group.waits is None:
        return ""
    if group.waits == 0:
        return " It is tried again by the next run."
    return (
        f" Unchanged, it is tried again after {counted(group.waits, 'run')}; changed, at once; "
        "now with `planhat-dbt sync --retry-rejected`."
    )
