"""Emulators as processes of the tests' own: a few for each test process, ended with it."""

from __future__ import annotations

import atexit
import contextlib
import socket
import subprocess
import sys
import time
from collections import defaultdict, deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.postgres import die_with_parent

_DATABASES: Final = 40
"""That one process serves: it keeps all it ever held, and takes ever longer for each statement."""


@dataclass(slots=True)
class _Server:
    process: subprocess.Popen[bytes]
    port: int
    left: int = _DATABASES


_servers: defaultdict[str, deque[_Server]] = defaultdict(deque)


def port_for_database(script: str) -> int:
    """The port on which a script of this folder serves, for one database more.

    The server before the present one goes on, for a test may still use it; older ones end.
    """
    servers = _servers[script]
    if not servers or not servers[-1].left:
        servers.append(_started(script))
        if len(servers) > 2:
            servers.popleft().process.kill()
    servers[-1].left -= 1
    return servers[-1].port


def _started(script: str) -> _Server:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        number = int(found.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name(script), str(number)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one call, which allocates nothing
    )
    atexit.register(process.kill)
    give_up = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", number), timeout=1):
            return _Server(process, number)
        assert process.poll() is None
        assert time.monotonic() < give_up
        time.sleep(0.05)
