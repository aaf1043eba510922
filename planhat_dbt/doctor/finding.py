"""What one check found, and how checks are run so that each ends in a finding."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from planhat_dbt.errors import PlanhatDbtError

if TYPE_CHECKING:
    from collections.abc import Callable

    _T = TypeVar("_T")


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """A sync runs; but look at it."""
    FAILED = "failed"
    """A sync does not run, or sends nothing."""
    SKIPPED = "skipped"
    """It depends on another check, which failed, or was not asked for."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    check: str
    state: State
    text: str
    hint: str = ""
    """What to do."""
    exit_code: int = 0
    """What a sync would end with (DESIGN §10); 0 unless it failed."""


class Findings:
    """The findings so far, in order."""

    def __init__(self) -> None:
        self.all: list[Finding] = []

    def ok(self, check: str, text: str) -> None:
        """All is well."""
        self.all.append(Finding(check, State.OK, text))

    def warn(self, check: str, text: str, hint: str) -> None:
        """Not as it should be."""
        self.all.append(Finding(check, State.WARNING, text, hint))

    def fail(self, check: str, text: str, hint: str, exit_code: int = 1) -> None:
        """Nothing can be sent like this; what several models have in common is said once."""
        found = Finding(check, State.FAILED, text, hint, exit_code)
        if found not in self.all:
            self.all.append(found)

    def skip(self, check: str, text: str) -> None:
        """Not looked at."""
        self.all.append(Finding(check, State.SKIPPED, text))

    def has(self, check: str) -> bool:
        """Whether a check has found something already."""
        return any(f.check == check for f in self.all)

    def failed(self, check: str) -> bool:
        """Whether a check has failed."""
        return any(f.check == check and f.state is State.FAILED for f in self.all)

    def attempt(self, check: str, step: Callable[[], _T]) -> _T | None:
        """Take a step; an error that we can name becomes a finding, and None is returned."""
        try:
            return step()
        except PlanhatDbtError as error:
            self.fail(check, error.message, error.hint, error.exit_code)
            return None
