"""Declarations: the `planhat` blocks of a dbt project, read and checked in one pass (DESIGN §3)."""

from __future__ import annotations

from planhat_dbt.declaration.columns import missing_columns
from planhat_dbt.declaration.reader import read_declarations
from planhat_dbt.declaration.types import (
    CompanyRef,
    Constant,
    Declarations,
    Fault,
    FieldMapping,
    FromColumn,
    JsonValue,
    KeyField,
    Limit,
    Lookup,
    Match,
    Mode,
    Model,
    Nulls,
    OnRemoved,
    Relation,
    Source,
    Sync,
    Tests,
    Write,
)

__all__ = [
    "CompanyRef",
    "Constant",
    "Declarations",
    "Fault",
    "FieldMapping",
    "FromColumn",
    "JsonValue",
    "KeyField",
    "Limit",
    "Lookup",
    "Match",
    "Mode",
    "Model",
    "Nulls",
    "OnRemoved",
    "Relation",
    "Source",
    "Sync",
    "Tests",
    "Write",
    "missing_columns",
    "read_declarations",
]
