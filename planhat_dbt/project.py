"""The dbt project on disk: where it is, what `dbt_project.yml` says to us, where its artifacts lie.

dbt is not asked; of Jinja only `env_var` is understood, in the few values that matter here.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from planhat_dbt.declaration.block import Options
from planhat_dbt.declaration.parse import parse
from planhat_dbt.declaration.wording import Faults, kind_of
from planhat_dbt.environment import dbt_variable
from planhat_dbt.errors import UsageError
from planhat_dbt.settings import ProjectSettings
from planhat_dbt.yaml_text import read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from planhat_dbt.declaration.types import Fault

PROJECT_FILE = "dbt_project.yml"
VARS_FILE = "vars.yml"
"""Where dbt reads `vars` from 1.12 on, if the project's file has none."""
KEY = "planhat"
_CLI = "--vars"
_ENV_VAR = re.compile(
    r"\{\{-?\s*env_var\(\s*(['\"])(?P<name>[^'\"]+)\1\s*(?:,\s*(['\"])(?P<default>[^'\"]*)\3\s*)?\)\s*"
    r"(?:\|\s*(?:int|as_number|as_bool|as_native|as_text)\s*)?-?\}\}"
)


@dataclass(frozen=True, slots=True)
class Project:
    """A dbt project and our settings in it."""

    directory: Path
    name: str
    profile: str | None
    """The profile it names; None where it leaves that to `--profile`."""
    target_path: Path
    """Where dbt writes `manifest.json` and `run_results.json`."""
    settings: ProjectSettings
    model_paths: tuple[str, ...]
    """Where dbt looks for models and their YAML files, relative to the directory."""
    faults: tuple[Fault, ...]
    """What is wrong with the settings; each is replaced by its default until corrected."""

    @property
    def manifest_path(self) -> Path:
        """Where `manifest.json` is, if dbt has run."""
        return self.target_path / "manifest.json"

    @property
    def run_results_path(self) -> Path:
        """Where `run_results.json` is, if dbt has run."""
        return self.target_path / "run_results.json"


