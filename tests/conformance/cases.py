"""The further record objects Planhat has, as test data beside the twelve of `run.cases`."""

from __future__ import annotations

from run.cases import CASES, _flag, _money, _text, _time
from run.records import Case, Column

_COMPANY = Column(
    "account_id", "varchar", "companyId", "c-1", "extid-c-1", form={"company": "account_id"}, kept=True
)
_REASONS = Column("reasons", "varchar[]", "reasons", ["price"], ["price"], ["fit"], ["fit"], emptied=[])
_LABELS = Column("labels", "varchar[]", "tags", ["vip"], ["vip"], [], [], emptied=[])


def _number(name: str, target: str, value: float, other: float, *, kept: bool = False) -> Column:
    return Column(name, "double", target, value, value, other, other, kept=kept)


def _whole(name: str, target: str, value: int, other: int, *, kept: bool = False) -> Column:
    return Column(name, "integer", target, value, value, other, other, kept=kept)


FURTHER: tuple[Case, ...] = (
    Case(
        "churn",
        "churn",
        "sourceId",
        (_COMPANY, _money("lost", "value"), _text("why", "comment", "Price {i}", "Fit"), _REASONS),
    ),
    Case(
        "custom_field",
        "customfields",
        "_id",
        (
            _text("name", "name", "Field {i}", "Renamed {i}", kept=True),
            _text("parent", "parent", "company", "company", kept=True),
            _text("kind", "type", "number", "number", kept=True),
            _text("form", "numberFormat", "0.0", "0.00"),
        ),
        defaults=dict.fromkeys(
            (
                "isHidden",
                "isFeatured",
                "isShared",
                "isLocked",
                "isMandatory",
                "isFormula",
                "treatUndefinedAsZero",
            ),
            False,
        ),
    ),
    Case(
        "nps",
        "nps",
        "sourceId",
        (
            _text("email", "email", "n{i}@example.com", "m{i}@example.com", kept=True),
            _whole("score", "score", 9, 3, kept=True),
            _text("said", "comment", "Fine {i}", "Poor"),
        ),
    ),
    *(
        Case(
            "objective",
            "objectives",
            key,
            (
                _text("name", "name", "Grow {i}", "Keep", kept=True),
                _COMPANY,
                _number("health", "health", 7.5, 2.0),
            ),
        )
        for key in ("externalId", "sourceId")
    ),
    Case(
        "task",
        "tasks",
        "sourceId",
        (
            _COMPANY,
            _text("kind", "mainType", "task", "task", kept=True),
            _text("title", "action", "Call {i}", "Write"),
            _time("starts_at", "startTime"),
        ),
        defaults={"isArchived": False},
    ),
    Case(
        "ticket",
        "tickets",
        "sourceId",
        (
            _text("email", "email", "t{i}@example.com", "t{i}@example.org", kept=True),
            _text("account_id", "companyExternalId", "c-1", "c-1", kept=True),
            _text("title", "title", "Broken {i}", "Fixed"),
            _LABELS,
        ),
    ),
    *(
        Case(
            "user",
            "users",
            key,
            (
                *(
                    [_text("email", "email", "u{i}@example.com", "v{i}@example.com", kept=True)]
                    if key == "externalId"
                    else ()
                ),
                _text("nick", "nickName", "N{i}", "M{i}", kept=True),
                _text("first", "firstName", "Ann", "Bob", kept=True),
                _text("last", "lastName", "Lee", "Ray", kept=True),
                _number("offset_h", "tzOffset", 1.0, 2.0),
                _flag("hidden", "isHidden"),
            ),
            defaults={"inactive": True, "notificationsEnabled": True},
        )
        for key in ("externalId", "email")
    ),
    *(
        Case(
            "workspace",
            "workspaces",
            key,
            (
                _text("name", "name", "Prod {i}", "Test", kept=True),
                _COMPANY,
                Column(
                    "owner_id",
                    "varchar",
                    "ownerId",
                    *["64b2a1c0f1e2d3c4b5a69788"] * 2,
                    *["64b2a1c0f1e2d3c4b5a69799"] * 2,
                ),
            ),
        )
        for key in ("externalId", "sourceId")
    ),
)


BY_OBJECT: dict[str, tuple[Case, ...]] = {}
for _case in (*CASES, *FURTHER):
    BY_OBJECT[_case.object] = (*BY_OBJECT.get(_case.object, ()), _case)
"""Object → its cases, one for each key."""
