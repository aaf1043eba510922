"""Numbers: whole, decimal, floating."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from decimal import Context, Decimal
from typing import Any

from hypothesis import strategies as st

from core.spelling.kinds import Spell, Type
from core.spelling.meaning import BAD, EPOCH, SAFE, Double, plain, single
from planhat_dbt.objects import FieldType as F

WIDE = Context(prec=200)


NUMERIC = (F.TEXT, F.NUMBER, F.INTEGER, F.ANY)


def exact(number: Decimal | int) -> Any:
    """A number as JSON readers keep it: whole ones beyond the doubles as text."""
    if number == int(number) and abs(number) > SAFE:
        return str(int(number))
    return Decimal(number)


def number_into(value: Decimal | int, of: F) -> Any:
    match of:
        case F.TEXT:
            return plain(Decimal(value))
        case F.INTEGER:
            return exact(value) if value == int(value) else BAD
        case F.BOOLEAN:
            return bool(value) if value in (0, 1) else BAD
        case F.DAY:
            return value if (dt.date.min - EPOCH).days <= value <= (dt.date.max - EPOCH).days else BAD
        case _:
            return exact(value)


def spelled_double(value: Any) -> str | None:
    return repr(float(value)) if abs(value) <= SAFE and Decimal(repr(float(value))) == value else None


def integer(name: str, bits: int, *wider: str, signed: bool = True) -> Type:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    low += name == "hugeint"  # its least value has no decimal text that DuckDB reads
    small = st.integers(max(low, -100), 100)
    numbers: tuple[tuple[str, Spell], ...] = tuple((w, str) for w in (name, *wider))
    whole = st.lists(small, max_size=4) | st.lists(
        st.integers(low, high) | st.sampled_from([low, high]), max_size=4
    )
    decimals: tuple[tuple[str, Spell], ...] = (
        ("double", spelled_double),
        ("decimal(38,0)", lambda v: str(v) if abs(v) < 10**38 else None),
        ("decimal(38,4)", lambda v: f"{v}.0000" if abs(v) < 10**34 else None),
    )
    return Type(
        name,
        whole,
        (*NUMERIC, F.BOOLEAN, F.DAY),
        into=number_into,
        means=Decimal,
        others=(*numbers, *decimals),
        only={F.BOOLEAN: st.lists(st.integers(0, min(high, 2)), max_size=4)},
    )


def scaled(width: int, scale: int, *others: str) -> Type:
    bound = 10**width - 1
    number = st.integers(-bound, bound).map(
        lambda n: Decimal((int(n < 0), tuple(map(int, str(abs(n)))), -scale))
    )
    few = st.integers(-99, 99).map(lambda n: Decimal(n).scaleb(-min(scale, 1))).filter(
        lambda d: abs(d) < Decimal(10) ** (width - scale)
    )  # fmt: skip

    def fits(name: str) -> Spell:
        if name == "double":
            return spelled_double
        w, s = (int(n) for n in name[8:-1].split(","))
        return lambda d: (
            str(d)
            if d == d.quantize(Decimal(1).scaleb(-s), context=WIDE) and abs(d) < Decimal(10) ** (w - s)
            else None
        )

    return Type(
        f"decimal({width},{scale})",
        st.lists(few, max_size=4) | st.lists(number, max_size=4),
        NUMERIC,
        into=number_into,
        means=lambda d: d,
        spell=lambda d: format(d, "f"),
        others=tuple((o, fits(o)) for o in others),
    )


def float_means(value: float) -> Any:
    return Double(value) if math.isfinite(value) else BAD


def float_into(value: float, of: F) -> Any:
    if not math.isfinite(value):
        return BAD
    if of is F.INTEGER:
        if value != int(value):
            return BAD
        return exact(int(Decimal(repr(value))))
    return Double(value)


def short_decimal(value: float) -> str | None:
    if not math.isfinite(value) or abs(value) >= 1e15:
        return None
    number = Decimal(repr(value))
    text = format(number, "f")
    return text if Decimal(text) == round(number, 10) else None


MONEY = st.integers(-(10**9), 10**9).map(lambda n: n / 100)


def floating(name: str, width: int) -> Type:
    narrow = width == 32

    def into(value: float, of: F) -> Any:
        meant = float_into(value, of)
        return replace(meant, narrow=narrow) if isinstance(meant, Double) else meant

    return Type(
        name,
        st.lists((MONEY | st.integers(-1000, 1000).map(float)).map(single if narrow else float), max_size=4)
        | st.lists(st.floats(width=width), max_size=4),
        NUMERIC,
        spell=repr,
        means=float_means,
        into=into,
        others=((name, repr), ("double", repr))
        + ((("decimal(38,10)", short_decimal), ("decimal(20,2)", two_digits)) if width == 64 else ()),
    )


def two_digits(value: float) -> str | None:
    text = short_decimal(value)
    return text if text and Decimal(text) == round(Decimal(text), 2) else None


INTEGERS = [
    integer("tinyint", 8, "smallint", "bigint", "hugeint"),
    integer("smallint", 16, "integer"),
    integer("integer", 32, "bigint", "hugeint"),
    integer("bigint", 64, "hugeint"),
    integer("hugeint", 128),
    integer("utinyint", 8, "usmallint", "integer", signed=False),
    integer("usmallint", 16, "uinteger", signed=False),
    integer("uinteger", 32, "ubigint", "bigint", signed=False),
    integer("ubigint", 64, "uhugeint", "hugeint", signed=False),
    integer("uhugeint", 128, signed=False),
]
DECIMALS = [
    scaled(10, 2, "decimal(18,4)", "double", "decimal(11,2)"),
    scaled(18, 4, "decimal(38,10)", "decimal(10,2)", "double"),
    scaled(38, 9, "decimal(38,20)", "double"),
    scaled(38, 0, "decimal(38,2)", "double"),
    scaled(4, 4, "decimal(10,4)", "double", "decimal(38,38)"),
    scaled(18, 18, "decimal(38,20)", "double"),
    scaled(38, 38, "decimal(38,37)"),
    Type(
        "bignum",
        st.lists(st.integers(-(10**400), 10**400) | st.integers(-5, 5), max_size=4),
        (F.TEXT, F.NUMBER, F.ANY),
        into=number_into,
        means=Decimal,
        others=(("bignum", str),),
    ),
]
FLOATS = [floating("float", 32), floating("double", 64)]
