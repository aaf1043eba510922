"""`planhat-dbt sync`: compare, guard, deliver, record."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from uuid_utils import uuid7

from planhat_dbt.bootstrap import build_context, check_target_allowed, client_settings, sealed_context
from planhat_dbt.cli.options import override_options, project_options, request, selection_options
from planhat_dbt.cli.progress import Progress
from planhat_dbt.errors import UsageError
from planhat_dbt.lineage.listener import telling_openlineage
from planhat_dbt.planhat import Endpoint
from planhat_dbt.report.document import as_json, plan_document, write_results
from planhat_dbt.report.text import show_plan, show_result
from planhat_dbt.run.context import Overrides
from planhat_dbt.run.engine import Run
from planhat_dbt.seal import read_seal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planhat_dbt.bootstrap import Request
    from planhat_dbt.run.context import Context
    from planhat_dbt.seal import Seal

_SEALED_OPTIONS: Final = ("select", "exclude", "resync", "retry_rejected")


@click.command()
@project_options
@selection_options
@click.option("--dry-run", is_flag=True, help="Only show the plan, as `planhat-dbt plan` does.")
@override_options
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Send what `plan --out FILE` sealed, or nothing if the plan is another by now.",
)
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def sync(
    ctx: click.Context,
    /,
    *,
    dry_run: bool,
    plan_file: Path | None,
    output: str,
    **given: Any,
) -> None:
    """Compare each model with what Planhat was sent before, and send the difference.

    The token is read from PLANHAT_API_TOKEN, the tenant of metrics and activities from PLANHAT_TENANT_UUID.

    Exit code 0: all done; 1: rows or syncs failed; 2: wrong usage or declaration; 3: refused by a guard or the gate.
    """
    seal = _read_seal(plan_file, given, dry_run=dry_run) if plan_file else None
    overrides = overrides_of(given)
    asked = request(given)
    if dry_run:
        _show_plan(asked, overrides, output)
        return
    ctx.exit(run_sync(asked, overrides, output, seal))


def run_sync(asked: Request, overrides: Overrides, output: str, seal: Seal | None = None) -> int:
    """Sync as asked, and show what came of it; returns the exit code."""
    with Progress() as progress:
        context = build_context(asked, overrides=overrides, on_wait=progress.notice)
        if seal:
            context = sealed_context(context, seal)
        check_target_allowed(context.settings, context.target)
        endpoint = _endpoint(context)
        run_id = str(uuid7())
        with telling_openlineage(context, progress, run_id, endpoint) as listener:
            run = Run(context, listener, "sync", run_id=run_id)
            with _stopping_at_signals(run) as received:
                result = run.sync(endpoint, client_settings(context.settings), seal)
    document = write_results(context.target_dir, result)
    if output == "json":
        click.echo(as_json(document))
    else:
        show_result(result)
    hint = result.stopped_by.hint if result.stopped_by else ""
    if hint and not any(hint in one.reason for one in result.results):
        click.echo(hint, err=True)
    return 128 + received[0] if received else result.exit_code


def _read_seal(path: Path, given: dict[str, Any], *, dry_run: bool) -> Seal:
    """Read a sealed plan and take from it what it was made with."""
    decided = [f"--{name.replace('_', '-')}" for name in _SEALED_OPTIONS if given[name]]
    if dry_run or decided:
        raise UsageError(
            f"--plan FILE and {'--dry-run' if dry_run else decided[0]} do not go together: the plan was sealed with "
            "its choice of syncs.",
            hint="Give those options to `planhat-dbt plan --out FILE`.",
        )
    seal = read_seal(path)
    given["target"] = given["target"] or seal.target
    given["resync"], given["retry_rejected"] = seal.resync, seal.retry_rejected
    return seal


def overrides_of(given: dict[str, Any]) -> Overrides:
    """Gather what the user allows for this once; takes it out of `given`."""
    return Overrides(
        removals=frozenset(given.pop("allow_removals")),
        changes=frozenset(given.pop("allow_changes")),
        resync=frozenset(given.pop("resync")),
        fail_fast=given.pop("fail_fast"),
        retry_rejected=given.pop("retry_rejected"),
    )


def _show_plan(asked: Request, overrides: Overrides, output: str) -> None:
    with Progress() as progress:
        context = build_context(asked, overrides=overrides, on_wait=progress.notice)
        results = Run(context, progress, "sync --dry-run").plan()
    if output == "json":
        click.echo(as_json(plan_document(context.target, results)))
    else:
        show_plan(context.target, results, context.settings.max_calls_per_minute)


def _endpoint(context: Context) -> Endpoint:
    endpoint = Endpoint.from_env(os.environ)
    if any(s.object.is_event for s in context.syncs):
        endpoint.require_tenant()
    return endpoint


@contextmanager
def _stopping_at_signals(run: Run) -> Iterator[list[int]]:
    """Let SIGINT and SIGTERM end the run after the batch in flight; a second one ends it at once."""
    received: list[int] = []

    def stop(number: int, _frame: object) -> None:
        received.append(number)
        run.stop.set()
        for one, handler in before.items():
            signal.signal(one, handler)
        click.echo("Stopping after the calls in flight; what they bring is recorded.", err=True)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
