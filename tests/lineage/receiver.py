"""A server on loopback that takes OpenLineage events as a backend does, and reads them with the client's classes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import attr
from openlineage.client import facet_v2
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState

Event = dict[str, Any]


class Receiver:
    """Answers as told to, and keeps what it was sent."""

    def __init__(self, status: int = 201, delay: float = 0) -> None:
        self.bodies: list[str] = []
        self.authorizations: set[str | None] = set()
        self.status = status
        self.delay = delay
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                receiver.authorizations.add(self.headers.get("Authorization"))
                time.sleep(receiver.delay)
                if receiver.status < 300 and self.path == "/api/v1/lineage":
                    receiver.bodies.append(body)
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def events(self) -> list[Event]:
        return [checked(body) for body in self.bodies]


def checked(body: str) -> Event:
    """An event that is what the specification's classes say."""
    event: Event = json.loads(body)
    assert event["schemaURL"] == RunEvent._get_schema()
    RunEvent(
        eventTime=event["eventTime"],
        eventType=RunState(event["eventType"]),
        run=Run(event["run"]["runId"]),
        job=Job(event["job"]["namespace"], event["job"]["name"]),
        producer=event["producer"],
    )
    assert set(event) == {f.name for f in attr.fields(RunEvent)}
    for side, kind in (("inputs", InputDataset), ("outputs", OutputDataset)):
        (dataset,) = event[side]
        assert set(dataset) == {f.name for f in attr.fields(kind)}
    for facet in _facets(event):
        _check_facet(facet)
    return event


def _facets(event: Event) -> Iterator[Mapping[str, Any]]:
    yield from event["run"]["facets"].values()
    yield from event["job"]["facets"].values()
    for dataset in (*event["inputs"], *event["outputs"]):
        for group in ("facets", "inputFacets", "outputFacets"):
            yield from dataset.get(group, {}).values()


def _check_facet(facet: Mapping[str, Any]) -> None:
    name = facet["_schemaURL"].rpartition("/")[2]
    modules = [m for m in vars(facet_v2).values() if hasattr(m, name)]
    cls = getattr(modules[0], name)
    assert facet["_schemaURL"] == cls._get_schema()
    assert facet["_producer"].startswith("urn:planhat-dbt:")
    fields = {f.name: f for f in attr.fields(cls)}
    assert set(facet) <= set(fields), name
    required = {n for n, f in fields.items() if f.default is attr.NOTHING}
    assert required <= set(facet), name
