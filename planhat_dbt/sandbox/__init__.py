"""A local Planhat over real HTTP, for tests and for trying things out.

Written from the notes on Planhat's public API (planhat-api) and from nothing else in this package, so that
it and the client cannot share a mistake. `planhat-dbt sandbox` serves it; in tests use `Sandbox`, or the
fixture of `planhat_dbt.sandbox.pytest_plugin`.
"""

from __future__ import annotations

from planhat_dbt.sandbox.data_file import DataFileError
from planhat_dbt.sandbox.faults import Fault, FaultKind, Faults
from planhat_dbt.sandbox.legality import Violation
from planhat_dbt.sandbox.log import CallLog, LoggedCall
from planhat_dbt.sandbox.rules import Rules
from planhat_dbt.sandbox.running import DEFAULT_TENANT_UUID, DEFAULT_TOKEN, Sandbox
from planhat_dbt.sandbox.tenant import Tenant
from planhat_dbt.sandbox.values import BadValueError

__all__ = [
    "DEFAULT_TENANT_UUID",
    "DEFAULT_TOKEN",
    "BadValueError",
    "CallLog",
    "DataFileError",
    "Fault",
    "FaultKind",
    "Faults",
    "LoggedCall",
    "Rules",
    "Sandbox",
    "Tenant",
    "Violation",
]
