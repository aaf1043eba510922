"""A real HTTP/1.1 server on loopback that does exactly what a test tells it, faults included.

Each request is handed to a `script`: a function, or a list of replies of which the last repeats.
"""

from __future__ import annotations

import socket
import socketserver
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import responses
from typing import Any


@dataclass(frozen=True)
class Seen:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    connection: int


@dataclass(frozen=True)
class Reply:
    """An orderly answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass(frozen=True)
class Reset:
    """The request is read in full, then the connection is reset."""


@dataclass(frozen=True)
class HangUp:
    """The request is read in full, then the connection is closed in order, without an answer."""


@dataclass(frozen=True)
class Hang:
    """No answer, until the client gives up."""


@dataclass(frozen=True)
class Truncated:
    """Content-Length promises more than is sent."""

    status: int = 200
    body: bytes = b'{"created": 1, "upd'


@dataclass(frozen=True)
class Trickle:
    """A byte now and then."""

    interval: float = 0.05


@dataclass(frozen=True)
class Raw:
    """Bytes that are no HTTP at all."""

    data: bytes = b"\x16\x03\x01 nonsense\r\n\r\n"


Action = Reply | Reset | HangUp | Hang | Truncated | Trickle | Raw
Script = Callable[[Seen], Action] | Sequence[Action]


class Server:
    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.requests: list[Seen] = []
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self.connections = 0
        self._tcp = _Tcp(("127.0.0.1", 0), _Handler)
        self._tcp.owner = self
        self._tcp.tls = tls
        self._thread = threading.Thread(
            target=self._tcp.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._tcp.server_address[1]}"

    @property
    def targets(self) -> list[str]:
        return [seen.target for seen in self.requests]

    def next_action(self, seen: Seen) -> Action:
        with self.lock:
            self.requests.append(seen)
            if callable(self.script):
                return self.script(seen)
            return self.script[min(len(self.requests), len(self.script)) - 1]

    def close(self) -> None:
        self.closing.set()
        self._tcp.shutdown()
        self._tcp.server_close()
        self._thread.join()


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    owner: Server
    tls: ssl.SSLContext | None

    def finish_request(self, request: Any, client_address: Any) -> None:
        try:
            secured = self.tls.wrap_socket(request, server_side=True) if self.tls else request
        except OSError:  # the client did not like the certificate
            return
        super().finish_request(secured, client_address)


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        owner: Server = self.server.owner  # type: ignore[attr-defined]
        with owner.lock:
            owner.connections += 1
            number = owner.connections
        while (seen := self._read(number)) is not None:
            action = owner.next_action(seen)
            try:
                if not self._act(owner, action):
                    return
            except OSError:
                return

    def _read(self, number: int) -> Seen | None:
        try:
            line = self.rfile.readline()
            if not line:
                return None
            method, target, _ = line.decode().split(" ", 2)
            headers: dict[str, str] = {}
            while (header := self.rfile.readline().decode().strip()) != "":
                name, _, value = header.partition(":")
                headers[name.lower()] = value.strip()
            body = self.rfile.read(int(headers.get("content-length", "0")))
        except (OSError, ValueError):
            return None
        return Seen(method, target, headers, body, time.monotonic(), number)

    def _act(self, owner: Server, action: Action) -> bool:
        """Do it; whether the connection stays open."""
        match action:
            case Reply(status, body, headers, delay):
                owner.closing.wait(delay)
                self.wfile.write(_head(status, len(body), headers) + body)
                return True
            case Reset():
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.rfile.close()
                self.request.close()
            case Hang():
                owner.closing.wait(10)
            case Truncated(status, body):
                self.wfile.write(_head(status, len(body) + 100, {}) + body)
            case Trickle(interval):
                self.wfile.write(_head(200, 1000, {}))
                while not owner.closing.wait(interval):
                    self.wfile.write(b" ")
            case Raw(data):
                self.wfile.write(data)
            case HangUp():
                pass
        return False


def _head(status: int, length: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {responses.get(status, 'Odd')}"]
    if status not in {204, 304}:
        lines.append(f"Content-Length: {length}")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@contextmanager
def serving(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(script, tls)
    try:
        yield server
    finally:
        server.close()


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
