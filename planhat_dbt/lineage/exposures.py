"""Syncs as dbt exposures: the text of a YAML file, the same bytes for the same declarations (decision 32)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import yaml

from planhat_dbt.declaration.types import CompanyRef, Constant, FieldMapping, Lookup, Sync

if TYPE_CHECKING:
    from collections.abc import Iterable

    from planhat_dbt.artifacts import Manifest, Node
    from planhat_dbt.settings import ProjectSettings

MARK: Final = "# Written by `planhat-dbt exposures`"
"""How our files begin; a file that begins otherwise is never written over."""
_HEADER: Final = f"""{MARK}: changes made by hand are lost.
# After a change of a declaration: dbt parse && planhat-dbt exposures
"""
_JINJA: Final = re.compile(r"\{(?=[{%#])")


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, _data: object) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Text of several lines stands as it is read."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def exposures_document(
    syncs: Iterable[Sync], manifest: Manifest, settings: ProjectSettings, *, file: str
) -> str:
    """Write the exposures of syncs as YAML, in the order of their names.

    Args:
        syncs: Those to write.
        manifest: The project as dbt last parsed it.
        settings: Owner, maturity and addresses.
        file: Where the text will stand, relative to the project: exposures found there are not in the way.
    """
    ordered = sorted(syncs, key=lambda s: s.name)
    names = _names(ordered, manifest, file)
    entries = [_exposure(s, names[s.name], manifest, settings) for s in ordered]
    body = yaml.dump(
        {"version": 2, "exposures": entries},
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=float("inf"),
    )
    return f"{_HEADER}{body}"


def private_models(syncs: Iterable[Sync], manifest: Manifest) -> tuple[str, ...]:
    """Name the models that dbt lets no exposure depend on."""
    return tuple(sorted({s.model.name for s in syncs if _is_private(manifest.nodes[s.model.unique_id])}))


def is_ours(text: str) -> bool:
    """Whether a file is one of ours, which may be written anew."""
    return text.startswith(MARK)


def _names(syncs: list[Sync], manifest: Manifest, file: str) -> dict[str, str]:
    """An exposure's name for each sync: none that another exposure of the project has."""
    taken = {
        e.name
        for e in manifest.exposures
        if e.package_name == manifest.project_name and e.original_file_path != file and not e.tells_sync
    }
    wanted = {f"{s.name}_to_planhat" for s in syncs}
    names = {}
    for sync in syncs:
        name, number = f"{sync.name}_to_planhat", 1
        while name in taken or (number > 1 and name in wanted):
            number += 1
            name = f"{sync.name}_to_planhat_{number}"
        names[sync.name] = name
        taken.add(name)
    return names


def _exposure(sync: Sync, name: str, manifest: Manifest, settings: ProjectSettings) -> dict[str, Any]:
    node = manifest.nodes[sync.model.unique_id]
    owner = {
        "name": settings.exposure_owner or (None if settings.exposure_owner_email else manifest.project_name),
        "email": settings.exposure_owner_email,
    }
    url = settings.exposure_urls.get(sync.object.name) or settings.exposure_urls.get("default")
    exposure: dict[str, Any] = {
        "name": name,
        "label": f"Planhat {sync.object.name}: {sync.name}",
        "type": "application",
        "maturity": settings.exposure_maturity.value,
        "owner": {k: _plain(v) for k, v in owner.items() if v},
    }
    if url:
        exposure["url"] = _plain(url)
    if not _is_private(node):
        exposure["depends_on"] = [_ref(node, manifest.project_name)]
    exposure["description"] = _description(sync)
    exposure["config"] = {"meta": {"planhat": _meta(sync)}}
    return exposure


def _is_private(node: Node) -> bool:
    return node.access == "private"


def _ref(node: Node, project: str) -> str:
    package = "" if node.package_name == project else f"'{node.package_name}', "
    if not node.version:
        return f"ref({package}'{node.name}')"
    version = node.version if re.fullmatch(r"[1-9]\d*", node.version) else f"'{node.version}'"
    return f"ref({package}'{node.name}', v={version})"


def _description(sync: Sync) -> str:
    """What it does, and what feeds which field: dbt's docs show Markdown here, but meta as one line of JSON."""
    verb = {"upsert": "Creates and updates", "update": "Updates", "insert": "Creates"}[sync.mode.value]
    by = f", matched on {sync.match.field}" if sync.match else ""
    rows = [_row(m) for m in sorted(sync.fields, key=lambda m: m.target)]
    table = ["", "| from | Planhat field |", "|---|---|", *rows] if rows else []
    what = (
        f"{verb} Planhat {sync.object.plural} from {sync.model.name}{by} (sync {sync.name} of planhat_dbt)."
    )
    return "\n".join([what, *table])


def _row(mapping: FieldMapping) -> str:
    source = mapping.source
    match source:
        case Constant(value=value):
            told = f"the value {_code(json.dumps(value, sort_keys=True, ensure_ascii=False, default=str))}"
        case CompanyRef(column=column, by=by):
            told = f"{_code(column)}, a company's {by}"
        case Lookup(column=column, object=kind, by=by):
            told = f"{_code(column)}, looked up as {kind} by {by}"
        case _:
            told = _code(source.column)
    return f"| {told} | {_code(mapping.target)} |"


def _code(text: str) -> str:
    """Text as code in a cell of a Markdown table."""
    one_line = " ".join(text.split()).replace("|", r"\|")
    return f"`` {_plain(one_line)} ``" if "`" in text else f"`{_plain(one_line)}`"


def _meta(sync: Sync) -> dict[str, Any]:
    meta: dict[str, Any] = {"sync": sync.name, "object": sync.object.name, "mode": sync.mode.value}
    if sync.match:
        meta["match"] = {"column": _plain(sync.match.column), "field": sync.match.field}
    meta["key"] = _plain(sync.key)
    meta["on_removed"] = sync.on_removed.value
    meta["fields"] = [_mapping(m) for m in sorted(sync.fields, key=lambda m: m.target)]
    return meta


def _mapping(mapping: FieldMapping) -> dict[str, Any]:
    """One field: `column` or `value`, then the Planhat `field`, and how one becomes the other."""
    source, field = mapping.source, _plain(mapping.target)
    match source:
        case Constant(value=value):
            return {"value": _in_order(value), "field": field}
        case CompanyRef(column=column, by=by):
            return {"column": _plain(column), "field": field, "company_by": by}
        case Lookup(column=column, object=kind, by=by):
            return {"column": _plain(column), "field": field, "lookup": kind, "by": by}
    return {"column": _plain(source.column), "field": field}


def _in_order(value: Any) -> Any:
    """A constant whose keys come in one order, however they were written."""
    if isinstance(value, str):
        return _plain(value)
    if isinstance(value, dict | list):
        # As JSON text: the keys of a mapping inside `meta` would be read by dbt with their values as Jinja.
        return _plain(json.dumps(value, sort_keys=True, ensure_ascii=False))
    return value


def _plain(text: str) -> str:
    """Text that dbt's Jinja leaves as it is."""
    return _JINJA.sub("{{ '{' }}", text)
