"""Reading: single records, lists with filters, order and pages, lean companies (planhat-api §6, §7, §12)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from planhat_dbt.sandbox.values import BadValueError, Record, is_object_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from planhat_dbt.sandbox.resources import Resource
    from planhat_dbt.sandbox.tenant import Tenant

NPS_DAYS = 360
"""Older NPS answers are left out of lists unless `npsExpiryDay` says otherwise (planhat-api §7)."""
MAX_POINTS = 10_000
"""Metric points in one page; more are cut off silently (planhat-api §10.1, §13.26)."""
_MINIMUM_DATE = "0000"


class BadQueryError(ValueError):
    """A query parameter that is not what it should be."""


def render(tenant: Tenant, resource: Resource, record: Record) -> Record:
    """A record as a single read answers it: stored fields, then the computed ones."""
    company_field = resource.company_field
    answer = dict(record)
    if company_field:
        name = tenant.company_name(record.get(company_field))
        if name is not None:
            answer["cName" if company_field == "cId" else "companyName"] = name
    if resource.path == "tickets" and "title" in record:
        answer["subject"] = record["title"]
    answer.setdefault("custom", {})
    answer["__v"] = 0
    if tenant.rules.null_reads == "absent":
        answer = {key: value for key, value in answer.items() if value is not None}
        answer["custom"] = {
            key: value for key, value in answer.get("custom", {}).items() if value is not None
        }
    return answer


def find_in_path(tenant: Tenant, resource: Resource, prefixes: Mapping[str, str], path_id: str) -> list[str]:
    """The `_id`s that `{id}` of a path means: bare, or with a prefix this call takes (planhat-api §3.2, §4).

    Raises:
        BadQueryError: the form is not one that this call takes (planhat-api §13.25).
    """
    collection = tenant.collections[resource.path]
    prefix = path_id[:6]
    if prefix in prefixes:
        return [hit for hit in collection.find(prefixes[prefix], path_id[6:]) if tenant.visible(hit)]
    if not is_object_id(path_id):
        raise BadQueryError(f"Cast to ObjectId failed for value {path_id!r}")
    return [path_id] if path_id in collection.records and tenant.visible(path_id) else []


def list_records(tenant: Tenant, resource: Resource, query: Mapping[str, str]) -> list[Record]:
    """One page of a list.

    Raises:
        BadQueryError: `limit` or `offset` is not a number.
    """
    limit = min(_whole(query, "limit", resource.page) or resource.page, resource.max_page)
    offset = _whole(query, "offset", 0)
    page = _all_pages(tenant, resource, query)[offset : offset + limit]
    # The documentation says "comma list" and no more; a client in use sends `name, companyId`.
    selected = [name.strip() for name in query.get("select", "").split(",") if name.strip()]
    return [_as_listed(tenant, resource, record, selected) for record in page]


def _whole(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name)
    if text is None or text == "":
        return default
    if not text.isdigit():
        raise BadQueryError(f"{name} must be a number")
    return int(text)


def _all_pages(tenant: Tenant, resource: Resource, query: Mapping[str, str]) -> Sequence[Record]:
    """The whole list in order; kept until something changes, as the next page is likely asked for next."""
    if tenant.rules.read_delay:
        return _ordered(tenant, resource, query)
    what = frozenset(
        (name, value) for name, value in query.items() if name not in ("limit", "offset", "select")
    )
    key = (resource.path, tenant.changes, tenant.rules, what)
    if tenant.last_list is None or tenant.last_list[0] != key:
        tenant.last_list = (key, _ordered(tenant, resource, query))
    return tenant.last_list[1]


def _ordered(tenant: Tenant, resource: Resource, query: Mapping[str, str]) -> Sequence[Record]:
    """The records the query asks for; without `sort` the newest come first (planhat-api §13.26)."""
    collection = tenant.collections[resource.path]
    sort = query.get("sort", "")
    name, descending = sort.lstrip("-"), sort.startswith("-")
    if name == "_id":
        ids = collection.sorted_ids()
        records = [collection.records[record_id] for record_id in (reversed(ids) if descending else ids)]
    else:
        records = list(reversed(collection.records.values()))
    for keep in _filters(tenant, resource, query):
        records = [record for record in records if keep(record)]
    if name and name != "_id":
        records.sort(key=lambda record: _sort_key(record.get(name)), reverse=descending)
    return records


def _sort_key(value: Any) -> tuple[int, Any]:
    if value is None:
        return (0, 0)
    if isinstance(value, bool | int | float):
        return (1, value)
    return (2, value) if isinstance(value, str) else (3, str(value))


def _filters(
    tenant: Tenant, resource: Resource, query: Mapping[str, str]
) -> Iterable[Callable[[Record], bool]]:
    if tenant.rules.read_delay:
        yield lambda record: tenant.visible(record["_id"])
    if query.get("companyId"):
        field, wanted = resource.company_field or "companyIds", frozenset(query["companyId"].split(","))
        if not resource.company_field and field in resource.specs:
            yield lambda record: not wanted.isdisjoint(record.get("companyIds") or ())
        elif resource.company_field:
            yield lambda record: record.get(field) in wanted
    flag = resource.archived_flag
    if flag:
        asked = query.get(flag) == "true"
        if not asked:
            yield lambda record: not record.get(flag)
        elif tenant.rules.archived_filter == "only":
            yield lambda record: bool(record.get(flag))
    own = _OWN_FILTERS.get(resource.path)
    if own:
        yield from own(tenant, query)


def _equal(field: str, value: str | None) -> Iterable[Callable[[Record], bool]]:
    if value:
        yield lambda record: record.get(field) == value


def _by_email(tenant: Tenant, query: Mapping[str, str]) -> Iterable[Callable[[Record], bool]]:
    email = query.get("email")
    if email and tenant.rules.email_case == "ignore":
        yield lambda record: (record.get("email") or "").lower() == email.lower()
    else:
        yield from _equal("email", email)


def _of_endusers(tenant: Tenant, query: Mapping[str, str]) -> Iterable[Callable[[Record], bool]]:
    yield from _by_email(tenant, query)
    yield from _equal("_id", query.get("euId"))


def _of_tasks(_tenant: Tenant, query: Mapping[str, str]) -> Iterable[Callable[[Record], bool]]:
    if query.get("enduserIds"):
        wanted = frozenset(query["enduserIds"].split(","))

        def of_one(record: Record) -> bool:
            people = record.get("endusers") or ()
            return any(
                (person.get("id") if isinstance(person, dict) else person) in wanted for person in people
            )

        yield of_one


def _of_tickets(tenant: Tenant, query: Mapping[str, str]) -> Iterable[Callable[[Record], bool]]:
    yield from _by_email(tenant, query)
    yield from _equal("status", query.get("status"))
    search = query.get("search", "").lower()
    if search:
        yield lambda record: any(
            search in str(record.get(name) or "").lower() for name in ("title", "description")
        )


def _of_churn(_tenant: Tenant, query: Mapping[str, str]) -> Iterable[Callable[[Record], bool]]:
    first, last = query.get("from"), query.get("to")
    if first:
        yield lambda record: (record.get("churnDate") or _MINIMUM_DATE) >= first
    if last:
        yield lambda record: (record.get("churnDate") or _MINIMUM_DATE) <= last
    if query.get("downgrades") in ("only", "excluded"):
        only = query["downgrades"] == "only"
        yield lambda record: bool(record.get("isDowngrade")) is only


def _of_nps(_tenant: Tenant, query: Mapping[str, str]) -> Iterable[Callable[[Record], bool]]:
    days = _whole(query, "npsExpiryDay", NPS_DAYS)
    oldest = (datetime.now(UTC) - timedelta(days=min(days, 700_000))).isoformat()
    yield lambda record: (record.get("dateAnswered") or record.get("dateSent") or oldest) >= oldest


_OWN_FILTERS: Mapping[str, Callable[[Tenant, Mapping[str, str]], Iterable[Callable[[Record], bool]]]] = {
    "endusers": _of_endusers,
    "users": _by_email,
    "tasks": _of_tasks,
    "tickets": _of_tickets,
    "churn": _of_churn,
    "nps": _of_nps,
}


def _as_listed(tenant: Tenant, resource: Resource, record: Record, selected: Sequence[str]) -> Record:
    """A list row is not a full record, and some of its fields have another shape (planhat-api §7, §12.12)."""
    answer = render(tenant, resource, record)
    users = tenant.collections["users"].records
    if resource.path == "companies":
        for name in ("owner", "coOwner"):
            if answer.get(name):
                user = users.get(answer[name], {})
                answer[name] = {"_id": answer[name], "nickName": user.get("nickName", "")}
    elif resource.path == "users" and answer.get("roles"):
        answer["roles"] = [{"_id": role, "name": ""} for role in answer["roles"]]
    names = selected or resource.list_fields
    return _picked(answer, names) if names else answer


def _picked(answer: Record, names: Sequence[str]) -> Record:
    picked: Record = {"_id": answer["_id"]}
    for name in names:
        if name in answer:
            picked[name] = answer[name]
        elif name.startswith("custom."):
            inner = name.removeprefix("custom.")
            if inner in answer.get("custom", {}):
                picked.setdefault("custom", {})[inner] = answer["custom"][inner]
    return picked


def lean_companies(tenant: Tenant, query: Mapping[str, str]) -> list[Record]:
    """Every company as `_id`, name and keys, unpaged (planhat-api §7)."""
    collection = tenant.collections["companies"]
    found: Iterable[Record] = collection.records.values()
    for key in ("externalId", "sourceId"):
        if query.get(key):
            found = [collection.records[hit] for hit in collection.find(key, query[key])]
            break
    statuses = frozenset(query["status"].split(",")) if query.get("status") else None
    return [
        {key: record[key] for key in ("_id", "name", "externalId", "sourceId") if record.get(key)}
        for record in found
        if (statuses is None or record.get("status") in statuses) and tenant.visible(record["_id"])
    ]


def metric_points(tenant: Tenant, query: Mapping[str, str]) -> list[Record]:
    """One page of `GET /dimensiondata` (planhat-api §10.1); `from` and `to` are days since 1970, both included.

    Raises:
        BadQueryError: a number is not one, or the company is unknown.
    """
    company = query.get("cId") or query.get("cid")
    if company:
        try:
            company = tenant.company_id(company)
        except BadValueError as error:
            raise BadQueryError(str(error)) from None
    first, last = _day(query, "from", -(10**9)), _day(query, "to", 10**9)
    dimension = query.get("dimid")
    offset, limit = _whole(query, "offset", 0), min(_whole(query, "limit", 100) or 100, MAX_POINTS)
    points = [
        point
        for point in tenant.metrics
        if (not company or point["companyId"] == company)
        and (not dimension or point["dimensionId"] == dimension)
        and first <= point["day"] <= last
        and tenant.visible(point["_id"])
    ]
    if query.get("sort", "").lstrip("-") == "_id":
        points.sort(key=lambda point: str(point["_id"]), reverse=query["sort"].startswith("-"))
    return [_as_read(tenant, point) for point in points[offset : offset + limit]]


def _day(query: Mapping[str, str], name: str, default: int) -> int:
    """A day may be before 1970."""
    text = query.get(name) or str(default)
    if not text.removeprefix("-").isdigit():
        raise BadQueryError(f"{name} must be a number")
    return int(text)


def _as_read(tenant: Tenant, point: Record) -> Record:
    """What a read shows of a point: the parent by its `_id` alone, not by the key it was sent with."""
    item = {name: value for name, value in point.items() if name != "externalId"}
    return item | {"companyName": tenant.company_name(point["companyId"])}
