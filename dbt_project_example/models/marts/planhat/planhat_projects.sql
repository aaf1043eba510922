select
    projects.project_id,
    projects.account_id,
    projects.name as project_name,
    projects.stage,
    contracts.annual_amount,
    accounts.currency,
    projects.starts_on,
    projects.ends_on,
    projects.handed_over_on,
    contacts.user_id as contact_user_id
from {{ ref('cs_projects') }} as projects
inner join {{ ref('int_accounts') }} as accounts using (account_id)
left join {{ ref('int_account_contracts') }} as contracts using (account_id)
left join {{ ref('stg_users') }} as contacts
    on projects.account_id = contacts.account_id and contacts.role = 'admin'
