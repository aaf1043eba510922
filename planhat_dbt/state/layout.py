"""The state tables: their names, columns and types (DESIGN §6), and how they come to be.

They are a stable interface for people's SQL. `SCHEMA_VERSION` in `meta` says which layout stands in a schema;
an older one is migrated forward, a newer one is refused, and a table that is not ours is never touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from planhat_dbt.errors import UsageError

if TYPE_CHECKING:
    import datetime as dt

    from planhat_dbt.warehouse.port import Column, Dialect, Session

SCHEMA_VERSION: Final = 1

_COUNTS: Final = (
    ("inserted", "bigint"),
    ("updated", "bigint"),
    ("cleared", "bigint"),
    ("deleted", "bigint"),
    ("held", "bigint"),
    ("rejected", "bigint"),
    ("unknown", "bigint"),
)

TABLES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "runs": (
        ("run_id", "text"),
        ("invocation_id", "text"),
        ("target", "text"),
        ("command", "text"),
        ("version", "text"),
        ("git_sha", "text"),
        ("started_at", "timestamp"),
        ("finished_at", "timestamp"),
        ("status", "text"),
        ("syncs", "integer"),
        *_COUNTS,
        ("calls", "bigint"),
        ("bytes_sent", "bigint"),
    ),
    "sync_runs": (
        ("run_id", "text"),
        ("sync", "text"),
        ("model", "text"),
        ("object", "text"),
        ("mode", "text"),
        ("status", "text"),
        ("reason", "text"),
        ("rows_in_model", "bigint"),
        *_COUNTS,
        ("seconds_compare", "double"),
        ("seconds_deliver", "double"),
    ),
    "batches": (
        ("run_id", "text"),
        ("sync", "text"),
        ("batch", "integer"),
        ("operation", "text"),
        ("rows", "bigint"),
        ("bytes", "bigint"),
        ("state", "text"),
        ("http_status", "integer"),
        ("created", "bigint"),
        ("updated", "bigint"),
        ("unchanged", "bigint"),
        ("attempts", "integer"),
        ("sent_at", "timestamp"),
        ("answered_at", "timestamp"),
        ("error", "text"),
    ),
    "changes": (
        ("run_id", "text"),
        ("sync", "text"),
        ("key", "text"),
        ("operation", "text"),
        ("planhat_id", "text"),
        ("changes", "text"),
        ("status", "text"),
        ("batch", "integer"),
        ("at", "timestamp"),
    ),
    "failures": (
        ("sync", "text"),
        ("key", "text"),
        ("operation", "text"),
        ("status", "text"),
        ("code", "text"),
        ("message", "text"),
        ("first_seen_at", "timestamp"),
        ("last_seen_at", "timestamp"),
        ("attempts", "integer"),
        ("next_run", "integer"),
        ("values_hash", "text"),
    ),
    "requests": (
        ("run_id", "text"),
        ("sync", "text"),
        ("batch", "integer"),
        ("method", "text"),
        ("path", "text"),
        ("status", "integer"),
        ("milliseconds", "double"),
        ("request", "text"),
        ("response", "text"),
    ),
    "lookups": (
        ("object", "text"),
        ("key_field", "text"),
        ("key", "text"),
        ("planhat_id", "text"),
        ("company_id", "text"),
        ("run_id", "text"),
    ),
    "previous_keys": (
        ("sync", "text"),
        ("key", "text"),
        ("key_field", "text"),
        ("previous_key", "text"),
        ("rekeyed", "boolean"),
    ),
    "in_doubt": (
        ("sync", "text"),
        ("key", "text"),
        ("model", "text"),
        ("external_id", "text"),
        ("dimension_id", "text"),
        ("value", "text"),
        ("date", "text"),
        ("sent_at", "timestamp"),
        ("asked_at", "timestamp"),
    ),
    "meta": (("setting", "text"), ("value", "text"), ("updated_at", "timestamp")),
}

SNAPSHOT_COLUMNS: Final = (
    ("_key", "text"),
    ("_planhat_id", "text"),
    ("_state", "text"),
    ("_origin", "text"),
    ("_mapping", "integer"),
    ("_first_synced_at", "timestamp"),
    ("_synced_at", "timestamp"),
    ("_run_id", "text"),
)
"""The columns of every `snapshot__<sync>` before its mapped columns."""


EXISTS: Final = "_state <> 'deleted'"
"""Condition on a snapshot row: Planhat has a record of it."""
HAS_VALUES: Final = "_state in ('synced', 'existing')"
"""Condition on a snapshot row: Planhat holds our values; neither cleared nor deleted."""


class StateTables:
    """The state tables of one schema, by their names in SQL."""

    def __init__(self, dialect: Dialect, database: str, schema: str) -> None:
        self.dialect = dialect
        self.database = database
        self.schema = schema
        self.runs = self.name("runs")
        self.sync_runs = self.name("sync_runs")
        self.batches = self.name("batches")
        self.changes = self.name("changes")
        self.failures = self.name("failures")
        self.requests = self.name("requests")
        self.lookups = self.name("lookups")
        self.previous_keys = self.name("previous_keys")
        self.in_doubt = self.name("in_doubt")
        self.meta = self.name("meta")

    def name(self, table: str) -> str:
        """Quote a table of this schema."""
        return ".".join(self.dialect.quote(part) for part in (self.database, self.schema, table))

    def snapshot(self, sync: str) -> str:
        """Name the snapshot table of a sync."""
        return self.name(f"snapshot__{sync}")

    def plan(self, sync: str) -> str:
        """Name the plan table of a sync."""
        return self.name(f"plan__{sync}")

    def sealed(self, sync: str) -> str:
        """Name the table that keeps a sealed plan's rows while it is applied."""
        return self.name(f"sealed__{sync}")

    def type(self, kind: str) -> str:
        """Spell a layout type in this engine's words."""
        spelt: str = getattr(self.dialect, kind)
        return spelt

    def moment(self, at: dt.datetime) -> str:
        """Spell a time as our own columns keep it."""
        return f"cast({self.dialect.literal(at.isoformat(sep=' '))} as {self.dialect.timestamp})"

    def definition(self, columns: tuple[tuple[str, str], ...]) -> str:
        """Spell the column list of a `create table`."""
        return ", ".join(f"{self.dialect.quote(name)} {self.type(kind)}" for name, kind in columns)


