"""Neither token nor tenant UUID, nor half of one, in anything that is shown, told or logged."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable

import pytest

from planhat_dbt.errors import FailedError

from .conftest import TENANT, TOKEN, Bench
from .kinds import CALLS, patience_for
from .server import Action, Hang, Raw, Reply, Reset, Truncated

Make = Callable[..., Bench]

LEAKS: list[Action] = [
    Reply(200, f'{{"created": 1, "echo": "{TOKEN} {TENANT}"}}'.encode()),
    Reply(400, f"bad token {TOKEN} for {TENANT}".encode()),
    Reply(401, f"bad token {TOKEN} for {TENANT}".encode()),
    Reply(403, f'{{"message": "{TOKEN} {TENANT}"}}'.encode()),
    Reply(500, b"x" * 190 + f"{TOKEN} {TENANT}".encode()),
    Reply(500, b"x" * 4090 + f"{TOKEN} {TENANT}".encode()),
    Reply(307, b"", {"Location": f"https://h/{TENANT}?t={TOKEN}"}),
    Reply(429, TOKEN.encode()),
    Reset(),
    Raw(),
    Raw(f"HTTP/9 {TOKEN} {TENANT}\r\n\r\n".encode()),
    Hang(),
    Truncated(200, TOKEN.encode()),
]


@pytest.mark.parametrize("leak", LEAKS, ids=range(len(LEAKS)))
@pytest.mark.parametrize("name", CALLS)
def test_secrets_are_nowhere(bench: Make, name: str, leak: Action, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    made = bench([leak], max_tries=2, **patience_for(leak))
    shown = [repr(made.client)]
    try:
        shown.append(repr(CALLS[name](made.client)))
    except FailedError as error:
        shown += [*traceback.format_exception(error), error.message, error.hint, repr(error.__dict__)]
    for record in made.records:
        shown += [repr(record), record.path, record.error, repr(record.request), repr(record.response)]
    shown += [each.getMessage() for each in caplog.records]
    everything = "\n".join(shown)
    for secret in (TOKEN, TENANT):
        assert secret not in everything
        assert secret[:12] not in everything, "half a secret is one too"
    assert made.records
    assert made.server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
