"""What the commands begin with that look at the state and change nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from planhat_dbt.bootstrap import build_context
from planhat_dbt.cli.options import request
from planhat_dbt.selection import why_none
from planhat_dbt.state.layout import StateTables

if TYPE_CHECKING:
    from planhat_dbt.run.context import Context

_NAMED = 5
"""So many models are named."""


@dataclass(frozen=True, slots=True)
class Look:
    """The project as far as its declarations are right, and where its state is."""

    context: Context
    tables: StateTables
    left_out: list[str]
    """Models whose declarations have faults."""


def look(given: dict[str, Any]) -> Look:
    """Put together what a look needs; say on stderr what it leaves out, or why there is nothing to see.

    Args:
        given: The options of the command; those of project and selection are taken out.
    """
    left_out: list[str] = []
    context = build_context(
        request(given), on_wait=lambda text: click.echo(text, err=True), on_faults=left_out.extend
    )
    if left_out:
        named = ", ".join(left_out[:_NAMED]) + (", …" if len(left_out) > _NAMED else "")
        text = f"Left out is what has faults in the declarations of {named}: see `planhat-dbt validate`."
        click.echo(text, err=True)
    elif not context.syncs:
        click.echo(why_none(context.all_syncs), err=True)
    tables = StateTables(context.warehouse.dialect, context.warehouse.database, context.settings.state_schema)
    return Look(context, tables, left_out)
