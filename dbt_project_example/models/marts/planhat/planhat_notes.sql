select
    notes.note_id,
    notes.account_id,
    notes.subject,
    notes.body,
    team.name as author,
    notes.held_at
from {{ ref('stg_notes') }} as notes
inner join {{ ref('int_accounts') }} as accounts using (account_id)
left join {{ ref('cs_team') }} as team on notes.csm_id = team.csm_id
