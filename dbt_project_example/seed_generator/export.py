"""The tables as source systems export them, small untidiness included, written as CSV."""

from __future__ import annotations

import csv
from dataclasses import astuple, fields, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

from seed_generator.accounts import TEAM, Account, User, accounts_on, planhat_users, trials_on, users_of
from seed_generator.chance import START, happens, stream
from seed_generator.revenue import invoices_of, opportunities_of, sales_of, subscriptions_of, terms_of
from seed_generator.success import (
    campaign_members_of,
    issues_on,
    notes_of,
    project_of,
    tickets_of,
    workspaces_of,
)
from seed_generator.usage import events_of, usage_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from _typeshed import DataclassInstance

Tables: TypeAlias = "dict[str, list[DataclassInstance]]"


def tables_on(day: int) -> Tables:
    """Every seed table as it stands `day` days after the start."""
    today = START + timedelta(days=day)
    tables: Tables = {
        "crm_accounts": [], "crm_opportunities": [], "crm_campaign_members": [], "app_users": [],
        "app_workspaces": [], "app_daily_usage": [], "app_events": [], "billing_subscriptions": [],
        "billing_invoices": [], "billing_one_off_sales": [], "cs_projects": [], "cs_notes": [],
        "cs_team": list(TEAM), "desk_tickets": [], "desk_issues": list(issues_on(today)),
        "planhat_export_users": list(planhat_users()),
    }  # fmt: skip
    for account in accounts_on(day):
        users = users_of(account, day)
        of_account: dict[str, Sequence[DataclassInstance]] = {
            "crm_accounts": _exported_account(account),
            "crm_opportunities": opportunities_of(account, today),
            "crm_campaign_members": campaign_members_of(account, today),
            "app_users": [exported for user in users for exported in _exported_user(user)],
            "app_workspaces": workspaces_of(account, today),
            "app_daily_usage": usage_of(account, today),
            "app_events": events_of(account, users, today),
            "billing_subscriptions": subscriptions_of(account, today),
            "billing_invoices": invoices_of(terms_of(account, today), today),
            "billing_one_off_sales": sales_of(account, today),
            "cs_projects": project_of(account, today),
            "cs_notes": notes_of(account, today),
            "desk_tickets": tickets_of(account, users, today),
        }
        for name, rows in of_account.items():
            tables[name] += rows
    for account in trials_on(day):
        tables["app_daily_usage"] += usage_of(account, today)
    return tables


def _exported_account(account: Account) -> list[Account]:
    """The CRM exports an account twice now and then: the older state first, under an earlier time."""
    rng = stream("export", account.account_id)
    spaced = replace(account, name=f" {account.name}  ") if happens(rng, 0.03) else account
    if not happens(rng, 0.03):
        return [spaced]
    stale = replace(spaced, name=f"{account.name} (old)", updated_at="2023-01-09T08:00:00+01:00")
    return [stale, spaced]


def _exported_user(user: User) -> list[User]:
    """People type their e-mail in capitals; the application log repeats rows."""
    rng = stream("export", user.user_id)
    typed = replace(user, email=user.email.upper()) if happens(rng, 0.02) else user
    return [typed, typed] if happens(rng, 0.01) else [typed]


def write(tables: Tables, folder: Path) -> None:
    """Write one CSV per table: UTF-8, `\\n` line ends, empty for null."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([field.name for field in fields(rows[0])])
            writer.writerows([_text(value) for value in astuple(row)] for row in rows)


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case datetime():
            return value.isoformat(timespec="seconds")
        case date():
            return value.isoformat()
        case _:
            return str(value)
