"""What customers do in the product: daily usage per account and single actions of users."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from seed_generator.accounts import SEATS, TRIAL, first_tier, tried_first
from seed_generator.chance import START, days, happens, stream
from seed_generator.words import FEATURES

if TYPE_CHECKING:
    from seed_generator.accounts import Account, User

USAGE_DAYS = 21
EVENT_DAYS = 14


@dataclass(frozen=True, slots=True)
class DailyUsage:
    """One account's counters of one day."""

    account_id: str
    usage_date: date
    active_users: int
    documents_approved: int
    api_calls: int | None


@dataclass(frozen=True, slots=True)
class ProductEvent:
    """One action of one user."""

    event_id: str
    account_id: str
    user_id: str
    feature: str
    seconds: int
    device: str
    occurred_at: datetime


def usage_of(account: Account, today: date) -> list[DailyUsage]:
    """The account's counters, those of its trial included; some days arrive one day late."""
    since = account.customer_since
    if since is None:
        return []
    since -= TRIAL if tried_first(account) else timedelta()
    usage: list[DailyUsage] = []
    habit = SEATS[first_tier(account)][1]
    for day in days(max(since, START - timedelta(days=USAGE_DAYS - 1)), today):
        rng = stream("usage", account.number, day)
        late = happens(rng, 0.01)
        if late and day == today:
            continue
        quiet = day.weekday() >= 5
        active = rng.randrange(0, habit // (4 if quiet else 1))
        approved = active * rng.randrange(0, 9)
        calls = rng.randrange(20, 4_000) if account.sso_enabled else None  # only they use the API
        usage.append(DailyUsage(account.account_id, day, active, approved, calls))
    return usage


def events_of(account: Account, users: list[User], today: date) -> list[ProductEvent]:
    """The actions of the account's present users."""
    since = account.customer_since
    present = {user.user_id for user in users}
    events: list[ProductEvent] = []
    if since is None:
        return events
    for day in days(max(since, START - timedelta(days=EVENT_DAYS - 1)), today):
        rng = stream("events", account.number, day)
        for number in range(rng.randrange(0, 4)):
            user_id = f"usr-{account.number:04d}-{rng.randrange(1, 13):02d}"
            seconds = min(rng.randrange(4, 900), rng.randrange(4, 900))
            feature, device = rng.choice(FEATURES), rng.choice(("web", "web", "mobile", "api"))
            at = datetime.combine(day, time(rng.randrange(24), rng.randrange(60), rng.randrange(60)))
            event_id = f"evt-{account.number:04d}-{day:%y%m%d}-{number}"
            if user_id in present:
                events.append(
                    ProductEvent(event_id, account.account_id, user_id, feature, seconds, device, at)
                )
    return events
