"""What customers buy: subscriptions, one-off sales, invoices, opportunities."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from seed_generator.accounts import SEATS, Account, first_tier
from seed_generator.chance import START, days, happens, months_later, stream

PRICE = {"Starter": 12, "Team": 19, "Business": 29, "Enterprise": 45}
ADD_ONS = ("Audit Archive", "e-Signature Pack", "Premium Support")
STAGES = ("Discovery", "Proposal", "Negotiation")
CENT = Decimal("0.01")
SERVICES = ("Data migration", "Extra training day", "SSO set-up")


@dataclass(frozen=True, slots=True)
class Subscription:
    """One term of one product at one account."""

    subscription_id: str
    account_id: str
    product: str
    seats: int
    monthly_amount: Decimal
    currency: str
    billing: str
    auto_renews: bool
    starts_on: date
    ends_on: date
    renewal_status: str


@dataclass(frozen=True, slots=True)
class Invoice:
    """One invoice for a period of a subscription."""

    invoice_no: str
    account_id: str
    subscription_id: str
    product: str
    amount: Decimal
    currency: str
    invoice_date: date
    due_date: date
    paid_date: date | None
    status: str


@dataclass(frozen=True, slots=True)
class OneOffSale:
    """A service sold once."""

    sale_id: str
    account_id: str
    service: str
    amount: Decimal
    currency: str
    sold_on: date


@dataclass(frozen=True, slots=True)
class Opportunity:
    """A deal in the CRM, which knows accounts by its own id only."""

    opportunity_id: str
    crm_account_id: str
    title: str
    stage: str
    monthly_amount: Decimal | None
    one_off_amount: Decimal | None
    currency: str
    expected_close: date
    closed_on: date | None


def terms_of(account: Account, today: date) -> list[Subscription]:
    """The last two terms of each product, as they were sold."""
    if account.customer_since is None:
        return []
    rng, tier = stream("subscriptions", account.number), first_tier(account)
    seats = rng.randint(*SEATS[tier]) * 2
    products = [(f"Quillmere {tier}", seats * PRICE[tier])]
    products += [(name, 40 + 5 * rng.randrange(30)) for name in ADD_ONS if happens(rng, 0.2)]
    billing = "yearly" if happens(rng, 0.65) else "monthly"
    auto_renews = happens(rng, 0.6)
    terms: list[Subscription] = []
    for number, (product, monthly) in enumerate(products, 1):
        first = Subscription(
            subscription_id=f"sub-{account.number:04d}-{number}",
            account_id=account.account_id,
            product=product,
            seats=seats,
            monthly_amount=Decimal(monthly).quantize(CENT),
            currency=account.currency,
            billing=billing,
            auto_renews=auto_renews,
            starts_on=account.customer_since,
            ends_on=account.customer_since,
            renewal_status="ongoing",
        )
        terms += _terms(first, today)[-2:]
    return terms


def _terms(first: Subscription, today: date) -> list[Subscription]:
    """The terms up to today: one renewed after the other, the last one ongoing or lost."""
    terms: list[Subscription] = []
    start, number = first.starts_on, 1
    while start <= today:
        end = months_later(start, 12) - timedelta(days=1)
        lost = number > 1 and happens(stream("lost", first.subscription_id, number), 0.08)
        status = "lost" if lost else "renewed" if end < today else "ongoing"
        name = f"{first.subscription_id}-t{number}"
        terms.append(
            replace(first, subscription_id=name, starts_on=start, ends_on=end, renewal_status=status)
        )
        if lost:
            break
        start, number = end + timedelta(days=1), number + 1
    return terms


def subscriptions_of(account: Account, today: date) -> list[Subscription]:
    """The terms as they stand today: plans changed, seats added, add-ons cancelled since they were sold."""
    terms = [term for term in terms_of(account, today) if not _cancelled(term, today)]
    return [
        _with_added_seats(_on_plan(term, account.plan_tier), today)
        if term.renewal_status == "ongoing"
        else term
        for term in terms
    ]


def _on_plan(term: Subscription, tier: str) -> Subscription:
    if term.product in ADD_ONS or term.product == f"Quillmere {tier}":
        return term
    amount = Decimal(term.seats * PRICE[tier]).quantize(CENT)
    return replace(term, product=f"Quillmere {tier}", monthly_amount=amount)


def _with_added_seats(term: Subscription, today: date) -> Subscription:
    """Customers add seats in the middle of a term now and then."""
    for day in days(START + timedelta(days=1), today):
        if happens(stream("seats", term.subscription_id, day), 0.02):
            amount = (term.monthly_amount * (term.seats + 5) / term.seats).quantize(CENT)
            term = replace(term, seats=term.seats + 5, monthly_amount=amount)
    return term


def _cancelled(term: Subscription, today: date) -> bool:
    """An add-on is sometimes withdrawn as if it had never been sold: its rows leave the billing system."""
    if term.product not in ADD_ONS:
        return False
    since = days(START + timedelta(days=1), today)
    return any(happens(stream("cancelled", term.subscription_id, day), 0.02) for day in since)


def invoices_of(terms: list[Subscription], today: date) -> list[Invoice]:
    """The invoices of the last nine months before the start and since, with the payments known today."""
    invoices: list[Invoice] = []
    for term in terms:
        for month in range(0, 12, 12 if term.billing == "yearly" else 1):
            day = months_later(term.starts_on, month)
            if START - timedelta(days=270) <= day <= min(today, term.ends_on):
                invoices.append(_invoice(term, month, day, today))
    return invoices


def _invoice(term: Subscription, month: int, day: date, today: date) -> Invoice:
    number = f"inv-{term.subscription_id.removeprefix('sub-')}-{month + 1:02d}"
    paid = day + timedelta(days=stream("invoice", number).randrange(1, 45))
    due = day + timedelta(days=30)
    return Invoice(
        invoice_no=number,
        account_id=term.account_id,
        subscription_id=term.subscription_id,
        product=term.product,
        amount=term.monthly_amount * (12 if term.billing == "yearly" else 1),
        currency=term.currency,
        invoice_date=day,
        due_date=due,
        paid_date=paid if paid <= today else None,
        status="paid" if paid <= today else "overdue" if due < today else "pending",
    )


def sales_of(account: Account, today: date) -> list[OneOffSale]:
    """Services sold up to today, about one for every second customer and year."""
    first = max(account.customer_since or today, START - timedelta(days=365))
    sales: list[OneOffSale] = []
    for day in days(first, today):
        rng = stream("sale", account.number, day)
        if account.customer_since and happens(rng, 0.002):
            sales.append(
                OneOffSale(
                    sale_id=f"sal-{account.number:04d}-{day:%y%m%d}",
                    account_id=account.account_id,
                    service=rng.choice(SERVICES),
                    amount=Decimal(rng.randrange(8, 90) * 100).quantize(CENT),
                    currency=account.currency,
                    sold_on=day,
                )
            )
    return sales


def opportunities_of(account: Account, today: date) -> list[Opportunity]:
    """The deals opened in the last half year; each moves through its stages in a few weeks."""
    return [
        _opportunity(account, day, today)
        for day in days(START - timedelta(days=180), today)
        if happens(stream("opportunity", account.number, day), 0.005)
    ]


def _opportunity(account: Account, opened: date, today: date) -> Opportunity:
    rng = stream("opportunity", account.number, opened, "story")
    pace = rng.randrange(8, 35)
    steps = (today - opened).days // pace
    final = "Closed Won" if happens(rng, 0.55) else "Closed Lost"
    recurring = happens(rng, 0.8)
    amount = Decimal(rng.randrange(2, 60) * 50).quantize(CENT)
    closes = opened + timedelta(days=pace * len(STAGES))
    return Opportunity(
        opportunity_id=f"006Qm{account.number:04d}{opened:%y%m%d}",
        crm_account_id=account.crm_id,
        title=rng.choice(("New business", "More seats", "Plan upgrade", "Add-on", "Second department")),
        stage=STAGES[steps] if steps < len(STAGES) else final,
        monthly_amount=amount if recurring else None,
        one_off_amount=None if recurring else amount * 4,
        currency=account.currency,
        expected_close=closes,
        closed_on=closes if closes <= today else None,
    )
