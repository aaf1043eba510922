"""The record objects about money: licences, opportunities, sales, invoices, churn (planhat-api §4, §9)."""

from __future__ import annotations

from planhat_dbt.objects.notation import fields, frozen
from planhat_dbt.objects.types import ObjectType, Scope

LICENSE = ObjectType(
    name="license",
    plural="licenses",
    path="/licenses",
    rank=15,
    bulk_keys=("_id", "sourceId", "externalId"),
    path_keys=frozen(externalId="extid-", sourceId="srcid-"),
    company_field="companyId",
    one_of=(("value", "mrr"),),
    aliases=("licence", "licences"),
    fields=fields(
        company="companyId!",
        text="_currency! externalId sourceId product renewalStatus renewalUnit noticeUnit invoiceCycle "
        "companyName- status-",
        datetime="fromDate! toDate renewalDate-",
        number="mrr value renewalPeriod noticePeriod",
        integer="invoiceCycleInterval renewalDaysFromNow-",
        boolean="fixedPeriod autoRenews toDateIncluded isOverdue-",
        any="length- invoicesGenerated- issues-",
        values={"renewalStatus": "ongoing, renewed, lost"},
    ),
)

OPPORTUNITY = ObjectType(
    name="opportunity",
    plural="opportunities",
    path="/opportunities",
    rank=16,
    bulk_keys=("_id", "externalId"),  # sourceId only in the get path (§12.7)
    path_keys=frozen(externalId="extid-", sourceId="srcid-"),
    company_field="companyId",
    fields=fields(
        company="companyId!",
        text="externalId sourceId title salesStage status _currency companyName-",
        datetime="dealDate landingDate closeDate",
        number="mrr arr nrr recurringValue",
        integer="contractLength",
        id="ownerId",
        objects="stageHistory-",
        values={"status": "active, won, lost"},
    ),
)

SALE = ObjectType(
    name="sale",
    plural="sales",
    path="/sales",
    rank=17,
    bulk_keys=("_id", "sourceId", "externalId"),
    path_keys=frozen(externalId="extid-", sourceId="srcid-"),
    company_field="companyId",
    fields=fields(
        company="companyId!",
        text="_currency! externalId sourceId product companyName-",
        number="value!",
        datetime="salesDate",  # required by the field table only, not by the bulk call
    ),
)

INVOICE = ObjectType(
    name="invoice",
    plural="invoices",
    path="/invoices",
    rank=18,
    bulk_keys=("_id", "sourceId", "externalId"),
    path_keys=frozen(externalId="extid-", sourceId="srcid-"),
    company_field="companyId",
    fields=fields(
        company="companyId!",
        text="currency! externalId sourceId status product cName- addressCountry-",
        day="invoiceDate! dueDate paidDate",
        number="amountTotal",
        objects="lineItems~",
        integer="invoiceNo-",
        datetime="lastUpdated-",
        any="emails-",
        wire={"externalId": "extId", "companyId": "cId"},
    ),
)

CHURN = ObjectType(
    name="churn",
    plural="churn",
    path="/churn",
    rank=19,
    bulk_keys=("_id", "sourceId"),
    company_field="companyId",
    key_scope=Scope.TENANT,
    page_size=1000,  # the smaller of two published maxima
    aliases=("churns",),
    fields=fields(
        company="companyId!",  # advised only, but a churn log without a company is of no use
        text="sourceId currency comment companyName-",
        number="value",
        date="churnDate",
        texts="reasons",
    ),
)
