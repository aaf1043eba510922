select
    event_id,
    account_id,
    user_id,
    lower({{ clean_text('feature') }}) as feature,
    seconds,
    device,
    occurred_at
from {{ ref('app_events') }}
