"""Work that is done once more where memory ran out and there is more of it now."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from planhat_dbt.warehouse.error import MemoryShortageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from planhat_dbt.warehouse.port import Session

    _T = TypeVar("_T")


def until_it_fits(work: Callable[[], _T]) -> _T:
    """Do it, again with more memory as long as there is more; `work` may be called several times."""
    while True:
        try:
            return work()
        except MemoryShortageError as error:
            if not error.again:
                raise


def in_transaction(session: Session, work: Callable[[], _T]) -> _T:
    """Do it in one transaction, again as `until_it_fits` does: nothing was committed of what ran out of memory."""

    def commit() -> _T:
        with session.transaction():
            return work()

    return until_it_fits(commit)