def existing_tables(session: Session, tables: StateTables) -> dict[str, tuple[Column, ...]]:
    """Describe what stands in the schema now, ours or not."""
    return session.tables(tables.database, tables.schema)


def ensure_tables(session: Session, tables: StateTables, present: dict[str, tuple[Column, ...]]) -> None:
    """Create what is missing, after a look that nothing of ours has another layout.

    Raises:
        UsageError: A table of our name has other columns, or a newer version of this program wrote the schema.
    """
    if "meta" in present:  # before all else: a newer layout may lack tables and columns of this one
        _check_layout(tables, "meta", [c for c, _ in TABLES["meta"]], present["meta"])
        refuse_newer(session, tables)
    for name, columns in TABLES.items():
        if name in present:
            _check_layout(tables, name, [c for c, _ in columns], present[name])
    if all(name in present for name in TABLES):
        return
    ensure_schema(session, tables)
    with session.transaction():
        for name, columns in TABLES.items():
            if name not in present:
                session.execute(
                    f"create table if not exists {tables.name(name)} ({tables.definition(columns)})"
                )
        if "meta" not in present:
            session.execute(
                f"insert into {tables.meta} select 'schema_version', '{SCHEMA_VERSION}', {tables.dialect.utc_now} "
                f"where not exists (select 1 from {tables.meta} where setting = 'schema_version')"
            )


def ensure_schema(session: Session, tables: StateTables) -> None:
    """Make the schema unless it stands: some engines want the right to make one even where there is nothing to do."""
    look = tables.dialect.find_schema(tables.schema)
    if not (look and session.rows(look)):
        session.execute(tables.dialect.create_schema(tables.database, tables.schema))


def check_sync_tables(tables: StateTables, sync: str, present: dict[str, tuple[Column, ...]]) -> None:
    """Refuse a table that bears the name of a sync's snapshot table without being one."""
    name = f"snapshot__{sync}"
    if name in present:
        _check_layout(tables, name, [c for c, _ in SNAPSHOT_COLUMNS], present[name])
    name = f"plan__{sync}"
    if name in present:
        _check_layout(tables, name, ["_row", "_batch", "_operation", "_key"], present[name])


def _check_layout(tables: StateTables, name: str, wanted: list[str], found: tuple[Column, ...]) -> None:
    missing = [c for c in wanted if c not in {column.name for column in found}]
    if missing:
        raise UsageError(
            f"{tables.schema}.{name} is not a table of planhat_dbt: it lacks {', '.join(missing)}.",
            hint="It was left as it is. Rename it, or set another schema in dbt_project.yml: "
            "vars: planhat: schema.",
        )


def refuse_newer(session: Session, tables: StateTables) -> None:
    """Refuse a schema that a newer version of this program wrote; its `meta` must stand.

    Raises:
        UsageError: One did.
    """
    found = session.rows(f"select value from {tables.meta} where setting = 'schema_version'")
    version = int(found[0][0]) if found else SCHEMA_VERSION
    if version > SCHEMA_VERSION:
        raise UsageError(
            f"Schema {tables.schema} was written by a newer planhat_dbt (layout {version}, this one knows "
            f"{SCHEMA_VERSION}).",
            hint="Update it: pip install -U planhat-dbt",
        )
