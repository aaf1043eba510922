"""Customer accounts, their users, and Quillmere's customer success team."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta

from seed_generator.chance import START, happens, other, stream
from seed_generator.words import (
    ACCOUNT_TAGS,
    COMPANY_FIRST,
    COMPANY_SECOND,
    FIRST_NAMES,
    INDUSTRIES,
    JOB_TITLES,
    LAST_NAMES,
    PHASES,
    PLACES,
    TIERS,
    slug,
)

FIRST_ACCOUNTS = 400
NEW_ACCOUNTS_A_DAY = 12
EVALUATION = "Evaluation"
TRIAL = timedelta(days=7)
SEATS = {"Starter": (4, 9), "Team": (6, 14), "Business": (9, 19), "Enterprise": (16, 34)}


@dataclass(frozen=True, slots=True)
class TeamMember:
    """A customer success manager."""

    csm_id: str
    name: str
    email: str


TEAM = tuple(
    TeamMember(f"csm-{n}", name, f"{slug(name.split()[0])}@quillmere.example")
    for n, name in enumerate(
        (
            "Åsa Lund",
            "Ben Okoro",
            "Chloé Martin",
            "Diego Ruiz",
            "Emi Sato",
            "Freja Holm",
            "Gita Rao",
            "Ian Ross",
        ),
        1,
    )
)


@dataclass(frozen=True, slots=True)
class PlanhatUser:
    """A member of the team as Planhat exports its users; the `_id` is Planhat's."""

    user_id: str
    email: str
    nick_name: str
    first_name: str
    last_name: str

    def as_planhat(self) -> dict[str, str]:
        """The user as Planhat has it."""
        names = {
            "user_id": "_id",
            "nick_name": "nickName",
            "first_name": "firstName",
            "last_name": "lastName",
        }
        return {names.get(name, name): value for name, value in asdict(self).items()}


def planhat_users() -> list[PlanhatUser]:
    """The team, all of whom are users of Planhat."""
    return [
        PlanhatUser(
            user_id=f"66{stream('user of Planhat', member.csm_id).randrange(16**22):022x}",
            email=member.email,
            nick_name=member.name.split()[0],
            first_name=member.name.split()[0],
            last_name=member.name.split()[1],
        )
        for member in TEAM
    ]


@dataclass(frozen=True, slots=True)
class Account:
    """A customer or prospect as the CRM exports it; times carry the offset of the account's place."""

    account_id: str
    crm_id: str
    name: str
    domain: str
    country: str
    city: str
    currency: str
    industry: str
    employees: int
    plan_tier: str
    phase: str
    csm_id: str
    csm_score: int | None
    tags: str
    sso_enabled: bool
    customer_since: date | None
    is_test: bool
    updated_at: str

    @property
    def number(self) -> int:
        """Its running number, the name of its random streams."""
        return int(self.account_id.removeprefix("acc-"))


@dataclass(frozen=True, slots=True)
class User:
    """A person who works with the product at a customer."""

    user_id: str
    account_id: str
    email: str
    first_name: str
    last_name: str
    job_title: str
    phone: str | None
    role: str
    is_champion: bool
    created_on: date


def accounts_on(day: int) -> list[Account]:
    """All accounts in the CRM, `day` days after the start."""
    numbers = range(1, FIRST_ACCOUNTS + NEW_ACCOUNTS_A_DAY * day + 1)
    return [account for number in numbers if (account := _account_on(number, day))]


def trials_on(day: int) -> list[Account]:
    """Accounts that use the product already and are not in the CRM yet."""
    known, ahead = FIRST_ACCOUNTS + NEW_ACCOUNTS_A_DAY * day, NEW_ACCOUNTS_A_DAY * TRIAL.days
    coming = [_new_account(number, _joined(number)) for number in range(known + 1, known + ahead + 1)]
    return [account for account in coming if tried_first(account)]


def tried_first(account: Account) -> bool:
    """Whether a trial came before the contract: the CRM takes trials over on the first of a month."""
    since = account.customer_since
    if since is None or since <= START or since.day != 1 or account.is_test:
        return False
    return happens(stream("trial", account.number), 0.4)


