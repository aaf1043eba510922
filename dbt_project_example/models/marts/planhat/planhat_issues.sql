-- Issues that at least one account in scope has reported, with all these accounts.
select
    issues.issue_id,
    issues.title,
    issues.status,
    issues.priority,
    list_sort(list(distinct tickets.account_id)) as account_ids,
    count(*) as tickets
from {{ ref('desk_issues') }} as issues
inner join {{ ref('stg_tickets') }} as tickets using (issue_id)
inner join {{ ref('int_accounts') }} as accounts using (account_id)
group by issues.issue_id, issues.title, issues.status, issues.priority
