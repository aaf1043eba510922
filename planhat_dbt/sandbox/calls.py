"""A call as it came and an answer as it goes: the two values between the wire and the handlers."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"

NO_BODY = object()
"""Stands for a body that is missing or cannot be read as JSON."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read to its end."""

    number: int
    method: str
    segments: tuple[str, ...]
    """Path segments, each percent-decoded on its own; `/companies/` has an empty second one."""
    path: str
    """The decoded path, with `{tenant}` for the tenant UUID; what faults and the log go by."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Lower-case names."""
    size: int
    """Bytes of the body."""
    too_large: bool
    body: Any
    """Parsed JSON, or `NO_BODY`."""

    @property
    def rows(self) -> int:
        """How many rows the body has: the length of a list, 1 for an object, else 0."""
        if isinstance(self.body, list):
            return len(self.body)
        return 1 if isinstance(self.body, dict) else 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send back: JSON, or text under another content type."""

    status: int
    content: Any = None
    """A JSON value, or text if `content_type` is not JSON."""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def encoded(self) -> bytes:
        """The body's bytes."""
        if self.content_type == JSON:
            return orjson.dumps(self.content)
        return str(self.content or "").encode()


def text(status: int, message: str, *, content_type: str = TEXT) -> Answer:
    """A plain-text answer, as Planhat's errors often are (planhat-api §8)."""
    return Answer(status, message, content_type)
