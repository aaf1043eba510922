"""Plans and results as JSON documents; `target/planhat_results.json` in the spirit of dbt's run results."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson

from planhat_dbt import __version__
from planhat_dbt.errors import FailedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from planhat_dbt.result import RunResult, SyncResult


def as_json(document: dict[str, Any]) -> str:
    """Write a document for people and programs: indented, times in UTC with `Z`."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC
    return orjson.dumps(document, option=options).decode()


def plan_document(target: str, results: Sequence[SyncResult]) -> dict[str, Any]:
    """Tell plans: per sync the counts, calls and sample rows."""
    return {
        "metadata": {"planhat_dbt_version": __version__, "target": target},
        "results": [_plan(r) for r in results],
    }


def _plan(result: SyncResult) -> dict[str, Any]:
    base: dict[str, Any] = {
        "sync": result.sync,
        "model": result.model,
        "object": result.object,
        "mode": result.mode,
        "status": result.status.value,
        "reason": result.reason or None,
    }
    plan = result.plan
    if plan is None:
        return base
    return base | {
        "rows_in_model": plan.rows_in_model,
        "rows_known": plan.rows_known,
        "operations": {o.value: n for o, n in plan.operations.items()},
        "set_aside": dict(plan.set_aside),
        "noted": dict(plan.noted),
        "to_look_up": plan.to_look_up,
        "to_read_back": plan.to_read_back,
        "calls": plan.calls,
        "samples": [
            {
                "operation": s.operation.value,
                "key": s.key,
                "changes": {f: list(v) for f, v in s.changes.items()},
            }
            for s in plan.samples
        ],
    }


def result_document(result: RunResult) -> dict[str, Any]:
    """Tell a run: metadata, one entry per sync (the columns of `sync_runs`), totals."""
    return {
        "metadata": {
            "planhat_dbt_version": __version__,
            "run_id": result.run_id,
            "invocation_id": result.invocation_id,
            "target": result.target,
            "command": result.command,
            "started_at": result.started_at,
            "finished_at": result.finished_at,
            "status": result.status.value,
            "exit_code": result.exit_code,
        },
        "results": [
            {
                "sync": r.sync,
                "model": r.model,
                "object": r.object,
                "mode": r.mode,
                "status": r.status.value,
                "reason": r.reason or None,
                "rows_in_model": r.plan.rows_in_model if r.plan else None,
                **asdict(r.counts),
                "noted": dict(r.plan.noted) if r.plan else {},
                "calls": r.calls,
                "seconds_compare": round(r.seconds_compare, 3),
                "seconds_deliver": round(r.seconds_deliver, 3),
            }
            for r in result.results
        ],
        "totals": {**asdict(result.totals), "calls": result.calls, "bytes_sent": result.bytes_sent},
    }


def write_results(target_dir: Path, result: RunResult) -> dict[str, Any]:
    """Write `planhat_results.json` into dbt's target folder, and hand the document back.

    Readers see the file of before or this one, never a part, also if the process is killed meanwhile.

    Raises:
        FailedError: The file cannot be written; the state in the warehouse is complete all the same.
    """
    document = result_document(result)
    path = target_dir / "planhat_results.json"
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(as_json(document) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise FailedError(
            f"{path} cannot be written: {error.strerror or error}.",
            hint="The sync itself is done and recorded in the warehouse.",
        ) from error
    return document
