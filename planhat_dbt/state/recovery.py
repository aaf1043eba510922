"""Recovery files: what Planhat answered, where the warehouse could not take it down (DESIGN §9).

A disk that is full, a file that is locked for good: the calls were made, and their outcome would be lost. It goes into
a file beside dbt's target folder (`dbt clean` empties that one); the next run enters it before it compares. Such a file
holds keys, ids and Planhat's words, never a mapped value.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from planhat_dbt.errors import FailedError
from planhat_dbt.outcome import BatchOutcome, FoundId, FoundIds, RowOutcome, RowStatus
from planhat_dbt.state.journal import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER: Final = "planhat_recovery"
"""Beside the target folder."""
_VERSION: Final = 1
_MOMENTS: Final = ("sent_at", "answered_at")
_PLAIN: Final = ("batch", "rows", "bytes", "calls", "http_status", "created", "updated", "unchanged", "error")


@dataclass(frozen=True, slots=True)
class Learnt:
    """What became of one window of a plan."""

    window: Window
    outcomes: tuple[BatchOutcome, ...]
    again: tuple[int, ...]
    """Plan rows whose record was gone, and that were sent whole."""
    mapping_version: int
    had_prior: bool
    """Whether the plan holds keys that the snapshot table knew."""
    key_since: int


@dataclass(frozen=True, slots=True)
class Recovery:
    """The content of a recovery file."""

    run_id: str
    sync: str
    target: str
    schema: str
    """Of the state tables."""
    learnt: Learnt
    done: tuple[tuple[str, str | None], ...]
    """Keys, and ids where they were told, of accepted rows that must not be sent twice; of other syncs: none."""


def write_recovery(folder: Path, recovery: Recovery) -> Path:
    """Write a recovery file: whole or not at all, for the user's eyes only.

    Raises:
        OSError: It cannot be written either.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="ascii")
    path = folder / f"{recovery.run_id}-{recovery.sync}-{recovery.learnt.window.first}.json"
    handle, draft = tempfile.mkstemp(dir=folder, prefix=".", suffix=".draft")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_encoded(recovery))
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(draft).unlink()
        raise
    return path


def read_recoveries(folder: Path) -> list[tuple[Path, Recovery]]:
    """Read all recovery files of a folder, the oldest first (run ids are ordered by time).

    Raises:
        FailedError: One cannot be read.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append((path, _decoded(path.read_bytes())))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise FailedError(
                f"The recovery file {path} cannot be read ({type(error).__name__}). Nothing was sent.",
                hint="It tells what an earlier run could not write down. Restore it, or move it away: records are then "
                "compared anew, and events of that run are held until `planhat-dbt resolve`.",
            ) from None
    return found


def unsent_rows(learnt: Learnt, rows: Sequence[RowOutcome]) -> Learnt:
    """Add rows that were to be sent whole, and were not, as held."""
    by_row = {r.row: r for r in rows}
    outcomes = tuple(
        replace(o, again=(), exceptions=(*o.exceptions, *(by_row[n] for n in o.again)))
        for o in learnt.outcomes
    )
    return replace(learnt, outcomes=outcomes)


def _encoded(recovery: Recovery) -> bytes:
    learnt = recovery.learnt
    document = {
        "version": _VERSION,
        "run_id": recovery.run_id,
        "sync": recovery.sync,
        "target": recovery.target,
        "schema": recovery.schema,
        "first": learnt.window.first,
        "last": learnt.window.last,
        "again": learnt.again,
        "mapping_version": learnt.mapping_version,
        "had_prior": learnt.had_prior,
        "key_since": learnt.key_since,
        "outcomes": [_outcome_as_json(o) for o in learnt.outcomes],
        "done": recovery.done,
    }
    return orjson.dumps(document)


def _outcome_as_json(outcome: BatchOutcome) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(outcome, name) for name in (*_PLAIN, *_MOMENTS)}
    values["ids"] = [tuple(i) for i in outcome.ids]
    values["exceptions"] = [(*e[:3], e.status.value, e.code, e.message) for e in outcome.exceptions]
    return values


def _decoded(data: bytes) -> Recovery:
    document = orjson.loads(data)
    if document["version"] != _VERSION:
        raise ValueError("another version wrote it")
    learnt = Learnt(
        window=Window(document["first"], document["last"]),
        outcomes=tuple(_outcome_of(o) for o in document["outcomes"]),
        again=tuple(document["again"]),
        mapping_version=document["mapping_version"],
        had_prior=document["had_prior"],
        key_since=document["key_since"],
    )
    names = ("run_id", "sync", "target", "schema")
    done = tuple((key, planhat_id) for key, planhat_id in document["done"])
    return Recovery(**{name: document[name] for name in names}, learnt=learnt, done=done)


def _outcome_of(values: dict[str, Any]) -> BatchOutcome:
    parts: dict[str, Any] = {name: values[name] for name in _PLAIN}
    for name in _MOMENTS:
        parts[name] = dt.datetime.fromisoformat(values[name]) if values[name] else None
    parts["ids"] = FoundIds.of(FoundId(*i) for i in values["ids"])
    parts["exceptions"] = tuple(
        RowOutcome(row, key, operation, RowStatus(status), code, message)
        for row, key, operation, status, code, message in values["exceptions"]
    )
    return BatchOutcome(**parts)
