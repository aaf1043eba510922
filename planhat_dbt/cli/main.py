"""The command group: each command is imported when it is asked for, so `--help` costs next to nothing."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from planhat_dbt import __version__
from planhat_dbt.errors import PlanhatDbtError

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "sync": ("planhat_dbt.cli.sync", "Compare, then send Planhat what differs."),
    "build": ("planhat_dbt.cli.build", "Run `dbt build`, then sync what it built and tested."),
    "plan": ("planhat_dbt.cli.plan", "Compare and show what would be sent; sends nothing, needs no token."),
    "validate": ("planhat_dbt.cli.validate", "Check all declarations, without a warehouse or network."),
    "list": ("planhat_dbt.cli.listing", "List the syncs that the project declares."),
    "status": ("planhat_dbt.cli.status", "Show each sync's last run and what is not settled."),
    "failures": ("planhat_dbt.cli.failures", "List rows that are held, rejected or of unknown outcome."),
    "resolve": ("planhat_dbt.cli.resolve", "Decide on rows whose outcome was never learnt."),
    "sandbox": ("planhat_dbt.cli.sandbox", "Run a local Planhat to try things out against."),
    "exposures": ("planhat_dbt.cli.exposures", "Write the syncs as dbt exposures, for dbt's graph and docs."),
    "doctor": ("planhat_dbt.cli.doctor", "Check profile, warehouse, artifacts, token and tenant."),
    "schema": ("planhat_dbt.cli.schema", "Print the JSON Schema of the `planhat` block, for editors."),
}
"""Name → module that holds the command under that name (or `command`), and its line in the help."""


_SEVERAL: Final = ("select", "exclude")
"""Options that take all words up to the next option."""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        entry = _COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(entry[0])
        command: click.Command = getattr(module, cmd_name, None) or module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the commands with their lines from the table: no module is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            name, command, rest = super().resolve_command(ctx, args)
            return name, command, _each_by_itself(rest, command.params if command else ())
        except click.UsageError as error:
            import difflib  # noqa: PLC0415 - only on a mistake

            near = difflib.get_close_matches(args[0], _COMMANDS, n=1) if args else []
            text = f" Did you mean {near[0]!r}?" if near else " See `planhat-dbt --help`."
            raise click.UsageError(error.message + text, ctx) from None


def _each_by_itself(arguments: Sequence[str], parameters: Sequence[click.Parameter]) -> list[str]:
    """Write `--select a b`, as dbt takes it, as click does: `--select a --select b`."""
    several = {option for p in parameters if p.name in _SEVERAL for option in p.opts}
    spread: list[str] = []
    option, waits = "", False
    for i, argument in enumerate(arguments):
        if argument == "--":
            return [*spread, *arguments[i:]]
        if argument.startswith("-"):
            name, has_value, _ = argument.partition("=")
            option, waits = (name, not has_value) if name in several else ("", False)
        elif option:
            spread += [] if waits else [option]
            waits = False
        spread.append(argument)
    return spread


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="planhat-dbt")
def cli() -> None:
    """Send the rows of your dbt models to Planhat: only what changed.

    Declare syncs in `config: meta: planhat:` of your models, run `dbt build`, then `planhat-dbt sync`.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 something failed, 2 wrong usage, 3 refused (DESIGN §10)."""
    try:
        code: Any = cli.main(args=None if arguments is None else list(arguments), standalone_mode=False)
    except click.exceptions.Exit as done:
        code = done.exit_code
    except click.ClickException as error:
        error.show()
        if _may_be_a_selector(error):
            click.echo("Syncs are named by an option: --select NAME.", err=True)
        code = 2
    except click.Abort:
        click.echo("Interrupted.", err=True)
        code = 130
    except PlanhatDbtError as error:
        show_error(error)
        code = error.exit_code
    except BrokenPipeError:
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


def _may_be_a_selector(error: click.ClickException) -> bool:
    context = error.ctx if isinstance(error, click.UsageError) else None
    selects = context is not None and any(p.name == "select" for p in context.command.params)
    return selects and "extra argument" in error.message


def show_error(error: PlanhatDbtError) -> None:
    """Write an error as a short letter: its faults if it lists any, what happened, what to do next."""
    faults = getattr(error, "faults", None)
    if faults:
        from planhat_dbt.declaration.telling import render_faults  # noqa: PLC0415 - only on a mistake

        click.echo(render_faults(faults), err=True)
    click.echo(f"Error: {error.message}", err=True)
    if error.hint:
        click.echo(error.hint, err=True)
