-- Users, once each, with e-mails in one spelling.
select distinct
    user_id,
    account_id,
    lower({{ clean_text('email') }}) as email,
    {{ clean_text('first_name') }} as first_name,
    {{ clean_text('last_name') }} as last_name,
    {{ clean_text('job_title') }} as job_title,
    {{ clean_text('phone') }} as phone,
    role,
    is_champion,
    created_on
from {{ ref('app_users') }}
