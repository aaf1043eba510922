"""The hand-made script to be measured against: what somebody would write who wants speed and nothing else.

It compares hashes in DuckDB, lets DuckDB write the JSON, sends with four calls in flight, and keeps key, hash and id
as its only state. It has no journal, no change log, no old values, no retries, no guards and no tests of values.

`python -m benchmarks.reference FILE URL accounts|points`
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import duckdb
import httpx
import orjson

BATCH = 5000
IN_FLIGHT = 4
DELETES_IN_FLIGHT = 16
CALLS_PER_SECOND = 150
"""Planhat's hard limit (planhat-api §2), which whoever deletes a thousand records has to keep."""
FIELDS = {
    "name": "name",
    "status": "status",
    "city": "city",
    "web": "web",
    "csmScore": "score",
    "mr": "worth",
    "custom": "{'Seats': seats, 'Trial': trial, 'Renewal': strftime(renewal, '%Y-%m-%d'), 'Plan': plan}",
}
WITH_SEEN = FIELDS | {
    "custom": FIELDS["custom"][:-1] + ", 'Seen': strftime(seen_at, '%Y-%m-%dT%H:%M:%S.%gZ')}",
}


def columns(*, seen: bool) -> str:
    """The columns whose hash is compared."""
    plain = "name, status, city, web, score, worth, seats, trial, renewal, plan"
    return plain + (", seen_at" if seen else "")


async def accounts(db: duckdb.DuckDBPyConnection, client: httpx.AsyncClient, *, seen: bool) -> None:
    """Upsert what is new or has another hash, delete what is gone."""
    db.execute("create table if not exists state_accounts (key varchar, hash ubigint, id varchar)")
    parts = ", ".join(f"'{f}': {c}" for f, c in (WITH_SEEN if seen else FIELDS).items())
    db.execute(
        f"""create or replace temp table plan as
        select account_id as key, s.id, hash({columns(seen=seen)}) as hash,
          cast(to_json({{'externalId': account_id, {parts}}}) as varchar) as body
        from accounts left join state_accounts s on s.key = account_id
        where s.hash is distinct from hash({columns(seen=seen)})"""
    )
    gone = db.execute(
        "select key, id from state_accounts s where not exists (select 1 from accounts where account_id = s.key)"
    ).fetchall()
    ids: list[tuple[str, str]] = []

    async def put(rows: list[tuple[str, str]]) -> None:
        body = "[" + ",".join(row[1] for row in rows) + "]"
        answer = await client.put("/companies", content=body.encode())
        answer.raise_for_status()
        ids.extend((k["externalId"], k["_id"]) for k in orjson.loads(answer.content)["insertsKeys"])

    await windows(_cursor(db), put)
    db.execute("begin")
    keys, new = [k for k, _ in ids], [i for _, i in ids]
    db.execute("create or replace temp table ids as select unnest(?) as key, unnest(?) as id", [keys, new])
    db.execute("delete from state_accounts where key in (select key from plan)")
    db.execute(
        "insert into state_accounts select p.key, p.hash, coalesce(p.id, i.id) from plan p left join ids i using (key)"
    )
    await delete(client, [record_id for _, record_id in gone])
    db.execute(
        "delete from state_accounts s where not exists (select 1 from accounts where account_id = s.key)"
    )
    db.execute("commit")


def _cursor(db: duckdb.DuckDBPyConnection) -> Any:
    return db.execute("select key, body from plan")


async def points(db: duckdb.DuckDBPyConnection, client: httpx.AsyncClient) -> None:
    """Send the metric points whose keys are new."""
    db.execute("create table if not exists state_points (key varchar)")
    db.execute(
        """create or replace temp table plan as
        select point_id as key, cast(to_json({'dimensionId': 'logins', 'externalId': account_id, 'value': amount,
          'date': strftime(happened_at, '%Y-%m-%dT%H:%M:%S.%gZ')}) as varchar) as body
        from points where not exists (select 1 from state_points s where s.key = point_id)"""
    )

    async def post(rows: list[tuple[str, str]]) -> None:
        body = "[" + ",".join(row[1] for row in rows) + "]"
        (await client.post("/dimensiondata/tenant", content=body.encode())).raise_for_status()

    await windows(_cursor(db), post)
    db.execute("insert into state_points select key from plan")


async def windows(cursor: Any, send: Any) -> None:
    """Send what a cursor gives, batch by batch, a few at once."""
    under_way: set[asyncio.Task[None]] = set()
    while rows := cursor.fetchmany(BATCH):
        if len(under_way) >= IN_FLIGHT:
            done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        under_way.add(asyncio.create_task(send(rows)))
        await asyncio.sleep(0)
    await asyncio.gather(*under_way)


async def delete(client: httpx.AsyncClient, ids: list[str]) -> None:
    """Delete records, many at once, as fast as Planhat allows."""
    turn = asyncio.Semaphore(DELETES_IN_FLIGHT)
    started = time.monotonic()

    async def one(number: int, record_id: str) -> None:
        async with turn:
            await asyncio.sleep(
                started + max(0, number - CALLS_PER_SECOND) / CALLS_PER_SECOND - time.monotonic()
            )
            (await client.delete(f"/companies/{record_id}")).raise_for_status()

    await asyncio.gather(*(one(number, i) for number, i in enumerate(ids)))


async def main() -> None:
    """Run one sync."""
    file, url, what = sys.argv[1:4]
    with duckdb.connect(file) as db:
        async with httpx.AsyncClient(base_url=url, timeout=120) as client:
            if what == "points":
                await points(db, client)
            else:
                await accounts(db, client, seen=what == "accounts+seen")


if __name__ == "__main__":
    asyncio.run(main())
