{{ config(materialized='table') }}
-- The accounts Planhat should know, with the manager's e-mail. Every mart starts here, so that no child can
-- refer to a company that is not sent.
select
    accounts.* exclude (is_test),
    team.email as csm_email
from {{ ref('stg_accounts') }} as accounts
left join {{ ref('cs_team') }} as team using (csm_id)
where not accounts.is_test
