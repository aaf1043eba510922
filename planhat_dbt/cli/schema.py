"""`planhat-dbt schema`: the JSON Schema of the `planhat` block."""

from __future__ import annotations

import click
import orjson

from planhat_dbt.declaration.schema import json_schema


@click.command()
def schema() -> None:
    """Print the JSON Schema of the `planhat` block, for editors."""
    click.echo(orjson.dumps(json_schema(), option=orjson.OPT_INDENT_2).decode())
