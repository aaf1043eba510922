"""`manifest.json` as plain JSON; dbt is not imported for it, so reading takes milliseconds (dbt-notes §2)."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from pathlib import PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from planhat_dbt.artifacts.document import mapping, moment, names, parsed, read_content, schema_version, text
from planhat_dbt.artifacts.types import KEY, Column, Exposure, Manifest, MetaPlace, Node, Test
from planhat_dbt.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

VERSION = 12
RELATIONS = ("model", "seed", "snapshot")
NO_META: Mapping[str, Any] = MappingProxyType({})


def read_manifest(path: Path) -> Manifest:
    """Read the manifest at `path`.

    Raises:
        UsageError: it is missing, unreadable, not a manifest, or of a schema other than v12.
    """
    hint = "Run `dbt parse` (or `dbt build`) in the project, then try again."
    with _no_collection():
        content = read_content(path, _WHAT, hint=hint)
        if content is None:
            raise UsageError(f"dbt's manifest was not found: {path}", hint=hint)
        try:
            return _checked(path, msgspec.structs.asdict(_PARTS.decode(content)))
        except (msgspec.DecodeError, orjson.JSONDecodeError):  # of an odd shape, or no JSON: this one tells
            return _checked(path, parsed(content, path, _WHAT, hint=hint))


_WHAT: Final = "dbt's manifest"


class _Parts(msgspec.Struct):
    """What is read of a manifest. The rest, and nodes until their turn comes, stay bytes: values take more."""

    metadata: Any = None
    nodes: dict[str, msgspec.Raw] = {}
    unit_tests: dict[str, msgspec.Raw] = {}
    exposures: Any = None
    disabled: dict[str, msgspec.Raw] = {}
    selectors: Any = None
    sources: dict[str, msgspec.Raw] = {}


_PARTS: Final = msgspec.json.Decoder(_Parts)


def _read(part: Any) -> Any:
    return orjson.loads(memoryview(part)) if isinstance(part, msgspec.Raw) else part


def _checked(path: Path, document: dict[str, Any]) -> Manifest:
    found = schema_version(document, "manifest")
    if found != VERSION:
        told = "no dbt manifest" if found is None else f"a dbt manifest of schema v{found}"
        raise UsageError(
            f"{path} is {told}; expected schema v{VERSION}, which dbt 1.8 and later write",
            hint=_version_hint(found),
        )
    return _manifest(path, document)


def _version_hint(found: int | None) -> str:
    if found is not None and found > VERSION:
        return "This dbt is newer than planhat-dbt knows: upgrade planhat-dbt."
    return "Run `dbt parse` with dbt 1.8 or later, then try again."


@contextmanager
def _no_collection() -> Iterator[None]:
    # A large manifest is millions of fresh objects and no cycles: looking for them takes half the time.
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _manifest(path: Path, document: dict[str, Any]) -> Manifest:
    metadata = mapping(document.get("metadata"))
    nodes: dict[str, Node] = {}
    tests: list[Test] = []
    event_times = dict(_event_times(map(_read, mapping(document.get("sources")).values())))
    for unique_id, part in mapping(document.get("nodes")).items():
        raw = _read(part)
        kind = raw.get("resource_type") if isinstance(raw, dict) else None
        if kind in RELATIONS:
            nodes[unique_id] = _node(unique_id, raw)
            event_times |= _event_times([raw])
        elif kind == "test":
            tests.append(_test(unique_id, raw))
    for unique_id, raw in mapping(document.get("unit_tests")).items():
        tests.append(_unit_test(unique_id, mapping(_read(raw))))
    return Manifest(
        path=path,
        project_name=text(metadata.get("project_name")),
        adapter_type=text(metadata.get("adapter_type")),
        dbt_version=text(metadata.get("dbt_version")),
        invocation_id=text(metadata.get("invocation_id")),
        generated_at=moment(metadata.get("generated_at")),
        nodes=MappingProxyType(nodes),
        tests=tuple(tests),
        exposures=tuple(_exposures(document)),
        event_times=MappingProxyType(event_times),
        has_default_selector=any(
            mapping(s).get("default") is True for s in mapping(document.get("selectors")).values()
        ),
    )


def _event_times(raws: Iterable[Any]) -> Iterator[tuple[str, str]]:
    for raw in raws:
        found = mapping(raw)
        column = text(mapping(found.get("config")).get("event_time"))
        if column and found.get("relation_name"):
            yield text(found.get("relation_name")), column


def _run_path(raw: dict[str, Any]) -> str:
    """As dbt's `get_target_write_path`: several nodes of one file have a folder of its name."""
    file, path = PurePath(text(raw.get("original_file_path"))), PurePath(text(raw.get("path")))
    return str(file if path.name in ("", file.name) else file / path)


