"""The HTTP side of the sandbox: an ASGI application around a `Service`.

Every call to the API passes the same stations: read, fault, size, token, quota, apply, fault, log, send.
The page at `/` and the control API under `/_sandbox/` stand beside it and need no token.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

import orjson
from starlette.applications import Starlette
from starlette.routing import Mount

from planhat_dbt.sandbox import control, page, rest, tracking, wire
from planhat_dbt.sandbox.calls import HTML, NO_BODY, Answer, Call, text
from planhat_dbt.sandbox.faults import Fault, FaultKind
from planhat_dbt.sandbox.legality import Violation, size_faults
from planhat_dbt.sandbox.log import LoggedCall, answer_summary
from planhat_dbt.sandbox.resources import MAX_BYTES
from planhat_dbt.sandbox.values import iso

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from planhat_dbt.sandbox.service import Service

_SPELLINGS = ("old", "new", "none")
_STATUS_TEXT = {
    401: "Unauthorized", 403: "Forbidden", 413: "Payload Too Large", 429: "Too many requests",
    500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
}  # fmt: skip
_SILENT = frozenset({FaultKind.RESET_BEFORE, FaultKind.RESET_AFTER, FaultKind.HANG, FaultKind.HANG_AFTER})
_NOT_APPLIED = frozenset({FaultKind.STATUS, FaultKind.RESET_BEFORE, FaultKind.HANG})


def application(service: Service) -> Starlette:
    """The ASGI application of a sandbox."""
    gateway = Gateway(service)
    return Starlette(
        routes=[
            page.route(service),
            page.icon_route(),
            Mount("/_sandbox", routes=control.routes(service)),
            Mount("/", gateway),
        ]
    )


class Gateway:
    """Planhat's API as an ASGI application."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._bulk_under_way: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = time.perf_counter()
        bulk = _bulk_path(scope)
        # Counted before anything is awaited: of two that come together, the second alone is the one too many.
        at_once = self._bulk_under_way.get(bulk, 0) + 1
        if bulk:
            self._bulk_under_way[bulk] = at_once
        try:
            call = await self._read(scope, receive)
            if bulk and at_once > 1:
                self._report(call, "parallel_bulk", f"{at_once} at once")
            fault = self._service.faults.take(call.method, call.path)
            late = time.monotonic() + (fault.seconds if fault and fault.kind is FaultKind.DELAY else 0)
            await wire.gone_or_late(receive, late)
        finally:
            if bulk:
                self._bulk_under_way[bulk] -= 1
        # A client that gave up is no longer under way, yet its call is applied when its time has come.
        await asyncio.sleep(max(0.0, late - time.monotonic()))
        answer = self._answer(call, fault)
        self._log(call, answer, fault, time.perf_counter() - started)
        await _deliver(scope, receive, send, answer, fault)

    # -- reading

    async def _read(self, scope: Scope, receive: Receive) -> Call:
        chunks: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            chunk = message.get("body", b"")
            size += len(chunk)
            if size <= MAX_BYTES:
                chunks.append(chunk)
            more = bool(message.get("more_body", False))
        raw_path = scope["raw_path"].decode("ascii").partition("?")[0]
        segments = tuple(unquote(segment) for segment in raw_path.lstrip("/").split("/"))
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        uuid = self._service.tenant_uuid
        return Call(
            number=self._service.log.next_number(),
            method=scope["method"],
            segments=segments,
            path="/" + "/".join("{tenant}" if segment == uuid else segment for segment in segments),
            query=dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True)),
            headers=headers,
            size=size,
            too_large=size > MAX_BYTES,
            body=NO_BODY if size > MAX_BYTES else _parsed(b"".join(chunks), headers),
        )

    # -- answering

    def _answer(self, call: Call, fault: Fault | None) -> Answer:
        if fault is not None and fault.kind in _NOT_APPLIED:
            return _fault_answer(fault)
        if fault is not None and fault.kind is FaultKind.LOST_ROWS and isinstance(call.body, list):
            call = replace(call, body=call.body[: -fault.rows or None])
        service = self._service
        with service.lock:
            answer = self._apply(call)
        if fault is None:
            return answer
        if fault.kind is FaultKind.STATUS_AFTER:
            return _fault_answer(fault)
        if fault.kind is FaultKind.NOT_JSON:
            return text(200, fault.body or "<html><body>OK</body></html>", content_type=HTML)
        if fault.kind is FaultKind.WRONG_COUNTERS:
            return _miscounted(answer, fault.rows)
        return answer

    def _apply(self, call: Call) -> Answer:
        service = self._service
        if call.too_large:
            for rule, detail in size_faults(call.size, call.rows, bulk=False):
                self._report(call, rule, detail)
            return text(413, "Payload Too Large")
        if tracking.is_tracking(call):
            return tracking.answer(service, call)
        if not service.authorised(call.headers):
            return text(401, "Unauthorized", content_type=HTML)
        within = service.quota.spend()
        headers = service.quota.headers(self._spelling(call.number))
        if not within:
            if service.tenant.rules.retry_after:
                headers["Retry-After"] = str(int(service.quota.reset_in) + 1)
            return Answer(429, "Too many requests", HTML, headers)
        answer = rest.answer(service, call)
        return Answer(answer.status, answer.content, answer.content_type, headers)

    def _spelling(self, number: int) -> str:
        spelling = self._service.tenant.rules.rate_headers
        return _SPELLINGS[number % len(_SPELLINGS)] if spelling == "cycle" else spelling

    # -- writing down

    def _report(self, call: Call, rule: str, detail: str) -> None:
        self._service.log.report([Violation(call.number, rule, call.method, call.path, detail)])

    def _log(self, call: Call, answer: Answer, fault: Fault | None, seconds: float) -> None:
        log = self._service.log
        silent = fault is not None and fault.kind in _SILENT
        logged = LoggedCall(
            number=call.number,
            at=iso(datetime.now(UTC)),
            method=call.method,
            path=call.path,
            query=call.query,
            headers={name: value for name, value in call.headers.items() if name != "authorization"},
            body=None if call.body is NO_BODY else log.cut(call.body),
            rows=call.rows,
            size=call.size,
            status=None if silent else answer.status,
            answer=None if silent else answer_summary(answer.status, answer.content),
            milliseconds=round(seconds * 1000, 3),
            fault=fault.kind.value if fault else "",
        )
        model = call.segments[0] if call.segments else ""
        one = len(call.segments) > 1 and "{tenant}" not in call.path and model != "dock"
        log.add(logged, f"{call.method} /{model}/{{id}}" if one else f"{call.method} {call.path}")


