"""dbt's environment variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def dbt_variable(environ: Mapping[str, str], name: str) -> str:
    """What the environment says of an option: `DBT_ENGINE_<name>` (from dbt 1.11) or `DBT_<name>`; empty: nothing."""
    return environ.get(f"DBT_ENGINE_{name}") or environ.get(f"DBT_{name}") or ""
