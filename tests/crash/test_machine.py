"""Events as a state machine: any order of new rows, faults, kills and decisions; each arrives once (DESIGN §9)."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from harness import Project
from harness.share import examples
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from run.conftest import MEMORY, _running_sandbox, planhat_sandbox, sandbox  # noqa: F401 - fixtures
from run.test_events import ACTIVITIES, ACTIVITY_BLOCK, METRIC_BLOCK, METRICS, activity, metric

from crash.cradle import _said, _sync, die
from planhat_dbt.sandbox import Fault, FaultKind, Sandbox

KINDS = ("usage", "logins")
PATHS = {"usage": "/dimensiondata", "logins": "/analytics"}
FAULTS = st.builds(
    lambda kind, name, skip, status: Fault(
        kind=kind, method="POST", path=PATHS[name], skip=skip, status=status
    ),
    st.sampled_from(
        [k for k in FaultKind if k not in (FaultKind.HANG, FaultKind.DELAY, FaultKind.HANG_AFTER)]
    ),
    st.sampled_from(KINDS),
    st.integers(0, 2),
    st.sampled_from([400, 413, 429, 500, 503]),
).filter(lambda fault: fault.kind is not FaultKind.STATUS_AFTER or fault.status >= 500)
"""A server that takes events and answers 4xx says that it did not: nobody can tell, so it is not among them."""


class Events(RuleBasedStateMachine):
    """Metrics and user activities of two models."""

    sandbox: Sandbox

    @initialize(batch_rows=st.sampled_from([2, 3, 5000]))
    def begin(self, batch_rows: int) -> None:
        self.sandbox.reset()
        self.temporary = tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None)
        self.project = Project(Path(self.temporary.name) / "shop", self.sandbox)
        self.project.settings(
            batch_rows=batch_rows, max_tries=1, max_wait=0.5, read_timeout=1, read_back_after=0
        )
        self.sandbox.tenant.seed("companies", [{"name": "Acme", "externalId": "c-1"}])
        self.rows = dict.fromkeys(KINDS, 0)
        self.project.model("usage", METRIC_BLOCK, METRICS)
        self.project.model("logins", ACTIVITY_BLOCK, ACTIVITIES)

    @rule(name=st.sampled_from(KINDS), more=st.integers(1, 7))
    def new_rows(self, name: str, more: int) -> None:
        make = metric if name == "usage" else activity
        self.project.insert(name, [make(i) for i in range(self.rows[name] + 1, self.rows[name] + more + 1)])
        self.rows[name] += more

    @rule(faults=st.lists(FAULTS, min_size=1, max_size=3))
    def run_with_faults(self, faults: list[Fault]) -> None:
        self.sandbox.quota.restart()
        self.sandbox.faults.add(*faults)
        self.project.sync(code=None)
        self.sandbox.faults.clear()

    @rule(point=st.integers(0, 160))
    def run_that_is_killed(self, point: int) -> None:
        self.sandbox.quota.restart()
        die(_sync(self.project), _said(self.project), self.sandbox, point)

    @rule()
    def run_and_decide(self) -> None:
        """A run, what a person decides who looks into Planhat, and another run: all is there, and silence."""
        self.sandbox.quota.restart()
        project = self.project
        project.sync(code=None)
        for name in KINDS:
            self.decide(name)
        project.sync("--retry-rejected")
        for name in KINDS:
            assert self.there(name) == Counter(range(1, self.rows[name] + 1))
        project.quiet()

    def decide(self, name: str) -> None:
        found = self.project.query(
            f"select key from planhat_sync.failures where sync = '{name}' and status = 'unknown'"
        )
        there = self.there(name)
        for decision in ("--discard", "--resend"):
            keys = [k for (k,) in found if (int(k.rpartition("-")[2]) in there) == (decision == "--discard")]
            if keys:
                chosen = [word for key in keys for word in ("--key", key)]
                assert self.project.cli("resolve", name, decision, *chosen).code == 0

    def there(self, name: str) -> Counter[int]:
        tenant = self.sandbox.tenant
        if name == "usage":
            return Counter(int(m["value"]) for m in tenant.metrics)
        people = {r["_id"]: int(r["externalId"].rpartition("-")[2]) for r in tenant.records("endusers")}
        return Counter(people[a["euId"]] for a in tenant.activities)

    @invariant()
    def nothing_is_there_twice(self) -> None:
        if hasattr(self, "project"):
            for name in KINDS:
                assert not [n for n, times in self.there(name).items() if times > 1]

    @invariant()
    def no_call_was_illegal(self) -> None:
        assert not self.sandbox.violations

    def teardown(self) -> None:
        if hasattr(self, "temporary"):
            self.temporary.cleanup()


@pytest.mark.timeout(1800)
def test_events_arrive_once(sandbox: Sandbox) -> None:  # noqa: F811 - the imported fixture
    Events.sandbox = sandbox
    run_state_machine_as_test(
        Events,
        settings=settings(
            max_examples=int(os.environ.get("MACHINE_EXAMPLES", examples(8, 3))),
            stateful_step_count=10,
            deadline=None,
            derandomize=bool(os.environ.get("CI")),
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
