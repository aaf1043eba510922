"""Which syncs a command is about: `--select` and `--exclude`, in dbt's manner."""

from __future__ import annotations

import difflib
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from planhat_dbt.errors import UsageError
from planhat_dbt.objects import find_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planhat_dbt.declaration.types import Sync


def select_syncs(syncs: Sequence[Sync], select: Sequence[str], exclude: Sequence[str]) -> tuple[Sync, ...]:
    """Choose the enabled syncs that are selected and not excluded, in their order.

    A selector is a sync or model name (with `*`), `tag:x`, `object:x` or `path:x`; spaces join, commas intersect.

    Raises:
        UsageError: A selector names nothing.
    """
    chosen = _names(syncs, select) if select else {s.name for s in syncs}
    left_out = _names(syncs, exclude) if exclude else set()
    found = tuple(s for s in syncs if s.enabled and s.name in chosen and s.name not in left_out)
    if select and not found:
        disabled = [s.name for s in syncs if s.name in chosen - left_out]
        why = f"disabled: {', '.join(disabled)} (enabled: false)" if disabled else "left out by --exclude"
        raise UsageError(f"All selected syncs are {why}.", hint="See the syncs with `planhat-dbt list`.")
    return found


def _names(syncs: Sequence[Sync], selectors: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for selector in (word for text in selectors for word in text.split()):
        parts = [{s.name for s in syncs if _matches(s, part)} for part in selector.split(",")]
        matched = set.intersection(*parts)
        if not matched:
            _refuse(selector, syncs)
        found |= matched
    return found


def _matches(sync: Sync, selector: str) -> bool:
    method, colon, value = selector.partition(":")
    if not colon:
        return fnmatchcase(sync.name, selector) or fnmatchcase(sync.model.name, selector)
    if method == "tag":
        return any(fnmatchcase(tag, value) for tag in (*sync.tags, *sync.model.tags))
    if method == "object":
        wanted = find_object(value)
        return wanted is not None and sync.object.name == wanted.name
    if method == "path":
        return sync.model.path == value or sync.model.path.startswith(value.rstrip("/") + "/")
    raise UsageError(
        f"{selector!r} is no selector.", hint="Use a sync or model name, tag:…, object:… or path:… ."
    )


def _refuse(selector: str, syncs: Sequence[Sync]) -> None:
    near = difflib.get_close_matches(selector, [s.name for s in syncs], n=1)
    hint = f"Did you mean {near[0]}?" if near else "See the syncs with `planhat-dbt list`."
    raise UsageError(f"No sync matches {selector!r}.", hint=hint)
