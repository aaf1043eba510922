"""What can go wrong with a call, sorted by what is known of its effect.

```
CallError(FailedError)
├── AccessDeniedError          the token was refused: nothing was applied, stop the run
├── NotSentError               surely not applied: safe to send again
│   └── StoppedError           the run is being interrupted
└── OutcomeUnknownError        may have been applied: compare or look up before sending again
    └── UnreadableAnswerError  it was answered, but the answer cannot be understood
```

Messages carry neither the token nor the tenant UUID: the client redacts them.
"""

from __future__ import annotations

from planhat_dbt.errors import FailedError


class CallError(FailedError):
    """A call to Planhat brought no usable answer.

    Attributes:
        status: The HTTP status of the last attempt, None if there was none.
        attempts: HTTP attempts made; 0 if the call never left.
        maybe_applied: Whether Planhat may have applied the call or an earlier attempt of it.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        attempts: int = 0,
        maybe_applied: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.attempts = attempts
        self.maybe_applied = maybe_applied


class AccessDeniedError(CallError):
    """Planhat refused the token, or its rights; no call of this run can be expected to pass."""


class NotSentError(CallError):
    """The call was surely not applied."""


class StoppedError(NotSentError):
    """The run was interrupted before the call was sent."""


class OutcomeUnknownError(CallError):
    """The call was sent and may have been applied."""


class UnreadableAnswerError(OutcomeUnknownError):
    """The call was answered with something we cannot read, so its effect is unknown."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        attempts: int = 0,
        maybe_applied: bool = True,
    ) -> None:
        super().__init__(message, hint=hint, status=status, attempts=attempts, maybe_applied=maybe_applied)
