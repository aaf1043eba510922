select
    note_id,
    account_id,
    csm_id,
    {{ clean_text('subject') }} as subject,
    {{ clean_text('body') }} as body,
    held_at
from {{ ref('cs_notes') }}
