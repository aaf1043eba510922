"""A running sandbox, a plain HTTP client for it, and shorthands for its calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import httpx
import pytest

from planhat_dbt.sandbox import Sandbox
from planhat_dbt.sandbox.pytest_plugin import _running_sandbox, planhat_sandbox  # noqa: F401 - fixtures

Row = dict[str, Any]


class Api:
    """Calls as any client would make them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        # No TLS here; without certificates to load a client is made ten times faster.
        self.http = httpx.Client(base_url=sandbox.url, headers=sandbox.headers, timeout=10, verify=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def put(self, path: str, rows: Any) -> httpx.Response:
        return self.http.put(path, json=rows)

    def bulk(self, path: str, *rows: Row, status: int = 200) -> Row:
        response = self.http.put(path, json=list(rows))
        assert response.status_code == status, response.text
        body: Row = response.json()
        return body

    def get(self, path: str, **query: Any) -> Any:
        response = self.http.get(path, params=query)
        assert response.status_code == 200, response.text
        return response.json()

    def counters(self, path: str, *rows: Row, status: int = 200) -> tuple[int, int, int]:
        body = self.bulk(path, *rows, status=status)
        return body["created"], body["updated"], body["nonupdates"]

    def company(self, key: str = "c-1", **more: Any) -> str:
        return self.sandbox.tenant.seed("companies", [{"name": f"Company {key}", "externalId": key, **more}])[
            0
        ]


@pytest.fixture
def sandbox(planhat_sandbox: Sandbox) -> Sandbox:  # noqa: F811 - the imported fixture
    return planhat_sandbox


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[Api]:
    with Api(sandbox) as api:
        yield api
