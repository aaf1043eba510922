-- Tickets with times as instants, whatever the offset of the office.
select
    ticket_id,
    account_id,
    user_id,
    {{ clean_text('subject') }} as subject,
    channel,
    status,
    cast(opened_at as timestamptz) as opened_at,
    cast(closed_at as timestamptz) as closed_at,
    issue_id
from {{ ref('desk_tickets') }}
