-- Two ongoing or renewed terms of one product and account on the same day would count revenue twice.
select first.subscription_id, second.subscription_id as overlapping_id
from {{ ref('planhat_licenses') }} as first
inner join {{ ref('planhat_licenses') }} as second
    on
        first.account_id = second.account_id
        and first.product = second.product
        and first.subscription_id < second.subscription_id
        and first.starts_on <= second.ends_on
        and second.starts_on <= first.ends_on
