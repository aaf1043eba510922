"""`kill -9` anywhere in a sync, then a plain `sync`: nothing lost, nothing twice unless it was told (DESIGN §14).

A sample of the points here; all of them with `make crash-matrix`, which writes the table of `docs/reliability.md`.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import asdict
from pathlib import Path

import pytest
from harness import Project
from run.conftest import _running_sandbox, folder, planhat_sandbox, project, sandbox  # noqa: F401 - fixtures

from crash.page import CRASH
from crash.scenarios import SCENARIOS, Scenario
from crash.trial import Trial

SAMPLE = 3
ALL = os.environ.get("PLANHAT_DBT_CRASH_MATRIX", "")
"""The folder for what is seen; set, every point is tried."""


@pytest.mark.sampled(8, "metric: insert", "note: insert without a match key, in bulk")
@pytest.mark.timeout(1800 if ALL else 180)
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=str)
def test_killed_anywhere(scenario: Scenario, project: Project) -> None:  # noqa: F811 - the imported fixture
    trial = Trial(scenario, project)
    number = len(trial.tally.points)
    tally = trial.run(list(range(number)) if ALL else sample(scenario.name, number))
    if ALL:
        file = Path(ALL) / f"{zlib.crc32(scenario.name.encode()):08x}.json"
        file.write_text(json.dumps({"name": scenario.name, **asdict(tally)}), encoding="utf-8")
    assert not tally.faults, "\n".join(tally.faults)


def sample(name: str, number: int) -> list[int]:
    """A few points, spread evenly; elsewhere in each scenario, and the same in every run."""
    first = zlib.crc32(name.encode()) % max(number // SAMPLE, 1)
    return [first + number * i // SAMPLE for i in range(SAMPLE) if first + number * i // SAMPLE < number]


def test_the_documented_table_is_of_these_scenarios() -> None:
    assert CRASH.documented() == list(SCENARIOS)
