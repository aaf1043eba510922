"""The rows of a sealed plan, kept as digests while it is applied: nothing else may be sent under it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from planhat_dbt.binding import BoundSync
    from planhat_dbt.state.layout import StateTables
    from planhat_dbt.warehouse.port import Session

_ROWS: Final = "planhat_sealed"


def digest_plan(session: Session, tables: StateTables, bound: BoundSync, mapping_version: int) -> str:
    """Digest the rows of a plan that are to be sent, in whatever order they stand."""
    session.scratch(_ROWS, _rows(tables, bound, mapping_version))
    first, second = (tables.dialect.digest_number(f"substr(digest, {start}, 15)") for start in (1, 16))
    ((count, one, other),) = session.rows(f"select count(*), sum({first}), sum({second}) from {_ROWS}")
    return f"{int(count)}-{int(one or 0):x}-{int(other or 0):x}"


def keep_rows(session: Session, tables: StateTables, bound: BoundSync, mapping_version: int) -> None:
    """Keep the digests of a plan's rows until they were sent."""
    drop_rows(session, tables, bound.name)
    rows = _rows(tables, bound, mapping_version)
    session.execute(f"create table {tables.sealed(bound.name)} as {rows}")


def count_strays(session: Session, tables: StateTables, bound: BoundSync, mapping_version: int) -> int:
    """Count the rows of a plan that the sealed one does not hold."""
    found = session.rows(
        f"select count(*) from ({_rows(tables, bound, mapping_version)}) r "
        f"left join {tables.sealed(bound.name)} s on s.digest = r.digest where s.digest is null"
    )
    return int(found[0][0])


def drop_rows(session: Session, tables: StateTables, sync: str) -> None:
    """Forget the digests."""
    session.execute(f"drop table if exists {tables.sealed(sync)}")


def _rows(tables: StateTables, bound: BoundSync, mapping_version: int) -> str:
    dialect = tables.dialect
    text = [
        f"coalesce(cast(p.{name} as {dialect.text}), '')"
        for name in ("_operation", "_planhat_id", "_changed")
    ]
    values = [dialect.json(f"p.{dialect.quote(f.name)}", f.stored) for f in bound.fields]
    parts = [f"'{mapping_version}'", *text, *values, "p._key"]
    return (
        f"select {dialect.digest(' || chr(10) || '.join(parts))} as digest "
        f"from {tables.plan(bound.name)} p where p._operation is not null"
    )
