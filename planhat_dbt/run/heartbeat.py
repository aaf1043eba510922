"""The heartbeat: the lease is renewed while a run waits for Planhat, too (DESIGN §9).

What writes state renews the lease anyway. A call that is retried for minutes, or hundreds of look-ups, write nothing
for longer than a lease holds; a run on another machine would take it over.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, Self

from planhat_dbt.errors import PlanhatDbtError, RefusedError

if TYPE_CHECKING:
    from types import TracebackType

    from planhat_dbt.state.lease import Lease
    from planhat_dbt.warehouse.port import Warehouse

_BEATS: Final = 3
"""Renewals within the time that a lease holds."""
_LOOK_AGAIN: Final = 0.05
"""Seconds between two looks at a warehouse that is busy."""
_SOON: Final = 10
"""A beat that found the warehouse busy is tried again after so small a part of the time between two."""


class Heartbeat:
    """A thread that renews the lease of one run whenever nothing else has for a while; a context manager."""

    def __init__(
        self, warehouse: Warehouse, lease: Lease, seconds: float, patience: float, stop: threading.Event
    ) -> None:
        """Make a heartbeat.

        Args:
            warehouse: Where the lease is kept.
            lease: The run's.
            seconds: How long it holds without renewal.
            patience: Seconds to wait for a warehouse that others keep, before it is no use to go on.
            stop: Set to end all waits.
        """
        self._warehouse = warehouse
        self._lease = lease
        self._interval = seconds / _BEATS
        self._patience = patience
        self._stop = stop
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

    def holds(self) -> bool:
        """Whether this run may go on sending; asked before each batch.

        A machine that slept wakes with a lease that has run out, and does not know who has begun meanwhile: it looks.
        """
        if self.lost or not self._lease.overdue:
            return not self.lost
        give_up = time.monotonic() + self._patience
        while not self._renewed(busy=True):
            if time.monotonic() > give_up or self._stop.wait(_LOOK_AGAIN):
                return False
        return not self.lost

    def _beat(self) -> None:
        wait = self._interval
        while not self.lost and not self._end.wait(wait):
            quiet = self._lease.seconds_since_renewal
            if quiet < self._interval:
                wait = self._interval - quiet
            else:
                wait = self._interval if self._renewed() else self._interval / _SOON

    def _renewed(self, *, busy: bool = False) -> bool:
        """Try to renew; `busy` is the answer where a session is open, which renews the lease when it writes."""
        try:
            with self._warehouse.spare() as session:
                if session is None:
                    return busy
                with session.transaction():
                    self._lease.renew(session)
        except RefusedError:
            self.lost = True
        except PlanhatDbtError:
            return False  # whoever writes state next meets the same fault, and tells it
        return True
