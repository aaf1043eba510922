select
    workspaces.workspace_id,
    workspaces.account_id,
    workspaces.name as workspace_name,
    workspaces.kind,
    workspaces.region,
    workspaces.license_key,
    workspaces.status,
    workspaces.storage_gb,
    workspaces.created_at
from {{ ref('app_workspaces') }} as workspaces
inner join {{ ref('int_accounts') }} as accounts using (account_id)
