"""The example's seeds are what its generator writes, and step 2 is a day on which everything happens."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2] / "dbt_project_example"
KEYS = {
    "crm_accounts": "account_id",
    "crm_opportunities": "opportunity_id",
    "app_users": "user_id",
    "app_workspaces": "workspace_id",
    "billing_subscriptions": "subscription_id",
    "cs_notes": "note_id",
    "desk_tickets": "ticket_id",
}
"""Tables whose rows are inserted, changed and removed from one day to the next."""


def generate(out: Path, step: int) -> dict[str, bytes]:
    """Run the generator as a user does; the files it wrote, by name."""
    command = [
        sys.executable,
        "-B",
        str(PROJECT / "generate_seeds.py"),
        "--step",
        str(step),
        "--out",
        str(out),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return {file.name: file.read_bytes() for file in out.iterdir()}


def rows_by_key(content: bytes, key: str) -> dict[str, dict[str, str]]:
    """The rows of a CSV by key; of repeated keys the last row."""
    return {row[key]: row for row in csv.DictReader(content.decode().splitlines())}


@pytest.fixture(scope="module")
def step_2(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return generate(tmp_path_factory.mktemp("step_2"), 2)


def test_committed_seeds_are_step_1_byte_for_byte(tmp_path: Path) -> None:
    committed = {file.name: file.read_bytes() for file in (PROJECT / "seeds").glob("*.csv")}
    assert generate(tmp_path, 1) == committed


def test_seeds_stay_small() -> None:
    assert sum(file.stat().st_size for file in (PROJECT / "seeds").glob("*.csv")) < 4_000_000


@pytest.mark.thorough
def test_step_2_is_reproducible(step_2: dict[str, bytes], tmp_path: Path) -> None:
    assert generate(tmp_path, 2) == step_2


@pytest.mark.parametrize("table", KEYS)
def test_step_2_inserts_changes_and_removes(step_2: dict[str, bytes], table: str) -> None:
    before = rows_by_key((PROJECT / "seeds" / f"{table}.csv").read_bytes(), KEYS[table])
    after = rows_by_key(step_2[f"{table}.csv"], KEYS[table])
    assert after.keys() - before.keys(), "nothing new"
    assert before.keys() - after.keys(), "nothing gone"
    assert any(before[key] != after[key] for key in before.keys() & after.keys()), "nothing changed"


@pytest.mark.parametrize("column", ["name", "phase", "plan_tier", "csm_id"])
def test_step_2_changes_accounts_in_each_way(step_2: dict[str, bytes], column: str) -> None:
    before = rows_by_key((PROJECT / "seeds" / "crm_accounts.csv").read_bytes(), "account_id")
    after = rows_by_key(step_2["crm_accounts.csv"], "account_id")
    assert any(before[key][column] != after[key][column] for key in before.keys() & after.keys())


@pytest.mark.parametrize(
    ("table", "key"),
    [("app_daily_usage", ("account_id", "usage_date")), ("app_events", ("event_id",))],
)
def test_a_measured_day_never_changes(step_2: dict[str, bytes], table: str, key: tuple[str, ...]) -> None:
    """Events are sent once, so an event that changes later would be lost."""

    def events(content: bytes) -> dict[tuple[str, ...], dict[str, str]]:
        return {tuple(row[k] for k in key): row for row in csv.DictReader(content.decode().splitlines())}

    before, after = events((PROJECT / "seeds" / f"{table}.csv").read_bytes()), events(step_2[f"{table}.csv"])
    assert all(before[k] == after[k] for k in before.keys() & after.keys())
    assert after.keys() - before.keys()
