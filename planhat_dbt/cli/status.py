"""`planhat-dbt status`: each sync's last run."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from planhat_dbt.cli.looking import look
from planhat_dbt.cli.options import project_options, selection_options
from planhat_dbt.report.document import as_json
from planhat_dbt.report.text import show_status
from planhat_dbt.state.history import last_runs, open_run, rows_held_by_planhat
from planhat_dbt.state.layout import existing_tables
from planhat_dbt.state.rename import state_name


@click.command()
@project_options
@selection_options
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def status(output: str, **given: Any) -> None:
    """Show for each sync: its last run, the rows Planhat is known to hold, and what is not settled."""
    seen = look(given)
    context, tables = seen.context, seen.tables
    with context.warehouse.open() as session:
        present = existing_tables(session, tables)
        runs = last_runs(session, tables) if "sync_runs" in present else {}
        under_way = open_run(session, tables) if {"meta", "runs"} <= present.keys() else None
        last = {s.name: runs.get(s.name) or runs.get(s.previous_name) for s in context.syncs}
        names = {s.name: state_name(s, present) for s in context.syncs}
        rows = {
            sync: rows_held_by_planhat(session, tables, name) if f"snapshot__{name}" in present else 0
            for sync, name in names.items()
        }
    if output == "json":
        entries = [
            {"sync": sync, "rows_known": rows[sync], "last_run": asdict(run) if run else None}
            for sync, run in last.items()
        ]
        open_ = asdict(under_way) if under_way else None
        shown = {"target": context.target, "syncs": entries, "open_run": open_, "left_out": seen.left_out}
        click.echo(as_json(shown))
    else:
        show_status(context.target, [(s, rows[s.name], last[s.name]) for s in context.syncs], under_way)
