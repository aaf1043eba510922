"""From a warehouse value to the JSON Planhat wants: one table of conversions, and the checks that go with it.

A conversion has two halves: the form in which SQL hands the value out (exact, and cheap for a million rows),
and a Python function for what is left to check or change (None: nothing is). What no field of that type can
carry is known from the column's type alone and is a fault of the declaration; what only some values can is
found value by value and rejects its row (`bad_value`), never the batch. Sources: planhat-api §3.3-3.5, dbt-notes §7.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from planhat_dbt.objects import FieldType
from planhat_dbt.objects.notation import EMAIL, FILLED, WORD
from planhat_dbt.plain import BARE, TEXT, Check, Plain
from planhat_dbt.warehouse.port import ColumnKind, WireForm

if TYPE_CHECKING:
    from planhat_dbt.objects import Field, Rule

Convert: TypeAlias = Callable[[Any], Any]
_SAFE_INTEGER: Final = 2**53
_SAFE_DIGITS: Final = 15
"""So many digits are below that in any case."""
_HEX24: Final = re.compile(r"[0-9a-fA-F]{24}")
_LEAST_EXPONENT: Final = -324
_LARGEST_EXPONENT: Final = 308
"""Of a double; written out, a text of a few characters could else become gigabytes."""
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_EPOCH: Final = dt.date(1970, 1, 1)
_FIRST_DAY: Final = (dt.date.min - _EPOCH).days
_LAST_DAY: Final = (dt.date.max - _EPOCH).days
_STRICTER: Final = {WORD.pattern: Check.WORD, FILLED.pattern: Check.WORD, EMAIL.pattern: Check.EMAIL}
"""Texts that SQL can tell to keep to a rule; many more may."""
KEY_PREFIXES: Final = {"externalId": "extid-", "sourceId": "srcid-", "_id": ""}


class BadValueError(ValueError):
    """A value that this field of Planhat cannot carry; the text says why, without the value's context."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """How a column's values become JSON."""

    form: WireForm
    convert: Convert | None = None
    plain: Plain | None = None
    """Which values SQL may write itself; None: none."""


def conversion(kind: ColumnKind, field: Field) -> Conversion | None:
    """Say how a column of this kind becomes this field; None if it never can."""
    if kind is ColumnKind.UNSUPPORTED:
        return Conversion(WireForm.NATIVE)  # NULLs pass; the comparison rejects every other value, row by row
    found = _TABLE[field.type].get(kind)
    if found is not None and field.values:
        plain = Plain(quoted=True, check=Check.ONE_OF, values=field.values) if found.plain == TEXT else None
        return Conversion(found.form, _one_of(field.values, found.convert), plain)
    if found is not None and field.rule:
        plain = _plain_by(field.rule, found.plain) if found.plain else None
        return Conversion(found.form, _ruled(field.rule, found.convert), plain)
    return found


def company_conversion(kind: ColumnKind, by: str, *, several: bool) -> Conversion | None:
    """Say how a column of company keys becomes a company reference or a list of them (planhat-api §3.3)."""
    prefix = KEY_PREFIXES[by]
    check = _object_id if by == "_id" else _key
    if kind in (ColumnKind.NESTED, ColumnKind.JSON):
        return Conversion(WireForm.JSON, _prefixed_list(prefix, check)) if several else None
    if kind not in _KEY_KINDS:
        return None
    if several:
        return Conversion(WireForm.KEY, lambda value: [prefix + check(value)])
    plain = Plain(quoted=True, check=Check.OBJECT_ID if by == "_id" else Check.NOT_EMPTY, prefix=prefix)
    return Conversion(WireForm.KEY, lambda value: prefix + check(value), plain)


def _one_of(values: tuple[str, ...], convert: Convert | None) -> Convert:
    allowed = frozenset(values)

    def check(value: Any) -> Any:
        result = convert(value) if convert else value
        if result not in allowed:
            raise BadValueError(f"expected one of {', '.join(values)}")
        return result

    return check


def _plain_by(rule: Rule, plain: Plain) -> Plain | None:
    if not rule.pattern:
        return replace(plain, least=rule.least)
    check = _STRICTER.get(rule.pattern) if plain == TEXT else None
    return Plain(quoted=True, check=check) if check else None


def _ruled(rule: Rule, convert: Convert | None) -> Convert:
    if rule.pattern:

        def check_text(value: Any) -> Any:
            result = convert(value) if convert else value
            if not rule.allows(result):
                raise BadValueError(f"expected {rule.expected}")
            return result

        return check_text

    def check_number(value: Any) -> Any:
        result = convert(value) if convert else value
        number = Decimal(str(value).strip())
        if not rule.allows(number):
            raise BadValueError(f"expected {rule.expected}")
        return orjson.Fragment(format(number, "f")) if isinstance(result, str) else result

    return check_number


def _key(value: str) -> str:
    if not value:
        raise BadValueError("an empty key")
    return value


def _object_id(value: str) -> str:
    if not _HEX24.fullmatch(value):
        raise BadValueError("expected a Planhat _id of 24 hex characters")
    return value


def _reference(value: str) -> str:
    if _HEX24.fullmatch(value) or (value.startswith(("extid-", "srcid-")) and len(value) > len("extid-")):
        return value
    raise BadValueError("expected an _id, extid-… or srcid-…; map an own key with {company: column}")


def _prefixed_list(prefix: str, check: Callable[[str], str]) -> Convert:
    def convert(text: str) -> list[str]:
        return [prefix + check(_text_of(item)) for item in _items(text)]

    return convert


def _integer(value: int) -> int | str:
    # JSON numbers are doubles on the other side: beyond 2^53 only text is exact.
    return value if -_SAFE_INTEGER <= value <= _SAFE_INTEGER else str(value)


def _float(value: float) -> Any:
    if not math.isfinite(value):
        raise BadValueError("not a finite number")
    if value == 0 or 1e-4 <= abs(value) < 1e15:
        return value
    return orjson.Fragment(format(Decimal(repr(value)), "f"))


def _number(text: str) -> Any:
    """A number as it is written, without exponent; as text where a double would lose digits of a whole one."""
    if len(text) > _SAFE_DIGITS:
        whole = text.rstrip("0").rstrip(".") if "." in text else text
        if "." not in whole and (len(whole) > _SAFE_DIGITS + 2 or abs(int(whole)) > _SAFE_INTEGER):
            return whole
    return orjson.Fragment(text)


def _decimal(text: str) -> Decimal | None:
    """The number a text spells; None if it spells none, or one beyond what a double holds."""
    if not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    return number if _LEAST_EXPONENT <= number.adjusted() <= _LARGEST_EXPONENT else None


def _number_from_text(text: str) -> Any:
    number = _decimal(text.strip())
    if number is None:
        raise BadValueError("expected a number")
    return _number(format(number, "f"))


def _whole(value: Any) -> int | str:
    number = _decimal(str(value).strip())
    if number is None or number != number.to_integral_value():
        raise BadValueError("expected a whole number")
    return _integer(int(number))


def _boolean_from_text(text: str) -> bool:
    try:
        return {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}[
            text.strip().lower()
        ]
    except KeyError:
        raise BadValueError("expected true or false") from None


def _boolean_from_integer(value: int) -> bool:
    if value not in (0, 1):
        raise BadValueError("expected 0 or 1")
    return bool(value)


def _day(value: int) -> int:
    if not _FIRST_DAY <= value <= _LAST_DAY:
        raise BadValueError("expected whole days since 1970-01-01, within the years 1 to 9999")
    return value


def _parse_instant(text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text.strip())
        return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise BadValueError("expected a date or time as ISO 8601 text") from None


def _instant_from_text(text: str) -> str:
    return _parse_instant(text).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _day_from_text(text: str) -> int:
    return (_parse_instant(text).date() - _EPOCH).days


def _date_from_text(text: str) -> str:
    return _parse_instant(text).date().isoformat()


def _loads(text: str, expected: type) -> Any:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, expected):
        raise BadValueError(f"expected JSON of {'a list' if expected is list else 'an object'}")
    return value


def _any_json(text: str) -> Any:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadValueError("expected valid JSON (NaN and Infinity are not)") from None
    return orjson.Fragment(text)  # as written: reading would round its decimals and large numbers


def _items(text: str) -> list[Any]:
    """A list for a field of texts; the numbers in it as a text field has them."""
    items: list[Any] = _loads(text, list)
    if any(isinstance(item, int | float) for item in items):
        try:
            items = json.loads(text, parse_int=_plain, parse_float=_plain)
        except RecursionError:
            raise BadValueError("expected a list of texts") from None
    return items


def _plain(text: str) -> str:
    """A number without exponent, and without point if it is whole."""
    number = _decimal(text)
    if number is None:
        raise BadValueError("expected numbers that a double can hold")
    plain = format(number or Decimal(0), "f")  # there is no -0
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _text_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    raise BadValueError("expected a list of texts")


def _texts(text: str) -> list[str]:
    return [_text_of(item) for item in _items(text) if item is not None]


def _ids(text: str) -> list[str]:
    return [_object_id(_text_of(item)) for item in _loads(text, list) if item is not None]


def _object(text: str) -> Any:
    _loads(text, dict)
    return orjson.Fragment(text)


def _objects(text: str) -> Any:
    value = _loads(text, list)
    if not all(isinstance(item, dict) for item in value):
        raise BadValueError("expected a list of objects")
    return orjson.Fragment(text)


_K, _F, _C = ColumnKind, WireForm, Conversion
_NATIVE: Final = Conversion(WireForm.NATIVE, None, TEXT)
_TRUTH: Final = Conversion(WireForm.NATIVE, None, BARE)
_ID: Final = Plain(quoted=True, check=Check.OBJECT_ID)
_TIMES: Final = (_K.DATE, _K.TIMESTAMP, _K.TIMESTAMPTZ)
_KEY_KINDS: Final = frozenset((_K.TEXT, _K.INTEGER, _K.DECIMAL, _K.FLOAT, _K.UUID))


_NUMBERS: Final = {
    _K.INTEGER: _C(_F.NATIVE, _integer, Plain(quoted=False, check=Check.SAFE_INTEGER)),
    _K.DECIMAL: _C(_F.NUMBER, _number, Plain(quoted=False, check=Check.SHORT_NUMBER)),
    _K.FLOAT: _C(_F.NATIVE, _float, Plain(quoted=False, check=Check.USUAL_FLOAT)),
}


def _times(form: WireForm, from_text: Convert) -> dict[ColumnKind, Conversion]:
    plain = BARE if form is _F.DAY_NUMBER else TEXT
    return {
        **dict.fromkeys(_TIMES, Conversion(form, None, plain)),
        _K.TEXT: Conversion(_F.NATIVE, from_text),
    }


def _structured(convert: Convert) -> dict[ColumnKind, Conversion]:
    as_json = Conversion(_F.JSON, convert)
    return {_K.JSON: as_json, _K.NESTED: as_json, _K.TEXT: Conversion(_F.NATIVE, convert)}


_TABLE: Final[dict[FieldType, dict[ColumnKind, Conversion]]] = {
    FieldType.TEXT: {
        _K.TEXT: _NATIVE,
        **dict.fromkeys((_K.INTEGER, _K.DECIMAL, _K.FLOAT), _C(_F.KEY, None, TEXT)),
        **dict.fromkeys((_K.BOOLEAN, _K.TIME, _K.UUID), _C(_F.TEXT, None, TEXT)),
        _K.DATE: _C(_F.DAY_TEXT, None, TEXT),
        **dict.fromkeys((_K.TIMESTAMP, _K.TIMESTAMPTZ), _C(_F.INSTANT, None, TEXT)),
        **dict.fromkeys((_K.JSON, _K.NESTED), _C(_F.JSON, None, TEXT)),
    },
    FieldType.NUMBER: {**_NUMBERS, _K.TEXT: _C(_F.NATIVE, _number_from_text)},
    FieldType.INTEGER: {
        _K.INTEGER: _NUMBERS[_K.INTEGER],
        _K.DECIMAL: _C(_F.NUMBER, _whole),
        _K.FLOAT: _C(_F.NATIVE, _whole),
        _K.TEXT: _C(_F.NATIVE, _whole),
    },
    FieldType.BOOLEAN: {
        _K.BOOLEAN: _TRUTH,
        _K.INTEGER: _C(_F.NATIVE, _boolean_from_integer),
        _K.TEXT: _C(_F.NATIVE, _boolean_from_text),
    },
    FieldType.DATETIME: _times(_F.INSTANT, _instant_from_text),
    FieldType.DAY: {**_times(_F.DAY_NUMBER, _day_from_text), _K.INTEGER: _C(_F.NATIVE, _day)},
    FieldType.DATE: _times(_F.DAY_TEXT, _date_from_text),
    FieldType.ID: {_K.TEXT: _C(_F.NATIVE, _object_id, _ID)},
    FieldType.COMPANY: {_K.TEXT: _C(_F.NATIVE, _reference, _ID)},
    FieldType.COMPANIES: {
        **dict.fromkeys(
            (_K.JSON, _K.NESTED),
            _C(_F.JSON, lambda text: [_reference(_text_of(i)) for i in _items(text)]),
        ),
        _K.TEXT: _C(_F.NATIVE, lambda text: [_reference(text)]),
    },
    FieldType.TEXTS: _structured(_texts),
    FieldType.IDS: _structured(_ids),
    FieldType.OBJECT: _structured(_object),
    FieldType.OBJECTS: _structured(_objects),
    FieldType.ANY: {
        _K.TEXT: _NATIVE,
        _K.BOOLEAN: _TRUTH,
        **_NUMBERS,
        **dict.fromkeys(_TIMES, _C(_F.INSTANT, None, TEXT)),
        **dict.fromkeys((_K.TIME, _K.UUID), _C(_F.TEXT, None, TEXT)),
        **dict.fromkeys((_K.JSON, _K.NESTED), _C(_F.JSON, _any_json)),
    },
}
