"""Records what the present program writes into the state schema: `python tests/layouts/record.py`.

Run it when `SCHEMA_VERSION` has grown, before that version is released, and commit the files it writes:
`layout_<version>.sql`, the schema `planhat_sync` after the five days of `shop.py`, and `layout_<version>.json`, the
records that Planhat then holds. Never record a released layout again: its files say what stands at people's.

Ids, times, durations and the sandbox's address are replaced by fixed ones, so that a recording says the same every
time.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent)]

from harness import Project  # noqa: E402

from layouts import shop  # noqa: E402
from planhat_dbt.planhat.endpoint import Endpoint  # noqa: E402
from planhat_dbt.sandbox import Sandbox  # noqa: E402
from planhat_dbt.state.layout import SCHEMA_VERSION, TABLES  # noqa: E402

MODELS = ("companies", "endusers", "conversations", "metrics")
_DURATIONS = {"seconds_compare": 0.01, "seconds_deliver": 0.1, "milliseconds": 2.5}
_UUID7 = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_UUID4 = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_PLANHAT_ID = re.compile(r"\b[0-9a-f]{24}\b")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)([ T])(\d\d:\d\d:\d\d(?:\.\d+)?)")


def record(directory: Path) -> tuple[str, str]:
    """Live through the five days; returns the state as SQL, and Planhat's records as JSON."""
    with Sandbox() as sandbox:
        project = Project(directory / "shop", sandbox)
        begun = []
        for day in shop.DAYS:
            begun.append(dt.datetime.now(dt.UTC).replace(tzinfo=None))
            day(project)
        records = {model: sandbox.tenant.records(model) for model in MODELS}
        state = _Stable(begun).all(_dump(project), json.dumps(records, indent=1, ensure_ascii=False))
        host = str(Endpoint.from_env(sandbox.environment).fingerprint())
    elsewhere = Endpoint.from_env({**sandbox.environment, "PLANHAT_API_URL": "https://api.planhat.com"})
    sql = state[0].replace(host, str(elsewhere.fingerprint()))
    return sql.replace(sandbox.url.removeprefix("http://"), elsewhere.api_host), state[1] + "\n"


def _dump(project: Project) -> str:
    """All tables of the schema: `create table`, and an `insert` of their rows, one a line."""
    parts = [
        f"-- The state schema of layout {SCHEMA_VERSION}, as recorded by record.py.",
        "create schema planhat_sync;",
    ]
    columns = project.query(
        "select table_name, column_name, data_type from duckdb_columns() "
        "where schema_name = 'planhat_sync' order by table_name, column_index"
    )
    tables: dict[str, list[tuple[str, str]]] = {}
    for table, column, kind in columns:
        tables.setdefault(table, []).append((column, kind))
    for table in sorted(tables, key=lambda t: ([*TABLES, t].index(t), t)):
        names = [column for column, _ in tables[table]]
        spelt = ", ".join(f'"{column}" {kind}' for column, kind in tables[table])
        parts.append(f'\ncreate table planhat_sync."{table}" ({spelt});')
        rows = project.query(f'select * from planhat_sync."{table}" order by all')
        if rows:
            lines = ",\n".join(f"  ({', '.join(_values(names, row))})" for row in rows)
            parts.append(f'insert into planhat_sync."{table}" values\n{lines};')
    return "\n".join(parts) + "\n"


def _values(names: Sequence[str], row: Sequence[Any]) -> list[str]:
    if dict(zip(names, row, strict=True)).get("setting") == "lease":
        holder = json.loads(row[1]) | {"host": "elsewhere", "pid": 1, "started": ""}
        row = (row[0], json.dumps(holder), row[2])
    return [
        _literal(value if value is None else _DURATIONS.get(name, value))
        for name, value in zip(names, row, strict=True)
    ]


def _literal(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    return "'" + str(value).replace("'", "''") + "'"


class _Stable:
    """Replaces what is another at every recording: ids by their order, times by the day they fell in."""

    def __init__(self, begun: Sequence[dt.datetime]) -> None:
        self._begun = begun

    def all(self, *texts: str) -> list[str]:
        """Replace in several texts alike."""
        joined = "".join(texts)
        names = {old: f"00000000-0000-7000-8000-{n:012}" for n, old in _found(_UUID7, joined, in_order=False)}
        names |= {old: f"00000000-0000-4000-8000-{n:012}" for n, old in _found(_UUID4, joined, in_order=True)}
        names |= {old: f"64f{n:021x}" for n, old in _found(_PLANHAT_ID, joined, in_order=False)}
        pattern = re.compile("|".join(map(re.escape, names)))
        return [_TIME.sub(self._time, pattern.sub(lambda m: names[m[0]], text)) for text in texts]

    def _time(self, found: re.Match[str]) -> str:
        day, between, clock = found.groups()
        moment = dt.datetime.fromisoformat(f"{day} {clock}") + dt.timedelta(milliseconds=1)
        number = sum(moment >= begin for begin in self._begun)
        if not number:  # a value of a model
            return found[0]
        return f"2026-01-0{number}{between}06:00:00" + (".000" if between == "T" else "")


def _found(pattern: re.Pattern[str], text: str, *, in_order: bool) -> list[tuple[int, str]]:
    ids = dict.fromkeys(pattern.findall(text))
    return list(enumerate(ids if in_order else sorted(ids), start=1))


def main() -> None:
    """Write the two files of the present layout."""
    with tempfile.TemporaryDirectory() as directory:
        sql, records = record(Path(directory))
    (HERE / f"layout_{SCHEMA_VERSION}.sql").write_text(sql, encoding="utf-8")
    (HERE / f"layout_{SCHEMA_VERSION}.json").write_text(records, encoding="utf-8")


if __name__ == "__main__":
    main()
