"""`target/run`: what dbt last executed to build each node. It stays when a later command writes other results.

`--empty` and `--sample` put each reference in brackets with a condition (dbt-adapters, `BaseRelation.render_limited`
and `render_event_time_filtered`), so the files tell of them after the results that named the flag are gone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from planhat_dbt.artifacts.types import Written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from planhat_dbt.artifacts.types import Manifest, Node, RunResults

_EMPTY: Final = re.compile(r"\(select \* from \S+ where false limit 0\)")
_MOMENT: Final = r"'\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?\+00:00'"
_SAMPLE: Final = re.compile(rf"\(select \* from \S+ where\s[^;]{{1,300}}? (>=|<) {_MOMENT}[^;]{{0,300}}?\)")


def read_written(manifest: Manifest, results: RunResults | None) -> dict[str, Written]:
    """Read what dbt last executed for the declared nodes and all they are built from, as far as there are files.

    Args:
        manifest: The project; the files lie beside it.
        results: What dbt's last command left, if anything.
    """
    since = max(_stamp(manifest), results.path.stat().st_mtime if results and results.path.exists() else 0.0)
    folder = manifest.path.parent / "run"
    found: dict[str, Written] = {}
    for node in _concerned(manifest) if folder.is_dir() else ():
        files = list(_files(folder, node))
        if files:
            newest = max(file.stat().st_mtime for file in files)
            found[node.unique_id] = Written(newest > since, _partial(node, files))
    return found


def _stamp(manifest: Manifest) -> float:
    return manifest.generated_at.timestamp() if manifest.generated_at else float("inf")


def _concerned(manifest: Manifest) -> Iterator[Node]:
    left = [unique_id for unique_id, node in manifest.nodes.items() if node.is_declared]
    seen = set(left)
    while left:
        node = manifest.nodes.get(left.pop())
        if node is None:
            continue
        yield node
        parents = [parent for parent in node.depends_on if parent not in seen]
        seen.update(parents)
        left += parents


def _files(folder: Path, node: Node) -> Iterator[Path]:
    """Of a model one; of one that is built in batches, and of several snapshots in one file, a folder of that name."""
    path = folder / node.package_name / node.original_file_path
    if path.is_dir():
        yield from (file for file in path.rglob("*") if file.is_file())
    elif path.is_file():
        yield path


def _partial(node: Node, files: list[Path]) -> str:
    if node.resource_type == "seed":  # no reference in it
        return ""
    for file in files:
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if _EMPTY.search(text):
            return "--empty"
        if not node.is_microbatch and _SAMPLE.search(text):
            return "--sample"
    return ""
