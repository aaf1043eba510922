"""Reading of Planhat's answers: bulk bodies, metrics bodies and messages of errors.

Pure: bytes in, frozen values out. A bulk answer has no row index and is not aligned with the request; it
names the keys of rows that changed, counts those that did not, and says of failed ones whatever it likes
(planhat-api §5.1, §13 no. 5). So nothing is guessed here: error items are kept verbatim, and keys are
picked up only where an item shows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, cast, overload

import orjson

from planhat_dbt.planhat.errors import UnreadableAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from planhat_dbt.planhat.answer import Answer

MESSAGE_BOUND = 500
"""Characters of an error's message that are kept."""

_COUNTS = ("created", "updated", "nonupdates")
_KEY_LISTS = ("insertsKeys", "updatesKeys", "upsertedIds", "modified")
_MESSAGES = ("message", "error", "err", "errorMessage", "msg", "reason", "errmsg", "description", "errors")
_NESTED = (
    "item",
    "data",
    "doc",
    "document",
    "object",
    "record",
    "row",
    "payload",
    "value",
    "keys",
    "keyValue",
    "key",
)
"""Where an error item may show the row it is about."""
_DEPTH = 4
"""How deep a message may be wrapped."""


class RecordKeys(NamedTuple):
    """The keys of one record, as far as they are named. A tuple, as thousands of them are made per answer."""

    id: str | None = None
    external_id: str | None = None
    """From `externalId` or, on invoices, `extId`."""
    source_id: str | None = None
    email: str | None = None
    """Only ever found in error items: key lists do not name it."""


