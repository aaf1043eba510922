"""Whether the built table has the columns that a sync reads; asked once the table is known (DESIGN §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planhat_dbt.declaration.types import Fault
from planhat_dbt.declaration.wording import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from planhat_dbt.declaration.types import Sync


def missing_columns(sync: Sync, table_columns: Collection[str]) -> tuple[Fault, ...]:
    """A fault for each column that a sync reads and the built table lacks.

    Names are compared without regard to case, as warehouses compare unquoted ones.
    """
    there = {name.casefold() for name in table_columns}
    build = "dbt build --full-refresh" if sync.model.is_incremental else "dbt build"
    return tuple(
        Fault(
            model=sync.model.name,
            file=sync.model.path,
            path=f"config.meta.planhat.{path}",
            message=f"sync `{sync.name}`: the built table {sync.model.relation.rendered} has no column "
            f"`{column}`.{did_you_mean(column, table_columns)} If the model has it, the table is older than the "
            f"model: run `{build} --select {sync.model.name}`.",
        )
        for path, column in _columns_read(sync)
        if column.casefold() not in there
    )


def _columns_read(sync: Sync) -> Iterator[tuple[str, str]]:
    if sync.match:
        yield f"match.{sync.match.field}", sync.match.column
    else:
        yield "key", sync.key
    if sync.previous_match:
        yield f"previous_match.{sync.previous_match.field}", sync.previous_match.column
    if sync.event_time:
        yield "event_time", sync.event_time
    for mapping in sync.fields:
        if mapping.model_column is not None:
            yield f"fields.{mapping.target}", mapping.model_column
