"""The twelve record objects: columns of a model, what their values become in JSON, and other values."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from run.records import Case, Column

_NOON = dt.datetime.fromisoformat("2026-03-01 12:30:00.250")
_LATER = dt.datetime.fromisoformat("2026-09-30")
_OWNER, _OTHER = "64b2a1c0f1e2d3c4b5a69788", "64b2a1c0f1e2d3c4b5a69799"


def _text(name: str, target: str, value: str, other: str, *, kept: bool = False) -> Column:
    return Column(name, "varchar", target, value, value, other, other, kept=kept)


def _money(name: str, target: str, *, kept: bool = False) -> Column:
    return Column(name, "decimal(18,2)", target, Decimal("1250.50"), 1250.5, Decimal("0.07"), 0.07, kept=kept)


def _time(name: str, target: str, *, kept: bool = False) -> Column:
    noon, later = "2026-03-01T12:30:00.250Z", "2026-09-30T00:00:00.000Z"
    return Column(name, "timestamp", target, _NOON, noon, _LATER, later, kept=kept)


def _day(name: str, target: str, *, kept: bool = False) -> Column:
    return Column(name, "date", target, dt.date(2026, 3, 1), 20513, dt.date(1969, 12, 31), -1, kept=kept)


def _flag(name: str, target: str) -> Column:
    return Column(name, "boolean", target, True, True, False, False)


_COMPANY = Column(
    "account_id", "varchar", "companyId", "c-1", "extid-c-1", form={"company": "account_id"}, kept=True
)
_CURRENCY = Column("currency", "varchar", "_currency", "EUR", "EUR", "USD", "USD", kept=True)
_OWNED = Column("owner_id", "varchar", "ownerId", _OWNER, _OWNER, _OTHER, _OTHER)
_TAGS = Column("tags", "varchar[]", "tags", ["a", "b"], ["a", "b"], ["b", "a"], ["b", "a"], emptied=[])
_TIER = _text("tier", "custom.Plan Tier", "Gold {i}", "Silver")
_SEATS = Column("seats", "integer", "custom.Seats", 25, 25, 26, 26)


def _both(object_: str, path: str, *columns: Column, **more: Any) -> list[Case]:
    return [Case(object_, path, key, columns, **more) for key in ("externalId", "sourceId")]


CASES: tuple[Case, ...] = (
    *_both(
        "asset",
        "assets",
        _text("name", "name", "Press {i}", "Lathe", kept=True),
        _COMPANY,
        _money("price", "value"),
        _text("serial", "serialNumber", "SN-00{i}", "007"),
        _time("installed_at", "installDate"),
        _TIER,
    ),
    *_both(
        "campaign",
        "campaigns",
        _text("name", "name", "Spring {i}", "Autumn", kept=True),
        _COMPANY,
        _text("purpose", "campaignPurpose", "Renewal", "Upsell"),
        _SEATS,
    ),
    *_both(
        "company",
        "companies",
        _text("name", "name", "Acme {i}", "Bolt", kept=True),
        _text("phase", "phase", "Live", "Risk"),
        _text("about", "description", "Größe „{i}“ 🚀", 'a "b" \\ c'),
        _TAGS,
        Column("csm", "varchar", "owner", _OWNER, _OWNER, _OTHER, _OTHER),
        _TIER,
        _SEATS,
        constants={"status": "customer"},
    ),
    Case(
        "conversation",
        "conversations",
        "externalId",
        (
            _COMPANY,
            _text("subject", "subject", "Call {i}", "Mail"),
            _text("body", "description", "Talked", "Wrote"),
            _time("held_at", "date"),
            _flag("starred", "starred"),
            _TIER,
        ),
        defaults={"archived": False, "type": "note"},
    ),
    *_both(
        "enduser",
        "endusers",
        _COMPANY,
        _text("email", "email", "e{i}@example.com", "other{i}@example.com", kept=True),
        _text("role", "position", "CTO", "CEO"),
        _flag("featured", "featured"),
        _TAGS,
        _SEATS,
        defaults={"archived": False},
    ),
    Case(
        "enduser",
        "endusers",
        "email",
        (_COMPANY, _text("role", "position", "CTO", "CEO"), _text("phone", "phone", "+49 1", "+49 2"), _TAGS),
        defaults={"archived": False},
    ),
    Case(
        "invoice",
        "invoices",
        "externalId",
        (
            _COMPANY,
            _text("currency", "currency", "EUR", "USD", kept=True),
            _day("invoiced_on", "invoiceDate", kept=True),
            _day("due_on", "dueDate"),
            _money("total", "amountTotal"),
            _TIER,
        ),
        wire_key="extId",
    ),
    Case(
        "invoice",
        "invoices",
        "sourceId",
        (
            _COMPANY,
            _text("currency", "currency", "EUR", "USD", kept=True),
            _day("invoiced_on", "invoiceDate", kept=True),
            _text("status", "status", "open", "paid"),
        ),
    ),
    Case(
        "issue",
        "issues",
        "sourceId",
        (
            _text("title", "title", "Bug {i}", "Feature", kept=True),
            Column(
                "accounts",
                "varchar[]",
                "companyIds",
                ["c-1", "c-3"],
                ["extid-c-1", "extid-c-3"],
                form={"company": "accounts"},
                kept=True,
            ),
            _text("status", "status", "open", "done"),
            _text("priority", "priority", "high", "low"),
            _TIER,
        ),
        defaults={"archived": False},
    ),
    *_both(
        "license",
        "licenses",
        _COMPANY,
        _CURRENCY,
        _money("price", "value", kept=True),
        _time("starts_at", "fromDate", kept=True),
        _time("ends_at", "toDate"),
        _text("product", "product", "Suite", "Core"),
        _flag("fixed", "fixedPeriod"),
        _TIER,
    ),
    Case(
        "note",
        "conversations",
        "",
        (
            _COMPANY,
            _text("subject", "subject", "Note {i}", "Memo no {i}"),
            _text("body", "description", "Said", "Heard"),
            _time("written_at", "date"),
            _TIER,
        ),
        defaults={"archived": False},
    ),
    Case(
        "opportunity",
        "opportunities",
        "externalId",
        (
            _COMPANY,
            _text("title", "title", "Deal {i}", "Renewal"),
            _text("status", "status", "active", "won"),
            _money("mrr", "mrr"),
            _time("closes_at", "closeDate"),
            _OWNED,
            _TIER,
        ),
        defaults={"contractLength": 12},
    ),
    *_both(
        "project",
        "projects",
        _text("name", "name", "Rollout {i}", "Pilot", kept=True),
        _COMPANY,
        _time("starts_at", "startDate"),
        _money("mrr", "mrr"),
        _text("currency", "currency", "EUR", "USD"),
        _SEATS,
    ),
    *_both(
        "sale",
        "sales",
        _COMPANY,
        _CURRENCY,
        _money("price", "value", kept=True),
        _text("product", "product", "Suite", "Core"),
        _time("sold_at", "salesDate"),
        _TIER,
    ),
)
"""All twelve objects, by every key they can be matched on."""

FIRST_KEYS: tuple[Case, ...] = tuple({case.object: case for case in reversed(CASES)}.values())
"""One case of each object; companies by externalId, so that the others wait for them."""
LAST_KEYS: tuple[Case, ...] = tuple({case.object: case for case in CASES}.values())
"""One case of each object, by another key where there is one; companies by sourceId."""
