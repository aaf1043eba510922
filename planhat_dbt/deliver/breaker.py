"""When to stop: one word for all that deliver one sync, asked before each call (DESIGN §9)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from planhat_dbt.errors import FailedError, PlanhatDbtError

if TYPE_CHECKING:
    from collections.abc import Callable

    from planhat_dbt.outcome import BatchOutcome


class Breaker:
    """Opens at an error that makes further calls pointless, after too many failed ones, or on request."""

    def __init__(self, failures: int, stopping: Callable[[], bool]) -> None:
        self._limit = failures
        self._stopping = stopping
        self._lock = threading.Lock()
        self._in_a_row = 0
        self.error: PlanhatDbtError | None = None
        """Why it opened; None if it is closed, or if the run was asked to end."""

    @property
    def open(self) -> bool:
        """Whether no further call should be made."""
        return self.error is not None or self._stopping()

    @property
    def reason(self) -> str:
        """Why, for the rows that stay behind."""
        return self.error.message if self.error else "the run was interrupted"

    def note(self, outcome: BatchOutcome) -> None:
        """Take an outcome into account; may be called from several threads."""
        with self._lock:
            self._in_a_row = self._in_a_row + 1 if outcome.failed_call else 0
            if self.error is not None:
                return
            if outcome.stop:
                self.error = outcome.stop
            elif self._in_a_row >= self._limit:
                self.error = FailedError(
                    f"{self._in_a_row} calls in a row failed: {outcome.error}",
                    hint="Run again when Planhat answers; nothing that it accepted is sent twice.",
                )
