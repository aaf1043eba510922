"""From the manifest to checked syncs: finds the `planhat` blocks and column-level forms, and reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from planhat_dbt.declaration.across import check_across
from planhat_dbt.declaration.block import Block, ColumnBlock, ColumnValue
from planhat_dbt.declaration.check import Draft, check
from planhat_dbt.declaration.mapping import Entry
from planhat_dbt.declaration.old_place import ADVICE, warn_of_old_place
from planhat_dbt.declaration.order import check_order, delivery_order
from planhat_dbt.declaration.parse import field_entries, parse
from planhat_dbt.declaration.types import Declarations, Model, Relation
from planhat_dbt.declaration.wording import Faults, did_you_mean, kind_of, one_of

if TYPE_CHECKING:
    from pathlib import Path

    from planhat_dbt.artifacts import Column, Manifest, Node
    from planhat_dbt.settings import ProjectSettings

KEY = "planhat"
_ALIKE = 0.8


@dataclass(slots=True)
class _Found:
    """One block as it stands in the manifest, and the columns that add to it."""

    raw: dict[str, Any]
    faults: Faults
    name: str
    named: bool
    columns: list[Entry] = field(default_factory=list)


def read_declarations(
    manifest: Manifest, settings: ProjectSettings, *, project_dir: Path | None = None
) -> Declarations:
    """Read and check all declarations of a project.

    Args:
        manifest: dbt's manifest.
        settings: the project's settings; their `defaults` hold where a block says nothing.
        project_dir: where the YAML files are; with it, declarations in the old top-level `meta` are noticed,
            which the manifest of dbt 1.x cannot tell apart.

    Returns:
        The syncs without errors in delivery order (DESIGN §4), and all faults of all declarations.
    """
    groups: list[Faults] = []
    drafts: list[Draft] = []
    for node in manifest.nodes.values():
        groups.append(_misspelt(node, manifest.project_name))
        if not node.is_declared:
            continue
        model = _model(node, manifest.project_name)
        general = Faults(node.name, model.path, f"{node.meta_place}.{KEY}")
        groups.append(general)
        warn_of_old_place(node, general, project_dir)
        blocks = _blocks(node, model, general)
        for column in node.columns:
            if KEY in column.meta:
                _add_column(column, blocks, Faults(node.name, model.path, _column_place(column)), groups)
        for found in blocks:
            groups.append(found.faults)
            if draft := _draft(found, model, settings):
                drafts.append(draft)
    checked = [(draft, check(draft)) for draft in drafts]
    check_across(checked)
    check_order(checked)
    syncs = (sync for draft, sync in checked if sync and not draft.faults.has_errors)
    return Declarations(
        syncs=delivery_order(syncs),
        faults=tuple(dict.fromkeys(fault for group in groups for fault in group.found)),
    )


def _misspelt(node: Node, project: str) -> Faults:
    """Warn of a key of `meta` that looks like ours: a declaration under it would vanish without a word."""
    faults = Faults(node.name, _file(node, project), node.meta_place)
    for key in node.meta:
        alike = SequenceMatcher(None, key.casefold(), KEY).ratio() > _ALIKE
        if key != KEY and alike:
            faults.warn(key, f"this key is not read; did you mean `{KEY}`?")
    return faults


def _file(node: Node, project: str) -> str:
    file = node.patch_path or node.original_file_path
    return file if node.package_name in ("", project) else f"dbt_packages/{node.package_name}/{file}"


def _model(node: Node, project: str) -> Model:
    return Model(
        unique_id=node.unique_id,
        name=node.name,
        relation=Relation(node.database, node.schema, node.alias, node.relation_name or ""),
        path=_file(node, project),
        tags=node.tags,
        fqn=node.fqn,
        depends_on=node.depends_on,
        is_table=node.is_table,
        is_incremental=node.materialized == "incremental",
    )


def _blocks(node: Node, model: Model, general: Faults) -> list[_Found]:
    """The blocks of a node: one mapping, or a list of mappings that have names."""
    declared = node.meta.get(KEY)
    several = isinstance(declared, list)
    blocks: list[_Found] = []
    if declared is None:
        if KEY in node.meta:
            general.error("", "the block is empty; expected a mapping with `object`, `match` and `fields`.")
        return blocks
    for index, raw in enumerate(declared if isinstance(declared, list) else [declared]):
        place = f"[{index}]" if several else ""
        if not isinstance(raw, dict):
            kinds = "a mapping" if several else "a mapping, or a list of mappings"
            general.error(f"/{general.place}{place}", f"expected {kinds}, found {kind_of(raw)}.")
            continue
        name = raw.get("name")
        faults = Faults(node.name, model.path, f"{general.place}{place}")
        named = isinstance(name, str)
        blocks.append(_Found(raw, faults, name if isinstance(name, str) else node.name, named))
    if len(blocks) > 1:
        for block in blocks:
            if not block.named and block.raw.get("name") is None:
                block.faults.error(
                    "", "`name` is missing: a model that feeds several syncs names each of them."
                )
    return blocks


def _column_place(column: Column) -> str:
    return f"columns[{column.name}].{column.meta_place}.{KEY}"


def _add_column(column: Column, blocks: list[_Found], faults: Faults, groups: list[Faults]) -> None:
    """Add the column-level forms of one column to the blocks they belong to."""
    groups.append(faults)
    if column.meta_place == "meta":
        faults.warn("", ADVICE)
    declared = column.meta[KEY]
    for index, raw in enumerate(declared if isinstance(declared, list) else [declared]):
        place = f"{faults.place}[{index}]" if isinstance(declared, list) else faults.place
        here = Faults(faults.model, faults.file, place)
        groups.append(here)
        if isinstance(raw, str):
            raw = {"field": raw}  # noqa: PLW2901  the short form of the same
        if not isinstance(raw, dict):
            here.error("", f"expected a Planhat field, or a mapping with `field`, found {kind_of(raw)}.")
            continue
        form = parse(ColumnBlock, raw, here)
        owner = _owner(form, blocks, here) if form else None
        if form and owner:
            value = ColumnValue(column=column.name, nulls=form.nulls, write=form.write)
            owner.columns.append(Entry(form.field, value, f"/{place}"))


def _owner(form: ColumnBlock, blocks: list[_Found], faults: Faults) -> _Found | None:
    names = [b.name for b in blocks]
    if not blocks:
        faults.error(
            "", "the model has no `planhat` block; add `config.meta.planhat` with `object` and `match` to it."
        )
        return None
    if form.sync is None:
        if len(blocks) == 1:
            return blocks[0]
        faults.error(
            "", f"the model feeds several syncs; say which: `{{sync: {names[0]}, field: {form.field}}}`."
        )
        return None
    if form.sync not in names:
        faults.error(
            "sync",
            f"the model has no sync `{form.sync}`; expected {one_of(names)}.{did_you_mean(form.sync, names)}",
        )
        return None
    return blocks[names.index(form.sync)]


def _draft(found: _Found, model: Model, settings: ProjectSettings) -> Draft | None:
    """Read a block over the project's defaults, and gather its fields."""
    defaulted = frozenset(settings.defaults) - frozenset(found.raw)
    block = parse(Block, {**settings.defaults, **found.raw}, found.faults)
    if block is None:
        return None
    entries = tuple(Entry(t, v, f"fields.{t}") for t, v in field_entries(block.fields))
    return Draft(model, block, (*entries, *found.columns), defaulted, found.faults)
