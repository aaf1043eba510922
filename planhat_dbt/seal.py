"""A plan sealed into a file: which rows of which syncs were looked at, so that exactly those are sent later.

The file holds counts and digests, no rows: the plan itself is made anew from the warehouse and must come out the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from planhat_dbt.errors import FailedError, UsageError
from planhat_dbt.plan import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FORMAT: Final = 1
_OPTIONS: Final = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


@dataclass(frozen=True, slots=True)
class SealedSync:
    """What a plan held of one sync."""

    sync: str
    status: str
    """How the plan judged it: `gated`, `refused`, or `success` for one that may go out."""
    operations: Mapping[str, int]
    """Operation → rows."""
    digest: str
    """Of all rows to send, in any order; empty for a gated sync."""

    def told(self) -> str:
        """The rows in words: `3 insert, 1 delete`."""
        counts = [(o.value, self.operations.get(o.value, 0)) for o in Operation]
        return ", ".join(f"{n:,} {name}" for name, n in counts if n) or "no rows"


@dataclass(frozen=True, slots=True)
class Seal:
    """One sealed plan."""

    made_at: str
    version: str
    """The planhat_dbt that made it."""
    target: str
    syncs: tuple[SealedSync, ...]
    resync: tuple[str, ...] = ()
    retry_rejected: bool = False


def write_seal(path: Path, seal: Seal) -> None:
    """Write a sealed plan.

    Raises:
        FailedError: The file cannot be written.
    """
    content = {"planhat_dbt_plan": _FORMAT, **asdict(seal)}
    try:
        path.write_bytes(orjson.dumps({**content, "seal": _checksum(content)}, option=_OPTIONS) + b"\n")
    except OSError as error:
        raise FailedError(
            f"{path} cannot be written: {error.strerror or error}.", hint="Name another file with --out."
        ) from error


def read_seal(path: Path) -> Seal:
    """Read a sealed plan.

    Raises:
        UsageError: There is none, or it is not as `plan --out` wrote it.
    """
    again = "Make one with `planhat-dbt plan --out FILE`."
    try:
        content = orjson.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.", hint=again) from error
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{path} is not a sealed plan: it is not JSON.", hint=again) from error
    if not isinstance(content, dict) or "planhat_dbt_plan" not in content:
        raise UsageError(f"{path} is not a sealed plan.", hint=again)
    if content["planhat_dbt_plan"] != _FORMAT:
        raise UsageError(f"{path} was sealed by another version of planhat_dbt.", hint=again)
    seal = content.pop("seal", None)
    if seal != _checksum(content):
        raise UsageError(f"{path} was changed after it was sealed.", hint=again)
    del content["planhat_dbt_plan"]
    syncs = tuple(SealedSync(**sync) for sync in content.pop("syncs"))
    return Seal(**content | {"syncs": syncs, "resync": tuple(content["resync"])})


def differences(sealed: SealedSync, now: SealedSync) -> str:
    """Say how a plan moved since it was sealed; empty if it did not."""
    if (sealed.status == "gated") != (now.status == "gated"):
        was, is_ = ("was", "is not") if sealed.status == "gated" else ("was not", "is")
        return f"it {was} gated when it was sealed, and {is_} now"
    if sealed.digest == now.digest:
        return ""
    if dict(sealed.operations) != dict(now.operations):
        return f"sealed {sealed.told()}; now {now.told()}"
    return f"{now.told()} as sealed, but other rows, values or fields"


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(content, option=_OPTIONS)).hexdigest()
