"""Which syncs a command is about: `--select` and `--exclude`, in dbt's grammar, over dbt's graph.

A selector picks syncs by their own name, and nodes of the project as dbt would; a node stands for the syncs that are
declared on it. So `+people` is every sync on a model that `people` is built from, `people` included.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from planhat_dbt.errors import UsageError
from planhat_dbt.objects import find_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from planhat_dbt.artifacts import Node
    from planhat_dbt.declaration.types import Sync

_PART: Final = re.compile(
    r"(?P<at>@)?(?:(?P<up>\d*)(?P<parents>\+))?(?:(?P<method>[a-z_.]+):)?(?P<value>[^+@]+)"
    r"(?:(?P<children>\+)(?P<down>\d*))?"
)
_WILDCARD: Final = re.compile(r"[*?\[\]]")
_METHODS: Final = (
    "names, tag:…, object:…, path:…, fqn:…, package:…, resource_type:…, each with + for its graph"
)


def select_syncs(
    syncs: Sequence[Sync],
    select: Sequence[str],
    exclude: Sequence[str],
    nodes: Mapping[str, Node] | None = None,
) -> tuple[Sync, ...]:
    """Choose the enabled syncs that are selected and not excluded, in their order.

    Spaces join and commas intersect, as dbt has it.

    Args:
        syncs: Those of the project.
        select: Selectors; none: all.
        exclude: Selectors.
        nodes: dbt's models, seeds and snapshots by unique id.

    Raises:
        UsageError: A selector names nothing, or is none.
    """
    selection = _Selection(syncs, nodes or {})
    chosen = selection.names(select) if select else {s.name for s in syncs}
    left_out = selection.names(exclude) if exclude else set()
    found = tuple(s for s in syncs if s.enabled and s.name in chosen and s.name not in left_out)
    if select and not any(text.split() for text in select):
        raise UsageError("--select is empty: it names no sync.", hint="Leave it out to take all of them.")
    if select and not found:
        disabled = [s.name for s in syncs if s.name in chosen - left_out]
        why = f"disabled: {', '.join(disabled)} (enabled: false)" if disabled else "left out by --exclude"
        raise UsageError(f"All selected syncs are {why}.", hint="See the syncs with `planhat-dbt list`.")
    return found


def why_none(declared: Sequence[Sync]) -> str:
    """Say why no sync is left to be used.

    Args:
        declared: Those of the project.
    """
    if not declared:
        return "No syncs. Add a `planhat` block under `config: meta:` of a model and run `dbt parse`."
    several = len(declared) > 1
    if any(s.enabled for s in declared):
        left = f"none of the {len(declared):,} declared syncs" if several else "out the one declared sync"
        return f"The selection leaves {left}."
    whole = f"All {len(declared):,} declared syncs are" if several else "The one declared sync is"
    return f"{whole} disabled (`enabled: false`)."


class _Selection:
    """A project's syncs and nodes, to be chosen from."""

    def __init__(self, syncs: Sequence[Sync], nodes: Mapping[str, Node]) -> None:
        self._syncs = syncs
        self._nodes = nodes
        self._children: defaultdict[str, list[str]] = defaultdict(list)
        for node in nodes.values():
            for parent in node.depends_on:
                self._children[parent].append(node.unique_id)

    def names(self, selectors: Sequence[str]) -> set[str]:
        """The syncs that any of these selectors picks."""
        found: set[str] = set()
        for selector in (word for text in selectors for word in text.split()):
            parts = [self._picked(selector, part) for part in selector.split(",")]
            matched = set.intersection(*parts)
            if not matched:
                self._refuse(selector)
            found |= matched
        return found

    def _picked(self, selector: str, part: str) -> set[str]:
        found = _PART.fullmatch(part)
        if found is None:
            raise UsageError(f"{selector!r} is no selector.", hint=f"Use {_METHODS}.")
        if found["at"]:
            raise UsageError(
                f"{selector!r}: @ is not known here.", hint=f"Use + for parents and children: +{part[1:]}+."
            )
        method, value = found["method"] or "", found["value"]
        syncs = {s.name for s in self._syncs if self._matches(selector, s, method, value)}
        if not (found["parents"] or found["children"]):
            return syncs
        nodes = {n.unique_id for n in self._nodes.values() if _node_matches(n, method, value)}
        nodes |= {s.model.unique_id for s in self._syncs if s.name in syncs}
        reached = set(nodes)
        if found["parents"]:
            reached |= _reached(nodes, self._parents, found["up"])
        if found["children"]:
            reached |= _reached(nodes, self._children.__getitem__, found["down"])
        return syncs | {s.name for s in self._syncs if s.model.unique_id in reached}

    def _parents(self, unique_id: str) -> Sequence[str]:
        node = self._nodes.get(unique_id)
        return node.depends_on if node else ()

    def _matches(self, selector: str, sync: Sync, method: str, value: str) -> bool:
        node = self._nodes.get(sync.model.unique_id)
        match method:
            case "":
                named = fnmatchcase(sync.name, value) or fnmatchcase(sync.model.name, value)
                return named or (node is not None and _node_matches(node, "", value))
            case "tag":
                return any(fnmatchcase(tag, value) for tag in (*sync.tags, *sync.model.tags))
            case "object":
                wanted = find_object(value)
                return wanted is not None and sync.object.name == wanted.name
            case "path":
                return _in_path(sync.model.path, value, below=False) or (
                    node is not None and _in_path(node.original_file_path, value)
                )
            case "fqn" | "package" | "resource_type":
                return node is not None and _node_matches(node, method, value)
            case _:
                raise UsageError(f"{selector!r} is no selector.", hint=f"Use {_METHODS}.")

    def _refuse(self, selector: str) -> None:
        if ":" not in selector and ("/" in selector or selector.endswith((".sql", ".csv", ".py"))):
            raise UsageError(
                f"No sync matches {selector!r}.",
                hint=f"Write `path:` before a file or folder: --select path:{selector}",
            )
        near = difflib.get_close_matches(selector.strip("+"), [s.name for s in self._syncs], n=1)
        hint = f"Did you mean {near[0]}?" if near else "See the syncs with `planhat-dbt list`."
        raise UsageError(f"No sync matches {selector!r}.", hint=hint)


