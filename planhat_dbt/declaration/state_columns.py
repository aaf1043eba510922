"""The names that Planhat fields have in the plan and snapshot tables (DESIGN §6).

A system field keeps its name; `custom.Plan Tier` becomes `custom_plan_tier`. The names are a documented
interface, so they depend on the fields alone, not on the order in which they are declared.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

RESERVED = frozenset(
    {
        "_key",
        "_mapping",
        "_code",
        "_message",
        "_prior",
        "_changes",
        "_planhat_id",
        "_state",
        "_origin",
        "_first_synced_at",
        "_synced_at",
        "_run_id",
        "_row",
        "_batch",
        "_operation",
        "_changed",
        "_event_time",
    }
)
"""Columns of our own in these tables."""
LONGEST = 60
"""Fits all warehouses: PostgreSQL allows 63 bytes."""


def state_columns(targets: Collection[str], taken: Collection[str] = ()) -> Mapping[str, str]:
    """A column name for each target, unlike all others whatever their case.

    Where several would get the same name, or one would be too long, each of them gets a suffix made from its
    target.

    Args:
        targets: system field names, and `custom.<display name>`.
        taken: other column names in use (the match field).
    """
    plain = {target: _plain(target) for target in targets}
    count = Counter(name.casefold() for name in plain.values())
    unavailable = RESERVED | {t.casefold() for t in taken}
    return {
        target: name
        if count[name.casefold()] == 1 and name.casefold() not in unavailable and len(name) <= LONGEST
        else _with_suffix(name, target)
        for target, name in plain.items()
    }


def _plain(target: str) -> str:
    if not target.startswith("custom."):
        return target
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", target.removeprefix("custom."))
    ascii_only = unicodedata.normalize("NFKD", words.casefold()).encode("ascii", "ignore").decode()
    snake = re.sub(r"[^a-z0-9]+", "_", ascii_only).strip("_")
    return f"custom_{snake}" if snake else _with_suffix("custom", target)


def _with_suffix(name: str, target: str) -> str:
    digest = hashlib.blake2b(target.encode(), digest_size=4).hexdigest()
    return f"{name[: LONGEST - len(digest) - 1]}_{digest}"
