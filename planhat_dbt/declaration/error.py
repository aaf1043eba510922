"""Declarations that cannot be carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planhat_dbt.errors import UsageError

if TYPE_CHECKING:
    from planhat_dbt.declaration.types import Fault


class DeclarationError(UsageError):
    """Declarations that cannot be carried out; `faults` lists all of them."""

    def __init__(self, message: str, faults: tuple[Fault, ...]) -> None:
        super().__init__(message, hint="Correct them, then run the command again.")
        self.faults = faults
