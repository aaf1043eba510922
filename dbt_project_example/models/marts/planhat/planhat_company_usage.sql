-- How each account has used the product in the last seven days measured, and in the seven before. All accounts of the
-- product but our own test accounts, whether the CRM knows them or not.
with days as (
    select
        usage.*,
        usage.usage_date > last.usage_date - 7 as this_week,
        usage.usage_date between last.usage_date - 13 and last.usage_date - 7 as last_week
    from {{ ref('app_daily_usage') }} as usage
    cross join (select max(usage_date) as usage_date from {{ ref('app_daily_usage') }}) as last
    left join {{ ref('stg_accounts') }} as accounts using (account_id)
    where not coalesce(accounts.is_test, false)
),

weeks as (
    select
        account_id,
        coalesce(max(active_users) filter (where this_week), 0) as active_users,
        coalesce(sum(documents_approved) filter (where this_week), 0)::integer as documents_approved,
        coalesce(sum(documents_approved) filter (where last_week), 0)::integer as documents_approved_before,
        max(usage_date) filter (where active_users > 0) as last_used_on
    from days
    group by account_id
)

select
    account_id,
    active_users,
    documents_approved,
    case
        when documents_approved > documents_approved_before * 1.25 then 'rising'
        when documents_approved < documents_approved_before * 0.75 then 'falling'
        else 'steady'
    end as trend,
    last_used_on
from weeks
