"""Is Planhat an exact mirror of the models? Compared field by field, with nothing of planhat_dbt but its declarations.

Every row of a declared model must be found in the sandbox with the values the model has now; records of rows that
left the model must be gone, emptied or untouched, as their declaration says; every event must be there exactly once.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import httpx

from planhat_dbt.declaration.types import CompanyRef, Constant, Nulls, OnRemoved, Write
from planhat_dbt.objects import FieldType

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from planhat_dbt.declaration import FieldMapping, Sync

EPOCH = dt.date(1970, 1, 1)
MISSING = object()


class Mirror:
    """One comparison of a DuckDB file with a sandbox."""

    def __init__(self, database: Path, sandbox_url: str, syncs: tuple[Sync, ...]) -> None:
        self._database, self._url, self._syncs = database, sandbox_url, syncs
        self._company_ids: dict[str, str] = {}
        """`extid-…` and `srcid-…` → `_id`."""
        self._days: set[str | None] = set()
        """Custom fields that hold whole days since 1970."""

    def differences(self) -> Iterator[str]:
        """Tell each difference; none at all if the mirror is exact."""
        self._days = {f["name"] for f in self._records("customfields") if f["type"] == "day"}
        for company in self._records("companies"):
            for prefix, key in (("extid-", "externalId"), ("srcid-", "sourceId")):
                if company.get(key):
                    self._company_ids[prefix + company[key]] = company["_id"]
        for sync in self._syncs:
            yield from self._events(sync) if sync.object.is_event else self._compare(sync)

    def _records(self, name: str) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = httpx.get(f"{self._url}/_sandbox/records/{name}", timeout=60).json()
        return records

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        with duckdb.connect(str(self._database), read_only=True) as connection:
            connection.execute("set timezone = 'UTC'")
            cursor = connection.execute(sql)
            names = [d[0].lower() for d in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _compare(self, sync: Sync) -> Iterator[str]:
        records = self._by_key(sync)
        rows = {str(r[sync.key.lower()]): r for r in self._rows(f"from {sync.model.relation.rendered}")}
        for key, row in rows.items():
            if key not in records:
                yield f"{sync.object.name} {key}: in the model, not in Planhat"
                continue
            for mapping in sync.fields:
                found, wanted = _get(records[key], mapping), self._wanted(mapping, row)
                if not _optional(mapping, row) and not _same(found, wanted):
                    yield f"{sync.object.name} {key}: {mapping.target} is {found!r}, the model says {wanted!r}"
        for key in records.keys() - rows.keys():
            yield from _left_over(sync, key, records[key])

    def _by_key(self, sync: Sync) -> dict[str, dict[str, Any]]:
        """Records by our key; notes, which have none in Planhat, through the ids that the snapshot table keeps."""
        path = sync.object.path.strip("/")
        records = [r for r in self._records(path) if (r.get("type") == "note") == (sync.object.name == "note")] \
            if path == "conversations" else self._records(path)  # fmt: skip
        if sync.match:
            name = sync.object.fields[sync.match.field].json_name
            return {r[name]: r for r in records if r.get(name)}
        keys = {r["_planhat_id"]: r["_key"] for r in self._rows(f"from planhat_sync.snapshot__{sync.name}")}
        return {keys.get(r["_id"], f"unknown {r['_id']}"): r for r in records}

    def _wanted(self, mapping: FieldMapping, row: dict[str, Any]) -> Any:
        source = mapping.source
        if isinstance(source, Constant):
            return source.value
        value = row[source.column.lower()]
        is_day = mapping.field.type is FieldType.DAY or mapping.custom_name in self._days
        if is_day and isinstance(value, dt.date):
            return (value - EPOCH).days
        if mapping.target == "companyExternalId":
            return self._company_ids.get(f"extid-{value}", value)
        if not isinstance(source, CompanyRef) or value is None:
            return value
        prefix = {"externalId": "extid-", "sourceId": "srcid-", "_id": ""}[source.by]
        if isinstance(value, list):
            return [self._company_ids.get(prefix + v, v) for v in value]
        return self._company_ids.get(prefix + str(value), value)

    def _events(self, sync: Sync) -> Iterator[str]:
        """Compare events as bags: those of the model, and those that have left it since, are there once."""
        kind = "metrics" if sync.object.name == "metric" else "activities"
        found = Counter(_event(e, sync) for e in self._records(kind))
        wanted: Counter[tuple[Any, ...]] = Counter()
        in_model = set()
        for row in self._rows(f"from {sync.model.relation.rendered}"):
            in_model.add(row[sync.key.lower()])
            wanted[tuple(_plain(self._wanted(m, row)) for m in sync.fields)] += 1
        for row in self._rows(f"from planhat_sync.snapshot__{sync.name}"):
            if row["_key"] not in in_model:
                told = {
                    m.model_column.lower(): row[m.state_column.lower()] for m in sync.fields if m.model_column
                }
                wanted[tuple(_plain(self._wanted(m, told)) for m in sync.fields)] += 1
        for event in (found - wanted) + (wanted - found):
            yield f"{sync.object.name} {event}: {found[event]} times in Planhat, {wanted[event]} expected"


def _get(record: dict[str, Any], mapping: FieldMapping) -> Any:
    if mapping.custom_name:
        return (record.get("custom") or {}).get(mapping.custom_name)
    return record.get(mapping.field.json_name)


def _optional(mapping: FieldMapping, row: dict[str, Any]) -> bool:
    """Whether the declaration lets Planhat's value differ from the model's."""
    empty = mapping.model_column is not None and row[mapping.model_column.lower()] is None
    return mapping.write is Write.ON_INSERT or (mapping.nulls is Nulls.SKIP and empty)


def _left_over(sync: Sync, key: str, record: dict[str, Any]) -> Iterator[str]:
    if sync.on_removed is OnRemoved.DELETE:
        yield f"{sync.object.name} {key}: not in the model, still in Planhat"
    if sync.on_removed is OnRemoved.CLEAR:
        for mapping in sync.fields:
            kept = mapping.field.required or isinstance(mapping.source, Constant | CompanyRef)
            kept = kept or any(mapping.target in group for group in sync.object.one_of)
            if not kept and _get(record, mapping) not in (None, []):
                yield f"{sync.object.name} {key}: {mapping.target} should have been cleared"


def _event(event: dict[str, Any], sync: Sync) -> tuple[Any, ...]:
    """Reduce a stored event to the mapped fields; Planhat files some of them under other names (planhat-api §10)."""
    event = {"date": event.get("time"), "companyExternalId": event.get("companyId"), **event}
    return tuple(_plain(event.get(m.target)) for m in sync.fields)


def _same(found: Any, wanted: Any) -> bool:
    return _plain(found) == _plain(wanted)


def _plain(value: Any) -> Any:
    """Reduce a value of either side to what it means: days, instants, numbers, texts."""
    if value is None or value in ([], ""):
        return None
    if isinstance(value, bool):
        return value
    if isinstance(value, dt.datetime):
        value = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value
        return value.astimezone(dt.UTC).isoformat(timespec="milliseconds")
    if isinstance(value, dt.date):
        return dt.datetime.combine(value, dt.time(), dt.UTC).isoformat(timespec="milliseconds")
    if isinstance(value, int | float | Decimal):
        return float(value)
    if isinstance(value, list | tuple):
        return tuple(_plain(v) for v in value)
    if isinstance(value, dict):
        return tuple(sorted((k, _plain(v)) for k, v in value.items()))
    if isinstance(value, uuid.UUID):
        return str(value)
    return _instant(value)


def _instant(text: str) -> str:
    """A text that is a date or time in Planhat's form, in ours; any other text as it is."""
    if len(text) >= 10 and text[4:5] == "-" and text[7:8] == "-":
        try:
            moment = dt.datetime.fromisoformat(text)
        except ValueError:
            return text
        moment = moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
        return moment.isoformat(timespec="milliseconds")
    return text
