select
    tickets.ticket_id,
    tickets.account_id,
    tickets.subject,
    'Opened by ' || coalesce(users.first_name || ' ' || users.last_name, 'a former user')
        || ' (' || tickets.channel || ')' as description,
    tickets.channel,
    tickets.status = 'open' as is_pinned,
    tickets.status,
    tickets.issue_id,
    tickets.opened_at,
    tickets.closed_at
from {{ ref('stg_tickets') }} as tickets
inner join {{ ref('int_accounts') }} as accounts using (account_id)
left join {{ ref('stg_users') }} as users using (user_id)
