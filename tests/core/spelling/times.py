"""Days and instants."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import strategies as st

from core.spelling.kinds import Spell, Type
from core.spelling.meaning import BAD, EPOCH, Moment, day, iso
from planhat_dbt.objects import FieldType as F

TIMES = (F.TEXT, F.DATETIME, F.DAY, F.DATE, F.ANY)
FIRST = (dt.date.min - EPOCH).days
LAST = (dt.date.max - EPOCH).days


def time_into(ns: Any, of: F) -> Any:
    if not isinstance(ns, int) or not FIRST <= ns // (86_400 * 10**9) <= LAST:
        return BAD
    match of:
        case F.DAY:
            return ns // (86_400 * 10**9)
        case F.DATE:
            return day(ns).isoformat()
        case _:
            return iso(ns)


def date_into(days: Any, of: F) -> Any:
    if not isinstance(days, int) or not FIRST <= days <= LAST:
        return BAD
    return (EPOCH + dt.timedelta(days)).isoformat() if of is F.TEXT else time_into(days * 86_400 * 10**9, of)


def date_text(days: Any) -> str:
    return (EPOCH + dt.timedelta(days)).isoformat() if isinstance(days, int) else days


SPECIAL = st.sampled_from(["infinity", "-infinity", "12024-01-01", "0044-03-15 (BC)"])
DATE = Type(
    "date",
    st.lists(st.integers(FIRST, LAST) | st.integers(-3, 3) | SPECIAL, max_size=4),
    TIMES,
    spell=date_text,
    means=lambda d: date_into(d, F.TEXT),
    into=date_into,
    others=(
        ("date", date_text),
        ("timestamp", date_text),
        ("timestamptz", lambda d: f"{date_text(d)} 00:00:00+00"),
    ),
)


def clock(ns: int, digits: int, offset: int = 0) -> str:
    ns += offset * 60 * 10**9
    moment = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=ns // 10**9)  # noqa: DTZ001
    fraction = f".{ns % 10**9:09d}"[: digits + 1] if digits else ""
    return f"{moment.date().isoformat()} {moment:%H:%M:%S}{fraction}"


def zone(offset: int) -> str:
    return f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}"


def moment_text(digits: int, noise: int = 0, *, zoned: bool = False, turn: int = 0) -> Spell:
    """A spelling to so many digits of a second; noise below the millisecond, and another zone."""

    def text(value: Any) -> str | None:
        if isinstance(value, str):
            return value
        ns = value.ns // 10**6 * 10**6 + noise if noise else value.ns
        if (
            ns // 10**6 != value.ns // 10**6
            or (digits < 3 and ns % 10**9)
            or (digits == 9 and not NS[0] <= ns <= NS[1])
        ):
            return None
        offset = value.offset + turn if zoned else 0
        if not DAYS[0] < ns < DAYS[1]:
            offset = 0
        return clock(ns, digits, offset) + (zone(offset) if zoned else "")

    return text


NS = (-(2**63) // 10**6 * 10**6 + 10**10, 2**63 // 10**6 * 10**6 - 10**10)
DAYS = ((FIRST + 2) * 86_400 * 10**9, (LAST - 2) * 86_400 * 10**9)
NEARBY = 10**9 * 86_400 * 365 * 60


def stamp(name: str, digits: int) -> Type:
    step = 10 ** (9 - digits)
    low, high = NS if digits == 9 else (FIRST * 86_400 * 10**9, (LAST + 1) * 86_400 * 10**9 - 1)
    zoned = name == "timestamptz"
    near = st.integers(0 if digits == 9 else -NEARBY, NEARBY)
    moment = st.builds(
        Moment,
        (near | st.integers(low if digits < 9 else 0, high)).map(lambda n: n // step * step),
        st.sampled_from([0, 120, -330]) if zoned else st.just(0),
    )
    special = SPECIAL.map(lambda s: s.replace("12024-01-01", "infinity") if digits == 9 else s).map(
        lambda s: "-infinity" if digits == 9 and "BC" in s else s
    )
    return Type(
        name,
        st.lists(moment, max_size=4) | st.lists(moment | special, max_size=4),
        TIMES,
        spell=lambda v: moment_text(digits, zoned=zoned)(v) or "",
        means=lambda v: time_into(getattr(v, "ns", v), F.ANY),
        into=lambda v, of: time_into(getattr(v, "ns", v), of),
        others=(
            ("timestamp", moment_text(6, 999_000)),
            ("timestamp", moment_text(6)),
            ("timestamp_ms", moment_text(3)),
            ("timestamp_s", moment_text(0)),
            ("timestamp_ns", moment_text(9, 123_456)),
            ("timestamptz", moment_text(6, 1_000, zoned=True, turn=90)),
            ("timestamptz", moment_text(6, zoned=True)),
        ),
    )


STAMPS = [
    stamp("timestamp_s", 0),
    stamp("timestamp_ms", 3),
    stamp("timestamp", 6),
    stamp("timestamp_ns", 9),
    stamp("timestamptz", 6),
]
