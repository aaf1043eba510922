"""Any fault at any call: the exact mirror after at most one more run (DESIGN §14).

A sample here; all of it with `make fault-matrix`, which writes the table of `docs/reliability.md`.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import asdict
from pathlib import Path

import pytest
from crash.page import FAULT
from crash.scenarios import SCENARIOS, Scenario
from harness import Project
from run.conftest import _running_sandbox, folder, planhat_sandbox, project, sandbox  # noqa: F401 - fixtures

from faults.matrix import FAULTS, FaultTrial
from planhat_dbt.sandbox import FaultKind

SAMPLE = 3
ALL = os.environ.get("PLANHAT_DBT_FAULT_MATRIX", "")
"""The folder for what is seen; set, every fault strikes at every call."""


@pytest.mark.sampled(8, "metric: insert", "note: insert without a match key, in bulk")
@pytest.mark.timeout(3600 if ALL else 180)
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=str)
def test_any_fault_at_any_call(scenario: Scenario, project: Project) -> None:  # noqa: F811 - the imported fixture
    trial = FaultTrial(scenario, project)
    places = [(name, call) for name in FAULTS for call in range(trial.calls)]
    if not ALL:
        first = zlib.crc32(scenario.name.encode()) % (len(places) // SAMPLE)
        places = places[first :: len(places) // SAMPLE]
    for name, call in places:
        trial.strike(name, call)
    if ALL:
        file = Path(ALL) / f"{zlib.crc32(scenario.name.encode()):08x}.json"
        file.write_text(json.dumps({"name": scenario.name, **asdict(trial.tally)}), encoding="utf-8")
    assert not trial.tally.faults, "\n".join(trial.tally.faults)


def test_every_kind_of_fault_strikes() -> None:
    assert {fault.kind for fault in FAULTS.values()} == set(FaultKind)


def test_the_documented_table_is_of_these_faults() -> None:
    assert FAULT.documented() == list(FAULTS)
