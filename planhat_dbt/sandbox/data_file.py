"""Keeping a tenant in a JSON file between two starts of the sandbox."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

import orjson

from planhat_dbt.sandbox.tenant import EVENT_STREAMS

if TYPE_CHECKING:
    from pathlib import Path

    from planhat_dbt.sandbox.tenant import Tenant

_FORMAT = 1
_saved: weakref.WeakKeyDictionary[Tenant, int] = weakref.WeakKeyDictionary()
"""The `changes` of a tenant when it was last saved or loaded."""


class DataFileError(ValueError):
    """The file is not one that the sandbox wrote."""


def load(tenant: Tenant, path: Path) -> None:
    """Fill the tenant from the file; a missing file leaves it empty.

    Raises:
        DataFileError: not a data file of the sandbox.
    """
    if not path.exists():
        return
    try:
        content = orjson.loads(path.read_bytes())
        if content["format"] != _FORMAT:
            raise DataFileError(f"{path}: format {content['format']!r} is not {_FORMAT}")
        tenant.clear()
        for model, records in content["records"].items():
            collection = tenant.collections[model]
            for record in records:
                tenant.insert(collection.resource, record)
        for stream in EVENT_STREAMS:
            getattr(tenant, stream).extend(content["events"].get(stream, ()))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise DataFileError(f"{path} is not a data file of the sandbox ({error!r})") from None
    _saved[tenant] = tenant.changes


def save(tenant: Tenant, path: Path) -> None:
    """Write the tenant to the file if anything changed since; readers never see half a file."""
    if _saved.get(tenant) == tenant.changes:
        return
    changes = tenant.changes
    content = {
        "format": _FORMAT,
        "records": {model: list(c.records.values()) for model, c in tenant.collections.items() if len(c)},
        "events": {stream: getattr(tenant, stream) for stream in EVENT_STREAMS},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    partial.write_bytes(orjson.dumps(content))
    partial.replace(path)
    _saved[tenant] = changes
