"""`planhat-dbt list`: the syncs of the project."""

from __future__ import annotations

from typing import Any

import click
import orjson

from planhat_dbt.bootstrap import load_checked
from planhat_dbt.cli.options import project_options, request, selection_options
from planhat_dbt.selection import select_syncs, why_none


@click.command(name="list")
@project_options
@selection_options
@click.option("--output", type=click.Choice(["text", "json", "name"]), default="text", show_default=True)
def command(output: str, **given: Any) -> None:
    """List the syncs that the project declares, in the order in which they are delivered."""
    asked = request(given)
    loaded = load_checked(asked)
    syncs = select_syncs(loaded.declarations.syncs, asked.select, asked.exclude, loaded.manifest.nodes)
    rows = [
        {
            "sync": s.name,
            "model": s.model.name,
            "object": s.object.name,
            "mode": s.mode.value,
            "match": s.match.field if s.match else s.key,
            "on_removed": s.on_removed.value,
            "fields": len(s.fields),
        }
        for s in syncs
    ]
    if output == "json":
        click.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
    elif output == "name":
        for sync in syncs:
            click.echo(sync.name)
    elif rows:
        _table(rows)
    else:
        click.echo(why_none(loaded.declarations.syncs))


def _table(rows: list[dict[str, Any]]) -> None:
    # By hand: rich would cost more time than reading the project.
    names = list(rows[0])
    widths = [max(len(name), *(len(str(r[name])) for r in rows)) for name in names]
    for line in [dict(zip(names, names, strict=True)), *rows]:
        click.echo("  ".join(str(line[n]).ljust(w) for n, w in zip(names, widths, strict=True)).rstrip())
