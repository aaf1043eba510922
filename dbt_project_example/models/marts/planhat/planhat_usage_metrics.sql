-- The daily counters, one row per counter that was measured.
with points as (
    unpivot (select * from {{ ref('app_daily_usage') }})
    on active_users, documents_approved, api_calls
    into name metric value amount
)

select
    points.account_id || '/' || points.usage_date || '/' || points.metric as usage_point_id,
    points.account_id,
    points.metric,
    points.amount,
    points.usage_date
from points
inner join {{ ref('int_accounts') }} as accounts using (account_id)
