select
    member_id,
    account_id,
    {{ clean_text('campaign') }} as campaign,
    purpose,
    response,
    cast(responded_on as date) as responded_on
from {{ ref('crm_campaign_members') }}
