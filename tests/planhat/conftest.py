"""Clients with little patience, and the server they talk to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import pytest

from planhat_dbt.planhat import CallRecord, ClientSettings, Endpoint, PlanhatClient

from .server import Script, Server, serving

TOKEN = "tok-3f9c61aa8be2/+=secret"
TENANT = "0f8fad5b-d9cb-469f-a165-70867728950e"

FAST = ClientSettings(
    read_timeout=5.0,
    connect_timeout=1.0,
    max_tries=4,
    max_wait=2.0,
    calls_per_minute=100_000,
    calls_per_second=100_000,
    backoff_base=0.01,
    throttle_base=0.03,
)


def endpoint_for(api: str, tracking: str = "", **more: str) -> Endpoint:
    return Endpoint.from_env(
        {
            "PLANHAT_API_URL": api,
            "PLANHAT_TRACKING_URL": tracking or api,
            "PLANHAT_API_TOKEN": TOKEN,
            "PLANHAT_TENANT_UUID": TENANT,
            **more,
        }
    )


@dataclass
class Bench:
    """A server with its script, a client that talks to it, and what the client reported."""

    server: Server
    client: PlanhatClient
    stop: threading.Event
    records: list[CallRecord] = field(default_factory=list)


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    with ExitStack() as stack:

        def make(script: Script, **changes: float) -> Bench:
            server = stack.enter_context(serving(script))
            records: list[CallRecord] = []
            stop = threading.Event()
            settings = replace(FAST, **changes)  # type: ignore[arg-type]
            client = PlanhatClient(endpoint_for(server.url), settings, records.append, stop=stop)
            return Bench(server, stack.enter_context(client), stop, records)

        yield make
