select
    members.member_id,
    members.account_id,
    members.campaign,
    members.purpose,
    members.response,
    members.responded_on
from {{ ref('stg_campaign_members') }} as members
inner join {{ ref('int_accounts') }} as accounts using (account_id)