class NamedRecords(Sequence[RecordKeys]):
    """The records that a list of an answer names, in its order."""

    __slots__ = ("_items", "_records")

    def __init__(self, items: Sequence[dict[str, object]] = (), records: Iterable[RecordKeys] | None = None):
        """Take key objects as they came, or records that are read already."""
        self._items = items
        self._records = None if records is None else tuple(records)

    @property
    def records(self) -> tuple[RecordKeys, ...]:
        """All of them, read."""
        if self._records is None:
            self._records = tuple([_record_keys(item) for item in self._items])
        return self._records

    def columns(self, key: str) -> tuple[list[str], list[str]] | None:
        """Their keys and ids side by side; None unless all have both, as texts."""
        if self._records is not None and self._records:
            return None
        try:
            keys, ids = [i[key] for i in self._items], [i["_id"] for i in self._items]
        except KeyError:
            return None
        if not ({*map(type, keys), *map(type, ids)} <= {str} and all(keys) and all(ids)):
            return None
        return cast("tuple[list[str], list[str]]", (keys, ids))

    def __len__(self) -> int:
        return len(self._items) if self._records is None else len(self._records)

    @overload
    def __getitem__(self, index: int) -> RecordKeys: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[RecordKeys]: ...
    def __getitem__(self, index: int | slice) -> RecordKeys | Sequence[RecordKeys]:
        return self.records[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self.records == tuple(other)

    __hash__ = None  # type: ignore[assignment]


_new = cast("Callable[[type[RecordKeys], tuple[str | None, ...]], RecordKeys]", tuple.__new__)
"""A NamedTuple's own constructor takes twice as long."""


@dataclass(frozen=True, slots=True)
class RowError:
    """One item of a list whose name ends in `Errors`."""

    kind: str
    """The name of the list: `createdErrors`, `updatedErrors`, `permissionErrors`, `validationErrors`, …"""
    message: str
    """Planhat's words, bounded."""
    keys: RecordKeys
    """Keys found inside the item; all None if it shows none."""
    raw: object = field(repr=False)
    """The item as it came."""


@dataclass(frozen=True, slots=True)
class BulkReport:
    """What became of the rows of one bulk call (planhat-api §5.1)."""

    status: int
    created: int
    updated: int
    unchanged: int
    inserts: NamedRecords = field(repr=False)
    """Keys of newly inserted records, in no promised order."""
    updates: NamedRecords = field(repr=False)
    """Keys of records that changed; unchanged ones are only counted."""
    errors: tuple[RowError, ...] = ()

    @property
    def answered(self) -> int:
        """Rows the answer accounts for; fewer than were sent means that some were dropped silently."""
        return self.created + self.updated + self.unchanged + len(self.errors)


@dataclass(frozen=True, slots=True)
class EventError:
    """One event that the tracking host refused at receipt."""

    message: str
    item: object = field(default=None, repr=False)
    """The event as it was sent, if the answer repeats it."""


@dataclass(frozen=True, slots=True)
class MetricsReport:
    """What the tracking host says of a batch; 200 means received, not accepted (planhat-api §10)."""

    processed: int | None
    """Rows received, errors included (§13 no. 28); None if not told."""
    errors: tuple[EventError, ...] = ()


def is_bulk_body(parsed: object) -> bool:
    """Whether a parsed body has the shape of §5.1: at least one of its counts, key lists or error lists."""
    if not isinstance(parsed, dict):
        return False
    if any(type(parsed.get(name)) is int for name in _COUNTS):
        return True
    return any(
        isinstance(value, list) and (name in _KEY_LISTS or _is_error_list(name))
        for name, value in parsed.items()
    )


def read_bulk(answer: Answer) -> BulkReport:
    """Read the answer to `PUT /{model}` with an array; 200, 206, 400 and 403 share one shape.

    Raises:
        UnreadableAnswerError: The body is not JSON, or not of that shape.
    """
    status, body, parsed = answer.status, answer.body, answer.json()
    if not isinstance(parsed, dict) or not is_bulk_body(parsed):
        raise _unreadable(
            status, f"the body is not a bulk answer: {_shorten(body.decode('utf-8', 'replace'), 200)}"
        )
    return BulkReport(
        status=status,
        created=_count(status, parsed, "created"),
        updated=_count(status, parsed, "updated"),
        unchanged=_count(status, parsed, "nonupdates"),
        inserts=_keys(status, parsed, "insertsKeys", "upsertedIds"),
        updates=_keys(status, parsed, "updatesKeys", "modified"),
        errors=tuple(
            _row_error(name, item)
            for name, value in parsed.items()
            if _is_error_list(name)
            for item in _list(status, name, value)
        ),
    )


def read_metrics(body: bytes) -> MetricsReport:
    """Read the answer to a tracking call; `{}` is fine, as activities get it (planhat-api §10.2).

    Raises:
        UnreadableAnswerError: The body is not a JSON object of that shape.
    """
    parsed = _parse(200, body)
    if not isinstance(parsed, dict):
        raise _unreadable(200, "the body is not an object with `processed` and `errors`")
    processed = parsed.get("processed")
    if processed is not None and type(processed) is not int:
        raise _unreadable(200, "`processed` is not a whole number")
    return MetricsReport(
        processed=processed,
        errors=tuple(_event_error(item) for item in _list(200, "errors", parsed.get("errors"))),
    )


def read_message(body: bytes, bound: int = MESSAGE_BOUND) -> str:
    """The words of an error body, which may be an object, a string, plain text or HTML (planhat-api §8)."""
    try:
        parsed: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _shorten(" ".join(body.decode("utf-8", "replace").split()), bound)
    return _shorten(_words(parsed), bound)


def _parse(status: int, body: bytes) -> object:
    try:
        return cast("object", orjson.loads(body))
    except orjson.JSONDecodeError as exc:
        raise _unreadable(status, f"the body of {len(body)} bytes is not JSON") from exc


def _unreadable(status: int, why: str) -> UnreadableAnswerError:
    return UnreadableAnswerError(f"Planhat's answer ({status}) cannot be read: {why}.", status=status)


def _is_error_list(name: str) -> bool:
    return name.endswith("Errors")


def _count(status: int, parsed: dict[str, object], name: str) -> int:
    value = parsed.get(name)
    if value is None:
        return 0
    if type(value) is not int or value < 0:
        raise _unreadable(status, f"`{name}` is not a count")
    return value


def _list(status: int, name: str, value: object) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _unreadable(status, f"`{name}` is not a list")
    return value


def _keys(status: int, parsed: dict[str, object], name: str, ids: str) -> NamedRecords:
    """Keys of a list of key objects; where that is absent, those of the list of bare `_id`s beside it."""
    items = _list(status, name, parsed.get(name))
    if not items:
        bare = _list(status, ids, parsed.get(ids))
        return NamedRecords(
            records=[RecordKeys(_text(item)) for item in bare if not isinstance(item, dict | list)]
        )
    if set(map(type, items)) != {dict}:
        raise _unreadable(status, f"`{name}` holds something else than key objects")
    return NamedRecords(cast("list[dict[str, object]]", items))


def _record_keys(item: dict[str, object]) -> RecordKeys:
    get = item.get
    record_id, external_id = get("_id"), get("externalId")
    if type(record_id) is str and type(external_id) is str and record_id and external_id and len(item) == 2:
        return _new(RecordKeys, (record_id, external_id, None, None))
    return RecordKeys(
        _text(get("_id")), _text(get("externalId")) or _text(get("extId")), _text(get("sourceId")), None
    )


def _text(value: object) -> str | None:
    """Ids are text, though the server may repeat a number as it was sent (§3.1); empty means none."""
    if type(value) is str:
        return value or None
    return None if value is None or isinstance(value, bool | dict | list) else str(value)


def _row_error(kind: str, item: object) -> RowError:
    return RowError(kind, _shorten(_words(item), MESSAGE_BOUND), _keys_inside(item), item)


def _event_error(item: object) -> EventError:
    row = item.get("item") if isinstance(item, dict) else None
    return EventError(_shorten(_words(item), MESSAGE_BOUND), row)


def _keys_inside(item: object) -> RecordKeys:
    if not isinstance(item, dict):
        return RecordKeys()
    places = [item, *(nested for name in _NESTED if isinstance(nested := item.get(name), dict))]
    found = [(_record_keys(place), _text(place.get("email"))) for place in places]
    return RecordKeys(
        next((keys.id for keys, _ in found if keys.id), None),
        next((keys.external_id for keys, _ in found if keys.external_id), None),
        next((keys.source_id for keys, _ in found if keys.source_id), None),
        next((email for _, email in found if email), None),
    )


def _words(item: object) -> str:
    """What an error item says: itself if text, its message if it has one, else the item as JSON."""
    for _ in range(_DEPTH):
        if not isinstance(item, dict):
            break
        said = next((value for name in _MESSAGES if (value := item.get(name))), None)
        if said is None:
            break
        item = said
    if isinstance(item, str):
        return item
    if isinstance(item, list) and item and all(isinstance(part, str) for part in item):
        return "; ".join(item)
    try:
        return orjson.dumps(item).decode()
    except TypeError:  # orjson writes less deep than it reads
        return "(an item nested too deeply to show)"


def _shorten(text: str, bound: int) -> str:
    return text if len(text) <= bound else text[: bound - 1] + "…"
