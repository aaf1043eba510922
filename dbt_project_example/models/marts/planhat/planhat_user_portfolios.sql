-- What each user of Planhat looks after. One row per user, whether in charge of an account or not.
select
    users.user_id,
    count(accounts.account_id) as accounts,
    count(*) filter (where accounts.lifecycle_phase = 'At Risk') as accounts_at_risk,
    coalesce(sum(contracts.seats), 0)::integer as seats
from {{ ref('planhat_export_users') }} as users
left join {{ ref('int_accounts') }} as accounts on users.email = accounts.csm_email
left join {{ ref('int_account_contracts') }} as contracts using (account_id)
group by users.user_id
