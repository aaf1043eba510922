"""Is Planhat an exact mirror of the models? Compared field by field, without the code that compares and delivers.

The mirror reads the models after every sync and works out by itself what Planhat must hold from then on, as the
declarations say: an upsert follows its model, an insert stays as it was when its row was first seen, an update
concerns records that others made. Of the state tables it reads two things only: the `_id`s of notes, which have no
key in Planhat, and which rows are said to be held.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

import duckdb
import httpx

from planhat_dbt.declaration.types import CompanyRef, Constant, Lookup, Mode, Nulls, OnRemoved, Write
from planhat_dbt.objects import OBJECTS, FieldType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from planhat_dbt.declaration import FieldMapping, Sync

Record: TypeAlias = "dict[str, Any]"
EPOCH = dt.date(1970, 1, 1)
PREFIXES = {"externalId": "extid-", "sourceId": "srcid-"}
PATHS = {"user": "users", "enduser": "endusers"}


class Mirror:
    """What a sandbox must hold, kept up with a DuckDB file and compared with what it holds.

    Made before the first sync: what Planhat has by then belongs to people and must stay.
    """

    def __init__(self, database: Path, sandbox_url: str) -> None:
        self._database, self._url = database, sandbox_url
        self._syncs: Sequence[Sync] = ()
        self._expected: dict[str, dict[str, Record | None]] = {}
        """Sync → key → field → the model's value; None: deleted."""
        self._records: dict[str, list[Record]] = {}
        self._wrongly_held: list[str] = []
        self._load({obj.path.strip("/") for obj in OBJECTS.values() if not obj.is_event})
        self._before = self._records
        definitions = self._records["customfields"]
        self._days = {(d["parent"], d["name"]) for d in definitions if d["type"] == "day"}
        """Custom fields that hold whole days since 1970: object and display name."""
        self.records = self.fields = 0
        """How many were compared; a record that two syncs feed counts twice."""

    def follow(self, syncs: Sequence[Sync]) -> None:
        """Take in the models as they are now; call it after each sync."""
        self._syncs = syncs
        self._load({*self._before, *map(_path, syncs)})
        for sync in syncs:
            rows = {str(r[sync.key.lower()]): r for r in self._rows(f"from {sync.model.relation.rendered}")}
            expected = self._expected.setdefault(sync.name, {})
            if sync.mode is Mode.UPDATE:
                rows = self._matched(sync, rows)
            for key, row in rows.items():
                _take_in(sync, expected, key, row)
            for key in expected.keys() - rows.keys():
                _leave(sync, expected, key)

    def differences(self) -> Iterator[str]:
        """Tell each difference; none at all if the mirror is exact."""
        yield from self._wrongly_held
        ids = self._ids()
        ours: set[str] = set()
        for sync in self._syncs:
            if sync.object.is_event:
                yield from self._events(sync, ids)
                continue
            records = self._by_key(sync)
            yield from self._compare(sync, records, ids)
            if sync.mode is not Mode.UPDATE:
                ours |= {r["_id"] for key, r in records.items() if key in self._expected[sync.name]}
        yield from self._of_others(ours)

    def _load(self, paths: Iterable[str]) -> None:
        self._records = {p: httpx.get(f"{self._url}/_sandbox/records/{p}", timeout=60).json() for p in paths}

    def _rows(self, sql: str) -> list[Record]:
        with duckdb.connect(str(self._database), read_only=True) as connection:
            connection.execute("set timezone = 'UTC'")
            cursor = connection.execute(sql)
            names = [d[0].lower() for d in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _matched(self, sync: Sync, rows: dict[str, Record]) -> dict[str, Record]:
        """The rows whose record Planhat has; of all others the state tables must say that they are held."""
        matched = self._by_key(sync).keys() & rows.keys()
        sql = f"select key from planhat_sync.failures where sync = '{sync.name}' and code = 'no_match'"
        held = {row["key"] for row in self._rows(sql)}
        self._wrongly_held += [
            f"{sync.name} {key}: {'held' if key in held else 'not held'}, and its record is "
            f"{'there' if key in matched else 'missing'}"
            for key in (rows.keys() - matched) ^ held
        ]
        return {key: row for key, row in rows.items() if key in matched}

    def _by_key(self, sync: Sync) -> dict[str, Record]:
        """Records by our key; notes, which have none in Planhat, through the ids that the snapshot table keeps."""
        records = self._records[_path(sync)]
        if sync.match:
            name = "_id" if sync.match.field == "_id" else sync.object.fields[sync.match.field].json_name
            return {r[name]: r for r in records if r.get(name)}
        keys = {r["_planhat_id"]: r["_key"] for r in self._rows(f"from planhat_sync.snapshot__{sync.name}")}
        return {keys[r["_id"]]: r for r in records if r["_id"] in keys}

    def _compare(
        self, sync: Sync, records: dict[str, Record], ids: dict[tuple[str, str], str]
    ) -> Iterator[str]:
        for key, values in self._expected[sync.name].items():
            self.records += 1
            if values is None or key not in records:
                if (values is None) is (key in records):
                    yield f"{sync.name} {key}: {'still' if values is None else 'not'} in Planhat"
                continue
            for mapping in sync.fields:
                self.fields += 1
                value = values[mapping.target]
                if (sync.object.custom_parent, mapping.custom_name) in self._days:
                    value = _days_since_1970(value)
                found, wanted = _get(records[key], mapping), _wanted(mapping, value, ids)
                if _plain(found) != _plain(wanted):
                    yield f"{sync.name} {key}: {mapping.target} is {found!r}, expected {wanted!r}"

    def _events(self, sync: Sync, ids: dict[tuple[str, str], str]) -> Iterator[str]:
        """Compare events as bags: every key that was ever in the model is there once."""
        found = Counter(_event(e, sync) for e in self._records[_path(sync)])
        wanted = Counter(
            tuple(_plain(_wanted(m, values[m.target], ids)) for m in sync.fields)
            for values in self._expected[sync.name].values()
            if values
        )
        self.records += wanted.total()
        self.fields += wanted.total() * len(sync.fields)
        for event in (found - wanted) + (wanted - found):
            yield f"{sync.name} {event}: {found[event]} times in Planhat, {wanted[event]} expected"

    def _of_others(self, ours: set[str]) -> Iterator[str]:
        """Records that nobody expects; and those of people, which must be as they were but for mapped fields."""
        before = {r["_id"]: (path, r) for path, records in self._before.items() for r in records}
        now = {r["_id"]: (path, r) for path, records in self._records.items() for r in records if "_id" in r}
        events = {_path(sync) for sync in self._syncs if sync.object.is_event}
        for key, (path, _) in now.items():
            if key not in before and key not in ours and path not in events:
                yield f"{path} {key}: in Planhat, and no model asked for it"
        for key, (path, old) in before.items():
            mapped = {m.field.json_name for s in self._syncs if _path(s) == path for m in s.fields}
            kept = old.keys() - mapped - {"custom", "updatedAt"}
            if key not in now or any(now[key][1].get(name) != old[name] for name in kept):
                yield f"{path} {key}: it was there before, and is not as it was"

    def _ids(self) -> dict[tuple[str, str], str]:
        """Planhat's `_id`s of what fields refer to: by `extid-…` or `srcid-…`, by e-mail or external id."""
        ids: dict[tuple[str, str], str] = {}
        for company in self._records["companies"]:
            ids |= {
                ("company", p + company[k]): company["_id"] for k, p in PREFIXES.items() if company.get(k)
            }
        for name, path in PATHS.items():
            for person in self._records[path]:
                for by in ("email", "externalId", "sourceId"):
                    ids[f"{name} by {by}", person.get(by) or ""] = person["_id"]
        return ids


def _path(sync: Sync) -> str:
    """What the sandbox calls the sync's records."""
    events = {"metric": "metrics", "user_activity": "activities"}
    return events.get(sync.object.name, sync.object.path.strip("/"))


def _take_in(sync: Sync, expected: dict[str, Record | None], key: str, row: Record) -> None:
    """What a row that is in the model does to its record."""
    before = expected.get(key)
    if before is None:
        expected[key] = {m.target: _source(m, row) for m in sync.fields}
    elif sync.mode is not Mode.INSERT:
        for mapping in sync.fields:
            value = _source(mapping, row)
            unsent = value is None and (mapping.nulls is Nulls.SKIP or isinstance(mapping.source, CompanyRef))
            if mapping.write is Write.ALWAYS and not unsent:
                before[mapping.target] = value


def _leave(sync: Sync, expected: dict[str, Record | None], key: str) -> None:
    """What becomes of the record of a row that is no longer in the model."""
    values = expected[key]
    if sync.on_removed is OnRemoved.DELETE:
        expected[key] = None
    elif sync.on_removed is OnRemoved.CLEAR and values:
        for mapping in sync.fields:
            kept = mapping.field.required or isinstance(mapping.source, Constant | CompanyRef)
            if not kept and not any(mapping.target in group for group in sync.object.one_of):
                values[mapping.target] = None


def _source(mapping: FieldMapping, row: Record) -> Any:
    """The value a row gives a field, as the model has it."""
    source = mapping.source
    return source.value if isinstance(source, Constant) else row[source.column.lower()]


def _wanted(mapping: FieldMapping, value: Any, ids: dict[tuple[str, str], str]) -> Any:
    """A model's value as Planhat must hold it: days as numbers, references as `_id`s."""
    source = mapping.source
    if value is None or isinstance(source, Constant):
        return value
    if mapping.field.type is FieldType.DAY:
        return _days_since_1970(value)
    if isinstance(source, Lookup):
        return ids.get((f"{source.object} by {source.by}", value), f"the _id of {value}")
    if mapping.target == "companyExternalId":
        return ids.get(("company", f"extid-{value}"), value)
    if not isinstance(source, CompanyRef):
        return value
    prefix = PREFIXES.get(source.by, "")
    if isinstance(value, list):
        return [ids.get(("company", f"{prefix}{v}"), v) for v in value]
    return ids.get(("company", f"{prefix}{value}"), value)


def _days_since_1970(value: Any) -> Any:
    return (value - EPOCH).days if isinstance(value, dt.date) else value


def _get(record: Record, mapping: FieldMapping) -> Any:
    if mapping.custom_name:
        return (record.get("custom") or {}).get(mapping.custom_name)
    return record.get(mapping.field.json_name)


def _event(event: Record, sync: Sync) -> tuple[Any, ...]:
    """Reduce a stored event to the mapped fields; Planhat files some of them under other names (planhat-api §10)."""
    event = {"date": event.get("time"), "companyExternalId": event.get("companyId"), **event}
    return tuple(_plain(event.get(m.target)) for m in sync.fields)


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
