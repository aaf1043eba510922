"""Every fault that the sandbox injects, at every call of every scenario; then one more run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from crash.scenarios import SMALL, Scenario
from crash.scene import Scene
from harness import Project

from planhat_dbt.sandbox import Fault, FaultKind

IMPATIENT = {**SMALL, "max_tries": 1, "read_timeout": 0.3, "max_wait": 0.5}
"""No call is tried again within a run: what a fault leaves behind is for the next run to mend."""

FAULTS: dict[str, Fault] = {
    "500": Fault(kind=FaultKind.STATUS, status=500),
    "503, three times": Fault(kind=FaultKind.STATUS, status=503, count=3),
    "400 without a word": Fault(kind=FaultKind.STATUS, status=400),
    "413": Fault(kind=FaultKind.STATUS, status=413),
    "429": Fault(kind=FaultKind.STATUS, status=429),
    "429, `Retry-After: 0`, five times": Fault(kind=FaultKind.STATUS, status=429, retry_after="0", count=5),
    "504, though applied": Fault(kind=FaultKind.STATUS_AFTER, status=504),
    "token revoked (401) from here on": Fault(kind=FaultKind.STATUS, status=401, count=None),
    "rights taken (403) from here on": Fault(kind=FaultKind.STATUS, status=403, count=None),
    "connection reset before": Fault(kind=FaultKind.RESET_BEFORE),
    "connection reset after it was applied": Fault(kind=FaultKind.RESET_AFTER),
    "answer truncated": Fault(kind=FaultKind.TRUNCATED),
    "200 with HTML": Fault(kind=FaultKind.NOT_JSON),
    "counters that leave rows out": Fault(kind=FaultKind.WRONG_COUNTERS, rows=2),
    "rows dropped without a word": Fault(kind=FaultKind.LOST_ROWS, rows=2),
    "slow": Fault(kind=FaultKind.DELAY, seconds=0.05),
    "no answer": Fault(kind=FaultKind.HANG),
    "no answer, though applied": Fault(kind=FaultKind.HANG_AFTER),
}


@dataclass
class Tally:
    """What was seen of one scenario, by fault."""

    tried: dict[str, int] = field(default_factory=dict)
    exact: dict[str, int] = field(default_factory=dict)
    """Exact mirror after at most one more run."""
    held: dict[str, int] = field(default_factory=dict)
    """Rows told to be of unknown outcome, for a person to decide; exact after that."""
    faults: list[str] = field(default_factory=list)


class FaultTrial:
    """A scenario in a project."""

    def __init__(self, scenario: Scenario, project: Project) -> None:
        self._scene = Scene(scenario, project, **IMPATIENT)
        project.sync()
        self._scene.ended()
        self.tally = Tally()

    @property
    def calls(self) -> int:
        """How many calls the undisturbed sync makes."""
        return len(self._scene.calls)

    def strike(self, name: str, call: int) -> None:
        """Let one fault strike at one call, then judge."""
        scene, tally = self._scene, self.tally
        scene.start_over()
        scene.project.sandbox.faults.add(Fault(**{**FAULTS[name].as_json(), "skip": call}))
        tally.tried[name] = tally.tried.get(name, 0) + 1
        try:
            held = self._struck(scene.project)
        except AssertionError as fault:
            kind = f"{scene.calls[call].method} {scene.calls[call].path}"
            tally.faults.append(f"{scene.scenario}, {name} at call {call} ({kind}): {fault}")
            return
        where = tally.held if held else tally.exact
        where[name] = where.get(name, 0) + 1

    def _struck(self, project: Project) -> dict[str, Any]:
        outcome = project.sync(code=None)
        assert outcome.code in (0, 1), f"exit code {outcome.code}: {outcome.told[-300:]}"
        project.sandbox.faults.clear()
        return self._scene.judge()[1]
