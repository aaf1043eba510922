select
    subscription_id,
    account_id,
    product,
    seats,
    monthly_amount,
    cast(monthly_amount * 12 as decimal(12, 2)) as term_amount,
    currency,
    billing,
    auto_renews,
    starts_on,
    ends_on,
    renewal_status
from {{ ref('billing_subscriptions') }}
