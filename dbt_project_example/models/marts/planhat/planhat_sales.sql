select
    sales.sale_id,
    sales.account_id,
    sales.service,
    sales.amount,
    sales.currency,
    sales.sold_on
from {{ ref('billing_one_off_sales') }} as sales
inner join {{ ref('int_accounts') }} as accounts using (account_id)
