"""The records of one resource in memory, with an index per key (planhat-api §3.1).

An index maps a key's value to one `_id`, or to a list of them where the value repeats: endusers may share
an e-mail, and an external id may exist once per company. Look-ups, inserts and key changes cost the same at
a million records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planhat_dbt.sandbox.resources import Resource
    from planhat_dbt.sandbox.values import Record


def _indexed_value(key: str, value: Any) -> Any:
    # E-mails are indexed without case; whether case matters is decided on the candidates.
    return value.lower() if key == "email" else value


class Collection:
    """The records of one resource by `_id`, and their keys."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.records: dict[str, Record] = {}
        self._indexes: dict[str, dict[str, str | list[str]]] = {key: {} for key in resource.indexed}
        self._sorted: list[str] | None = None

    def __len__(self) -> int:
        return len(self.records)

    def insert(self, record: Record) -> None:
        """Add a record that has its `_id`."""
        record_id = record["_id"]
        self.records[record_id] = record
        self._sorted = None
        for key, index in self._indexes.items():
            value = record.get(key)
            if value:
                _add(index, _indexed_value(key, value), record_id)

    def delete(self, record_id: str) -> Record | None:
        """Take a record out; None if there is none."""
        record = self.records.pop(record_id, None)
        if record is None:
            return None
        self._sorted = None
        for key, index in self._indexes.items():
            value = record.get(key)
            if value:
                _discard(index, _indexed_value(key, value), record_id)
        return record

    def change(self, record: Record, changes: Record) -> None:
        """Apply `changes` to a stored record and keep the indexes true."""
        for key in self._indexes.keys() & changes.keys():
            index, old, new = self._indexes[key], record.get(key), changes[key]
            if old:
                _discard(index, _indexed_value(key, old), record["_id"])
            if new:
                _add(index, _indexed_value(key, new), record["_id"])
        record.update(changes)

    def find(self, key: str, value: str) -> Sequence[str]:
        """The `_id`s of the records whose `key` is `value`, in the order they were stored."""
        if key == "_id":
            return (value,) if value in self.records else ()
        hit = self._indexes[key].get(_indexed_value(key, value))
        if hit is None:
            return ()
        return (hit,) if isinstance(hit, str) else hit

    def clear(self) -> None:
        """Forget all records."""
        self.records.clear()
        self._sorted = None
        for index in self._indexes.values():
            index.clear()

    def sorted_ids(self) -> list[str]:
        """All `_id`s in ascending order; kept until a record comes or goes."""
        if self._sorted is None:
            self._sorted = sorted(self.records)
        return self._sorted


def _add(index: dict[str, str | list[str]], value: str, record_id: str) -> None:
    there = index.setdefault(value, record_id)
    if there is record_id:
        return
    if isinstance(there, list):
        there.append(record_id)
    else:
        index[value] = [there, record_id]


def _discard(index: dict[str, str | list[str]], value: str, record_id: str) -> None:
    there = index.get(value)
    if there == record_id:
        del index[value]
    elif isinstance(there, list):
        there.remove(record_id)
        if len(there) == 1:
            index[value] = there[0]
