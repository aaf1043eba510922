"""Options that several commands share; those of dbt have dbt's names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

import click

from planhat_dbt.bootstrap import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    _F = TypeVar("_F", bound=Callable[..., Any])

_PROJECT = (
    click.option("--project-dir", metavar="DIR", help="Folder of dbt_project.yml."),
    click.option("--profiles-dir", metavar="DIR", help="Folder of profiles.yml."),
    click.option("--profile", metavar="NAME", help="The dbt profile to use."),
    click.option("-t", "--target", metavar="NAME", help="The dbt target to use."),
    click.option("--target-path", metavar="DIR", help="Where dbt wrote its artifacts."),
    click.option("--vars", "dbt_vars", metavar="YAML", default="", help="dbt variables, as for dbt."),
)
_SELECTION = (
    click.option(
        "-s",
        "--select",
        multiple=True,
        metavar="SYNC",
        help="Syncs to use: names, tag:…, object:…, path:…, +model+; repeatable.",
    ),
    click.option("--exclude", multiple=True, metavar="SYNC", help="Syncs to leave out; as for --select."),
)


retry_option = click.option(
    "--retry-rejected", is_flag=True, help="Try refused rows now that would wait for a later run."
)


_OVERRIDES = (
    click.option("--resync", multiple=True, metavar="SYNC", help="Send all rows of this sync again."),
    click.option(
        "--allow-removals",
        multiple=True,
        metavar="SYNC",
        help="Let this sync remove more than its limit, once.",
    ),
    click.option(
        "--allow-changes",
        multiple=True,
        metavar="SYNC",
        help="Let it change more than its limit, or begin afresh beside a former sync's state, once.",
    ),
    retry_option,
    click.option("--fail-fast", is_flag=True, help="End the run at the first sync that fails."),
)


def override_options(command: _F) -> _F:
    """Add what a user allows for one run."""
    for option in reversed(_OVERRIDES):
        command = option(command)
    return command


def project_options(command: _F) -> _F:
    """Add dbt's own options."""
    for option in reversed(_PROJECT):
        command = option(command)
    return command


def selection_options(command: _F) -> _F:
    """Add `--select` and `--exclude`."""
    for option in reversed(_SELECTION):
        command = option(command)
    return command


def request(given: dict[str, Any]) -> Request:
    """Gather the options above into a request; takes them out of `given`."""
    return Request(
        environ=os.environ,
        project_dir=given.pop("project_dir", None),
        profiles_dir=given.pop("profiles_dir", None),
        profile=given.pop("profile", None),
        target=given.pop("target", None),
        target_path=given.pop("target_path", None),
        vars=given.pop("dbt_vars", ""),
        select=tuple(given.pop("select", ())),
        exclude=tuple(given.pop("exclude", ())),
    )
