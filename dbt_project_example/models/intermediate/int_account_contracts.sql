-- What each account pays for now: one row per account with an ongoing term.
select
    account_id,
    max(seats) as seats,
    cast(sum(monthly_amount) * 12 as decimal(14, 2)) as annual_amount,
    max(ends_on) as contract_ends_on
from {{ ref('stg_subscriptions') }}
where renewal_status = 'ongoing'
group by account_id
