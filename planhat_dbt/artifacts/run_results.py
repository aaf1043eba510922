"""`run_results.json`: what the last dbt command built and tested (dbt-notes §2)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from planhat_dbt.artifacts.command import command_of
from planhat_dbt.artifacts.document import mapping, moment, names, read_document, schema_version, text
from planhat_dbt.artifacts.types import NodeResult, RunResults
from planhat_dbt.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

OLDEST, NEWEST = 4, 6
_SELECTING = ("select", "models", "exclude", "selector", "resource_types", "exclude_resource_types")
_TEST, _RETRY = "test", "retry"
_WORDS = {"generate": "docs generate"}
"""What dbt notes by another name than it is written."""
HINT = "Run `dbt build` again; to sync without its results, delete the file and the folder `run` beside it."


def read_run_results(path: Path) -> RunResults | None:
    """Read the run results at `path`; None if there is no such file.

    Raises:
        UsageError: the file is unreadable, not run results, or of a schema older than v4.
    """
    document = read_document(path, "dbt's run results", hint=HINT)
    if document is None:
        return None
    version = schema_version(document, "run-results")
    if version is None or version < OLDEST:
        told = "no dbt run results" if version is None else f"dbt run results of schema v{version}"
        raise UsageError(f"{path} is {told}; expected schema v{OLDEST} to v{NEWEST}", hint=HINT)
    metadata, args = mapping(document.get("metadata")), mapping(document.get("args"))
    results, how = document.get("results"), _invoked(args)
    return RunResults(
        path=path,
        command=_WORDS.get(which := text(args.get("which")), which),
        target=text(args.get("target")) or None,
        profile=text(args.get("profile")) or None,
        profiles_dir=text(args.get("profiles_dir")),
        vars=MappingProxyType(mapping(args.get("vars"))),
        empty=args.get("empty") is True,
        sample=bool(args.get("sample")),
        selected=any(args.get(name) for name in _SELECTING) or how is None,
        retried=how == _RETRY,
        is_eager=args.get("indirect_selection") in (None, "eager"),
        leaves_out_tests=_leaves_out_tests(args),
        dbt_version=text(metadata.get("dbt_version")),
        invocation_id=text(metadata.get("invocation_id")),
        generated_at=moment(metadata.get("generated_at")),
        started_at=moment(metadata.get("invocation_started_at")),
        results=MappingProxyType(
            {
                r.unique_id: r
                for raw in (results if isinstance(results, list) else ())
                if (r := _result(mapping(raw)))
            }
        ),
        warning=""
        if version <= NEWEST
        else f"{path} has schema v{version}, newer than v{NEWEST}; it is read as v{NEWEST}",
    )


def _invoked(args: dict[str, Any]) -> str | None:
    """Which command was given, which for a retry is not the one that `which` tells; None: it is not known.

    dbt notes the words of its process without their quotes. They are another program's where that called dbt.
    """
    which, words = text(args.get("which")), text(args.get("invocation_command")).split()[1:]
    if which == _RETRY or (_RETRY in words and which not in words):
        return _RETRY
    return which if not words or which in words or command_of(words) is not None else None


def _leaves_out_tests(args: dict[str, Any]) -> bool:
    only, without = names(args.get("resource_types")), names(args.get("exclude_resource_types"))
    by_kind = (bool(only) and _TEST not in only) or _TEST in without
    return (
        by_kind
        or args.get("indirect_selection") == "empty"
        or bool(args.get("exclude") or args.get("selector"))
    )


def _result(raw: dict[str, Any]) -> NodeResult | None:
    unique_id = text(raw.get("unique_id"))
    if not unique_id:
        return None
    failures = raw.get("failures")
    return NodeResult(
        unique_id=unique_id,
        status=text(raw.get("status")),
        message=text(raw.get("message")) or None,
        failures=failures if isinstance(failures, int) else None,
        relation_name=text(raw.get("relation_name")),
        test_sql=text(raw.get("compiled_code")) if unique_id.startswith("test.") else "",
    )