def _node(unique_id: str, raw: dict[str, Any]) -> Node:
    config = mapping(raw.get("config"))
    meta, place = _meta(raw)
    patch_path = text(raw.get("patch_path"))
    return Node(
        unique_id=unique_id,
        resource_type=raw["resource_type"],
        name=text(raw.get("name")),
        package_name=text(raw.get("package_name")),
        database=text(raw.get("database")),
        schema=text(raw.get("schema")),
        alias=text(raw.get("alias")) or text(raw.get("name")),
        relation_name=text(raw.get("relation_name")) or None,
        original_file_path=text(raw.get("original_file_path")),
        patch_path=patch_path.partition("://")[2] or patch_path or None,
        tags=names(raw.get("tags") or config.get("tags")),
        fqn=names(raw.get("fqn")),
        depends_on=names(mapping(raw.get("depends_on")).get("nodes")),
        meta=meta,
        meta_place=place,
        enabled=config.get("enabled") is not False,
        materialized=text(config.get("materialized"))
        or ("table" if raw["resource_type"] != "model" else "view"),
        columns=tuple(_column(name, mapping(c)) for name, c in mapping(raw.get("columns")).items()),
        version="" if raw.get("version") is None else str(raw["version"]),
        access=text(raw.get("access") or config.get("access")),
        is_microbatch=config.get("incremental_strategy") == "microbatch",
        run_path=_run_path(raw),
    )


def _exposures(document: dict[str, Any]) -> Iterator[Exposure]:
    """All exposures, the disabled ones included: dbt lets no two have one name."""
    disabled = [raw for several in mapping(document.get("disabled")).values() for raw in _read(several)]
    for raw in (*mapping(document.get("exposures")).values(), *disabled):
        if isinstance(raw, dict) and raw.get("resource_type") == "exposure":
            yield Exposure(
                name=text(raw.get("name")),
                package_name=text(raw.get("package_name")),
                original_file_path=text(raw.get("original_file_path")),
                tells_sync="sync" in mapping(_meta(raw)[0].get(KEY)),
            )


def _column(name: str, raw: dict[str, Any]) -> Column:
    meta, place = _meta(raw)
    return Column(
        name=text(raw.get("name")) or name,
        data_type=text(raw.get("data_type")) or None,
        meta=meta,
        meta_place=place,
    )


def _meta(raw: dict[str, Any]) -> tuple[Mapping[str, Any], MetaPlace]:
    """`config.meta` if it holds a declaration, or if `meta` holds none either; else `meta`.

    dbt 1.x copies one into the other for nodes, 1.8 and 1.9 do not for columns; dbt 2 has the first only.
    """
    inner, outer = mapping(mapping(raw.get("config")).get("meta")), mapping(raw.get("meta"))
    if KEY in inner or (inner and KEY not in outer):
        return inner, "config.meta"
    return (outer, "meta") if outer else (NO_META, "config.meta")


def _test(unique_id: str, raw: dict[str, Any]) -> Test:
    return Test(
        unique_id=unique_id,
        name=text(raw.get("name")),
        attached_node=text(raw.get("attached_node")) or None,
        depends_on=names(mapping(raw.get("depends_on")).get("nodes")),
        severity=text(mapping(raw.get("config")).get("severity")).lower() or "error",
    )


def _unit_test(unique_id: str, raw: dict[str, Any]) -> Test:
    depends_on = names(mapping(raw.get("depends_on")).get("nodes"))
    return Test(
        unique_id=unique_id,
        name=text(raw.get("name")),
        attached_node=depends_on[0] if len(depends_on) == 1 else None,
        depends_on=depends_on,
        severity="error",
    )
