"""Constants: whether one fits its field, and the JSON that Planhat will receive (planhat-api §3.4, §9)."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, cast

from planhat_dbt.declaration.wording import did_you_mean, kind_of, one_of, told
from planhat_dbt.objects import FieldType

if TYPE_CHECKING:
    from collections.abc import Callable

    from planhat_dbt.declaration.types import JsonValue
    from planhat_dbt.objects import Field

OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}")
EPOCH = date(1970, 1, 1)


def constant(field: Field, value: object) -> JsonValue:
    """The constant as it is sent.

    Dates are accepted as `YYYY-MM-DD` wherever Planhat wants another form of them.

    Raises:
        ValueError: it does not fit; the message says what was expected.
    """
    if value is None:
        raise ValueError("a constant null says nothing; leave the field out")
    expected, read = _READERS[field.type]
    try:
        sent = read(value)
    except (ValueError, OverflowError):
        sent = None
    if sent is None:
        hint = " Put it in quotes." if expected == "text" and isinstance(value, int | float) else ""
        raise ValueError(f"expected {expected}, found {told(value)} ({kind_of(value)}).{hint}")
    if field.values and sent not in field.values:
        words = did_you_mean(str(sent), field.values)
        raise ValueError(f"expected {one_of(field.values)}, found {told(value)}.{words}")
    if field.rule and not field.rule.allows(sent):
        raise ValueError(f"expected {field.rule.expected}, found {told(value)}.")
    return sent


def _text(value: object) -> JsonValue:
    return value if isinstance(value, str) else None


def _number(value: object) -> JsonValue:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None


def _integer(value: object) -> JsonValue:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _boolean(value: object) -> JsonValue:
    return value if isinstance(value, bool) else None


def _datetime(value: object) -> JsonValue:
    if not isinstance(value, str):
        return None
    moment = datetime.fromisoformat(value)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _day(value: object) -> JsonValue:
    if isinstance(value, str):
        return (date.fromisoformat(value) - EPOCH).days
    return _integer(value)


def _date(value: object) -> JsonValue:
    return date.fromisoformat(value).isoformat() if isinstance(value, str) else None


def _id(value: object) -> JsonValue:
    return value if isinstance(value, str) and OBJECT_ID.fullmatch(value) else None


def _company(value: object) -> JsonValue:
    if not isinstance(value, str):
        return None
    return value if re.match(r"(extid|srcid)-.", value) else _id(value)


def _list_of(read: Callable[[object], JsonValue]) -> Callable[[object], JsonValue]:
    def read_list(value: object) -> JsonValue:
        if not isinstance(value, list) or any(read(v) is None for v in value):
            return None
        return cast("list[JsonValue]", value)

    return read_list


def _object(value: object) -> JsonValue:
    return cast("dict[str, JsonValue]", value) if isinstance(value, dict) else None


def _any(value: object) -> JsonValue:
    return cast("JsonValue", value)


_READERS: dict[FieldType, tuple[str, Callable[[Any], JsonValue]]] = {
    FieldType.TEXT: ("text", _text),
    FieldType.NUMBER: ("a number", _number),
    FieldType.INTEGER: ("a whole number", _integer),
    FieldType.BOOLEAN: ("true or false", _boolean),
    FieldType.DATETIME: ("an ISO 8601 date or time", _datetime),
    FieldType.DAY: ("a date, or whole days since 1970-01-01", _day),
    FieldType.DATE: ("a date, YYYY-MM-DD", _date),
    FieldType.ID: ("a Planhat _id (24 hex characters)", _id),
    FieldType.COMPANY: ("a company: its _id, extid-… or srcid-…", _company),
    FieldType.COMPANIES: ("a list of companies: _id, extid-… or srcid-…", _list_of(_company)),
    FieldType.TEXTS: ("a list of texts", _list_of(_text)),
    FieldType.IDS: ("a list of Planhat _ids (24 hex characters each)", _list_of(_id)),
    FieldType.OBJECT: ("a mapping", _object),
    FieldType.OBJECTS: ("a list of mappings", _list_of(_object)),
    FieldType.ANY: ("a value", _any),
}
