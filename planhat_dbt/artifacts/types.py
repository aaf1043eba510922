"""What we keep of dbt's artifacts: light, frozen values (dbt-notes §2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

KEY: Final = "planhat"
"""The key of `meta` that holds our declarations."""
MetaPlace: TypeAlias = Literal["config.meta", "meta"]
"""Where a `meta` mapping was found; dbt 2 reads the first only."""

_TABLES: Final = frozenset(("table", "incremental", "seed", "snapshot"))
"""Materializations whose rows lie in a table."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column as its YAML declares it; the built table may differ."""

    name: str
    data_type: str | None
    meta: Mapping[str, Any]
    meta_place: MetaPlace


@dataclass(frozen=True, slots=True)
class Node:
    """A model, seed or dbt snapshot."""

    unique_id: str
    resource_type: Literal["model", "seed", "snapshot"]
    name: str
    package_name: str
    database: str
    schema: str
    alias: str
    relation_name: str | None
    """The quoted, fully rendered name; None where there is no table (ephemeral models)."""
    original_file_path: str
    patch_path: str | None
    """The YAML file that describes the node, relative to its package; None if there is none."""
    tags: tuple[str, ...]
    fqn: tuple[str, ...]
    depends_on: tuple[str, ...]
    """Unique ids of the nodes and sources it selects from directly."""
    meta: Mapping[str, Any]
    meta_place: MetaPlace
    enabled: bool
    materialized: str
    columns: tuple[Column, ...]
    version: str = ""
    """Of a versioned model; empty: it has none."""
    access: str = ""
    """`private`, `protected` or `public`; empty: not told (seeds, snapshots)."""
    is_microbatch: bool = False
    """Whether it is built in batches of time; their SQL looks as that of a sample does."""
    run_path: str = ""
    """Where dbt writes what it executes to build the node, below `target/run` and its package."""

    @property
    def is_declared(self) -> bool:
        """Whether it has a `planhat` block."""
        return KEY in self.meta or any(KEY in column.meta for column in self.columns)

    @property
    def is_table(self) -> bool:
        """Whether its rows change with a build only; a view's change with what it reads."""
        return self.materialized in _TABLES


@dataclass(frozen=True, slots=True)
class Exposure:
    """A use of models outside dbt, as dbt's graph shows it."""

    name: str
    package_name: str
    original_file_path: str
    tells_sync: bool
    """Whether its `meta` says that `planhat-dbt exposures` wrote it."""


@dataclass(frozen=True, slots=True)
class Test:
    """A data test or unit test."""

    unique_id: str
    name: str
    attached_node: str | None
    """The node it is declared on; None for singular tests."""
    depends_on: tuple[str, ...]
    severity: str
    """`error` or `warn`."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`manifest.json`: the project as dbt last parsed it, for one target."""

    path: Path
    project_name: str
    adapter_type: str
    dbt_version: str
    invocation_id: str
    generated_at: datetime | None
    nodes: Mapping[str, Node]
    """By unique id: models, seeds and snapshots."""
    tests: tuple[Test, ...]
    exposures: tuple[Exposure, ...] = ()
    has_default_selector: bool = False
    """Whether a selector of `selectors.yml` applies where dbt is asked for nothing in particular."""
    event_times: Mapping[str, str] = field(default_factory=dict)
    """Rendered name of a node or source → its `event_time` column, by which `--sample` takes a part of it."""


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What became of one node or test."""

    unique_id: str
    status: str
    """As dbt says it: success, error, skipped, pass, fail, warn, …"""
    message: str | None
    failures: int | None
    relation_name: str = ""
    """The table or view that was built, as the manifest spells it; empty: not told."""
    test_sql: str = ""
    """Of a test: what was run."""


@dataclass(frozen=True, slots=True)
class RunResults:
    """`run_results.json`: what the last dbt command did."""

    path: Path
    command: str
    """`args.which`: build, run, test, compile, …; empty if not told."""
    target: str | None
    """Only where it was given explicitly (dbt-notes §2)."""
    profile: str | None
    vars: Mapping[str, Any]
    empty: bool
    sample: bool
    selected: bool
    """Whether dbt was asked for a part of the project (--select, --exclude, --selector, resource types), or it is not
    known for what: started by a program, it does not tell a retry."""
    retried: bool
    """Whether it was `dbt retry`; `command` is then the one that was retried."""
    dbt_version: str
    invocation_id: str
    generated_at: datetime | None
    started_at: datetime | None
    results: Mapping[str, NodeResult]
    """By unique id."""
    profiles_dir: str = ""
    """The folder of the `profiles.yml` that dbt read."""
    warning: str = ""
    """Said once: the file's schema is newer than those we know."""
    is_eager: bool = True
    """Whether it ran each test that reads a node it built, not those alone of which it built all."""
    leaves_out_tests: bool = False
    """Whether it was asked in a way that may leave out tests of what it builds: --exclude, resource types, …"""


@dataclass(frozen=True, slots=True)
class Written:
    """What dbt last executed to build a node, as it lies in `target/run`."""

    is_later: bool
    """Whether that was after the manifest and the run results were written."""
    partial: str = ""
    """The flag by which it does not hold all rows: `--empty` or `--sample`; empty: none."""
