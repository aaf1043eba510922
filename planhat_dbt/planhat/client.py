"""The HTTP client for Planhat: one method per kind of call, shared by threads.

Knows paths and what may be repeated; bodies come encoded and answers go out unread (`response` reads them).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Self, cast
from urllib.parse import quote, urlencode

from planhat_dbt.errors import FailedError
from planhat_dbt.planhat.answer import Answer, CallRecord, ClientSettings
from planhat_dbt.planhat.budget import Budget
from planhat_dbt.planhat.calls import Body, Call, Caller
from planhat_dbt.planhat.endpoint import REDACTED
from planhat_dbt.planhat.errors import UnreadableAnswerError
from planhat_dbt.planhat.response import read_message
from planhat_dbt.planhat.transport import Request, Transport

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from planhat_dbt.planhat.endpoint import Endpoint

Row = dict[str, object]
Page = list[Row]
Params = Mapping[str, str | int]

_PATH = re.compile(r"(/[A-Za-z]+)+")
_ID = re.compile(r"[0-9a-fA-F]{24}")
_KEY_PREFIXES = ("extid-", "srcid-")
_TRACKING_PATHS = {"metrics": "/dimensiondata", "activities": "/analytics/bulk"}


class PlanhatClient:
    """Calls to one tenant, under one budget; a context manager.

    Every method may raise the errors of `planhat_dbt.planhat.errors`. A 4xx other than 401, 408, 429 and a
    403 without a bulk body is returned: the caller knows what it means.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        settings: ClientSettings | None = None,
        on_call: Callable[[CallRecord], None] | None = None,
        *,
        before_call: Callable[[], None] | None = None,
        on_retry: Callable[[str], None] | None = None,
        stop: threading.Event | None = None,
        budget: Budget | None = None,
    ) -> None:
        """Open a client.

        Args:
            endpoint: Where and who.
            settings: Patience and pace.
            on_call: Told of every HTTP attempt, in the thread that made it.
            before_call: Called before each call and its waits, in the thread that makes it.
            on_retry: Told why calls are tried again, once that lasts.
            stop: Set to end all waits and to send nothing more (SIGINT).
            budget: One to share with other clients; own by default. Tracking calls are not under it.

        Raises:
            UsageError: Proxy or certificate settings of the environment are unusable.
        """
        settings = settings or ClientSettings()
        main = budget or Budget(
            settings.calls_per_minute,
            per_second=settings.calls_per_second,
            throttle_base=settings.throttle_base,
            stop=stop,
        )
        tracking = Budget(None, throttle_base=settings.throttle_base, stop=stop)
        self._endpoint = endpoint
        self._transport = Transport(endpoint, settings)
        self._caller = Caller(
            endpoint, settings, self._transport, (main, tracking), on_call, before_call, on_retry
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"PlanhatClient({self._endpoint.api_host})"

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def bulk(self, path: str, body: bytes, *, repeatable: bool) -> Answer:
        """`PUT path` with a JSON array of at most 5,000 rows, already encoded.

        Args:
            path: The object's path, e.g. `/companies`.
            body: The array.
            repeatable: Whether sending it twice leaves the same records: keyed upserts do.
        """
        return self._send("PUT", path, "", body, repeatable=repeatable)

    def create(self, path: str, body: bytes) -> Answer:
        """`POST path` with one record; never repeated, for it makes a new record each time (§6)."""
        return self._send("POST", path, "", body, repeatable=False)

    def update(self, path: str, key: str, body: bytes) -> Answer:
        """`PUT path/key` with the changed fields of one record; `key` is an `_id`, `extid-…` or `srcid-…`."""
        return self._send("PUT", path, _key_segment(key), body, repeatable=True)

    def get(self, path: str, key: str) -> Answer:
        """`GET path/key`: one record; 404 is returned. `key` as in `update`."""
        return self._send("GET", path, _key_segment(key), None, repeatable=True)

    def delete(self, path: str, id: str) -> Answer:  # noqa: A002 (the API's word)
        """`DELETE path/id`; 404 is returned, and any 2xx body is fine (§6).

        Raises:
            ValueError: `id` is not a Planhat `_id`; an empty one would address the whole list.
        """
        if not _ID.fullmatch(id):
            raise ValueError(f"{id!r} is not a Planhat _id (24 hexadecimal characters)")
        return self._send("DELETE", path, f"/{id}", None, repeatable=True)

    def list(
        self,
        path: str,
        params: Params | None = None,
        *,
        limit: int = 2000,
        enough: Callable[[], bool] | None = None,
    ) -> Iterator[Page]:
        """Read a list page by page; each `_id` is yielded once.

        Sorted by `_id`, since the default order may shift while records are written (§13 no. 26).

        Args:
            path: The object's path.
            params: Filters, and `select`.
            limit: Rows per page: at most the object's legal maximum.
            enough: Asked before each further call; True ends the list.

        Raises:
            FailedError: The list was refused.
        """
        seen: set[object] = set()
        offset, last_body = 0, b""
        while True:
            query = {"sort": "_id", **(params or {}), "limit": limit, "offset": offset}
            answer = self._read(path, query)
            page = _rows(answer, path)
            fresh = [] if answer.body == last_body else [row for row in page if _is_new(row, seen)]
            if fresh:
                yield fresh
            if len(page) < limit and not _may_be_clamped(len(page)):
                return
            if not fresh:
                if len(page) < limit:  # the probe after a suspicious page found nothing more
                    return
                raise UnreadableAnswerError(
                    f"GET {path} repeats a page of {len(page)} rows at offset {offset}: no end to be found.",
                    hint="Run again; if it persists, the API or a proxy ignores `offset`.",
                    status=answer.status,
                    maybe_applied=False,
                )
            if enough and enough():
                return
            offset, last_body = offset + len(page), answer.body

    def lean_companies(self, params: Params | None = None) -> Page:
        """`GET /leancompanies`: `_id`, name and keys of all companies that match, in one call (§7)."""
        return _rows(self._read("/leancompanies", dict(params or {})), "/leancompanies")

    def track(self, kind: Literal["metrics", "activities"], body: bytes) -> Answer:
        """Send events to the tracking host; never repeated after doubt, for nothing removes duplicates (§10).

        Args:
            kind: Which endpoint.
            body: A JSON array, already encoded.

        Raises:
            UsageError: `PLANHAT_TENANT_UUID` is not set.
        """
        path = _TRACKING_PATHS[kind]
        tenant = quote(self._endpoint.require_tenant(), safe="")
        request = Request("POST", f"{self._endpoint.tracking_url}{path}/{tenant}", f"{path}/{REDACTED}", body)
        shape = Body.JSON if kind == "metrics" else Body.RECEIPT
        return self._caller.send(Call(request=request, repeatable=False, body=shape, tracking=True))

    def _send(self, method: str, path: str, rest: str, body: bytes | None, *, repeatable: bool) -> Answer:
        """`rest` is what follows the object's path: an encoded segment or a query."""
        if not _PATH.fullmatch(path):
            raise ValueError(f"{path!r} is not the path of an object, such as /companies")
        request = Request(method, f"{self._endpoint.api_url}{path}{rest}", f"{path}{rest}", body)
        return self._caller.send(
            Call(
                request=request,
                repeatable=repeatable,
                writes=method != "GET",
                body=Body.ANY if method == "DELETE" else Body.JSON,
            )
        )

    def _read(self, path: str, query: Params) -> Answer:
        rest = f"?{urlencode(query)}" if query else ""
        answer = self._send("GET", path, rest, None, repeatable=True)
        if not answer.ok:
            words = self._endpoint.redact(read_message(answer.body))
            raise FailedError(
                f"GET {path} at {self._endpoint.api_host} was refused ({answer.status}): {words}",
                hint="Check PLANHAT_REGION or PLANHAT_API_URL; if they are right, the tenant lacks this object.",
            )
        return answer


def _key_segment(key: str) -> str:
    """The path segment of a record; what is neither an `_id` nor prefixed is never sent (§13 no. 25).

    Raises:
        ValueError: No usable key.
    """
    bare = next((key.removeprefix(prefix) for prefix in _KEY_PREFIXES if key.startswith(prefix)), None)
    if not (bare or _ID.fullmatch(key)):
        raise ValueError(f"{key!r} is neither a Planhat _id nor extid-<external id> nor srcid-<source id>")
    return f"/{quote(key, safe='')}"


def _rows(answer: Answer, path: str) -> Page:
    parsed = answer.json()
    if not isinstance(parsed, list) or not all(isinstance(row, dict) for row in parsed):
        raise UnreadableAnswerError(
            f"GET {path} answered {answer.status} with something else than a list of records.",
            hint="Check that PLANHAT_REGION or PLANHAT_API_URL names a Planhat API.",
            status=answer.status,
            attempts=answer.attempts,
            maybe_applied=False,
        )
    return cast("Page", parsed)


def _is_new(row: Row, seen: set[object]) -> bool:
    """Whether the row's `_id` was not seen; a row without one is always new."""
    identity = row.get("_id")
    if not isinstance(identity, str):
        return True
    if identity in seen:
        return False
    seen.add(identity)
    return True


def _may_be_clamped(rows: int) -> bool:
    """Whether a short page may be full after all: a limit above the maximum is clamped silently (§13 no. 26).

    Maxima and defaults are round (30, 100, 500, 1,000 …), so only such a page costs one more call.
    """
    return rows > 0 and (rows % 100 == 0 or rows == 30)
