-- A list column has no `relationships` test: every account an issue names must be a company that is sent.
with named as (
    select issue_id, unnest(account_ids) as account_id
    from {{ ref('planhat_issues') }}
)

select named.*
from named
left join {{ ref('planhat_companies') }} as companies using (account_id)
where companies.account_id is null
