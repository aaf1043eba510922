"""Airflow: dbt, then Planhat, every hour. The secrets are in the worker's environment."""

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

SHOP = "/srv/shop"

with DAG(
    "dbt_and_planhat",
    schedule="5 * * * *",
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,  # a sync sends the present: there is nothing to catch up on
    max_active_runs=1,
):
    build = BashOperator(
        task_id="dbt_build",
        bash_command=f"{SHOP}/.venv/bin/dbt build --select tag:hourly",
        cwd=SHOP,
        append_env=True,
    )
    sync = BashOperator(
        task_id="planhat_sync",
        bash_command=f"{SHOP}/.venv/bin/planhat-dbt sync",
        cwd=SHOP,
        append_env=True,
        trigger_rule="all_done",  # a test that fails gates its own sync; the others are sent
    )
    # The run is red if dbt failed, also where that concerns no sync.
    build >> [sync, EmptyOperator(task_id="dbt_succeeded")]
