"""The dbt plugin: a plain `dbt build` ends with a sync, if the project asks for it (DESIGN §10, dbt-notes §3).

dbt imports every top-level module whose name begins with `dbt_`, in every project of the environment. So nothing here
may ever break dbt: whatever fails while this is imported turns the plugin off.
"""

from typing import Any

plugins: list[Any] = []

try:
    from dbt_planhat.plugin import PlanhatPlugin
except Exception:  # noqa: BLE001, S110 - a dbt that has no plugins, or other ones: nothing to do there
    pass
else:
    plugins = [PlanhatPlugin]