def _bulk_path(scope: Scope) -> str:
    path: str = scope["path"]
    return path if scope["method"] == "PUT" and path.count("/") == 1 else ""


def _parsed(body: bytes, headers: dict[str, str]) -> Any:
    """The JSON of a body; a body under another content type is not looked at, as body parsers do."""
    if not body or not headers.get("content-type", "").lower().startswith("application/json"):
        return NO_BODY
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return NO_BODY


def _fault_answer(fault: Fault) -> Answer:
    headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
    return Answer(
        fault.status, fault.body or _STATUS_TEXT.get(fault.status, "Error"), fault.content_type, headers
    )


def _miscounted(answer: Answer, rows: int) -> Answer:
    """A bulk answer that leaves out the last rows it applied."""
    if not isinstance(answer.content, dict) or "insertsKeys" not in answer.content:
        return answer
    content = dict(answer.content)
    for _ in range(rows):
        for counter, *lists in (
            ("created", "insertsKeys", "upsertedIds"),
            ("updated", "updatesKeys", "modified"),
            ("nonupdates",),
        ):
            if content[counter]:
                content[counter] -= 1
                content.update({name: content[name][:-1] for name in lists})
                break
    return Answer(answer.status, content, answer.content_type, answer.headers)


async def _deliver(scope: Scope, receive: Receive, send: Send, answer: Answer, fault: Fault | None) -> None:
    kind = fault.kind if fault else None
    if kind in (FaultKind.RESET_BEFORE, FaultKind.RESET_AFTER):
        await wire.reset(scope, receive)
        return
    if kind in (FaultKind.HANG, FaultKind.HANG_AFTER):
        await wire.until_gone(receive)
        return
    body = answer.encoded()
    headers = [(b"content-type", answer.content_type.encode())]
    headers += [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    if kind is FaultKind.TRUNCATED:
        await wire.truncate(scope, receive, send, answer.status, body, headers)
        return
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
