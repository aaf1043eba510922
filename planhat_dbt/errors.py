"""Errors, sorted by what to do next.

```
PlanhatDbtError            anything we can name
├── UsageError      (2)    the command, the declaration, the profile or an artifact is wrong: correct it
├── RefusedError    (3)    a guard, gate setting, lease or tenant check said no: look, then allow it
└── FailedError     (1)    something outside failed: the network, Planhat, the warehouse: run again
```

Each error is a short letter: what happened, and what to do next. The exit codes are those of DESIGN §10.
A message never carries a secret: those who raise see to it that none is put in.
"""

from __future__ import annotations

from typing import ClassVar


class PlanhatDbtError(Exception):
    """Something went wrong that we can name; `hint` says the next step."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def told(self) -> str:
        """Both in one line, for a report."""
        ended = self.message.endswith((".", "!", "?", ":"))
        return f"{self.message}{'' if ended else '.'} {self.hint}" if self.hint else self.message


class UsageError(PlanhatDbtError):
    """The command, a declaration, the profile or an artifact is wrong and must be corrected."""

    exit_code = 2


class RefusedError(PlanhatDbtError):
    """We declined to act: a guard, the gate, the lease or the tenant check."""

    exit_code = 3


class FailedError(PlanhatDbtError):
    """Something outside failed; nothing is lost, the next run takes it up."""

    exit_code = 1
