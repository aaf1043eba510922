select
    opportunities.opportunity_id,
    opportunities.crm_account_id,
    opportunities.title,
    opportunities.stage,
    opportunities.status,
    opportunities.monthly_amount,
    opportunities.one_off_amount,
    opportunities.currency,
    opportunities.expected_close,
    opportunities.closed_on
from {{ ref('stg_opportunities') }} as opportunities
inner join {{ ref('int_accounts') }} as accounts using (crm_account_id)