def find_project_dir(
    given: Path | str | None = None, *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Path:
    """The project directory, as dbt finds it: `--project-dir`, `DBT_PROJECT_DIR`, else upwards from here.

    Raises:
        UsageError: there is no `dbt_project.yml`.
    """
    start = cwd or Path.cwd()
    named = given or dbt_variable(os.environ if env is None else env, "PROJECT_DIR")
    if named:
        directory = start / Path(named).expanduser()
        if not (directory / PROJECT_FILE).is_file():
            raise UsageError(
                f"there is no {PROJECT_FILE} in {directory}",
                hint="Give the directory of the dbt project with --project-dir.",
            )
        return directory.resolve()
    for directory in (start, *start.parents):
        if (directory / PROJECT_FILE).is_file():
            return directory.resolve()
    raise UsageError(
        f"there is no {PROJECT_FILE} in {start}, nor in a directory above it",
        hint="Change to the dbt project, or give it with --project-dir.",
    )


def read_project(
    *,
    project_dir: Path | str | None = None,
    target_path: Path | str | None = None,
    cli_vars: str | Mapping[str, Any] = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Project:
    """Read the project's file.

    Args:
        project_dir: `--project-dir`.
        target_path: `--target-path`; else `DBT_TARGET_PATH`, `target-path` of the file, `target`.
        cli_vars: `--vars`, YAML text or read already; its `planhat` keys go before those of the file.
        env: the environment; default: that of the process.
        cwd: where to start from; default: the current directory.

    Raises:
        UsageError: there is no project, or its file or `--vars` cannot be read.
    """
    environment = os.environ if env is None else env
    directory = find_project_dir(project_dir, env=environment, cwd=cwd)
    document = _read(directory / PROJECT_FILE)
    in_project = Faults(model="", file=PROJECT_FILE, place=f"vars.{KEY}")
    name = _text(document, "name", environment, in_project)
    with_vars, faults = document, in_project
    if not document.get("vars") and (directory / VARS_FILE).is_file():
        with_vars, faults = _read(directory / VARS_FILE), replace(in_project, file=VARS_FILE)
    raw, places = _planhat_vars(with_vars, name, _read_vars(cli_vars), faults)
    target = target_path or dbt_variable(environment, "TARGET_PATH")
    target = target or _text(document, "target-path", environment, in_project) or "target"
    return Project(
        directory=directory,
        name=name,
        profile=_text(document, "profile", environment, in_project) or None,
        target_path=directory / Path(target).expanduser(),
        settings=_settings(_rendered(raw, environment, faults, ""), faults),
        model_paths=_model_paths(document),
        faults=tuple(_placed(fault, places) for fault in in_project.found),
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        document = read_yaml(file.read_text(encoding="utf-8"))
    except OSError as e:
        raise UsageError(f"{file} cannot be read: {e.strerror or e}") from e
    except (ValueError, yaml.YAMLError) as e:
        raise UsageError(f"{file} is not YAML: {_one_line(e)}", hint="`dbt parse` says more.") from e
    if not isinstance(document, dict):
        raise UsageError(f"{file} should hold a mapping, not {kind_of(document)}")
    return document


def _read_vars(given: str | Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(given, str):
        return given
    try:
        found = read_yaml(given) if given.strip() else {}
    except yaml.YAMLError as e:
        raise UsageError(f"--vars is not YAML: {_one_line(e)}") from e
    if not isinstance(found, dict):
        raise UsageError(
            f"--vars should be a YAML mapping, not {kind_of(found)}",
            hint="For example: --vars '{planhat: {max_calls_per_minute: 100}}'",
        )
    return found


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _planhat_vars(
    document: dict[str, Any], name: str, cli_vars: Mapping[str, Any], faults: Faults
) -> tuple[dict[str, Any], dict[str, str]]:
    """`vars: planhat:`, over it those of `vars: <project>: planhat:`, over these those of `--vars`.

    Returns:
        The settings; and for each, also for each of `defaults`, the place that it is from.
    """
    in_file = _mapping(document.get("vars"))
    of_project = _mapping(in_file.get(name))
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    places = ((in_file, f"vars.{KEY}"), (of_project, f"vars.{name}.{KEY}"), (cli_vars, f"{_CLI} {KEY}"))
    for source, place in places:
        found = source.get(KEY)
        if isinstance(found, dict):
            if (
                source is in_file and name == KEY
            ):  # a project that is itself called planhat: both places in one
                found = {k: v for k, v in found.items() if k != KEY}
            defaults = [m["defaults"] for m in (merged, found) if isinstance(m.get("defaults"), dict)]
            merged |= found
            origin |= dict.fromkeys(map(str, found), place)
            origin |= {f"defaults.{key}": place for key in _mapping(found.get("defaults"))}
            if len(defaults) == 2:
                merged["defaults"] = defaults[0] | defaults[1]
        elif found is not None:
            faults.error(f"/{place}", f"expected a mapping of settings, found {kind_of(found)}.")
    return merged, origin


def _placed(fault: Fault, places: Mapping[str, str]) -> Fault:
    """A fault at the place that its setting is from: other vars of the file, or the command line."""
    path = fault.path
    if path.startswith(f"vars.{KEY}."):
        setting = path.removeprefix(f"vars.{KEY}.")
        keys = re.split(r"[.\[]", setting)
        place = places.get(".".join(keys[:2])) or places.get(keys[0]) or f"vars.{KEY}"
        path = f"{place}.{setting}"
    if path.startswith(f"{_CLI} "):
        return replace(fault, file=_CLI, path=path.removeprefix(f"{_CLI} "))
    return replace(fault, path=path)


def _model_paths(document: dict[str, Any]) -> tuple[str, ...]:
    found = document.get("model-paths")
    paths = tuple(p for p in found if isinstance(p, str)) if isinstance(found, list) else ()
    return paths or ("models",)


def _settings(raw: dict[str, Any], faults: Faults) -> ProjectSettings:
    defaults: object = raw.pop("defaults", None)
    settings = parse(ProjectSettings, raw, faults) or ProjectSettings()
    if defaults is None:
        return settings
    if not isinstance(defaults, dict):
        faults.error("defaults", f"expected a mapping, found {kind_of(defaults)}.")
        return settings
    options = parse(Options, defaults, faults, "defaults")
    right = {k: v for k, v in defaults.items() if options and k in options.model_fields_set}
    return settings.model_copy(update={"defaults": right})


def _text(document: dict[str, Any], key: str, env: Mapping[str, str], faults: Faults) -> str:
    value = document.get(key)
    return str(_rendered(value, env, faults, f"/{key}")) if isinstance(value, str) else ""


def _rendered(value: Any, env: Mapping[str, str], faults: Faults, path: str) -> Any:
    """The value with `{{ env_var('NAME', 'default') }}` replaced; any other Jinja is a fault."""
    if isinstance(value, dict):
        below = ((k, v, f"{path}.{k}" if path else str(k)) for k, v in value.items())
        return {k: _rendered(v, env, faults, p) for k, v, p in below}
    if isinstance(value, list):
        return [_rendered(v, env, faults, f"{path}[{i}]") for i, v in enumerate(value)]
    if not isinstance(value, str) or "{{" not in value:
        return value

    def replaced(match: re.Match[str]) -> str:
        default: str | None = match["default"]
        found = env.get(match["name"]) if match["name"] in env else default
        if found is None:
            faults.error(
                path, f"the environment variable {match['name']} is not set, and has no default here."
            )
        return found or ""

    text = _ENV_VAR.sub(replaced, value)
    if "{{" in text:
        faults.error(path, "only `{{ env_var('NAME', 'default') }}` is understood here, no other Jinja.")
    return text
