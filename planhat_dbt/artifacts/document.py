"""Reading one JSON artifact, and taking values out of it that may be missing: dbt 2 omits null keys."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from planhat_dbt.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def read_document(path: Path, what: str, *, hint: str) -> dict[str, Any] | None:
    """The JSON object in a file; None if there is no such file.

    Raises:
        UsageError: the file cannot be read, or holds no JSON object.
    """
    content = read_content(path, what, hint=hint)
    return None if content is None else parsed(content, path, what, hint=hint)


def read_content(path: Path, what: str, *, hint: str) -> bytes | None:
    """The bytes of a file; None if there is no such file.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as e:
        raise UsageError(f"{what} cannot be read: {path}: {e.strerror or e}", hint=hint) from e


def parsed(content: bytes, path: Path, what: str, *, hint: str) -> dict[str, Any]:
    """The JSON object that a file holds.

    Raises:
        UsageError: it holds none.
    """
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as e:
        cut = (
            " (cut off? another dbt may be writing it)"
            if content and not content.rstrip().endswith(b"}")
            else ""
        )
        raise UsageError(f"{what} is not JSON{cut}: {path}: {e}", hint=hint) from e
    if not isinstance(document, dict):
        raise UsageError(
            f"{what} should hold a JSON object, not {type(document).__name__}: {path}", hint=hint
        )
    return document


def schema_version(document: dict[str, Any], artifact: str) -> int | None:
    """The number in `…/dbt/<artifact>/v12.json`; None if the document is another artifact or none."""
    url = text(mapping(document.get("metadata")).get("dbt_schema_version"))
    match = re.search(rf"/{re.escape(artifact)}/v(\d+)(?:\.json)?$", url)
    return int(match[1]) if match else None


def mapping(value: object) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def text(value: object) -> str:
    """The value if it is text, else empty."""
    return value if isinstance(value, str) else ""


def names(value: object) -> tuple[str, ...]:
    """The texts of a list; a single text counts as a list of one."""
    if isinstance(value, str):
        return (value,)
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


def moment(value: object) -> datetime | None:
    """An ISO 8601 time in UTC; None if there is none."""
    try:
        found = datetime.fromisoformat(text(value))
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
