select
    invoices.invoice_no,
    invoices.account_id,
    invoices.product,
    invoices.amount,
    invoices.currency,
    invoices.status,
    invoices.invoice_date,
    invoices.due_date,
    invoices.paid_date,
    invoices.subscription_id
from {{ ref('billing_invoices') }} as invoices
inner join {{ ref('int_accounts') }} as accounts using (account_id)
