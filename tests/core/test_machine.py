"""The engine as a state machine: any order of edits, mappings and faults ends in the exact mirror (DESIGN §14).

One DuckDB file, one sandbox over real HTTP, `Run` in process. A model of three lines stands beside it: what the rows
are, what Planhat was told, what somebody deleted there.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from crash.cradle import die
from harness.share import examples
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core.workbench import Bench
from planhat_dbt.result import RunResult, Status
from planhat_dbt.sandbox import Fault, FaultKind, Rules, Sandbox

pytestmark = pytest.mark.usefixtures("narrowed_alike")

KEYS = [f"k{i}" for i in range(8)]
NAMES = st.sampled_from(["Acme", "Beta", 'Qu"ote', "Ünï 🙂", "1", "new\nline"])
WORDS = st.none() | NAMES
FIELDS = {"phase": "phase", "city": "city", "custom.Tier": "tier", "custom.Seats": "seats"}

FAULTS = st.sampled_from(
    [
        Fault(kind=FaultKind.STATUS, path="/companies", status=503),
        Fault(kind=FaultKind.STATUS, path="/companies", status=503, count=3),
        Fault(kind=FaultKind.STATUS, path="/companies", status=429),
        Fault(kind=FaultKind.STATUS_AFTER, path="/companies", status=502),
        Fault(kind=FaultKind.STATUS_AFTER, path="/companies", status=502, count=3),
        Fault(kind=FaultKind.RESET_BEFORE, path="/companies"),
        Fault(kind=FaultKind.RESET_AFTER, path="/companies"),
        Fault(kind=FaultKind.RESET_AFTER, path="/companies", count=3),
        Fault(kind=FaultKind.TRUNCATED, path="/companies"),
        Fault(kind=FaultKind.NOT_JSON, path="/companies"),
        Fault(kind=FaultKind.WRONG_COUNTERS, method="PUT", path="/companies"),
        Fault(kind=FaultKind.WRONG_COUNTERS, method="PUT", path="/companies", rows=3),
        Fault(kind=FaultKind.LOST_ROWS, method="PUT", path="/companies"),
        Fault(kind=FaultKind.LOST_ROWS, method="PUT", path="/companies", rows=2, count=2),
        Fault(kind=FaultKind.STATUS, path="/customfields", status=403),
        Fault(kind=FaultKind.STATUS, path="/customfields", status=503, count=3),
        Fault(kind=FaultKind.RESET_BEFORE, path="/customfields", count=3),
    ]
)


class Mirror(RuleBasedStateMachine):
    """Companies of one model, kept equal in Planhat."""

    sandbox: Sandbox
    folder: Path

    @initialize(
        on_removed=st.sampled_from(["keep", "clear", "delete"]),
        batch_rows=st.sampled_from([2, 5000]),
        items=st.sampled_from(["string", "object", "object_without_ids"]),
        status=st.sampled_from(["206", "400"]),
    )
    def begin(self, on_removed: str, batch_rows: int, items: str, status: str) -> None:
        self.sandbox.reset()
        self.sandbox.rules = Rules(error_items=items, partial_status=status)
        self.temporary = tempfile.TemporaryDirectory(dir=self.folder)
        self.bench = Bench(Path(self.temporary.name), settings={"batch_rows": batch_rows})
        self.bench.sql(
            "create table c (id varchar, name varchar, phase varchar, city varchar, tier varchar, seats decimal(10,2))"
        )
        self.on_removed = on_removed
        self.fields = ["phase", "custom.Tier"]
        self.rows: dict[str, dict[str, Any]] = {}
        self.doubled: set[str] = set()
        self.keyless = 0
        """Rows whose key is NULL."""
        self.forgotten: set[str] = set()
        """Keys whose record may differ in fields that are mapped no more, or that a person made away with."""
        self.deleted_ids: set[str] = set()
        """Ids of records that a person made away with."""
        self.declare()

    def declare(self) -> None:
        fields: dict[str, Any] = {"name": "name", "custom": {}}
        for target in self.fields:
            if target.startswith("custom."):
                fields["custom"][target[7:]] = FIELDS[target]
            else:
                fields[target] = FIELDS[target]
        block = {"object": "company", "match": {"externalId": "id"}, "on_removed": self.on_removed,
                 "max_removals": "100%", "fields": fields}  # fmt: skip
        self.bench.declare({"c": block})

    # -- what people do

    @rule(key=st.sampled_from(KEYS), name=NAMES, phase=WORDS, tier=WORDS, seats=st.none() | st.integers(0, 3))
    def write_row(self, key: str, name: str, phase: Any, tier: Any, seats: Any) -> None:
        self.rows[key] = {"name": name, "phase": phase, "city": tier, "tier": tier, "seats": seats}

    @rule(key=st.sampled_from(KEYS), column=st.sampled_from(["phase", "city", "tier"]), value=WORDS)
    def change_row(self, key: str, column: str, value: Any) -> None:
        if key in self.rows:
            self.rows[key] = {**self.rows[key], column: value}

    @rule(key=st.sampled_from(KEYS))
    def remove_row(self, key: str) -> None:
        self.rows.pop(key, None)

    @rule(key=st.sampled_from(KEYS))
    def double_row(self, key: str) -> None:
        self.doubled ^= {key}

    @rule(rows=st.integers(0, 2))
    def rows_without_key(self, rows: int) -> None:
        self.keyless = rows

    @rule(field=st.sampled_from(sorted(FIELDS)))
    def map_or_unmap(self, field: str) -> None:
        if field in self.fields:
            self.fields.remove(field)
        else:
            self.fields.append(field)
        self.declare()

    @rule(key=st.sampled_from(KEYS))
    def somebody_deletes_a_record(self, key: str) -> None:
        for record in self.sandbox.tenant.records("companies"):
            if record.get("externalId") == key:
                self.sandbox.tenant.remove("companies", record["_id"])
                self.forgotten.add(key)
                self.deleted_ids.add(record["_id"])

    # -- runs

    def store(self) -> None:
        self.bench.sql("delete from c")
        rows = [(k, v) for k, v in self.rows.items() for _ in range(2 if k in self.doubled else 1)]
        for key, v in rows:
            self.bench.sql("insert into c values ($id, $name, $phase, $city, $tier, $seats)", id=key, **v)
        self.bench.sql(*["insert into c (name) values ('nobody')"] * self.keyless)

    def run(self) -> RunResult:
        self.store()
        return self.bench.sync(self.sandbox, removals=frozenset({"c"}))

    def settled(self, result: RunResult) -> None:
        """What holds after every run, whatever happened."""
        (one,) = result.results
        if one.plan and one.status is not Status.REFUSED:
            planned = one.plan.rows_to_send + sum(one.plan.set_aside.values())
            assert one.counts.total == planned
        assert self.bench.one("select count(*) from planhat_sync.meta where setting = 'lease'") == 0
        assert self.bench.one("select count(*) from planhat_sync.batches where state = 'sending'") == 0

    @rule(faults=st.lists(FAULTS, min_size=1, max_size=3))
    def run_with_faults(self, faults: list[Fault]) -> None:
        self.sandbox.faults.add(*faults)
        self.settled(self.run())
        self.sandbox.faults.clear()

    @rule(point=st.integers(0, 120))
    def run_that_is_killed(self, point: int) -> None:
        """`kill -9` at a statement, a commit or a call; beyond the last one it lives to its end."""
        self.store()
        run = lambda: self.bench.sync(self.sandbox, removals=frozenset({"c"}))  # noqa: E731 - a forked process's
        die(run, Path(self.temporary.name) / "said.txt", self.sandbox, point)

    def stale(self) -> set[str]:
        """Records that somebody deleted and whose row has changed since: they must be made anew, whole."""
        if not self.bench.rows(
            "select 1 as found from information_schema.tables where table_name = 'snapshot__c'"
        ):
            return set()
        known = self.bench.snapshot("c")
        rows = {k: known[k] for k in self.forgotten & self.rows.keys() & known.keys() - self.doubled}
        return {k for k, r in rows.items() if r["_state"] == "synced" and r["name"] != self.rows[k]["name"]}

    @rule()
    def run_without_faults(self) -> None:
        stale = self.stale()
        result = self.run()
        assert stale <= {r["externalId"] for r in self.sandbox.tenant.records("companies")}
        self.settled(result)
        good = {k: v for k, v in self.rows.items() if k not in self.doubled}
        (one,) = result.results
        gone = self.forgotten - good.keys()
        if not gone:
            assert (one.counts.held, one.counts.unknown) == (0, 0), one
            bad = 2 * len(self.doubled & self.rows.keys()) + self.keyless
            assert one.counts.rejected == bad, self.bench.failures()
        self.mirror_is_exact(good)
        calls = self.sandbox.log.total
        again = self.run()
        self.settled(again)
        if not gone:
            assert again.calls == 0
            assert self.sandbox.log.total == calls, "a run without changes makes no call of any kind"
        self.forgotten -= {r["externalId"] for r in self.sandbox.tenant.records("companies")}

    def mirror_is_exact(self, good: dict[str, dict[str, Any]]) -> None:
        held = {r["externalId"]: r for r in self.sandbox.tenant.records("companies")}
        known = self.bench.snapshot("c")
        for key, row in good.items():
            if key in self.forgotten and key not in held:
                continue  # nothing of the row changed since, so nothing was sent: no run reads Planhat over
            assert self.values(held[key]) == {t: self.expected(row, t) for t in ["name", *self.fields]}
            assert known[key]["_state"] == "synced"
            assert known[key]["_planhat_id"] in (None, held[key]["_id"]) or key in self.forgotten
            assert known[key]["name"] == row["name"]
        for key in known.keys() - good.keys() - self.doubled - self.forgotten:
            self.check_removed(key, held.get(key), known[key]["_state"])
        assert len(held) == len(self.sandbox.tenant.records("companies")), "no record stands twice"

    def check_removed(self, key: str, record: dict[str, Any] | None, state: str) -> None:
        if self.on_removed == "delete":
            assert (state, record) == ("deleted", None), key
        elif self.on_removed == "clear":
            assert record is not None
            assert not any(v for t, v in self.values(record).items() if t != "name"), key
        else:
            assert record is not None
            assert state == "synced"

    def values(self, record: dict[str, Any]) -> dict[str, Any]:
        custom = record.get("custom") or {}
        return {
            t: custom.get(t[7:]) if t.startswith("custom.") else record.get(t) for t in ["name", *self.fields]
        }

    @staticmethod
    def expected(row: dict[str, Any], target: str) -> Any:
        return row["name"] if target == "name" else row[FIELDS[target]]

    @precondition(lambda self: hasattr(self, "bench"))
    @invariant()
    def no_call_was_illegal(self) -> None:
        # An id that somebody deleted in Planhat cannot be known to be gone before Planhat says so.
        broken = [
            v for v in self.sandbox.violations if v.rule != "unknown_id" or v.detail not in self.deleted_ids
        ]
        assert not broken

    def teardown(self) -> None:
        if hasattr(self, "temporary"):
            self.temporary.cleanup()


@pytest.mark.timeout(600)
def test_any_order_of_edits_and_faults_ends_in_the_exact_mirror(sandbox: Sandbox, tmp_path: Path) -> None:
    Mirror.sandbox, Mirror.folder = sandbox, tmp_path
    run_state_machine_as_test(
        Mirror,
        settings=settings(
            max_examples=int(os.environ.get("MACHINE_EXAMPLES", examples(10, 3))),
            stateful_step_count=14,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
