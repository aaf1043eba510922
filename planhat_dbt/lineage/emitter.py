"""Sends OpenLineage events beside a run: never in its way, never the cause of its failure (decision 33)."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING, Final

from planhat_dbt.errors import UsageError
from planhat_dbt.report.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import RunEvent

_LOGGER: Final = "openlineage"
_UNCONFIGURED: Final = (
    "OpenLineage: no transport is configured, so no event is sent. Set OPENLINEAGE_URL, or write an openlineage.yml "
    "(see docs/lineage.md)."
)


def open_client(notice: Callable[[str], None]) -> OpenLineageClient | None:
    """Make the official client as its own configuration says; None: nothing is to be sent.

    Args:
        notice: Told in one line why nothing will be sent, where that may not be meant.

    Raises:
        UsageError: The client is not installed.
    """
    # Its failures are told in our one line; what it logs may name addresses with their secrets.
    logging.getLogger(_LOGGER).addHandler(logging.NullHandler())
    try:
        from openlineage.client import OpenLineageClient  # noqa: PLC0415 - an extra, and a third of a second
    except ImportError as error:
        raise UsageError(
            "`vars: planhat: openlineage` is on, but OpenLineage's client is not installed. Nothing was sent.",
            hint="Install it: pip install 'planhat-dbt[openlineage]'; or take the setting out.",
        ) from error
    try:
        client = OpenLineageClient()
    except Exception as error:  # noqa: BLE001 - whatever is wrong with its configuration, the sync goes on
        notice(
            f"OpenLineage: its client does not accept its configuration ({type(error).__name__}), so no event is "
            "sent. Look at openlineage.yml and the OPENLINEAGE_… variables."
        )
        return None
    if client.transport.kind == "noop":
        return None
    if client.transport.kind == "console" and not (client.config.transport or {}).get("type"):
        notice(_UNCONFIGURED)
        return None
    return client


class Emitter:
    """A thread of its own sends what it is given, in order; the run goes on meanwhile."""

    def __init__(self, client: OpenLineageClient, notice: Callable[[str], None]) -> None:
        self._client = client
        self._notice = notice
        self._queue: queue.SimpleQueue[RunEvent | None] = queue.SimpleQueue()
        self._given = 0
        self._sent = 0
        self._fault = ""
        self._timeout = 0.0
        # A daemon: a server that never answers must not keep the process alive.
        self._thread = threading.Thread(target=self._work, name="openlineage", daemon=True)
        self._thread.start()

    def send(self, event: RunEvent) -> None:
        """Send an event when the ones before it are through."""
        self._given += 1
        self._queue.put(event)

    def close(self, timeout: float) -> None:
        """Wait for what is under way, `timeout` seconds at most, and say in one line if anything was lost."""
        self._timeout = timeout
        self._queue.put(None)
        self._thread.join(timeout)
        lost = self._given - self._sent
        if lost:
            fault = self._fault or f"no answer within {timeout:g} s"
            self._notice(
                f"OpenLineage: {counted(lost, 'event')} of {self._given} not delivered ({fault}). The sync is not "
                "touched by it; look at OPENLINEAGE_URL or openlineage.yml."
            )

    def _work(self) -> None:
        while (event := self._queue.get()) is not None:
            try:
                self._client.emit(event)
                self._sent += 1
            except Exception as error:  # noqa: BLE001 - transports raise whatever their library does
                self._fault = _told(error)
        try:
            self._client.close(self._timeout)  # some transports send in a thread of their own
        except Exception as error:  # noqa: BLE001 - as above
            self._fault = _told(error)


def _told(error: Exception) -> str:
    """Name a fault without its text: that may hold the address with its secrets."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return f"HTTP {status}" if status else type(error).__name__
