select
    opportunity_id,
    crm_account_id,
    {{ clean_text('title') }} as title,
    stage,
    case stage when 'Closed Won' then 'won' when 'Closed Lost' then 'lost' else 'active' end as status,
    cast(monthly_amount as decimal(12, 2)) as monthly_amount,
    cast(one_off_amount as decimal(12, 2)) as one_off_amount,
    currency,
    cast(expected_close as date) as expected_close,
    cast(closed_on as date) as closed_on
from {{ ref('crm_opportunities') }}
