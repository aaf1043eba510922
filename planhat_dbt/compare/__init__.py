"""The comparison: a SQL statement that sets a model against its snapshot table and writes the plan table.

Model and snapshot meet in one full join on the key; what is unchanged never leaves the engine. In a DuckDB file, a join
of keys and fingerprints goes before it, and leaves it the rows that may differ. Only rows that differ are looked at
further: is the value fit to be sent, is a required field there, has the parent reached Planhat, which fields changed
from what to what. Where records must be found in Planhat first, a second statement settles the plan by what look-ups
found. The texts are made here without a connection; `planhat_dbt.plan` reads what they wrote.
"""

from __future__ import annotations

from planhat_dbt.compare.comparison import Comparison
from planhat_dbt.compare.former import former_searches
from planhat_dbt.compare.numbering import (
    CLEAR_BATCHES_FROM,
    CREATE_BATCH_ROWS,
    CREATE_BATCHES_FROM,
    DELETE_BATCHES_FROM,
    INDEXED,
)
from planhat_dbt.compare.searches import (
    Search,
    in_need_of_lookup,
    keys_may_move,
    people_searches,
    record_searches,
    removal_search,
)
from planhat_dbt.compare.settle import settled_plan
from planhat_dbt.compare.shared_records import find_shared, plan_apart
from planhat_dbt.compare.statement import (
    create_empty_plan,
    create_plan,
    drop_plan,
    find_suspects,
)

__all__ = [
    "CLEAR_BATCHES_FROM",
    "CREATE_BATCHES_FROM",
    "CREATE_BATCH_ROWS",
    "DELETE_BATCHES_FROM",
    "INDEXED",
    "Comparison",
    "Search",
    "create_empty_plan",
    "create_plan",
    "drop_plan",
    "find_shared",
    "find_suspects",
    "former_searches",
    "in_need_of_lookup",
    "keys_may_move",
    "people_searches",
    "plan_apart",
    "record_searches",
    "removal_search",
    "settled_plan",
]
