"""The dbt profile: which warehouse, read without importing dbt (`profiles.yml`, with `env_var()` rendered)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from planhat_dbt.environment import dbt_variable
from planhat_dbt.errors import UsageError
from planhat_dbt.yaml_text import read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

UNPROVEN: Final = ("databricks", "redshift", "spark", "trino")
"""Those that were never run for real nor on an emulator by others, and want a word of consent (decision 41)."""
SUPPORTED: Final = ("duckdb", "postgres", "snowflake", "bigquery", *UNPROVEN)
"""Types of targets that can be opened."""
_PLAIN: Final = frozenset(
    [
        "type",
        "path",
        "schema",
        "database",
        "threads",
        "settings",
        "config_options",
        "extensions",
        "attach",
        "keep_open",
        "disable_transactions",
        "retries",
        "external_root",
    ]
)


@dataclass(frozen=True, slots=True)
class DuckDBTarget:
    """What is needed to open a plain DuckDB profile natively."""

    name: str
    """The dbt target, e.g. `dev`."""
    path: str
    database: str
    """DuckDB names a database after its file."""
    settings: tuple[tuple[str, object], ...] = ()
    default: str = ""
    """The target that dbt takes where none is named."""
    written: str = ""
    """The path as the profile says it; `path` is where that leads from here."""
    setup: tuple[str, ...] = ()
    """Statements to run after connecting: extensions, settings, attached databases."""

    @property
    def remote(self) -> bool:
        """Whether `path` is not a file of this machine."""
        return ":" in self.path and not Path(self.path).drive


@dataclass(frozen=True, slots=True)
class AdapterTarget:
    """A target that is reached through its dbt adapter."""

    name: str
    """The dbt target, e.g. `prod`."""
    type: str
    """Which adapter, e.g. `postgres`."""
    output: Mapping[str, Any] = field(repr=False)
    """What the profile says, rendered; it holds secrets."""
    file: str = ""
    """Where it says so."""
    default: str = ""
    """The target that dbt takes where none is named."""


Target = DuckDBTarget | AdapterTarget


_FILE: Final = "profiles.yml"
_PORTS: Final = {"postgres": 5432, "redshift": 5439, "trino": 8080}


def data_source(target: Target) -> str:
    """Name the warehouse as OpenLineage does (its dbt integration, too), without any secret."""
    if isinstance(target, DuckDBTarget):
        return f"duckdb://{target.written.partition('?')[0]}"
    if target.type == "snowflake":
        return f"snowflake://{target.output.get('account')}"
    if target.type == "bigquery":
        return "bigquery"
    host = target.output.get("host") or "localhost"
    port = target.output.get("port") or _PORTS.get(target.type)
    return f"{target.type}://{host}:{port}" if port else f"{target.type}://{host}"


def read_target(
    profile: str,
    project_dir: Path,
    environ: Mapping[str, str],
    *,
    profiles_dir: Path | None = None,
    built_with: Path | None = None,
    target: str | None = None,
) -> Target:
    """Find `profiles.yml` as dbt does and read one target of one profile.

    Args:
        profile: Its name.
        project_dir: The folder of the project.
        environ: The environment.
        profiles_dir: The folder that was asked for.
        built_with: Else the one of dbt's last run, if it is on this machine.
        target: The target's name; None: the profile's own.

    Raises:
        UsageError: No such file, profile or target, or one that cannot be opened.
    """
    file = _find(project_dir, environ, profiles_dir, built_with)
    profiles = _load(file, environ)
    if profile not in profiles:
        known = ", ".join(sorted(p for p in profiles if p != "config")) or "none"
        raise UsageError(f"{file} has no profile {profile!r} (it has: {known}).", hint=_PROFILE_HINT)
    entry = profiles[profile] or {}
    outputs = entry.get("outputs") if isinstance(entry, dict) else None
    if not isinstance(outputs, dict):
        raise UsageError(
            f"Profile {profile!r} in {file} has no `outputs`.", hint="Check it with `dbt debug`."
        )
    default = str(entry.get("target") or "default")
    name = target or dbt_variable(environ, "TARGET") or default
    if name not in outputs:
        known = ", ".join(sorted(outputs)) or "none"
        raise UsageError(
            f"Profile {profile!r} in {file} has no target {name!r} (it has: {known}).",
            hint="Name one of them with --target.",
        )
    return replace(_target(name, outputs[name], file, project_dir), default=default)


_PROFILE_HINT: Final = (
    "Name the profile in dbt_project.yml or with --profile, its folder with --profiles-dir."
)


def _find(
    project_dir: Path, environ: Mapping[str, str], profiles_dir: Path | None, built_with: Path | None
) -> Path:
    named = dbt_variable(environ, "PROFILES_DIR")
    if profiles_dir is None and built_with and (project_dir / built_with / _FILE).is_file():
        folders = [project_dir / built_with]
    elif profiles_dir or named:
        folders = [profiles_dir or Path(named)]
    else:
        folders = [Path.cwd(), project_dir, Path.home() / ".dbt"]
    for folder in folders:
        if (folder / _FILE).is_file():
            return folder / _FILE
    looked = ", ".join(dict.fromkeys(str(f) for f in folders))
    raise UsageError(f"No profiles.yml in {looked}.", hint=_PROFILE_HINT)


def _load(file: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    try:
        loaded = read_yaml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        # Neither the text nor the cause: both would show a piece of a file that holds secrets.
        raise UsageError(
            f"{file} cannot be read{_place(error)}.", hint="Check it with `dbt debug`."
        ) from None
    if not isinstance(loaded, dict):
        raise UsageError(f"{file} is not a mapping of profiles.", hint="Check it with `dbt debug`.")
    return {str(k): _render(v, file, environ) for k, v in loaded.items()}


def _place(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        # What it quotes is the file's own text: `password: *x` reads as an alias, and would be named here.
        problem = re.split("['\"]", error.problem or "")[0].strip() or "a fault"
        return f": {problem} in line {mark.line + 1}, column {mark.column + 1}"
    return f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""


def _render(value: Any, file: Path, environ: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        # Only what is asked for is rendered: other targets may name variables that are not set here.
        return {
            k: _Lazy(v, file, environ) if k == "outputs" else _render(v, file, environ)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [_render(v, file, environ) for v in value]
    if isinstance(value, str) and ("{{" in value or "{%" in value):
        return _render_text(value, file, environ)
    return value


class _Lazy(dict[str, Any]):
    def __init__(self, outputs: Any, file: Path, environ: Mapping[str, str]) -> None:
        super().__init__(outputs if isinstance(outputs, dict) else {})
        self._file, self._environ = file, environ

    def __getitem__(self, key: str) -> Any:
        return _render(super().__getitem__(key), self._file, self._environ)


def _render_text(text: str, file: Path, environ: Mapping[str, str]) -> Any:
    import jinja2  # noqa: PLC0415 - costs a tenth of a second, and most profiles need none
    from jinja2.nativetypes import NativeEnvironment  # noqa: PLC0415

    def env_var(name: str, default: str | None = None) -> str:
        if name in environ:
            return environ[name]
        if default is None:
            raise UsageError(
                f"{file} needs the environment variable {name}.", hint=f"Set it: export {name}=…"
            )
        return default

    try:
        # As dbt: text unless the template itself converts with `as_number`, `as_bool`, `as_native`.
        environment = NativeEnvironment() if "as_n" in text or "as_bool" in text else jinja2.Environment()  # noqa: S701 - not HTML
        environment.filters |= {"as_number": float, "as_bool": bool, "as_native": lambda v: v, "as_text": str}
        return environment.from_string(text).render(env_var=env_var)
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError) as error:
        # Neither the text nor the cause, as above.
        raise UsageError(
            f"{file}: a Jinja expression of this target cannot be rendered ({type(error).__name__}).",
            hint="Check it with `dbt debug`; of dbt's functions only `env_var` is understood here.",
        ) from None


def _target(name: str, output: Any, file: Path, project_dir: Path) -> Target:
    kind = output.get("type") if isinstance(output, dict) else None
    if kind not in SUPPORTED:
        raise UsageError(
            f"Target {name!r} in {file} is of type {kind!r}; this version opens {', '.join(SUPPORTED)}.",
            hint="Name another target with --target.",
        )
    if kind == "duckdb":
        return _duckdb_target(name, output, file, project_dir)
    return AdapterTarget(name, kind, output, str(file))


def _duckdb_target(name: str, output: Mapping[str, Any], file: Path, project_dir: Path) -> DuckDBTarget:
    shapes = (
        ("path", str),
        ("settings", dict),
        ("config_options", dict),
        ("extensions", list),
        ("attach", list),
    )
    bad = [k for k, shape in shapes if output.get(k) and not isinstance(output[k], shape)]
    bad += ["attach" for a in output.get("attach") or () if not (isinstance(a, dict) and a.get("path"))]
    bad += ["extensions" for e in output.get("extensions") or () if not (isinstance(e, str) or _named(e))]
    if bad:
        raise UsageError(
            f"Target {name!r} in {file}: {bad[0]} is not of the form dbt-duckdb wants.",
            hint="Check it with `dbt debug`.",
        )
    odd = sorted(k for k, v in output.items() if v and k not in _PLAIN)
    if odd:
        raise UsageError(
            f"Target {name!r} in {file} uses {', '.join(odd)}, which this version does not open.",
            hint="Use a target with a plain file path.",
        )
    path = str(output.get("path") or ":memory:")
    if path.startswith(":memory:"):
        raise UsageError(
            f"Target {name!r} in {file} keeps its data in memory, so nothing is left after dbt ends.",
            hint="Give the target a file: `path: my_project.duckdb`.",
        )
    written, path = path, _resolve(path, project_dir)
    return DuckDBTarget(
        name=name,
        written=written,
        default=name,
        path=path,
        database=str(output.get("database") or Path(path).stem),
        settings=tuple(sorted((output.get("config_options") or {}).items())),
        setup=tuple(_setup(output, project_dir)),
    )


def _named(extension: object) -> bool:
    return isinstance(extension, dict) and bool(extension.get("name"))


def _resolve(path: str, project_dir: Path) -> str:
    # dbt opens a relative path from the folder it is started in, usually the project's.
    if ":" in path or Path(path).is_absolute():
        return path
    here = Path.cwd() / path
    there = project_dir / path
    return str(there if there.exists() and not here.exists() else here)


def _setup(output: Mapping[str, Any], project_dir: Path) -> list[str]:
    statements = [
        f"load {extension['name'] if isinstance(extension, dict) else extension}"
        for extension in output.get("extensions") or ()
    ]
    for key, value in (output.get("settings") or {}).items():
        text = str(value).replace("'", "''")
        statements.append(f"set {key} = '{text}'")
    for attached in output.get("attach") or ():
        path = str(attached["path"])
        if (project_dir / path).is_file() and not Path(path).is_file():  # else it may be no file at all
            path = str(project_dir / path)
        path = path.replace("'", "''")
        alias = f' as "{attached["alias"]}"' if attached.get("alias") else ""
        kind = f"type {attached['type']}, " if attached.get("type") else ""
        statements.append(f"attach if not exists '{path}'{alias} ({kind}read_only)")
    return statements
