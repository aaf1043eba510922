"""The scratch tables that are filled inside transactions, for engines on which making a table would end one.

What else is kept in scratch tables is kept before a transaction begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from planhat_dbt.state.layout import TABLES

if TYPE_CHECKING:
    from planhat_dbt.warehouse.port import Dialect

_BATCH: Final = dict(TABLES["batches"])
_CLOSED: Final = (
    *(
        "bytes",
        "state",
        "http_status",
        "created",
        "updated",
        "unchanged",
        "attempts",
        "sent_at",
        "answered_at",
    ),
    "error",
)
_TABLES: Final[dict[str, dict[str, str]]] = {
    "planhat_ids": {"_batch": "integer", "_key": "text", "_id": "text", "_created": "boolean"},
    "planhat_exceptions": {"_row": "bigint", "_status": "text", "_code": "text", "_message": "text"},
    "planhat_merged": {
        **dict.fromkeys(("key", "operation", "status", "code", "message"), "text"),
        "first_seen_at": "timestamp",
        "attempts": "integer",
        "next_run": "integer",
        "values_hash": "text",
    },
    "planhat_closed": {name: _BATCH[name] for name in ("batch", *_CLOSED)},
    "planhat_closing": {
        name: _BATCH[name] for name in ("run_id", "sync", "batch", "operation", "rows", *_CLOSED)
    },
    "planhat_behind": {"_key": "text"},
    "planhat_pruned": {"_key": "text"},
    "planhat_asked": {"key": "text", "fate": "text", "same": "integer", "why": "text"},
    "planhat_found": {"key": "text", "planhat_id": "text", "company_id": "text"},
    "planhat_done": {"_key": "text", "_id": "text"},
}


def scratch_tables(dialect: Dialect) -> dict[str, dict[str, str]]:
    """Spell them: name → column → type."""
    return {
        name: {column: getattr(dialect, kind) for column, kind in columns.items()}
        for name, columns in _TABLES.items()
    }
