"""`planhat-dbt exposures`: the syncs as dbt exposures."""

from __future__ import annotations

import contextlib
import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from planhat_dbt.bootstrap import load_checked
from planhat_dbt.cli.options import project_options, request, selection_options
from planhat_dbt.errors import FailedError, UsageError
from planhat_dbt.lineage.exposures import exposures_document, is_ours, private_models
from planhat_dbt.report.wording import counted
from planhat_dbt.selection import select_syncs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from planhat_dbt.bootstrap import Loaded

NAME: Final = "planhat_exposures.yml"
_SHOWN: Final = 40
"""Lines of a difference that are shown."""
_SOURCES: Final = (".sql", ".yml", ".yaml", ".py")


@click.command()
@project_options
@selection_options
@click.option(
    "--path",
    "given_path",
    metavar="FILE",
    help=f"The file to write; `-`: standard output.  [default: {NAME} in the project's first model path]",
)
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 if the file is not up to date.")
def exposures(given_path: str | None, *, check: bool, **given: Any) -> None:
    """Write the syncs as dbt exposures, so that dbt's graph and docs show them.

    It reads dbt's manifest: run `dbt parse` before it after a change. A file that it did not write is never touched.

    Exit code 0: written, or up to date; 1: --check found a difference; 2: wrong usage or declaration.
    """
    asked = request(given)
    loaded = load_checked(asked)
    syncs = select_syncs(loaded.declarations.syncs, asked.select, asked.exclude, loaded.manifest.nodes)
    if given_path == "-" and check:
        raise UsageError("--check needs a file to look at.", hint="Name it with --path FILE.")
    default = loaded.project.directory / loaded.project.model_paths[0] / NAME
    path = default if given_path in (None, "-") else Path(given_path or "")
    if path.suffix not in (".yml", ".yaml"):
        raise UsageError(
            f"dbt reads exposures from .yml and .yaml files alone, not from {_shown(path)}.",
            hint="Name another: planhat-dbt exposures --path models/syncs.yml",
        )
    text = exposures_document(
        syncs, loaded.manifest, loaded.project.settings, file=_in_project(path, loaded.project.directory)
    )
    for name in private_models(syncs, loaded.manifest):
        click.echo(
            f"Note: model {name} is private, and dbt lets no exposure depend on it: its sync stands alone in the "
            "graph.",
            err=True,
        )
    for note in _notes(loaded, path):
        click.echo(f"Note: {note}", err=True)
    if given_path == "-":
        click.echo(text, nl=False)
        return
    present = _read(path)
    if check:
        _check(path, present, text)
        click.echo(f"{_shown(path)} is up to date: {counted(len(syncs), 'exposure')}.")
    elif present == text:
        click.echo(f"{_shown(path)} was up to date: {counted(len(syncs), 'exposure')}.")
    else:
        _write(path, text)
        click.echo(f"{_shown(path)}: {counted(len(syncs), 'exposure')} written.")


def _in_project(path: Path, directory: Path) -> str:
    """The path as dbt's manifest would name it; empty where it is outside of the project."""
    whole = path.resolve()
    return whole.relative_to(directory).as_posix() if whole.is_relative_to(directory) else ""


def _shown(path: Path) -> str:
    whole, here = path.resolve(), Path.cwd()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else str(whole)


def _read(path: Path) -> str | None:
    """The file's text; None if there is none.

    Raises:
        UsageError: It is not one of ours.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for, for ever
        raise UsageError(
            f"{_shown(path)} is no file.", hint="To print the YAML: planhat-dbt exposures --path -"
        )
    try:
        text = path.read_text(encoding="utf-8")  # reads the line ends of any system as \n
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{_shown(path)} cannot be read: {reason}.", hint="Name another --path.") from error
    if not is_ours(text):
        raise UsageError(
            f"{_shown(path)} was not written by `planhat-dbt exposures`; it was left as it is.",
            hint="Move it away, or name another file: planhat-dbt exposures --path models/syncs.yml",
        )
    return text


def _check(path: Path, present: str | None, text: str) -> None:
    hint = "Bring it up to date and commit it: dbt parse && planhat-dbt exposures (with the same options)"
    if present is None:
        raise FailedError(f"{_shown(path)} does not exist.", hint=hint)
    if present == text:
        return
    lines = list(
        difflib.unified_diff(
            present.splitlines(), text.splitlines(), "in the file", "as declared", lineterm="", n=2
        )
    )
    for line in lines[:_SHOWN]:
        click.echo(line)
    if len(lines) > _SHOWN:
        click.echo(f"… and {counted(len(lines) - _SHOWN, 'more line')}")
    raise FailedError(f"{_shown(path)} is not up to date.", hint=hint)


def _write(path: Path, text: str) -> None:
    whole = path.resolve()
    part = whole.with_name(f".{whole.name}.part")
    try:
        part.write_bytes(text.encode())
        part.replace(whole)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise FailedError(
            f"{_shown(path)} cannot be written: {error.strerror or error}.", hint="Name another --path."
        ) from error


def _notes(loaded: Loaded, path: Path) -> Iterator[str]:
    project, manifest = loaded.project, loaded.manifest
    roots = [project.directory / p for p in project.model_paths]
    if not any(path.resolve().is_relative_to(r.resolve()) for r in roots):
        yield f"dbt reads exposures in {', '.join(project.model_paths)} alone; this file is elsewhere."
    written = manifest.generated_at.timestamp() if manifest.generated_at else None
    declared = [project.directory / s.model.path for s in loaded.declarations.syncs]
    files = [project.directory / "dbt_project.yml", *declared, *_sources(roots)]
    newer = _newest(files, path.resolve())
    if written is not None and newer and newer[0] > written:
        yield (
            f"dbt's manifest is older than {_shown(newer[1])}: run `dbt parse`, then this again, or the change is not "
            "seen."
        )
    stale = {
        e.original_file_path
        for e in manifest.exposures
        if e.tells_sync and e.package_name == manifest.project_name
    } - {_in_project(path, project.directory)}
    for file in sorted(stale):
        if (project.directory / file).is_file():
            yield f"{file} holds exposures of syncs, too; dbt takes no name twice: delete one of the files."


def _sources(roots: Sequence[Path]) -> Iterator[Path]:
    for root in roots:
        yield from (p for p in root.rglob("*") if p.suffix in _SOURCES)


def _newest(files: Sequence[Path], but: Path) -> tuple[float, Path] | None:
    found = [(f.stat().st_mtime, f) for f in files if f.is_file() and f.resolve() != but]
    return max(found, default=None)
