select
    subscriptions.subscription_id,
    subscriptions.account_id,
    subscriptions.product,
    subscriptions.seats,
    subscriptions.term_amount,
    subscriptions.currency,
    true as is_fixed_period,
    subscriptions.auto_renews,
    case when subscriptions.auto_renews then 12 end as renewal_months,
    case when subscriptions.auto_renews then 60 else 30 end as notice_days,
    subscriptions.billing,
    subscriptions.renewal_status,
    subscriptions.starts_on,
    subscriptions.ends_on
from {{ ref('stg_subscriptions') }} as subscriptions
inner join {{ ref('int_accounts') }} as accounts using (account_id)
