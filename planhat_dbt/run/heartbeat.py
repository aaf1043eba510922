"""The heartbeat: the lease is renewed while a run waits for Planhat, too (DESIGN §9).

What writes state renews the lease anyway. A call that is retried for minutes, or hundreds of look-ups, write nothing
for longer than a lease holds; a run on another machine would take it over.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Self

from planhat_dbt.errors import PlanhatDbtError, RefusedError

if TYPE_CHECKING:
    from types import TracebackType

    from planhat_dbt.state.lease import Lease
    from planhat_dbt.warehouse.port import Warehouse

_BEATS: Final = 3
"""Renewals within the time that a lease holds."""
_SOON: Final = 10
"""A beat that found the warehouse busy is tried again after so small a part of the time between two."""


class Heartbeat:
    """A thread that renews the lease of one run whenever nothing else has for a while; a context manager."""

    def __init__(self, warehouse: Warehouse, lease: Lease, seconds: float) -> None:
        """Make a heartbeat.

        Args:
            warehouse: Where the lease is kept.
            lease: The run's.
            seconds: How long it holds without renewal.
        """
        self._warehouse = warehouse
        self._lease = lease
        self._interval = seconds / _BEATS
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="planhat-dbt-lease", daemon=True)
        self.lost = False
        """Whether another run was found to hold the lease: what is in flight is the last this run sends."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _beat(self) -> None:
        wait = self._interval
        while not self.lost and not self._end.wait(wait):
            quiet = self._lease.seconds_since_renewal
            if quiet < self._interval:
                wait = self._interval - quiet
            else:
                wait = self._interval if self._renewed() else self._interval / _SOON

    def _renewed(self) -> bool:
        try:
            with self._warehouse.spare() as session:
                if session is None:
                    return False
                with session.transaction():
                    self._lease.renew(session)
        except RefusedError:
            self.lost = True
        except PlanhatDbtError:
            return False  # whoever writes state next meets the same fault, and tells it
        return True
