"""What Quillmere does with its customers: projects, workspaces, campaigns, support, meetings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING

from seed_generator.chance import START, days, happens, stream
from seed_generator.words import ISSUE_TITLES, NOTE_BODIES, NOTE_SUBJECTS, TICKET_SUBJECTS

if TYPE_CHECKING:
    from seed_generator.accounts import Account, User

OFFICE = timezone(timedelta(hours=2))
"""The help desk exports times in the time zone of its office."""
HISTORY = timedelta(days=120)
ISSUES = 48
CAMPAIGNS = (  # name, purpose, first day, days
    ("Spring Product Tour", "Adoption", date(2026, 3, 16), 20),
    ("Legal Teams Webinar", "Education", date(2026, 5, 4), 10),
    ("e-Signature Launch", "Upsell", date(2026, 6, 8), 30),
    ("Summer Reference Drive", "Advocacy", date(2026, 7, 1), 45),
)


@dataclass(frozen=True, slots=True)
class Project:
    """The onboarding of a customer."""

    project_id: str
    account_id: str
    name: str
    stage: str
    starts_on: date
    ends_on: date | None
    handed_over_on: date | None


@dataclass(frozen=True, slots=True)
class Workspace:
    """A tenant of the product, deployed for one customer."""

    workspace_id: str
    account_id: str
    name: str
    kind: str
    region: str
    license_key: str
    status: str
    storage_gb: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CampaignMember:
    """One account's part in a campaign."""

    member_id: str
    account_id: str
    campaign: str
    purpose: str
    response: str
    responded_on: date | None


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request to the help desk."""

    ticket_id: str
    account_id: str
    user_id: str | None
    subject: str
    channel: str
    status: str
    opened_at: datetime
    closed_at: datetime | None
    issue_id: str | None


@dataclass(frozen=True, slots=True)
class Issue:
    """A fault of the product that tickets are linked to."""

    issue_id: str
    title: str
    status: str
    priority: str


@dataclass(frozen=True, slots=True)
class MeetingNote:
    """What a customer success manager wrote after a meeting."""

    note_id: str
    account_id: str
    csm_id: str
    subject: str
    body: str
    held_at: datetime


def project_of(account: Account, today: date) -> list[Project]:
    """The account's onboarding project, if it is younger than a year and a half."""
    start = account.customer_since
    if start is None or (today - start).days > 540:
        return []
    rng = stream("project", account.number)
    pace = rng.randrange(8, 30)
    stage = min((today - start).days // pace, 3)
    handed_over = start + timedelta(days=pace * 3)
    return [
        Project(
            project_id=f"prj-{account.number:04d}",
            account_id=account.account_id,
            name=f"Onboarding {account.name}",
            stage=("Kick-off", "Set-up", "Training", "Done")[stage],
            starts_on=start,
            ends_on=handed_over if stage == 3 else None,
            handed_over_on=handed_over + timedelta(days=1) if stage == 3 else None,
        )
    ]


def workspaces_of(account: Account, today: date) -> list[Workspace]:
    """Production for every customer, staging on larger plans, and sandboxes, which live for one month."""
    if account.customer_since is None:
        return []
    opened = [("production", account.customer_since)]
    if account.plan_tier in ("Business", "Enterprise"):
        opened.append(("staging", account.customer_since))
    month = today.replace(day=1)
    opened += [
        ("sandbox", d) for d in days(month, today) if happens(stream("sandbox", account.number, d), 0.007)
    ]
    return [_workspace(account, kind, day, today) for kind, day in opened if day <= today]


def _workspace(account: Account, kind: str, day: date, today: date) -> Workspace:
    name = f"{kind[:4]}-{account.number:04d}" + (f"-{day:%m%d}" if kind == "sandbox" else "")
    rng = stream("workspace", name)
    storage = rng.randrange(5, 400) if kind == "production" else rng.randrange(1, 20)
    grown = sum(happens(stream("storage", name, d), 0.1) for d in days(START + timedelta(days=1), today))
    return Workspace(
        workspace_id=f"wks-{name}",
        account_id=account.account_id,
        name=f"{account.name} {kind}",
        kind=kind,
        region=rng.choice(("eu-north", "eu-central", "us-east")),
        license_key=f"QM-{rng.randrange(16**6):06X}-{rng.randrange(16**6):06X}",
        status="suspended" if account.phase == "At Risk" and happens(rng, 0.2) else "active",
        storage_gb=storage + 10 * grown,
        created_at=datetime.combine(day, time(rng.randrange(24), rng.randrange(60))),
    )


def campaign_members_of(account: Account, today: date) -> list[CampaignMember]:
    """The campaigns that have invited the account by today, with its answer."""
    members: list[CampaignMember] = []
    for number, (campaign, purpose, first, length) in enumerate(CAMPAIGNS, 1):
        rng = stream("campaign", number, account.number)
        if first > today or not happens(rng, 0.25):
            continue
        answer = rng.choice(("Registered", "Attended", "Declined", None))
        answered_on = first + timedelta(days=rng.randrange(length))
        known = answer is not None and answered_on <= today
        members.append(
            CampaignMember(
                member_id=f"00vQm{number:02d}{account.number:04d}",
                account_id=account.account_id,
                campaign=campaign,
                purpose=purpose,
                response=answer if known and answer else "Invited",
                responded_on=answered_on if known else None,
            )
        )
    return members


def tickets_of(account: Account, users: list[User], today: date) -> list[Ticket]:
    """The tickets of the last months; a ticket stays open for up to three weeks."""
    tickets: list[Ticket] = []
    present = {user.user_id for user in users}
    for day in days(START - HISTORY, today):
        rng = stream("ticket", account.number, day)
        if not happens(rng, 0.013):
            continue
        opened = datetime.combine(day, time(rng.randrange(7, 19), rng.randrange(60)), OFFICE)
        closed = opened + timedelta(hours=rng.randrange(1, 500))
        is_closed = closed.date() <= today
        user_id = f"usr-{account.number:04d}-{rng.randrange(1, 5):02d}"
        tickets.append(
            Ticket(
                ticket_id=f"tic-{account.number:04d}-{day:%y%m%d}",
                account_id=account.account_id,
                user_id=user_id if user_id in present else None,
                subject=rng.choice(TICKET_SUBJECTS),
                channel=rng.choice(("portal", "portal", "chat", "phone")),
                status="closed" if is_closed else "open",
                opened_at=opened,
                closed_at=closed if is_closed else None,
                issue_id=f"QMR-{rng.randrange(1, ISSUES + 1):03d}" if happens(rng, 0.2) else None,
            )
        )
    return tickets


def issues_on(today: date) -> list[Issue]:
    """The product's issues; each is worked on and released after some weeks."""
    issues: list[Issue] = []
    for number in range(1, ISSUES + 1):
        rng = stream("issue", number)
        released = START + timedelta(days=rng.randrange(-25, 20))
        status = "released" if released <= today else "in progress" if happens(rng, 0.5) else "open"
        title = f"{rng.choice(ISSUE_TITLES)} ({rng.choice(('web', 'API', 'mobile'))})"
        issues.append(Issue(f"QMR-{number:03d}", title, status, rng.choice(("low", "medium", "high"))))
    return issues


def notes_of(account: Account, today: date) -> list[MeetingNote]:
    """The meetings of the last months; a few notes are completed or thrown away later."""
    notes: list[MeetingNote] = []
    for day in days(START - HISTORY, today):
        rng = stream("note", account.number, day)
        if not happens(rng, 0.0008):
            continue
        later = [
            stream("note", account.number, day, d) for d in days(max(START, day) + timedelta(days=1), today)
        ]
        if any(happens(moment, 0.003) for moment in later):
            continue
        completed = any(happens(moment, 0.08) for moment in later)
        notes.append(
            MeetingNote(
                note_id=f"note-{account.number:04d}-{day:%y%m%d}",
                account_id=account.account_id,
                csm_id=account.csm_id,
                subject=rng.choice(NOTE_SUBJECTS),
                body=rng.choice(NOTE_BODIES) + (" Follow-up sent." if completed else ""),
                held_at=datetime.combine(day, time(rng.randrange(6, 16), 30 * rng.randrange(2))),
            )
        )
    return notes
