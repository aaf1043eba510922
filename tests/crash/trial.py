"""One scenario, killed at one point after the other, and judged after one plain sync."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness import Project

from crash.cradle import kill_at, observe
from crash.scenarios import SMALL, Scenario
from crash.scene import Scene, rows_sent
from planhat_dbt.run.phases import LARGEST_WINDOW

WINDOW = 2 * LARGEST_WINDOW * SMALL["batch_rows"]
"""Rows that are in flight at a time, at most."""


@dataclass
class Tally:
    """What was seen at the points of one scenario."""

    points: list[str]
    killed: int = 0
    exact: int = 0
    """Points after which one plain sync made Planhat equal to the model."""
    held: int = 0
    """Points after which rows were told to be of unknown outcome, for a person to decide."""
    most_held: int = 0
    most_again: int = 0
    """Rows that were sent by both runs, at most."""
    faults: list[str] = field(default_factory=list)


class Trial:
    """A scenario in a project."""

    def __init__(self, scenario: Scenario, project: Project) -> None:
        self._project = project
        self._scene = Scene(scenario, project, **SMALL)
        self.tally = Tally(observe(project))
        self._scene.ended()

    def run(self, points: list[int]) -> Tally:
        """Kill at these points, one after the other."""
        for point in points:
            self._scene.start_over()
            name = f"{self._scene.scenario}, point {point} ({self.tally.points[point]})"
            try:
                kill_at(self._project, point)
                self.tally.killed += 1
                self._judge()
            except AssertionError as fault:
                self.tally.faults.append(f"{name}: {fault}")
        return self.tally

    def _judge(self) -> None:
        tally = self.tally
        sent = rows_sent(self._project)
        outcome, held = self._scene.judge()
        if held:
            tally.held += 1
            tally.most_held = max(tally.most_held, len(held))
            return
        again = sent + sum(c.rows for c in outcome.calls if c.method in ("PUT", "POST")) - self._scene.rows
        assert again <= WINDOW, f"{again} rows were sent again"
        tally.most_again = max(tally.most_again, again)
        tally.exact += 1
