"""What a warehouse refuses, in one line and with what to do next."""

from __future__ import annotations

from planhat_dbt.errors import FailedError


class WarehouseError(FailedError):
    """A statement failed in the warehouse."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.reason = message
        super().__init__(f"The warehouse refused a statement: {message}", hint=hint)


class MemoryShortageError(WarehouseError):
    """A statement ran out of memory."""

    again = False
    """Whether a transaction that it ended may be done once more: there is more memory now."""


def first_line(error: BaseException) -> str:
    """The first line of a driver's message; the rest repeats the statement."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
