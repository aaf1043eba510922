"""Reproducible chance: every decision has its own random stream, named by what it decides.

Streams are independent, so a new table or a new day never shifts what was drawn elsewhere. Only `random`,
`randrange`, `randint` and `choice` are used: their results are the same in every supported Python.
"""

from __future__ import annotations

from datetime import date, timedelta
from random import Random
from typing import TypeVar

T = TypeVar("T")

START = date(2026, 6, 30)
"""The day of step 1. Step 2 is the day after, the first of a month."""


def stream(*name: object) -> Random:
    """The random stream of one decision, e.g. `stream("account", 17, "day", 1)`."""
    return Random("quillmere:" + ":".join(str(part) for part in name))


def happens(rng: Random, probability: float) -> bool:
    """True with the given probability."""
    return rng.random() < probability


def other(rng: Random, options: tuple[T, ...], than: T) -> T:
    """One of the options, never the present one."""
    return rng.choice([option for option in options if option != than])


def days(first: date, last: date) -> list[date]:
    """All days from first to last, both included; empty if last lies before first."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def months_later(day: date, months: int) -> date:
    """The same day of a later month; days after the 28th become the 28th."""
    month = day.month - 1 + months
    return date(day.year + month // 12, month % 12 + 1, min(day.day, 28))
