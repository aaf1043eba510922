"""A Planhat that answers as fast as one core can: it reads each row's key, counts, and keeps no values.

`python -m benchmarks.stub` prints its port, then serves until it is ended. `GET /-/counts` tells what came in since
the last `POST /-/reset`, which also forgets all keys if asked with `?keys=1`.
"""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from dataclasses import asdict, dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import orjson
import uvicorn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Scope = dict[str, Any]
    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

JSON = [(b"content-type", b"application/json")]
CUSTOM_TYPES = {"Seats": "number", "Trial": "checkbox", "Renewal": "day", "Plan": "text", "Seen": "date"}
"""The custom fields of a company that the benchmark's models fill."""


@dataclass
class Counts:
    """What came in."""

    calls: int = 0
    rows: int = 0
    bytes: int = 0
    deletes: int = 0
    reads: int = 0


class Stub:
    """An ASGI application."""

    def __init__(self) -> None:
        self.counts = Counts()
        self._numbers = count(1)
        self._known: dict[str, dict[str, str]] = defaultdict(dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        parts = []
        while True:
            message = await receive()
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        answer = self._answer(scope["method"], scope["path"], b"".join(parts), scope["query_string"])
        await send({"type": "http.response.start", "status": 200, "headers": JSON})
        await send({"type": "http.response.body", "body": orjson.dumps(answer)})

    def _answer(self, method: str, path: str, body: bytes, query: bytes) -> Any:
        if path == "/-/counts":
            return asdict(self.counts)
        if path == "/-/reset":
            self.counts = Counts()
            if query:
                self._known.clear()
            return {}
        counts = self.counts
        counts.calls += 1
        counts.bytes += len(body)
        name, _, _ = path[1:].partition("/")
        if method == "DELETE":
            counts.deletes += 1
            return {"n": 1, "ok": 1, "deletedCount": 1}
        if method == "GET":
            counts.reads += 1
            return self._listed(name)
        rows = orjson.loads(body)
        counts.rows += len(rows)
        if name == "dimensiondata":
            return {"processed": len(rows), "errors": []}
        return self._upserted(self._known[name], rows)

    def _listed(self, name: str) -> list[dict[str, Any]]:
        if name != "customfields":
            return []
        kinds = enumerate(CUSTOM_TYPES.items())
        return [{"_id": f"{i:024x}", "parent": "company", "name": n, "type": t} for i, (n, t) in kinds]

    def _upserted(self, known: dict[str, str], rows: list[dict[str, Any]]) -> dict[str, Any]:
        """The answer of planhat-api §5.1; whatever is sent of a known key counts as a change."""
        created, updated = [], []
        for row in rows:
            key, record_id = row.get("externalId", ""), row.get("_id") or known.get(row.get("externalId", ""))
            if record_id:
                updated.append({"_id": record_id, "externalId": key} if key else {"_id": record_id})
                continue
            record_id = known[key] = f"{next(self._numbers):024x}"
            created.append({"_id": record_id, "externalId": key})
        return {
            "created": len(created),
            "createdErrors": [],
            "insertsKeys": created,
            "updated": len(updated),
            "updatedErrors": [],
            "updatesKeys": updated,
            "nonupdates": 0,
            "modified": [k["_id"] for k in updated],
            "upsertedIds": [k["_id"] for k in created],
            "permissionErrors": [],
            "validationErrors": [],
        }


def main() -> None:
    """Serve on a free port of loopback."""
    # Named as TCP, or asyncio leaves Nagle's algorithm on, and an answer in two parts waits 40 ms for the second.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen(512)
    print(listening.getsockname()[1], flush=True)
    config = uvicorn.Config(Stub(), log_level="error", access_log=False, lifespan="off", ws="none")
    asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))


if __name__ == "__main__":
    main()
