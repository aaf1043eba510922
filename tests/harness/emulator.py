"""Emulators as processes of the tests' own: one for each test process, ended with it."""

from __future__ import annotations

import atexit
import contextlib
import socket
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

from harness.postgres import die_with_parent


@cache
def port_of(script: str) -> int:
    """The port on which a script of this folder serves; it is started once."""
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
            return number
        assert process.poll() is None
        assert time.monotonic() < give_up
        time.sleep(0.05)
