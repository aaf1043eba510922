"""What Planhat keeps in a field and how a sent value is cast to it (planhat-api §3.4, §3.5, §13.14, §13.15).

Number-like text is cast, numbers become text where text is kept (official samples send a number as
`externalId`), date-times are stored in UTC at millisecond precision. What cannot be cast is the fault of
that row alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Record = dict[str, Any]
"""A stored record or a row as it came: field → JSON value."""

_OBJECT_ID = re.compile(r"[0-9a-f]{24}\Z")


class BadValueError(ValueError):
    """A value cannot become what the field keeps; the text names the field and the reason."""


def is_object_id(value: object) -> bool:
    """Whether `value` looks like a Planhat `_id`: 24 lower-case hex characters."""
    return isinstance(value, str) and _OBJECT_ID.match(value) is not None


def iso(moment: datetime) -> str:
    """`YYYY-MM-DDTHH:mm:ss.sssZ`, the form Planhat answers with."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValueError("expected a string")
    return str(value)


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadValueError("expected a number")
    if isinstance(value, int | float):
        return value
    try:
        number = float(value)
    except ValueError:
        raise BadValueError("expected a number") from None
    if number != number or number in {float("inf"), float("-inf")}:  # noqa: PLR0124 - NaN alone differs from itself
        raise BadValueError("expected a number")
    return int(number) if number.is_integer() and "." not in value else number


def _integer(value: Any) -> int:
    number = _number(value)
    if isinstance(number, float) and not number.is_integer():
        raise BadValueError("expected an integer")
    return int(number)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise BadValueError("expected true or false")


def _datetime(value: Any) -> str:
    if not isinstance(value, str):
        raise BadValueError("expected an ISO 8601 date-time")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise BadValueError("expected an ISO 8601 date-time") from None
    if len(value) == 24 and value[10] == "T" and value[-1] == "Z":
        return value
    return iso(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _date(value: Any) -> str:
    if not isinstance(value, str):
        raise BadValueError("expected YYYY-MM-DD")
    try:
        return date.fromisoformat(value[:10]).isoformat()
    except ValueError:
        raise BadValueError("expected YYYY-MM-DD") from None


def _id(value: Any) -> str:
    if not is_object_id(value):
        raise BadValueError("expected an _id of 24 hex characters")
    return str(value)


def _list(value: Any) -> list[Any]:
    # An operator object ({"add": …}) is refused here: only whole lists are known (planhat-api §13.15).
    if not isinstance(value, list):
        raise BadValueError("expected an array")
    return value


def _texts(value: Any) -> list[str]:
    return [_text(item) for item in _list(value)]


def _ids(value: Any) -> list[str]:
    return [_id(item) for item in _list(value)]


def _objects(value: Any) -> list[Any]:
    if not all(isinstance(item, dict) for item in _list(value)):
        raise BadValueError("expected an array of objects")
    return list(value)


def _references(value: Any) -> list[Any]:
    if not all(isinstance(item, str) for item in _list(value)):
        raise BadValueError("expected an array of company references")
    return list(value)


def _custom(value: Any) -> Any:
    if not isinstance(value, dict):
        raise BadValueError("expected an object")
    return value


_CASTS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "text": _text,
        "number": _number,
        "integer": _integer,
        "boolean": _boolean,
        "datetime": _datetime,
        "day": _integer,
        "date": _date,
        "id": _id,
        "ids": _ids,
        "texts": _texts,
        "objects": _objects,
        "list": _list,
        "custom": _custom,
        "company": _text,
        "companies": _references,
    }
)

_AS_IS: Mapping[str, frozenset[type]] = MappingProxyType(
    {
        "text": frozenset({str}),
        "number": frozenset({int, float}),
        "integer": frozenset({int}),
        "boolean": frozenset({bool}),
        "day": frozenset({int}),
        "company": frozenset({str}),
        "custom": frozenset({dict}),
    }
)

_CUSTOM_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "text": "text",
        "rich text": "text",
        "phone": "text",
        "email": "text",
        "url": "text",
        "list": "text",
        "number": "number",
        "checkbox": "boolean",
        "rating": "integer",
        "date": "datetime",
        "day": "day",
        "multipicklist": "texts",
        "team member": "id",
        "team members": "ids",
        "enduser": "id",
        "endusers": "ids",
    }
)


@dataclass(frozen=True, slots=True)
class Spec:
    """One field: its type, whether a call may set it, and how to cast."""

    name: str
    kind: str
    writable: bool
    as_is: frozenset[type]
    """JSON types that need no cast."""
    convert: Callable[[Any], Any]
    values: tuple[str, ...] = ()
    low: int | None = None
    high: int | None = None

    def cast(self, value: Any) -> Any:
        """The value as Planhat keeps it.

        Raises:
            BadValueError: it cannot be kept in this field.
        """
        try:
            result = self.convert(value)
        except BadValueError as error:
            raise BadValueError(f"{self.name}: {error}") from None
        if self.values and result not in self.values:
            raise BadValueError(f"{self.name}: expected one of {', '.join(self.values)}")
        if self.low is not None and self.high is not None and not self.low <= result <= self.high:
            raise BadValueError(f"{self.name}: expected {self.low} to {self.high}")
        return result


def parse_specs(table: str) -> Mapping[str, Spec]:
    """Read a field table of `fields.py`."""
    specs = {"_id": Spec("_id", "id", writable=False, as_is=frozenset(), convert=_id)}
    for line in table.strip().splitlines():
        kind, _, names = line.rpartition(": ")
        for name in names.split():
            specs[name] = _spec(name, kind)
    return MappingProxyType(specs)


def _spec(name: str, kind: str) -> Spec:
    if kind == "readonly":
        return Spec(name, "any", writable=False, as_is=frozenset(), convert=lambda value: value)
    kind, _, limit = kind.partition(" ")
    if kind == "enum":
        return Spec(
            name, "text", writable=True, as_is=frozenset(), convert=_text, values=tuple(limit.split("|"))
        )
    if limit:
        low, _, high = limit.partition("..")
        return Spec(
            name, kind, writable=True, as_is=frozenset(), convert=_CASTS[kind], low=int(low), high=int(high)
        )
    return Spec(name, kind, writable=True, as_is=_AS_IS.get(kind, frozenset()), convert=_CASTS[kind])


def custom_spec(name: str, custom_type: str, *, formula: bool) -> Spec:
    """The spec of a custom field of a defined type (planhat-api §3.5); a formula is computed, not written."""
    kind = _CUSTOM_TYPES[custom_type]
    label = f"custom.{name}"
    return Spec(label, kind, writable=not formula, as_is=_AS_IS.get(kind, frozenset()), convert=_CASTS[kind])
