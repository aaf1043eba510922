"""State under a changed match key: all of it or nothing, and what it remembers (docs/decisions/0021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from core.workbench import Bench
from planhat_dbt.errors import UsageError
from planhat_dbt.outcome import RowStatus
from planhat_dbt.warehouse.duckdb import DuckDBSession

pytestmark = pytest.mark.usefixtures("narrowed_alike")

OLD = """
c: {object: company, match: {externalId: id}, fields: {name: name}}
"""
NEW = "c: {object: company, match: {sourceId: crm}, previous_match: {externalId: id}, fields: {name: name}}"
ROWS = "select unnest(['k1', 'k2', 'k3']) as id, unnest(['s1', 's2', 's3']) as crm, 'n' as name"


@pytest.fixture
def started(bench: Bench) -> Bench:
    """An accepted row with an id, one without, and a rejected one."""
    bench.declare(OLD)
    bench.table("c", ROWS)
    bench.accept("c", ids={"k1": "id-1"}, bad={"k3": (RowStatus.REJECTED, "refused")})
    return bench


def mapping(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(
        bench.one("select value from planhat_sync.meta where setting = 'mapping:c'")
    )
    return found


def state(bench: Bench) -> tuple[object, ...]:
    entries = bench.rows("select * from planhat_sync.previous_keys order by key")
    return bench.snapshot("c"), bench.failures(), mapping(bench), entries


def test_the_state_is_rekeyed_and_remembers_what_has_no_id(started: Bench) -> None:
    before = mapping(started)
    assert (before["match"], before["key"], before["key_since"]) == ("externalId", "id", 1)
    started.declare(NEW)
    planned = {r["_key"]: (r["_operation"], r["_changed"]) for r in started.plan("c")}
    assert planned == {
        "s1": ("update", '["sourceId"]'),
        "s2": ("update", '["sourceId"]'),
        "s3": ("insert", None),
    }
    after = mapping(started)
    assert set(started.snapshot("c")) == {"s1", "s2"}
    assert (after["match"], after["key"], after["key_since"]) == ("sourceId", "crm", before["version"] + 1)
    assert started.rows("select * from planhat_sync.previous_keys") == [
        {"sync": "c", "key": "s2", "key_field": "externalId", "previous_key": "k2", "rekeyed": True}
    ]
    settled = state(started)
    started.plan("c")
    assert state(started) == settled


@pytest.mark.sampled(3)
@pytest.mark.parametrize("statement", range(7))
def test_all_of_it_or_nothing(started: Bench, statement: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(started)
    started.declare(NEW.replace("name: name", "name: name, description: id"))
    real, done = DuckDBSession.execute, [0]

    def execute(self: DuckDBSession, sql: str, parameters: Sequence[object] = ()) -> None:
        if any(t in sql for t in ("snapshot__c", "previous_keys", "mapping:c", "failures")):
            if done[0] == statement:
                raise KeyboardInterrupt
            done[0] += 1
        real(self, sql, parameters)

    with monkeypatch.context() as patched:
        patched.setattr(DuckDBSession, "execute", execute)
        with pytest.raises(KeyboardInterrupt):
            started.plans()
    assert state(started) == before
    started.plans()
    assert set(started.snapshot("c")) == {"s1", "s2"}


def test_a_record_of_a_mapping_that_does_not_know_its_key_column(started: Bench) -> None:
    old = mapping(started)
    del old["key"], old["key_since"]
    started.sql(
        "update planhat_sync.meta set value = $value where setting = 'mapping:c'",
        value=orjson.dumps(old).decode(),
    )
    assert started.by_key("c") == {"k3": "insert"}
    assert mapping(started) == {**old, "key": "id", "key_since": 1}


def test_a_renamed_key_column_is_gone_on_with(started: Bench) -> None:
    started.sql("alter table c rename column id to account_id")
    started.declare(OLD.replace("id}", "account_id}"))
    assert started.by_key("c") == {"k3": "insert"}
    assert (mapping(started)["key"], mapping(started)["version"]) == ("account_id", 1)


def test_keys_of_numbers_are_met_as_text(bench: Bench) -> None:
    bench.declare(OLD)
    bench.table("c", "select unnest([1, 2]) as id, unnest([2.0, 1.0]) as crm, 'n' as name")
    bench.accept("c", ids={"1": "id-1", "2": "id-2"})
    bench.declare(NEW)
    assert bench.by_key("c") == {"1": "update", "2": "update"}, "two keys that change places"
    assert {k: r["_planhat_id"] for k, r in bench.snapshot("c").items()} == {"2": "id-1", "1": "id-2"}


def test_a_tombstone_gives_way(bench: Bench) -> None:
    bench.declare(OLD.replace("match", "on_removed: delete, match"))
    bench.table("c", ROWS)
    bench.accept("c", ids={"k1": "id-1", "k2": "id-2", "k3": "id-3"})
    bench.sql("delete from c where id = 'k3'")
    bench.accept("c")
    assert bench.snapshot("c")["k3"]["_state"] == "deleted"
    bench.sql("update c set crm = 'k3' where id = 'k1'")
    bench.declare(NEW)
    assert bench.by_key("c") == {"k3": "update", "s2": "update"}
    assert {k: r["_state"] for k, r in bench.snapshot("c").items()} == {"k3": "synced", "s2": "synced"}
    assert bench.one("select count(*) from planhat_sync.previous_keys") == 0


def test_a_dropped_snapshot_leaves_nothing_behind(started: Bench) -> None:
    started.declare(NEW)
    started.plans()
    started.sql(
        "drop table planhat_sync.snapshot__c", "delete from planhat_sync.meta where setting = 'mapping:c'"
    )
    assert set(started.by_key("c").values()) == {"insert"}
    assert started.one("select count(*) from planhat_sync.previous_keys") == 0


def test_an_unknown_create_stands_in_the_way(started: Bench) -> None:
    started.sql(
        "insert into planhat_sync.failures (sync, key, operation, status, code) "
        "values ('c', 'k3', 'insert', 'unknown', 'unknown_outcome')"
    )
    before = state(started)
    started.declare(NEW)
    with pytest.raises(UsageError, match="may have been created under the old key") as caught:
        started.plans()
    assert "Put `match` back" in caught.value.hint
    assert state(started) == before
    started.sql("delete from c where id = 'k3'")  # nothing that could be made twice
    started.plans()
    assert set(started.snapshot("c")) == {"s1", "s2"}
