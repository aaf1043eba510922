"""One value the way of a delivery, from a DuckDB expression to what the other side reads."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import duckdb
import orjson
from hypothesis import strategies as st

from planhat_dbt.objects import Field, FieldType
from planhat_dbt.values import Conversion, conversion
from planhat_dbt.warehouse.duckdb_dialect import DuckDBDialect
from planhat_dbt.warehouse.port import Column, ColumnKind

DIALECT = DuckDBDialect()
ID = "0123456789abcdef01234567"
K, F = ColumnKind, FieldType
TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))


def as_sent(db: duckdb.DuckDBPyConnection, found: Conversion, kind: str, value: Any) -> Any:
    """One value the way of a delivery: canonical, fetched in its form, converted, encoded, read by the other side."""
    name = db.execute(f"describe select cast(null as {kind})").fetchall()[0][1]
    column = Column("v", name, DIALECT.kind(name))
    stored = Column("v", DIALECT.stored_type(column), column.kind)
    query = f"select {DIALECT.canonical('v', column)} as v from (select cast(? as {kind}) as v)"
    (wire,) = db.execute(f"select {DIALECT.wire('v', stored, found.form)} from ({query})", [value]).fetchone()
    text = orjson.dumps(found.convert(wire) if found.convert else wire).decode()
    assert not re.search(r"\d[eE][+-]?\d", text) or text[0] in '"[{', "no exponents"
    return json.loads(text, parse_float=Decimal)


def into(field: FieldType, kind: ColumnKind, values: tuple[str, ...] = ()) -> Conversion:
    found = conversion(kind, Field("f", field, values=values))
    assert found is not None
    return found
