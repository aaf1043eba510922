"""One run at a time for a state schema: a lease in `meta`, renewed around each window and by a heartbeat.

DuckDB's file lock cannot serve: the file is free while calls are under way. A holder that died on this machine is
seen at once by its process id; one on another machine loses the lease when it stops renewing it.
"""

from __future__ import annotations

import datetime as dt
import os
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import orjson

from planhat_dbt.errors import RefusedError
from planhat_dbt.state.journal import utc_now
from planhat_dbt.warehouse.repeat import in_transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Session

    _T = TypeVar("_T")

_SETTING: Final = "lease"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who runs, since when, and until when the lease holds without renewal."""

    run_id: str
    host: str
    pid: int
    command: str
    since: str
    until: str
    started: str = ""
    """When the process began, as the system counts it: process ids are used again."""

    @property
    def alive(self) -> bool:
        """Whether the lease still binds others."""
        if self.host == socket.gethostname():
            return _process_start(self.pid) == self.started if self.started else _exists(self.pid)
        return dt.datetime.fromisoformat(self.until) > utc_now()

    def __str__(self) -> str:
        return f"`planhat-dbt {self.command}` on {self.host} (PID {self.pid}), running since {self.since} UTC"


def read_holder(session: Session, tables: StateTables) -> Holder | None:
    """Say who holds the lease, or held it last without giving it back; None: nobody."""
    entries = _entries(session, tables)
    return _holder(entries[0]) if entries else None


def _entries(session: Session, tables: StateTables) -> list[str]:
    """What stands there; more than one entry only while runs begin at once, on engines without locks."""
    return [
        value for (value,) in session.rows(f"select value from {tables.meta} where setting = '{_SETTING}'")
    ]


def _holder(entry: str) -> Holder:
    return Holder(**orjson.loads(entry))


class Lease:
    """The lease of one run. All methods are called with a session that is open."""

    def __init__(self, tables: StateTables, run_id: str, command: str, seconds: float) -> None:
        self._tables = tables
        self._seconds = seconds
        self._renewed_at, self._renewed = time.monotonic(), utc_now()
        now = self._renewed
        self._holder = Holder(
            run_id=run_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            command=command,
            since=now.isoformat(sep=" ", timespec="seconds"),
            until=self._until(),
            started=_process_start(os.getpid()),
        )

    @property
    def seconds_since_renewal(self) -> float:
        """How long ago the lease was taken or renewed."""
        return time.monotonic() - self._renewed_at

    @property
    def overdue(self) -> bool:
        """Whether it has run out by this machine's clock: a run elsewhere may have taken over since."""
        return utc_now() > self._renewed + dt.timedelta(seconds=self._seconds)

    def take(self, session: Session) -> None:
        """Take the lease.

        Raises:
            RefusedError: Another run holds it.
        """
        with session.transaction():
            session.lock(self._tables.meta)  # of two runs that begin at once, one sees the other's
            entries = _entries(session, self._tables)
            self._refuse_others(entries)
            self._enter(session, entries)
        if session.lease_settles:
            self._settle(session)

    def _refuse_others(self, entries: Sequence[str]) -> None:
        for other in map(_holder, entries):
            if other.run_id != self._holder.run_id and other.alive:
                raise RefusedError(
                    f"Another run is under way: {other}.",
                    hint="Wait until it has ended, or stop it; then run the command again. Nothing was sent.",
                )

    def _settle(self, session: Session) -> None:
        """Wait until a run that looked before we wrote has written, too: of such runs one goes on, or none."""
        time.sleep(session.lease_settles)
        entries = _entries(session, self._tables)
        try:
            self._refuse_others(entries)
        except RefusedError:
            mine = [entry for entry in entries if _holder(entry).run_id == self._holder.run_id]
            if mine:
                self._leave(session, mine[0])
            raise
        self.check(session)

    def check(self, session: Session) -> str:
        """See that nobody has taken over; in the transaction that writes state, so a fenced-off run writes none.

        Returns:
            The entry as it stands.

        Raises:
            RefusedError: Another run has.
        """
        session.lock(self._tables.meta)
        entries = _entries(session, self._tables)
        mine = [entry for entry in entries if _holder(entry).run_id == self._holder.run_id]
        if not mine:
            taker = str(_holder(entries[0])) if entries else "nobody (the lease row is gone)"
            raise RefusedError(
                f"This run lost its lease to {taker}; it stops without writing state.",
                hint="Run the command again when the other run has ended: what this one sent is compared anew.",
            )
        return mine[0]

    def renew(self, session: Session) -> None:
        """Check the lease, and prolong it.

        Raises:
            RefusedError: Another run has taken over.
        """
        self._replace(session, self.check(session))

    def write(self, session: Session, work: Callable[[], _T]) -> _T:
        """Write state in one transaction, if nobody has taken over; prolongs the lease (see `in_transaction`).

        Raises:
            RefusedError: Another run has taken over.
        """

        def renewed() -> _T:
            self.renew(session)
            return work()

        return in_transaction(session, renewed)

    def give_back(self, session: Session) -> None:
        """End the lease, if it is still ours."""
        with session.transaction():
            session.lock(self._tables.meta)
            for entry in _entries(session, self._tables):
                if _holder(entry).run_id == self._holder.run_id:
                    self._leave(session, entry)

    def _until(self) -> str:
        return (utc_now() + dt.timedelta(seconds=self._seconds)).isoformat(sep=" ", timespec="milliseconds")

    def _value(self) -> str:
        return orjson.dumps({**asdict(self._holder), "until": self._until()}).decode()

    def _enter(self, session: Session, entries: Sequence[str]) -> None:
        for entry in entries[1:]:
            self._leave(session, entry)
        if entries:
            self._replace(session, entries[0])
            return
        mark, meta = self._tables.dialect.placeholder, self._tables.meta
        session.execute(
            f"insert into {meta} values ('{_SETTING}', {mark}, {mark})", [self._value(), utc_now()]
        )
        self._renewed_at, self._renewed = time.monotonic(), utc_now()

    def _replace(self, session: Session, entry: str) -> None:
        # In place of what was seen only: a renewal that comes late does not take the lease back.
        mark, meta = self._tables.dialect.placeholder, self._tables.meta
        session.execute(
            f"update {meta} set value = {mark}, updated_at = {mark} where setting = '{_SETTING}' and value = {mark}",
            [self._value(), utc_now(), entry],
        )
        self._renewed_at, self._renewed = time.monotonic(), utc_now()

    def _leave(self, session: Session, entry: str) -> None:
        mark, meta = self._tables.dialect.placeholder, self._tables.meta
        session.execute(f"delete from {meta} where setting = '{_SETTING}' and value = {mark}", [entry])


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _process_start(pid: int) -> str:
    """When a process of this machine began (Linux); empty where the system does not tell, or there is none."""
    try:
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return ""
    return fields[19]
