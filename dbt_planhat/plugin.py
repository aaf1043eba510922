"""Waits for the end of a dbt command, then runs `planhat-dbt sync` for the same project, target and vars.

The sync is a process of its own: it sees what it would see after dbt, its signals are its own, and nothing it does can
disturb dbt. What it says goes through dbt's log. If it fails, dbt's exit code is 1.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
from dbt.cli.exceptions import ExceptionExit, ResultExit
from dbt.flags import get_flags
from dbt.plugins import dbtPlugin
from dbt_common.events.base_types import EventLevel
from dbt_common.events.event_manager_client import add_callback_to_manager
from dbt_common.events.functions import fire_event
from dbt_common.events.types import Note

_COMMANDS = ("build", "run", "retry")
_SWITCH = "PLANHAT_DBT_HOOK"
_ON, _OFF = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class PlanhatPlugin(dbtPlugin):  # type: ignore[misc]
    """Listens to dbt's events."""

    def initialize(self) -> None:
        """Begin to listen; dbt calls it in every command."""
        add_callback_to_manager(_on_event)


def _on_event(message: Any) -> None:
    if message.info.name != "CommandCompleted":
        return
    try:
        code = _sync_if_asked(message.info.invocation_id)
    except Exception as error:  # noqa: BLE001 - what dbt did stands, whatever becomes of us
        _say(f"could not sync ({type(error).__name__}: {error}); run `planhat-dbt sync`", failed=True)
        code = 1
    if code and message.data.success:
        raise ResultExit(None)


def _sync_if_asked(invocation_id: str) -> int:
    """Sync if this command is one to sync after, and the project asks for it; returns the exit code."""
    flags = get_flags()
    if flags.WHICH not in _COMMANDS or not _is_on(flags):
        return 0
    if _is_broken_off():
        _say("dbt did not come to its end: nothing was sent", failed=True)
        return 1
    if not _has_results(invocation_id):
        _say("dbt left no run_results.json of its own: nothing was sent", failed=True)
        return 1
    _give_back_the_warehouse()
    arguments = [sys.executable, "-m", "planhat_dbt", "sync", *_place(flags)]
    environment = {**os.environ, _SWITCH: "0", "NO_COLOR": "1"}
    with subprocess.Popen(  # noqa: S603 - our own command
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            if line.strip():
                _say(line.rstrip())
        code = process.wait()
    if code:
        _say(f"the sync ended with exit code {code}", failed=True)
    return code


def _is_broken_off() -> bool:
    """Whether an interrupt or a fault ended the command, rather than its results; dbt still lets it complete."""
    return isinstance(sys.exc_info()[1], ExceptionExit)  # else it is of whoever called dbt from an `except`


def _has_results(invocation_id: str) -> bool:
    """Whether the results are of this command: one that fails early leaves those of before (dbt-notes §2)."""
    from planhat_dbt.artifacts import read_run_results  # noqa: PLC0415 - only after commands to sync after

    target = Path(click.get_current_context().obj["runtime_config"].project_target_path)
    results = read_run_results(target / "run_results.json")
    return results is not None and results.invocation_id == invocation_id


def _is_on(flags: Any) -> bool:
    """Whether the environment, or else `vars: planhat: hook` of the project, asks for a sync."""
    word = os.environ.get(_SWITCH, "").lower()
    if word in _ON + _OFF:
        return word in _ON
    if not _may_ask(flags):
        return False
    from planhat_dbt.project import read_project  # noqa: PLC0415 - not in projects that do not ask

    project = read_project(project_dir=flags.PROJECT_DIR, cli_vars=dict(flags.VARS or {}))
    wrong = [f for f in project.faults if f.path == "vars.planhat.hook"]
    if wrong:  # whoever wrote `hook: maybe` has to learn that nothing is sent
        raise ValueError(f"{wrong[0].file}: {wrong[0].path}: {wrong[0].message}")
    return project.settings.hook


def _may_ask(flags: Any) -> bool:
    """Whether a `hook` stands anywhere in dbt's own vars; without one nothing of ours is loaded that might fail."""
    config = click.get_current_context().obj.get("runtime_config")
    return config is not None and "'hook'" in repr((config.vars.to_dict(), flags.VARS))


def _place(flags: Any) -> list[str]:
    """The options that say which project, profile, target and vars dbt used."""
    config = click.get_current_context().obj["runtime_config"]
    options = {
        "--project-dir": config.project_root,
        "--profiles-dir": flags.PROFILES_DIR,
        "--profile": config.profile_name,
        "--target": config.target_name,
        "--target-path": config.project_target_path,
        "--vars": json.dumps(dict(flags.VARS)) if flags.VARS else None,
    }
    return [word for name, value in options.items() if value for word in (name, str(value))]


def _give_back_the_warehouse() -> None:
    """Close dbt's connections: dbt-duckdb keeps its file until the process ends (dbt-notes §5)."""
    from dbt.adapters.factory import FACTORY  # noqa: PLC0415 - only when it is needed

    for adapter in FACTORY.adapters.values():
        connections = adapter.connections
        getattr(connections, "close_all_connections", connections.cleanup_all)()  # DuckDB's own; the others'
    gc.collect()


def _say(text: str, *, failed: bool = False) -> None:
    fire_event(Note(msg=f"planhat: {text}"), level=EventLevel.ERROR if failed else EventLevel.INFO)