def _reached(start: Iterable[str], step: Callable[[str], Sequence[str]], depth: str) -> set[str]:
    """Everything within so many steps; empty: however far."""
    found: set[str] = set()
    edge, left = set(start), int(depth) if depth else -1
    while edge and left:
        edge = {reached for node in edge for reached in step(node)} - found
        found |= edge
        left -= 1
    return found


def _node_matches(node: Node, method: str, value: str) -> bool:
    match method:
        case "" | "fqn":
            return _is_named(node, value)
        case "tag":
            return any(fnmatchcase(tag, value) for tag in node.tags)
        case "path":
            return _in_path(node.original_file_path, value)
        case "package":
            return fnmatchcase(node.package_name, value)
        case "resource_type":
            return node.resource_type == value
        case _:
            return False


def _is_named(node: Node, value: str) -> bool:
    """Match as dbt's `fqn`: the name, or the folders that lead to it, with or without the package."""
    return fnmatchcase(node.name, value) or any(_leads_to(fqn, value) for fqn in (node.fqn, node.fqn[1:]))


def _leads_to(fqn: Sequence[str], value: str) -> bool:
    """From the first word with a wildcard on, the rest is matched as a whole: there, `*` goes over dots."""
    words, parts = value.split("."), ".".join(fqn).split(".")
    plain = next((i for i, word in enumerate(words) if _WILDCARD.search(word)), len(words))
    if len(parts) < len(words) or parts[:plain] != words[:plain]:
        return False
    return plain == len(words) or fnmatchcase(".".join(parts[plain:]), ".".join(words[plain:]))


def _in_path(path: str, value: str, *, below: bool = True) -> bool:
    """Whether a pattern, read from the project's folder on, names a file, or a folder that it is in."""
    return _is_along(PurePosixPath(path).parts, PurePosixPath(value).parts, below=below)


def _is_along(parts: Sequence[str], pattern: Sequence[str], *, below: bool) -> bool:
    if not pattern:
        return below or not parts
    if pattern[0] == "**":
        return any(_is_along(parts[skip:], pattern[1:], below=below) for skip in range(len(parts) + 1))
    here = bool(parts) and fnmatchcase(parts[0], pattern[0])
    return here and _is_along(parts[1:], pattern[1:], below=below)
