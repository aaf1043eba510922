"""Breaking a connection for real: resets, truncated bodies, silence.

ASGI has no word for it, so the connection's transport is handed to the application in the request's `state`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_TRANSPORT = "sandbox_transport"
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: closing sends RST instead of FIN."""


class SandboxProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol that lets the application reach its transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Keep the transport where requests find it, and send at once."""
        super().connection_made(transport)
        # Head and body of an answer are two writes: the second must not wait 40 ms for the client's ACK of the first.
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, _TRANSPORT: transport}


def _transport(scope: Scope) -> asyncio.Transport:
    transport: asyncio.Transport = scope["state"][_TRANSPORT]
    return transport


async def reset(scope: Scope, receive: Receive) -> None:
    """Reset the connection: the client sees ECONNRESET."""
    transport = _transport(scope)
    connection: Any = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()
    await until_gone(receive)


async def truncate(
    scope: Scope, receive: Receive, send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    """Announce the whole body, send half of it, and close."""
    length = [(b"content-length", str(max(len(body), 2)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers + length})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    _transport(scope).close()
    await until_gone(receive)


async def until_gone(receive: Receive) -> None:
    """Wait, without an answer, until the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def gone_or_late(receive: Receive, moment: float) -> None:
    """Wait until a moment of the monotonic clock, or until the client has left if that is sooner."""
    seconds = moment - time.monotonic()
    if seconds > 0:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(until_gone(receive), seconds)
