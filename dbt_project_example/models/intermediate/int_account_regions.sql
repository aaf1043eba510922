-- Where each account's workspaces run.
select account_id, list_sort(list(distinct region)) as regions
from {{ ref('app_workspaces') }}
group by account_id
