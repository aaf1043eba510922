"""The calls of a run, counted and kept: which sync and batch each belongs to."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from planhat_dbt.state.runs import RequestRow

if TYPE_CHECKING:
    from planhat_dbt.planhat import CallRecord


class CallBook:
    """Told of every HTTP attempt, from whatever thread made it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: list[RequestRow] = []
        self._place: tuple[str, int | None] = ("", None)
        self._by_sync: dict[str, int] = {}
        self.calls = 0
        self.bytes_sent = 0

    def enter(self, sync: str, batch: int | None) -> None:
        """Say which batch the next calls belong to."""
        self._place = (sync, batch)

    def note(self, call: CallRecord) -> None:
        """Keep one attempt, bounded."""
        sync, batch = self._place
        row = RequestRow.of(call, sync, batch)
        with self._lock:
            self._rows.append(row)
            self._by_sync[sync] = self._by_sync.get(sync, 0) + 1
            self.calls += 1
            self.bytes_sent += call.request_bytes

    def take(self, last: int | None = None) -> list[RequestRow]:
        """Hand over what was kept since the last time; calls of batches after `last` are left for their own turn."""
        with self._lock:
            rows, self._rows = self._rows, []
            if last is not None:
                self._rows = [r for r in rows if r.batch is not None and r.batch > last]
                rows = [r for r in rows if r.batch is None or r.batch <= last]
        return rows

    def put_back(self, rows: list[RequestRow]) -> None:
        """Keep what was taken and could not be written down."""
        with self._lock:
            self._rows = [*rows, *self._rows]

    def of(self, sync: str) -> int:
        """Count the attempts made for one sync."""
        return self._by_sync.get(sync, 0)
