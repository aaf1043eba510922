"""Starting and stopping the sandbox: uvicorn in a thread for tests, in the foreground for the command."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import uvicorn

from planhat_dbt.sandbox import data_file
from planhat_dbt.sandbox.log import CallLog
from planhat_dbt.sandbox.rules import Rules
from planhat_dbt.sandbox.server import application
from planhat_dbt.sandbox.service import Quota, Service
from planhat_dbt.sandbox.tenant import Tenant
from planhat_dbt.sandbox.wire import SandboxProtocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from planhat_dbt.sandbox.faults import Faults
    from planhat_dbt.sandbox.legality import Violation

DEFAULT_TOKEN = "sandbox-token"  # noqa: S105 - opens nothing but a local sandbox
DEFAULT_TENANT_UUID = "5a0d0b0c-0000-4000-8000-000000000001"
_START_SECONDS = 20
_SAVE_SECONDS = 2.0
_TICKS_PER_FREEZE = 20
"""Two seconds."""


class Sandbox:
    """A local Planhat over real HTTP on a loopback port.

    ```python
    with Sandbox() as planhat:
        httpx.put(f"{planhat.url}/companies", json=[{"name": "Acme"}], headers=planhat.headers)
        assert planhat.tenant.records("companies")[0]["name"] == "Acme"
        assert not planhat.violations
    ```

    Args:
        host: Address to listen on.
        port: 0 takes a free one.
        token: The only API token that works.
        tenant_uuid: The tenant of tracking calls.
        data: A file the records come from, and are saved to.
        rules: How the tenant behaves in cases of doubt.
        quota: Calls of the main API per window, beyond which comes a 429; None: never.
        quota_seconds: Length of that window.
        log_calls: Calls kept in the log; None: all.
        log_rows: Rows kept of each body; None: all.
    """

    def __init__(  # noqa: PLR0913 - independent options, by keyword only
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str = DEFAULT_TOKEN,
        tenant_uuid: str = DEFAULT_TENANT_UUID,
        data: str | os.PathLike[str] | None = None,
        rules: Rules | None = None,
        quota: int | None = None,
        quota_seconds: float = 60.0,
        log_calls: int | None = None,
        log_rows: int | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._data = Path(data) if data is not None else None
        first = rules or Rules()
        self._service = Service(
            token=token,
            tenant_uuid=tenant_uuid,
            tenant=Tenant(first),
            log=CallLog(keep=log_calls, rows=log_rows),
            quota=Quota(limit=quota, seconds=quota_seconds),
            first_rules=first,
        )
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    # -- what it is

    @property
    def url(self) -> str:
        """Base URL of both the main API and the tracking host, without a final slash."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def token(self) -> str:
        """The API token."""
        return self._service.token

    @property
    def tenant_uuid(self) -> str:
        """The tenant UUID of tracking calls."""
        return self._service.tenant_uuid

    @property
    def headers(self) -> dict[str, str]:
        """What a plain HTTP client has to send with each call."""
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point planhat-dbt here."""
        return {
            "PLANHAT_API_URL": self.url,
            "PLANHAT_TRACKING_URL": self.url,
            "PLANHAT_API_TOKEN": self.token,
            "PLANHAT_TENANT_UUID": self.tenant_uuid,
        }

    @property
    def tenant(self) -> Tenant:
        """Its records: read, seed, edit, remove."""
        return self._service.tenant

    @property
    def faults(self) -> Faults:
        """Orders for things to go wrong."""
        return self._service.faults

    @property
    def log(self) -> CallLog:
        """All calls that came."""
        return self._service.log

    @property
    def violations(self) -> list[Violation]:
        """Rules of the API that callers broke."""
        return self._service.log.violations

    @property
    def quota(self) -> Quota:
        """The call quota; set its `limit` to change it."""
        return self._service.quota

    @property
    def rules(self) -> Rules:
        """How the tenant behaves; assign a changed value to change it."""
        return self._service.tenant.rules

    @rules.setter
    def rules(self, rules: Rules) -> None:
        with self._service.lock:
            self._service.tenant.rules = rules

    def reset(self) -> None:
        """Forget records, events, faults, log; go back to the first rules."""
        self._service.reset()

    # -- running

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Serve in a thread of its own; returns when calls are answered.

        Raises:
            OSError: the address is in use or not ours.
            DataFileError: the data file cannot be read.
        """
        listener = self._listen()
        self._server = self._new_server()
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="planhat-sandbox", daemon=True
        )
        self._thread.start()
        if not self._server.ready.wait(_START_SECONDS):
            raise TimeoutError("the sandbox did not start")
        return self

    def stop(self) -> None:
        """End it and save the data file; calls under way are cut off."""
        if self._server is None or self._thread is None:
            return
        self._server.finish()
        self._thread.join()
        self._server = self._thread = None

    def serve(self, on_start: Callable[[], None]) -> None:
        """Serve in the foreground until SIGINT or SIGTERM.

        Raises:
            OSError: the address is in use or not ours.
            DataFileError: the data file cannot be read.
        """
        listener = self._listen()
        self._server = self._new_server(on_start)
        self._server.own_process = True
        gc.set_threshold(50_000, 20, 100)
        try:
            # uvicorn raises the signal again once it has shut down; there is nothing left to interrupt.
            with contextlib.suppress(KeyboardInterrupt):
                self._server.run(sockets=[listener])
        finally:
            self._server = None

    def _listen(self) -> socket.socket:
        if self._data is not None:
            data_file.load(self._service.tenant, self._data)
        # Named as TCP, or asyncio leaves Nagle's algorithm on, and an answer in two parts waits 40 ms for the second.
        listener = socket.socket(_family(self._host), socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, self._port))
            listener.listen(512)
        except OSError:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        return listener

    def _new_server(self, on_start: Callable[[], None] = lambda: None) -> _Server:
        config = uvicorn.Config(
            application(self._service),
            http=SandboxProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        return _Server(config, on_start, self._save if self._data else None)

    def _save(self) -> None:
        if self._data is not None:
            data_file.save(self._service.tenant, self._data)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class _Server(uvicorn.Server):
    """uvicorn's server that tells when it is ready and ends without waiting for clients that hang."""

    def __init__(
        self, config: uvicorn.Config, on_start: Callable[[], None], save: Callable[[], None] | None
    ) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._on_start = on_start
        self._save = save
        self._next_save = time.monotonic() + _SAVE_SECONDS
        self.own_process = False
        """Whether the interpreter is ours to tune."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()
        self._on_start()

    async def on_tick(self, counter: int) -> bool:
        if self.own_process and counter % _TICKS_PER_FREEZE == 0:
            # Stored records are no garbage: without this the collector walks through all of them again and again,
            # which costs a third of the time of a million-row load.
            gc.collect(1)
            gc.freeze()
        # Saving a big tenant takes its time, in which no call is answered: at most a twentieth of it all.
        if self._save is not None and time.monotonic() >= self._next_save:
            started = time.monotonic()
            self._save()
            self._next_save = started + max(_SAVE_SECONDS, 20 * (time.monotonic() - started))
        return await super().on_tick(counter)

    def finish(self) -> None:
        """Ask it to end; safe from another thread."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Clients with an answer still to come would be waited for: cut them off.
        for connection in list(self.server_state.connections):
            transport = connection.transport
            if isinstance(transport, asyncio.Transport):
                transport.abort()
        await super().shutdown(sockets)
        # Here and not later: uvicorn raises SIGTERM again when it is done, which ends the process.
        if self._save is not None:
            self._save()
