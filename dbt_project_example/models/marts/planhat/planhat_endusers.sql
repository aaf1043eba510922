select
    users.user_id,
    users.account_id,
    users.email,
    users.first_name,
    users.last_name,
    users.job_title,
    users.phone,
    users.role = 'admin' as is_admin,
    users.is_champion,
    list_filter([users.role, case when users.is_champion then 'champion' end], lambda tag: tag is not null) as tags,
    users.created_on
from {{ ref('stg_users') }} as users
inner join {{ ref('int_accounts') }} as accounts using (account_id)
