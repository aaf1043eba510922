"""`planhat-dbt sandbox`: a local Planhat to try things out against (DESIGN §11)."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planhat_dbt.errors import FailedError, UsageError

if TYPE_CHECKING:
    from planhat_dbt.sandbox import Rules, Sandbox

_KEPT_CALLS = 1_000
_KEPT_ROWS = 100


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8765, show_default=True, type=click.IntRange(0, 65_535), help="0 takes a free port."
)
@click.option(
    "--data",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep the records in this JSON file: read at the start if it exists, saved on change.",
)
@click.option("--token", default=None, help="The API token it accepts.  [default: sandbox-token]")
@click.option(
    "--tenant-uuid", default=None, help="The tenant of metric and activity calls.  [default: a fixed one]"
)
@click.option("--quota", type=click.IntRange(1), help="Answer 429 beyond so many calls a minute.")
@click.option(
    "--rule",
    "rules",
    multiple=True,
    metavar="NAME=VALUE",
    help="How it behaves where Planhat's behaviour is not documented; repeatable. `--rule help` lists all.",
)
def sandbox(
    host: str,
    port: int,
    data: Path | None,
    token: str | None,
    tenant_uuid: str | None,
    quota: int | None,
    rules: tuple[str, ...],
) -> None:
    """Serve a local Planhat over HTTP until Ctrl-C.

    It knows all objects, keys, limits and errors of Planhat's public API, and shows its records on a page.
    Nothing leaves this machine.
    """
    # Imported here: it takes the HTTP server along, which no other command needs.
    from planhat_dbt.sandbox import DEFAULT_TENANT_UUID, DEFAULT_TOKEN, DataFileError, Sandbox  # noqa: PLC0415

    if "help" in rules:
        click.echo(_rule_help())
        return
    local = Sandbox(
        host=host,
        port=port,
        token=token or DEFAULT_TOKEN,
        tenant_uuid=tenant_uuid or DEFAULT_TENANT_UUID,
        data=data,
        rules=_rules(rules),
        quota=quota,
        log_calls=_KEPT_CALLS,
        log_rows=_KEPT_ROWS,
    )
    try:
        local.serve(lambda: _announce(local, data))
    except DataFileError as error:
        raise UsageError(str(error), hint="Name another file with --data, or move this one away.") from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        hint = "Stop what listens there, or take any free port: planhat-dbt sandbox --port 0"
        raise FailedError(f"Cannot serve on {host}:{port}: {reason}.", hint=hint) from error
    click.echo("Stopped.", err=True)


def _announce(local: Sandbox, data: Path | None) -> None:
    click.echo(f"Planhat sandbox: {local.url}/\n")
    for name, value in local.environment.items():
        click.echo(f"export {name}={shlex.quote(value)}")
    kept = (
        f"Records are kept in {data}." if data else "Records are gone when it stops; --data FILE keeps them."
    )
    click.echo(f"\n{kept} Ctrl-C to stop.", err=True)


def _rules(settings: tuple[str, ...]) -> Rules:
    from planhat_dbt.sandbox import Rules  # noqa: PLC0415 - see above

    changes: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"--rule {setting}: expected NAME=VALUE", hint="`--rule help` lists the rules.")
        changes[name.strip()] = value.strip()
    try:
        return Rules().changed(changes)
    except ValueError as error:
        raise UsageError(f"--rule: {error}", hint="`--rule help` lists the rules.") from error


def _rule_help() -> str:
    from planhat_dbt.sandbox.rules import describe  # noqa: PLC0415 - see above

    # The paragraphs in brackets are those of the notes the sandbox was written from.
    told = (
        (name, default, re.sub(r"\s*\([^()]*§[^()]*\)", "", words)) for name, default, words in describe()
    )
    lines = [(f"{name}={default}", words) for name, default, words in told]
    return "\n".join(f"{setting:<28} {words}" for setting, words in lines)
