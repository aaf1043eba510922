-- The latest state of each account of the CRM.
select
    account_id,
    crm_id as crm_account_id,
    {{ clean_text('name') }} as account_name,
    lower({{ clean_text('domain') }}) as domain,
    country,
    city,
    currency,
    industry,
    cast(employees as integer) as employees,
    plan_tier,
    phase as lifecycle_phase,
    csm_id,
    cast(csm_score as integer) as csm_score,
    -- 'partner-led|strategic' → ['partner-led', 'strategic']; no tags → an empty list
    list_sort(string_split(coalesce({{ clean_text('tags') }}, ''), '|').list_filter(lambda tag: tag <> '')) as tags,
    cast(sso_enabled as boolean) as sso_enabled,
    cast(customer_since as date) as customer_since,
    cast(is_test as boolean) as is_test,
    cast(updated_at as timestamptz) as updated_at
from {{ ref('crm_accounts') }}
qualify row_number() over (partition by account_id order by cast(updated_at as timestamptz) desc) = 1
