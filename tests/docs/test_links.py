"""Links of the documentation lead somewhere, and its SQL runs on what a real sync leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from harness import Project

from docs.pages import DOCS, ROOT, anchors, code_blocks, pages, relative_links
from planhat_dbt.sandbox import Fault, FaultKind, Sandbox

QUERIES = code_blocks(DOCS / "state-tables.md", "sql")


@pytest.mark.parametrize("page", pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    links = relative_links(page)
    assert not [str(link) for link in links if not link.file.exists()]
    to_headings = [link for link in links if link.anchor and link.file.suffix == ".md"]
    assert not [str(link) for link in to_headings if link.anchor not in anchors(link.file)]


def test_the_readme_leads_to_every_page() -> None:
    named = {link.file for link in relative_links(ROOT / "README.md")}
    indirect = {link.file for page in named if page.suffix == ".md" for link in relative_links(page)}
    assert set(DOCS.glob("*.md")) <= named | indirect


def companies(changed: bool) -> list[tuple[object, ...]]:
    phase = "Adoption" if changed else "Onboarding"
    rows: list[tuple[object, ...]] = [("acc-1", "Birkfelt", phase), ("acc-2", "Umbra", "Renewal")]
    return [*rows, ("acc-3", None, "Adoption")] if changed else rows


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A project after three syncs: all accepted, a change and a rejected row, and events in doubt."""
    with Sandbox() as sandbox:
        project = Project(tmp_path_factory.mktemp("docs") / "shop", sandbox)
        fields = {"name": "account_name", "phase": "lifecycle_phase"}
        project.model(
            "planhat_companies",
            {"object": "company", "match": {"externalId": "account_id"}, "fields": fields},
            dict.fromkeys(("account_id", "account_name", "lifecycle_phase"), "varchar"),
            companies(changed=False),
        )
        project.model(
            "planhat_usage_metrics",
            {
                "object": "metric",
                "key": "usage_point_id",
                "fields": {"externalId": "account_id", "dimensionId": "metric", "value": "amount"},
            },
            {"usage_point_id": "varchar", "account_id": "varchar", "metric": "varchar", "amount": "integer"},
        )
        project.sync()
        project.replace("planhat_companies", companies(changed=True))
        sandbox.faults.add(Fault(kind=FaultKind.RESET_AFTER, path="/dimensiondata"))
        project.insert("planhat_usage_metrics", [("p-1", "acc-1", "logins", 3)])
        project.sync(code=1)
        with project.connect() as connection:
            yield connection


def test_there_are_queries() -> None:
    assert len(QUERIES) >= 8


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_queries_run_and_find_something(synced: duckdb.DuckDBPyConnection, query: str) -> None:
    assert synced.execute(query).fetchall()


def test_tables_and_columns_are_told(synced: duckdb.DuckDBPyConnection) -> None:
    """Every column of every state table is named in the section of its table."""
    page = (DOCS / "state-tables.md").read_text(encoding="utf-8")
    mapped = {"name", "phase", "externalId", "dimensionId", "value"}
    shared = {"inserted", "updated", "cleared", "deleted", "held", "rejected", "unknown"}
    found = synced.execute(
        "select table_name, column_name from duckdb_columns() where schema_name = 'planhat_sync'"
    ).fetchall()
    assert {table for table, _ in found} >= {"runs", "batches", "plan__planhat_companies"}
    for table, column in found:
        kind, sync, _ = table.partition("__")
        title = f"{kind}__\\<sync\\>" if sync else table
        section = page.split(f"\n## {title}\n")[1].split("\n## ")[0]
        told = column in mapped or f"`{column}`" in section or (table == "sync_runs" and column in shared)
        assert told, f"{table}.{column}"
