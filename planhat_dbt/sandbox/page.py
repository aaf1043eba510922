"""The sandbox's page at `/`: counts per object, the last calls, and the records of one object.

One self-contained HTML answer; every value is escaped by the template.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson
from jinja2 import Environment, PackageLoader, select_autoescape
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from planhat_dbt.sandbox.tenant import EVENT_STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from starlette.requests import Request

    from planhat_dbt.sandbox.log import LoggedCall
    from planhat_dbt.sandbox.service import Service
    from planhat_dbt.sandbox.values import Record

_PAGE_ROWS = 25
_LAST_CALLS = 12
_FIRST_COLUMNS = (
    "_id",
    "externalId",
    "extId",
    "sourceId",
    "email",
    "name",
    "title",
    "dimensionId",
    "action",
    "error",
)
_LAST_COLUMNS = ("custom", "updatedAt")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'"


@dataclass(frozen=True, slots=True)
class _Cell:
    """One value of the table: its text, and where it leads."""

    text: str
    kind: str = ""
    link: str = ""


def route(service: Service) -> Route:
    """The page's route."""
    environment = Environment(
        loader=PackageLoader("planhat_dbt.sandbox", "."),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
    )
    template = environment.get_template("page.html")

    async def endpoint(request: Request) -> Response:
        with service.lock:
            content = template.render(
                _context(service, request.query_params, str(request.base_url).rstrip("/"))
            )
        return HTMLResponse(content, headers={"Content-Security-Policy": _POLICY})

    return Route("/", endpoint, methods=["GET"])


def icon_route() -> Route:
    """The route of the icon that browsers ask for: there is none, and it is no call to Planhat."""

    async def endpoint(_request: Request) -> Response:
        return Response(status_code=204)

    return Route("/favicon.ico", endpoint, methods=["GET"])


def _context(service: Service, query: Mapping[str, str], url: str) -> dict[str, Any]:
    tenant = service.tenant
    counts = tenant.counts()
    model = query.get("object", "")
    search = query.get("q", "").strip()
    found: Sequence[Record] = ()
    if model in counts:
        found = _found(_stored(service, model), search)
    pages = max(1, -(-len(found) // _PAGE_ROWS))
    number = min(max(1, int(query["page"])), pages) if query.get("page", "").isdigit() else 1
    shown = found[(number - 1) * _PAGE_ROWS : number * _PAGE_ROWS]
    columns = _columns(shown)

    def link(page: int) -> str:
        return "?" + urlencode({"object": model, "q": search, "page": page})

    return {
        "url": url,
        "objects": [(name, counts[name]) for name in counts if name not in EVENT_STREAMS],
        "streams": [(name, counts[name]) for name in EVENT_STREAMS],
        "calls": [_call(call) for call in reversed(list(service.log.calls)[-_LAST_CALLS:])],
        "total_calls": service.log.total,
        "violations": list(reversed(service.log.violations[-_LAST_CALLS:])),
        "total_violations": len(service.log.violations),
        "model": model if model in counts else "",
        "search": search,
        "columns": columns,
        "rows": [
            ([_cell(service, name, record.get(name)) for name in columns], _pretty(record))
            for record in shown
        ],
        "found": len(found),
        "first": (number - 1) * _PAGE_ROWS + 1,
        "page": number,
        "pages": pages,
        "previous": link(number - 1) if number > 1 else "",
        "next": link(number + 1) if number < pages else "",
    }


def _stored(service: Service, model: str) -> Iterable[Record]:
    """The records without a copy, newest first."""
    if model in EVENT_STREAMS:
        return reversed(getattr(service.tenant, model))
    return reversed(service.tenant.collections[model].records.values())


def _found(records: Iterable[Record], search: str) -> list[Record]:
    if not search:
        return list(records)
    wanted = search.lower().encode()
    return [record for record in records if wanted in orjson.dumps(record).lower()]


def _columns(records: Sequence[Record]) -> list[str]:
    present = dict.fromkeys(name for record in records for name in record)
    middle = [name for name in present if name not in _FIRST_COLUMNS and name not in _LAST_COLUMNS]
    return [
        *(name for name in _FIRST_COLUMNS if name in present),
        *middle,
        *(name for name in _LAST_COLUMNS if name in present),
    ]


def _cell(service: Service, name: str, value: Any) -> _Cell:
    if name == "_id":
        return _Cell(str(value), "id")
    if name in ("companyId", "cId"):
        link = "?" + urlencode({"object": "companies", "q": value})
        return _Cell(service.tenant.company_name(value) or str(value), link=link)
    if name == "updatedAt":
        return _Cell(str(value)[:19].replace("T", " "))
    if isinstance(value, bool):
        return _Cell("yes" if value else "no", "flag")
    if isinstance(value, int | float):
        return _Cell(str(value), "number")
    return _Cell(_short(value))


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_short(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(_short(inner) for inner in value)
    return "" if value is None else str(value)


def _pretty(record: Record) -> str:
    return orjson.dumps(record, option=orjson.OPT_INDENT_2).decode()


def _look(status: int | None) -> str:
    """The colour of a status: 206 is a success in part only."""
    if status is None:
        return "lost"
    return "s4" if status == 206 else f"s{status // 100}"


def _call(call: LoggedCall) -> dict[str, Any]:
    answer = call.answer
    if isinstance(answer, dict):
        answer = ", ".join(f"{key} {value}" for key, value in answer.items() if value not in (0, None))
    query = urlencode(call.query)
    return {
        "number": call.number,
        "time": call.at[11:19],
        "method": call.method,
        "path": f"{call.path}?{query}" if query else call.path,
        "rows": call.rows,
        "status": call.status,
        "class": _look(call.status),
        "answer": answer,
        "milliseconds": f"{call.milliseconds:.0f}",
        "fault": call.fault,
    }