def _joined(number: int) -> int:
    """The day on which the account came into the CRM."""
    return max(0, -(-(number - FIRST_ACCOUNTS) // NEW_ACCOUNTS_A_DAY))


def _account_on(number: int, day: int) -> Account | None:
    """The account after its changes so far; None once it has left."""
    joined = _joined(number)
    account = _new_account(number, joined)
    for today in range(joined + 1, day + 1):
        rng = stream("account", number, "day", today)
        if happens(rng, 0.02):
            return None
        if happens(rng, 0.09):
            account = _changed(account, today)
    return account


def _new_account(number: int, joined: int) -> Account:
    rng = stream("account", number)
    name = f"{COMPANY_FIRST[number % len(COMPANY_FIRST)]} {COMPANY_SECOND[number * 7 % len(COMPANY_SECOND)]}"
    country, city, currency, offset = rng.choice(PLACES)
    prospect = happens(rng, 0.12) and not joined
    age = rng.randrange(25, 900)
    since = START + timedelta(days=joined) if joined else START - timedelta(days=age)
    established = rng.choice(PHASES[1:])
    phase = EVALUATION if prospect else PHASES[0] if joined or age < 75 else established
    tier = TIERS[min(rng.randrange(0, 4), rng.randrange(0, 4))]
    return Account(
        account_id=f"acc-{number:04d}",
        crm_id=f"001Qm{number * 48_271 % 1_000_003:07d}",
        name=f"{name} (QA)" if number % 97 == 0 else name,
        domain=f"{slug(name)}.example",
        country=country,
        city=city,
        currency=currency,
        industry=rng.choice(INDUSTRIES),
        employees=rng.choice((20, 45, 80, 150, 400, 900, 2_500, 12_000)),
        plan_tier=tier,
        phase=phase,
        csm_id=rng.choice(TEAM).csm_id,
        csm_score=rng.randint(1, 5) if happens(rng, 0.7) else None,
        tags="|".join(tag for tag in ACCOUNT_TAGS if happens(rng, 0.15)),
        sso_enabled=tier in TIERS[2:] and happens(rng, 0.7),
        customer_since=None if prospect else since,
        is_test=number % 97 == 0,
        updated_at=f"{since.isoformat()}T{rng.randrange(8, 18):02d}:{rng.randrange(60):02d}:00{offset}",
    )


def _changed(account: Account, today: int) -> Account:
    """One of the things that happen to an account: a new name, phase, plan or owner."""
    rng = stream("account", account.number, "change", today)
    offset = account.updated_at[-6:]
    account = replace(
        account, updated_at=f"{START + timedelta(days=today)}T09:{rng.randrange(60):02d}:00{offset}"
    )
    kind = rng.choice(("name", "phase", "tier", "csm", "csm"))
    if kind == "name":
        return replace(account, name=f"{account.name} {rng.choice(('Group', 'AB', 'GmbH', 'Holding'))}")
    if kind == "phase" and account.phase != EVALUATION:
        return replace(account, phase=other(rng, PHASES[1:], account.phase))
    if kind == "tier":
        return replace(account, plan_tier=other(rng, TIERS, account.plan_tier))
    members = tuple(member.csm_id for member in TEAM)
    return replace(account, csm_id=other(rng, members, account.csm_id))


def first_tier(account: Account) -> str:
    """The plan the account started with."""
    return _new_account(account.number, 0).plan_tier


def users_of(account: Account, day: int) -> list[User]:
    """The account's users, `day` days after the start."""
    count = _headcount(account, day)
    return [user for number in range(1, count + 1) if (user := _user_on(account, number, day))]


def _headcount(account: Account, day: int) -> int:
    """How many users the account has ever had; the plan at the start decides, later ones join one by one."""
    rng = stream("users", account.number)
    joined = sum(
        happens(stream("users", account.number, "joins", today), 0.08) for today in range(1, day + 1)
    )
    return rng.randint(*SEATS[first_tier(account)]) + joined


def _user_on(account: Account, number: int, day: int) -> User | None:
    user = _new_user(account, number)
    for today in range(1, day + 1):
        rng = stream("user", user.user_id, "day", today)
        if happens(rng, 0.007):
            return None
        if happens(rng, 0.015):
            title, phone = other(rng, JOB_TITLES, user.job_title), f"+1 555 01{rng.randrange(100):02d}"
            user = replace(user, job_title=title) if happens(rng, 0.6) else replace(user, phone=phone)
    return user


def _new_user(account: Account, number: int) -> User:
    rng = stream("user", account.number, number)
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    since = account.customer_since or START - timedelta(days=20)
    return User(
        user_id=f"usr-{account.number:04d}-{number:02d}",
        account_id=account.account_id,
        email=f"{slug(first)}.{slug(last)}.{number}@{account.domain}",
        first_name=first,
        last_name=last,
        job_title=rng.choice(JOB_TITLES),
        phone=f"+1 555 01{rng.randrange(100):02d}" if happens(rng, 0.4) else None,
        role="admin" if number == 1 else rng.choice(("editor", "editor", "viewer")),
        is_champion=happens(rng, 0.06),
        created_on=min(START, since + timedelta(days=rng.randrange(0, 60))),
    )
