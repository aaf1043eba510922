select
    accounts.account_id,
    accounts.crm_account_id,
    accounts.account_name,
    accounts.lifecycle_phase,
    [accounts.domain] as domains,
    accounts.country,
    accounts.city,
    accounts.industry || ' – ' || accounts.city as description,
    accounts.csm_email,
    accounts.csm_score,
    accounts.tags,
    accounts.plan_tier,
    contracts.seats,
    contracts.annual_amount,
    contracts.contract_ends_on,
    accounts.customer_since,
    accounts.sso_enabled,
    regions.regions,
    case
        when accounts.employees < 50 then 'S'
        when accounts.employees < 500 then 'M'
        else 'L'
    end as size_class,
    accounts.updated_at as crm_updated_at
from {{ ref('int_accounts') }} as accounts
left join {{ ref('int_account_contracts') }} as contracts using (account_id)
left join {{ ref('int_account_regions') }} as regions using (account_id)
