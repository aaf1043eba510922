"""`target/run`: what dbt last executed to build each node. It stays when a later command writes other results.

`--empty` and `--sample` put each reference in brackets with a condition (dbt-adapters, `BaseRelation.render_limited`
and `render_event_time_filtered`), so the files tell of them after the results that named the flag are gone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from planhat_dbt.artifacts.types import Written

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from planhat_dbt.artifacts.types import Manifest, Node, RunResults

_EMPTY: Final = re.compile(r"\(select \* from [^\n]{1,500}? where false limit 0\)")
_PART: Final = re.compile(r"\(select \* from ([^\n]{1,500}?) where ([^\n]{1,800})")
_MOMENT: Final = r"'\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[^']*'"
_COPIED: Final = 60.0
"""Seconds within which a target folder is copied: the files have their times in any order then."""


def read_written(manifest: Manifest, results: RunResults | None, *, texts: bool = True) -> dict[str, Written]:
    """Look at what dbt last executed for the declared nodes and all they are built from, as far as there are files.

    Args:
        manifest: The project; the files lie beside it.
        results: What dbt's last command left, if anything.
        texts: Whether to read the files; without that they tell when they were written.
    """
    folder = manifest.path.parent / "run"
    since = _last_told(manifest, results)
    found: dict[str, Written] = {}
    for node in _concerned(manifest) if folder.is_dir() else ():
        file = _newest(folder, node)
        if file is not None:
            partial = _partial(file, node, manifest.event_times) if texts else ""
            found[node.unique_id] = Written(file.stat().st_mtime > since, partial)
    return found


def _last_told(manifest: Manifest, results: RunResults | None) -> float:
    """When dbt last said what it had done; without results, when it began."""
    if results is not None and results.path.exists():
        return results.path.stat().st_mtime + _COPIED
    return manifest.generated_at.timestamp() if manifest.generated_at else float("inf")


def _concerned(manifest: Manifest) -> Iterator[Node]:
    left = [unique_id for unique_id, node in manifest.nodes.items() if node.is_declared]
    seen = set(left)
    while left:
        node = manifest.nodes.get(left.pop())
        if node is None:
            continue
        if node.materialized != "ephemeral":  # built with each that refers to it; a file is of former times
            yield node
        parents = [parent for parent in node.depends_on if parent not in seen]
        seen.update(parents)
        left += parents


def _newest(folder: Path, node: Node) -> Path | None:
    path = folder / node.package_name / node.run_path
    if not node.is_microbatch:
        return path if path.is_file() else None
    batches = (path.parent / path.stem).glob(f"{path.stem}_*")
    return max([*batches, *([path] if path.is_file() else [])], key=lambda p: p.stat().st_mtime, default=None)


def _partial(file: Path, node: Node, event_times: Mapping[str, str]) -> str:
    if node.resource_type == "seed":  # nothing is referred to
        return ""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    if _EMPTY.search(text):
        return "--empty"
    if node.is_microbatch or not event_times:
        return ""
    sampled = any(_is_sample(event_times.get(name), rest) for name, rest in _PART.findall(text))
    return "--sample" if sampled else ""


def _is_sample(column: str | None, condition: str) -> bool:
    """Whether a condition is that of a sample: from one moment to another of the column that dbt knows for it."""
    if column is None:
        return False
    name = re.escape(column)
    return bool(re.match(rf"[^']*{name}[^']*>= {_MOMENT} and [^']*{name}[^']*< {_MOMENT}\)", condition))
