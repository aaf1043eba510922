"""The hand-made script on PostgreSQL: hashes as its only state, JSON written by the server, four calls in flight.

`python -m benchmarks.reference_postgres URL_OF_THE_DATABASE URL accounts|accounts+seen|points`
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httpx
import orjson
import psycopg2
from psycopg2.extras import execute_values

from benchmarks.reference import BATCH, delete, windows

FIELDS = {
    "name": "name",
    "status": "status",
    "city": "city",
    "web": "web",
    "csmScore": "score",
    "mr": "worth",
    "custom": "json_build_object('Seats', seats, 'Trial', trial, 'Renewal', renewal, 'Plan', plan{seen})",
}
SEEN = """, 'Seen', to_char(seen_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
COLUMNS = "name, status, city, web, score, worth, seats, trial, renewal, plan"


async def accounts(db: Any, client: httpx.AsyncClient, *, seen: bool) -> None:
    """Upsert what is new or has another hash, delete what is gone."""
    cursor = db.cursor()
    cursor.execute("create table if not exists state_accounts (key text primary key, hash bigint, id text)")
    parts = ", ".join(f"'{f}', {c}" for f, c in FIELDS.items()).replace("{seen}", SEEN if seen else "")
    hashed = f"hashtextextended(row({COLUMNS}{', seen_at' if seen else ''})::text, 0)"
    cursor.execute(
        f"""create temp table plan as
        select account_id as key, s.id, {hashed} as hash,
          json_build_object('externalId', account_id, {parts})::text as body
        from accounts left join state_accounts s on s.key = account_id where s.hash is distinct from {hashed}"""
    )
    cursor.execute(
        "select key, id from state_accounts s where not exists (select 1 from accounts where account_id = s.key)"
    )
    gone = cursor.fetchall()
    ids: list[tuple[str, str]] = []

    async def put(rows: list[tuple[str, str]]) -> None:
        body = "[" + ",".join(row[1] for row in rows) + "]"
        answer = await client.put("/companies", content=body.encode())
        answer.raise_for_status()
        ids.extend((k["externalId"], k["_id"]) for k in orjson.loads(answer.content)["insertsKeys"])

    await windows(_stream(db), put)
    cursor.execute("create temp table ids (key text, id text)")
    execute_values(cursor, "insert into ids values %s", ids, page_size=BATCH)
    cursor.execute("delete from state_accounts where key in (select key from plan)")
    cursor.execute(
        "insert into state_accounts select p.key, p.hash, coalesce(p.id, i.id) from plan p left join ids i using (key)"
    )
    await delete(client, [record_id for _, record_id in gone])
    cursor.execute("delete from state_accounts where key = any(%s)", [[key for key, _ in gone]])
    db.commit()


async def points(db: Any, client: httpx.AsyncClient) -> None:
    """Send the metric points whose keys are new."""
    cursor = db.cursor()
    cursor.execute("create table if not exists state_points (key text primary key)")
    cursor.execute(
        """create temp table plan as
        select point_id as key, json_build_object('dimensionId', 'logins', 'externalId', account_id, 'value', amount,
          'date', to_char(happened_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))::text as body
        from points where not exists (select 1 from state_points s where s.key = point_id)"""
    )

    async def post(rows: list[tuple[str, str]]) -> None:
        body = "[" + ",".join(row[1] for row in rows) + "]"
        (await client.post("/dimensiondata/tenant", content=body.encode())).raise_for_status()

    await windows(_stream(db), post)
    cursor.execute("insert into state_points select key from plan")
    db.commit()


def _stream(db: Any) -> Any:
    cursor = db.cursor("rows")
    cursor.itersize = BATCH
    cursor.execute("select key, body from plan")
    return cursor


async def main() -> None:
    """Run one sync."""
    address, url, what = sys.argv[1:4]
    db = psycopg2.connect(address, options="-c search_path=main")
    async with httpx.AsyncClient(base_url=url, timeout=120) as client:
        if what == "points":
            await points(db, client)
        else:
            await accounts(db, client, seen=what == "accounts+seen")
    db.close()


if __name__ == "__main__":
    asyncio.run(main())
