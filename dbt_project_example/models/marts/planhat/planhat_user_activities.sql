-- What an action says must not change later: it is sent once. So nothing of the account's or the person's present
-- state is joined to it.
select
    events.event_id,
    events.account_id,
    events.user_id,
    events.feature as action,
    case when events.feature in ('approval', 'e-signature') then 3 else 1 end as weight,
    {'device': events.device, 'seconds': events.seconds} as info,
    events.occurred_at
from {{ ref('stg_events') }} as events
inner join {{ ref('int_accounts') }} as accounts using (account_id)
inner join {{ ref('stg_users') }} as users using (user_id)
