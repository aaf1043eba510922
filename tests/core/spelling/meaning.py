"""What values mean in JSON, and whether JSON that was sent means that."""

from __future__ import annotations

import datetime as dt
import json
import struct
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

BAD = object()
SAFE = 2**53
EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class Double:
    """A floating-point number: any digits that read as it will do."""

    value: float | Decimal
    narrow: bool = False
    """Of 32 bits: read as such in a text, where it has fewer digits."""


@dataclass(frozen=True)
class Moment:
    """A time stamp, in nanoseconds of UTC since 1970; and the zone in which it is spelled."""

    ns: int
    offset: int = 0
    """Minutes."""


class Said(str):
    """A text that stands for something: an instant, a tree."""

    meaning: Any

    @classmethod
    def of(cls, text: str, meaning: Any) -> Said:
        said = cls(text)
        said.meaning = meaning
        return said


def same(sent: Any, expected: Any) -> bool:
    """Whether JSON, read with exact numbers, means what it should."""
    match expected:
        case Double():
            value = float(expected.value)
            if isinstance(sent, str):
                whole = value == int(value) and abs(value) < 1e38
                back = single(float(sent)) if expected.narrow else float(sent)
                return back == value and not (whole and set(sent) - set("-0123456789"))
            return isinstance(sent, Decimal) and float(sent) == value
        case bool() | None | str():
            return type(sent) is type(expected) and sent == expected
        case int() | Decimal():
            return isinstance(sent, Decimal) and sent == expected
        case list():
            return (
                isinstance(sent, list)
                and len(sent) == len(expected)
                and all(same(a, b) for a, b in zip(sent, expected, strict=True))
            )
        case dict():
            return (
                isinstance(sent, dict)
                and list(sent) == list(expected)
                and all(same(sent[k], expected[k]) for k in expected)
            )
        case Tree(value):
            return isinstance(sent, str) and same(read(sent), value)
    raise AssertionError(expected)


@dataclass(frozen=True)
class Tree:
    """JSON inside a text."""

    value: Any


def read(text: str | bytes) -> Any:
    """Read JSON strictly, numbers exactly."""

    def refuse(word: str) -> Any:
        raise ValueError(word)

    return json.loads(text, parse_int=Decimal, parse_float=Decimal, parse_constant=refuse)


def single(value: float) -> float:
    """The nearest number of 32 bits."""
    found: float = struct.unpack("f", struct.pack("f", value))[0]
    return found


def plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def day(ns: int) -> dt.date:
    return EPOCH + dt.timedelta(days=ns // (86_400 * 10**9))


def iso(ns: int) -> str:
    moment = dt.datetime(1970, 1, 1, tzinfo=None) + dt.timedelta(milliseconds=ns // 10**6)  # noqa: DTZ001
    return f"{moment:%H:%M:%S}".join((f"{moment.date().isoformat()}T", f".{moment.microsecond // 1000:03d}Z"))
