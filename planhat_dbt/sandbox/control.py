"""The control API under `/_sandbox/`: look into the sandbox and steer it over HTTP. It needs no token.

| path | methods |
|---|---|
| `/state` | GET |
| `/reset` | POST |
| `/rules` | GET, PUT (changes), DELETE (back to the first rules) |
| `/faults` | GET, POST (one or a list), DELETE |
| `/log` | GET (`method`, `path`, `last`), DELETE |
| `/violations` | GET, DELETE |
| `/records/{model}` | GET, POST (seed one or a list), DELETE |
| `/records/{model}/{_id}` | PUT (edit), DELETE |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.responses import Response
from starlette.routing import Route

from planhat_dbt.sandbox.faults import Fault
from planhat_dbt.sandbox.values import BadValueError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from planhat_dbt.sandbox.service import Service

    Handler = Callable[[Service, Request, Any], Any]

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
"""Those that are answered in our words, offered at a path or not."""


def routes(service: Service) -> list[Route]:
    """The routes of the control API."""
    table: tuple[tuple[str, dict[str, Handler]], ...] = (
        ("/state", {"GET": _state}),
        ("/reset", {"POST": _reset}),
        ("/rules", {"GET": _rules, "PUT": _change_rules, "DELETE": _first_rules}),
        ("/faults", {"GET": _faults, "POST": _add_faults, "DELETE": _clear_faults}),
        ("/log", {"GET": _log, "DELETE": _clear_log}),
        ("/violations", {"GET": _violations, "DELETE": _clear_violations}),
        ("/records/{model}", {"GET": _records, "POST": _seed, "DELETE": _clear_records}),
        ("/records/{model}/{record_id}", {"PUT": _edit, "DELETE": _remove}),
    )
    found = [Route(path, _endpoint(service, handlers), methods=_METHODS) for path, handlers in table]
    return [*found, Route("/{path:path}", _nothing_here, methods=_METHODS)]


async def _nothing_here(request: Request) -> Response:
    return _json({"error": f"not found: {request.url.path}"}, 404)


def _endpoint(service: Service, handlers: dict[str, Handler]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        handler = handlers.get(request.method)
        if handler is None:
            return _json({"error": f"{request.method} is not offered here"}, 405)
        try:
            content = await request.body()
            body = orjson.loads(content) if content else None
            with service.lock:
                return _json(handler(service, request, body))
        except (ValueError, TypeError, BadValueError) as error:
            return _json({"error": str(error)}, 400)
        except KeyError as error:
            return _json({"error": f"not found: {error.args[0]}"}, 404)

    return endpoint


def _json(content: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


def _listed(body: Any) -> list[Any]:
    return body if isinstance(body, list) else [body]


def _state(service: Service, _request: Request, _body: Any) -> Any:
    return {
        "counts": service.tenant.counts(),
        "calls": dict(service.log.counts),
        "violations": len(service.log.violations),
        "faults": [fault.as_json() for fault in service.faults.waiting],
        "rules": service.tenant.rules.as_json(),
        "quota": service.quota.limit,
    }


def _reset(service: Service, _request: Request, _body: Any) -> Any:
    service.reset()
    return {}


def _rules(service: Service, _request: Request, _body: Any) -> Any:
    return service.tenant.rules.as_json()


def _change_rules(service: Service, _request: Request, body: Any) -> Any:
    service.tenant.rules = service.tenant.rules.changed(body or {})
    return service.tenant.rules.as_json()


def _first_rules(service: Service, _request: Request, _body: Any) -> Any:
    service.tenant.rules = service.first_rules
    return service.tenant.rules.as_json()


def _faults(service: Service, _request: Request, _body: Any) -> Any:
    return [fault.as_json() for fault in service.faults.waiting]


def _add_faults(service: Service, request: Request, body: Any) -> Any:
    service.faults.add(*(Fault.from_json(item) for item in _listed(body)))
    return _faults(service, request, None)


def _clear_faults(service: Service, _request: Request, _body: Any) -> Any:
    service.faults.clear()
    return []


def _log(service: Service, request: Request, _body: Any) -> Any:
    query = request.query_params
    calls = service.log.of(query.get("method", "").upper(), query.get("path", "/"))
    last = int(query.get("last", "0"))
    return {
        "total": service.log.total,
        "counts": dict(service.log.counts),
        "calls": [call.as_json() for call in (calls[-last:] if last else calls)],
    }


def _clear_log(service: Service, _request: Request, _body: Any) -> Any:
    service.log.clear()
    return {}


def _violations(service: Service, _request: Request, _body: Any) -> Any:
    return [violation.as_json() for violation in service.log.violations]


def _clear_violations(service: Service, _request: Request, _body: Any) -> Any:
    service.log.violations.clear()
    return []


def _records(service: Service, request: Request, _body: Any) -> Any:
    return service.tenant.records(request.path_params["model"])


def _seed(service: Service, request: Request, body: Any) -> Any:
    return service.tenant.seed(request.path_params["model"], _listed(body))


def _clear_records(service: Service, request: Request, _body: Any) -> Any:
    service.tenant.clear(request.path_params["model"])
    return {}


def _edit(service: Service, request: Request, body: Any) -> Any:
    service.tenant.edit(request.path_params["model"], request.path_params["record_id"], **(body or {}))
    return {}


def _remove(service: Service, request: Request, _body: Any) -> Any:
    service.tenant.remove(request.path_params["model"], request.path_params["record_id"])
    return {}
