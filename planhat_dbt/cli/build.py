"""`planhat-dbt build -- …`: the user's dbt command as a subprocess, then `sync` with the same project and target."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from planhat_dbt.artifacts import command_of, read_run_results
from planhat_dbt.bootstrap import Request
from planhat_dbt.cli.options import override_options
from planhat_dbt.cli.sync import overrides_of, run_sync
from planhat_dbt.errors import UsageError
from planhat_dbt.project import read_project

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_OPTIONS: Final = {
    "--project-dir": "project_dir",
    "--profiles-dir": "profiles_dir",
    "--profile": "profile",
    "--target": "target",
    "-t": "target",
    "--target-path": "target_path",
    "--vars": "vars",
}
"""dbt's options that say which project, target and artifacts are meant; the sync takes the same."""
_ASKS_DBT_ALONE: Final = frozenset(["--help", "-h", "--version", "-V", "-v"])
"""dbt answers and ends; no sync is meant to follow."""
_PATIENCE: Final = 5.0
"""Seconds for dbt to end by an interrupt that it got, too, from a terminal: a second one breaks off its clearing up."""
_TESTS_FAILED: Final = 1
"""dbt's exit code when models or tests failed; what did not fail has been built (2: nothing has)."""
HOOK: Final = "PLANHAT_DBT_HOOK"
"""The plugin's switch in the environment: off here, for the sync follows anyway."""


@click.command(context_settings={"ignore_unknown_options": True})
@override_options
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.argument("dbt_args", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def build(ctx: click.Context, /, *, output: str, dbt_args: tuple[str, ...], **given: Any) -> None:
    """Run dbt, then send Planhat what differs.

    What follows `--` goes to dbt as it is: `planhat-dbt build -- --select tag:hourly`. It begins with a dbt command
    (build, run, retry, test, seed, snapshot), or `build` is meant. The sync uses its project, profile, target and vars.

    If dbt fails models or tests, the syncs of the others still run. dbt's exit code is kept where it is not 0.
    """
    overrides = overrides_of(given)
    started = dt.datetime.now(dt.UTC)
    code, signalled = _run_dbt(dbt_args, output)
    if signalled:  # dbt may have come to its end all the same
        click.echo("Interrupted: nothing was sent.", err=True)
        ctx.exit(code or 128 + signalled)
    if code not in (0, _TESTS_FAILED):
        click.echo(f"dbt ended with exit code {code}: nothing was sent.", err=True)
        ctx.exit(code)
    if not _ASKS_DBT_ALONE.isdisjoint(dbt_args):
        ctx.exit(code)
    asked = _request(dbt_args)
    if not _is_fresh(asked, started):
        click.echo("dbt left no run_results.json of its own: nothing was sent.", err=True)
        ctx.exit(code or 1)
    synced = run_sync(asked, overrides, output)
    ctx.exit(synced if synced >= 128 else code or synced)


def dbt_command(arguments: Sequence[str]) -> list[str]:
    """The command that dbt is run with.

    Raises:
        UsageError: There is no dbt.
    """
    beside = Path(sys.executable).with_name("dbt")
    dbt = str(beside) if beside.is_file() else shutil.which("dbt")
    if not dbt:
        raise UsageError(
            "dbt was not found, neither beside planhat-dbt nor on the PATH.",
            hint="Install it in the same environment: pip install dbt-core dbt-duckdb",
        )
    return [dbt, *([] if command_of(arguments) else ["build"]), *arguments]


def _run_dbt(arguments: Sequence[str], output: str) -> tuple[int, int]:
    """Run dbt on our terminal; its exit code, and the first signal that came meanwhile (0: none)."""
    environment = {**os.environ, HOOK: "0"}
    place = sys.stderr.fileno() if output == "json" else None  # what follows is to be read by a program
    with (
        subprocess.Popen(dbt_command(arguments), env=environment, stdout=place) as process,  # noqa: S603
        _passing_signals_to(process) as received,
    ):
        code = process.wait()
    return code if code >= 0 else 128 - code, received[0] if received else 0


@contextmanager
def _passing_signals_to(process: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """Let dbt end by itself: SIGTERM is passed on at once, SIGINT if dbt did not end by one that it got as well."""
    received: list[int] = []
    interrupt = threading.Timer(_PATIENCE, process.send_signal, [signal.SIGINT])
    interrupt.daemon = True

    def pass_on(number: int, _frame: object) -> None:
        if number == signal.SIGTERM:
            process.send_signal(number)
        elif number not in received:
            interrupt.start()
        received.append(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        interrupt.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def _request(arguments: Sequence[str]) -> Request:
    """Read from dbt's arguments what the sync needs to know."""
    found: dict[str, str] = {}
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name in _OPTIONS:
            found[_OPTIONS[name]] = value if equals else next(words, "")
    return Request(environ=os.environ, **found)  # type: ignore[arg-type]


def _is_fresh(asked: Request, started: dt.datetime) -> bool:
    """Whether dbt wrote results: one that fails early leaves those of the run before (dbt-notes §2)."""
    project = read_project(
        project_dir=asked.project_dir, target_path=asked.target_path, cli_vars=asked.vars, env=asked.environ
    )
    results = read_run_results(project.run_results_path)
    return bool(results and results.generated_at and results.generated_at >= started)
