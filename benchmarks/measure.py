"""A command measured as a whole process: wall time, CPU time, peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_KIB = 1 if sys.platform != "darwin" else 1 / 1024
"""Linux tells the peak in KiB, macOS in bytes."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one process needed; seconds and MiB."""

    wall: float
    cpu: float
    peak: float


def measure(command: Sequence[str], environ: Mapping[str, str], log: Path) -> Measured:
    """Run a command to its end.

    Raises:
        RuntimeError: It failed; the message has its last words.
    """
    with log.open("w+b") as file:
        started = time.perf_counter()
        process = subprocess.Popen(command, env=dict(environ), stdout=file, stderr=file)  # noqa: S603
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            file.seek(0)
            told = file.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{told}")
    return Measured(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * _KIB / 1024)
