"""Planhat's resources as data: paths, verbs, keys, required fields, pages (planhat-api §4, §3, §7, §13).

Transcribed from the notes on the public API, on purpose not shared with the client in this package: a
mistake made once would otherwise go unseen on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from planhat_dbt.sandbox import fields
from planhat_dbt.sandbox.values import Spec, parse_specs

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ROWS = 5_000
"""Rows of one bulk upsert (planhat-api §2)."""
MAX_BYTES = 32 * 1024 * 1024
"""Bytes of one request body (planhat-api §2, §13.3)."""
ALL_VERBS = frozenset("CUGLDB")
"""Create, update, get, list, delete, bulk upsert: the legend of planhat-api §4."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Resource:
    """One REST path and what the API does there."""

    name: str
    """The object's singular name, which is also the `parent` of its custom fields."""
    path: str
    """First path segment, e.g. `companies`."""
    specs: Mapping[str, Spec]
    bulk_keys: tuple[str, ...]
    """Fields a bulk row is matched by, in order of priority."""
    verbs: frozenset[str] = ALL_VERBS
    update_prefixes: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """`extid-`/`srcid-` → field, for `PUT /path/{id}`."""
    get_prefixes: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    required: tuple[str, ...] = ()
    """Fields a single create must carry."""
    required_bulk: tuple[str, ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()
    """Groups of which a create needs one each."""
    page: int = 100
    max_page: int = 2_000
    company_field: str = ""
    company_prefixes: bool = True
    """Whether the company field takes `extid-`/`srcid-` forms besides `_id` (planhat-api §3.3)."""
    external_key: str = "externalId"
    """The name of the external id; invoices say `extId`."""
    open_fields: bool = False
    """Unknown fields are stored (churn, planhat-api §13.36)."""
    defaults: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    list_fields: tuple[str, ...] = ()
    """Fields of a list without `select`; empty: all of them."""
    archived_flag: str = ""
    """The flag that hides a record from lists; also the query parameter that asks for it."""

    indexed: tuple[str, ...] = field(init=False)
    """Fields with an index: every key a row, a path or a filter may look up."""
    unique: tuple[str, ...] = field(init=False)
    """Fields that may not repeat in the model (planhat-api §3.1); the external id besides, per company."""
    writable: frozenset[str] = field(init=False)
    """Fields a call may set."""

    def __post_init__(self) -> None:
        keys = ("sourceId", self.external_key, "email")
        # The e-mail of a team member is a key; endusers may share one, tickets and NPS carry the enduser's.
        unique = ("sourceId", "email") if self.name == "user" else ("sourceId",)
        object.__setattr__(self, "indexed", tuple(key for key in keys if key in self.specs))
        object.__setattr__(self, "unique", tuple(key for key in unique if key in self.specs))
        object.__setattr__(self, "writable", frozenset(n for n, spec in self.specs.items() if spec.writable))


def _prefixes(names: str, external: str = "externalId") -> Mapping[str, str]:
    every = {"extid": ("extid-", external), "srcid": ("srcid-", "sourceId")}
    return MappingProxyType(dict(every[name] for name in names.split()))


_BOTH = _prefixes("extid srcid")
_EXTID = _prefixes("extid")
_SRCID = _prefixes("srcid")
_KEYS = ("_id", "sourceId", "externalId")
_FLAGS = (
    "isHidden",
    "isFeatured",
    "isShared",
    "isLocked",
    "isMandatory",
    "isFormula",
    "treatUndefinedAsZero",
)
_COMPANY_LIST = (
    "_id",
    "name",
    "externalId",
    "sourceId",
    "slug",
    "status",
    "phase",
    "owner",
    "coOwner",
    "h",
    "domains",
    "tags",
    "updatedAt",
)


def _named(name: str, path: str, table: str, **more: Any) -> Resource:
    """A resource that needs a name and a company and has all three keys: the most common kind."""
    required = ("name", "companyId")
    facts: dict[str, Any] = {
        "update_prefixes": _BOTH,
        "get_prefixes": _BOTH,
        "required": required,
        "required_bulk": required,
        "company_field": "companyId",
        "bulk_keys": _KEYS,
    }
    return Resource(name=name, path=path, specs=parse_specs(table), **{**facts, **more})


_ALL = (
    Resource(
        name="company",
        path="companies",
        specs=parse_specs(fields.COMPANY),
        bulk_keys=_KEYS,
        update_prefixes=_BOTH,
        get_prefixes=_BOTH,
        required=("name",),
        required_bulk=("name",),
        max_page=5_000,
        defaults=MappingProxyType({"status": "prospect"}),
        list_fields=_COMPANY_LIST,
    ),
    Resource(
        name="user",
        path="users",
        specs=parse_specs(fields.USER),
        bulk_keys=("_id", "externalId", "email"),
        update_prefixes=_EXTID,
        get_prefixes=_EXTID,
        page=10_000,
        max_page=10_000,
        required=("nickName", "email", "firstName", "lastName"),
        required_bulk=("nickName", "email", "firstName", "lastName"),
        defaults=MappingProxyType({"inactive": True, "notificationsEnabled": True}),
    ),
    Resource(
        name="enduser",
        path="endusers",
        specs=parse_specs(fields.ENDUSER),
        bulk_keys=(*_KEYS, "email"),
        update_prefixes=_BOTH,
        get_prefixes=_BOTH,
        one_of=(("email", "externalId", "sourceId"),),
        company_field="companyId",
        defaults=MappingProxyType({"archived": False}),
        archived_flag="archived",
    ),
    _named("asset", "assets", fields.ASSET),
    _named("campaign", "campaigns", fields.CAMPAIGN),
    Resource(
        name="churn",
        path="churn",
        specs=parse_specs(fields.CHURN),
        bulk_keys=("_id", "sourceId"),
        update_prefixes=_SRCID,
        company_field="companyId",
        open_fields=True,
    ),
    Resource(
        name="conversation",
        path="conversations",
        specs=parse_specs(fields.CONVERSATION),
        bulk_keys=("_id", "externalId"),
        update_prefixes=_BOTH,
        get_prefixes=_EXTID,
        page=30,
        one_of=(("companyId", "companyExternalId"),),
        company_field="companyId",
        defaults=MappingProxyType({"archived": False}),
    ),
    Resource(
        name="customfield",
        path="customfields",
        specs=parse_specs(fields.CUSTOM_FIELD),
        bulk_keys=(),
        verbs=frozenset("CUGLD"),
        required=("name", "parent", "type"),
        defaults=MappingProxyType(dict.fromkeys(_FLAGS, False)),
    ),
    Resource(
        name="invoice",
        path="invoices",
        specs=parse_specs(fields.INVOICE),
        bulk_keys=("_id", "sourceId", "extId"),
        update_prefixes=_prefixes("extid srcid", "extId"),
        get_prefixes=_prefixes("extid srcid", "extId"),
        required=("cId",),
        required_bulk=("cId", "currency", "invoiceDate"),
        company_field="cId",
        external_key="extId",
    ),
    Resource(
        name="issue",
        path="issues",
        specs=parse_specs(fields.ISSUE),
        bulk_keys=("_id", "sourceId"),
        update_prefixes=_SRCID,
        get_prefixes=_SRCID,
        required=("title",),
        required_bulk=("title",),
        defaults=MappingProxyType({"archived": False}),
    ),
    _named(
        "license",
        "licenses",
        fields.LICENSE,
        required=("companyId", "_currency"),
        required_bulk=("companyId", "_currency"),
        one_of=(("value", "mrr"),),
    ),
    Resource(
        name="nps",
        path="nps",
        specs=parse_specs(fields.NPS),
        bulk_keys=("_id", "sourceId"),
        update_prefixes=_SRCID,
        get_prefixes=_SRCID,
        required=("email", "score"),
        required_bulk=("email", "score"),
        max_page=10_000,
        company_field="cId",
        company_prefixes=False,
    ),
    _named("objective", "objectives", fields.OBJECTIVE),
    _named(
        "opportunity",
        "opportunities",
        fields.OPPORTUNITY,
        bulk_keys=("_id", "externalId"),
        update_prefixes=_EXTID,
        required=("companyId",),
        required_bulk=("companyId",),
        defaults=MappingProxyType({"contractLength": 12}),
    ),
    _named("project", "projects", fields.PROJECT),
    _named(
        "sale",
        "sales",
        fields.SALE,
        required=("companyId", "_currency", "value"),
        required_bulk=("companyId", "_currency", "value"),
    ),
    Resource(
        name="task",
        path="tasks",
        specs=parse_specs(fields.TASK),
        bulk_keys=("_id", "sourceId"),
        update_prefixes=_SRCID,
        get_prefixes=_SRCID,
        required=("companyId", "mainType"),
        required_bulk=("companyId", "mainType"),
        page=500,
        max_page=10_000,
        company_field="companyId",
        defaults=MappingProxyType({"isArchived": False}),
        archived_flag="isArchived",
    ),
    Resource(
        name="ticket",
        path="tickets",
        specs=parse_specs(fields.TICKET),
        bulk_keys=("_id", "sourceId"),
        verbs=frozenset("LDB"),
        required_bulk=("sourceId",),
        one_of=(("companyId", "companyExternalId", "domains"),),
        page=500,
        max_page=10_000,
        company_field="companyId",
        company_prefixes=False,
    ),
    _named("workspace", "workspaces", fields.WORKSPACE),
)

RESOURCES: Mapping[str, Resource] = MappingProxyType({resource.path: resource for resource in _ALL})
"""Every REST resource by its path."""

_ALIASES = MappingProxyType({resource.name: resource.path for resource in _ALL})


def resource_named(name: str) -> Resource:
    """The resource of a path (`companies`) or an object name (`company`).

    Raises:
        KeyError: no such resource; the message lists them.
    """
    path = _ALIASES.get(name, name)
    if path not in RESOURCES:
        known = ", ".join(sorted(RESOURCES))
        raise KeyError(f"{name!r} is not one of Planhat's resources: {known}")
    return RESOURCES[path]
