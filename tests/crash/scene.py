"""A scenario in a project: brought to its start as often as wanted, and judged when its sync was disturbed."""

from __future__ import annotations

import copy
from typing import Any

from harness import Outcome, Project

from crash.scenarios import Scenario
from planhat_dbt.sandbox.store import Collection


class Scene:
    """A scenario, its start, and how it ends when nothing goes wrong."""

    def __init__(self, scenario: Scenario, project: Project, **settings: Any) -> None:
        self.scenario = scenario
        self.project = project
        project.settings(**settings, **scenario.settings)
        scenario.before(project)
        project.warehouse.save()
        self._tenant = self._taken()

    def _taken(self) -> dict[str, Any]:
        tenant = vars(self.project.sandbox.tenant)
        values = {k: v for k, v in tenant.items() if k not in ("rules", "last_list")}
        return copy.deepcopy(values, _kept(list(values["collections"].values())))

    def ended(self) -> None:
        """Say that the sync has just run undisturbed: what Planhat holds now is what it should hold."""
        self.wanted = self.scenario.store(self.project)
        self.calls = list(self.project.sandbox.log.calls)
        self.rows = rows_sent(self.project)
        assert self.project.failures() == {}, "the scenario goes through by itself"
        assert self.calls

    def start_over(self) -> None:
        """Put warehouse and Planhat back to the start."""
        project, tenant = self.project, self.project.sandbox.tenant
        project.warehouse.restore()
        project.sandbox.faults.clear()
        project.sandbox.log.clear()
        project.sandbox.quota.restart()
        vars(tenant).update(copy.deepcopy(self._tenant, _kept(list(self._tenant["collections"].values()))))
        tenant.last_list = None

    def judge(self) -> tuple[Outcome, dict[str, str]]:
        """Run a plain `sync`; then Planhat must be the exact mirror, but for rows that are told as unknown.

        Returns:
            That run, and the rows that were held for a person to decide.
        """
        project = self.project
        outcome = project.sync(code=None)
        failing = project.failures()
        held = {key: code for key, (status, code) in failing.items() if status == "unknown"}
        assert set(failing) == set(held), f"rows do not go through: {failing}"
        if held:
            assert outcome.code == 1
            self._decide(held)
        stored = self.scenario.store(project)
        assert stored == self.wanted, f"Planhat holds {_difference(stored, self.wanted)}"
        assert project.sync().kinds == [], "a further run has nothing to do"
        return outcome, held

    def _decide(self, held: dict[str, str]) -> None:
        """Do as the user does who looks into Planhat; a row that is neither there nor told is lost."""
        assert self.scenario.has, f"{len(held)} rows are held that must not be"
        there = [key for key in held if self.scenario.has(self.project, key)]
        for decision, keys in (("--discard", there), ("--resend", [k for k in held if k not in there])):
            if keys:
                chosen = [word for key in keys for word in ("--key", key)]
                sync = next(iter(self.project.models))
                decided = self.project.cli("resolve", sync, decision, *chosen)
                assert decided.code == 0, decided.told
        self.project.sync()


def rows_sent(project: Project) -> int:
    """Rows of bulk calls and events that reached Planhat: deletes and single creates go one by one."""
    return sum(c.rows for c in project.sandbox.log.calls if c.method in ("PUT", "POST"))


def _kept(collections: list[Collection]) -> dict[int, Any]:
    """What an object is, is no part of what the tenant holds."""
    return {id(c.resource): c.resource for c in collections}


def _difference(stored: Any, wanted: Any) -> str:
    if isinstance(stored, dict) and isinstance(wanted, dict):
        keys = [k for k in {**stored, **wanted} if stored.get(k) != wanted.get(k)]
        return "; ".join(f"{k}: {stored.get(k)} instead of {wanted.get(k)}" for k in keys[:3])
    return f"{stored} instead of {wanted}"[:600]
