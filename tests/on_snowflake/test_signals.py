"""A signal in the middle of a statement: the driver would cancel the statement, and what was sent go unrecorded."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest
from harness import Project

NUMBERS = "(select seq4() as n from table(generator(rowcount => 30000)))"
LONG = f"select count(*) from {NUMBERS} a, {NUMBERS} b where mod(a.n * b.n, 7) = 3"


@pytest.fixture
def received() -> Iterator[list[int]]:
    """Signals that reached our own handler."""
    received: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    yield received
    signal.signal(signal.SIGINT, before)


def test_a_statement_goes_on_to_its_end(project: Project, received: list[int]) -> None:
    with project.warehouse.opened.open() as session:
        interrupt = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        interrupt.start()
        try:
            counted, still_to_come = session.rows(LONG), interrupt.is_alive()
        finally:
            interrupt.join()
    assert counted[0][0] > 0
    assert not still_to_come
    assert received == [signal.SIGINT]
