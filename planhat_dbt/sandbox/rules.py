"""What nobody outside Planhat knows for sure, as switches (planhat-api §13).

The defaults are the safe readings of that section: a client that works here works on the real service too.
Each other value is a reading that is possible as well; a client should survive all of them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_VERBS = frozenset({"create", "update", "read", "delete"})


def _switch(default: Any, words: str, *choices: str) -> Any:
    return field(default=default, metadata={"words": words, "choices": choices})


def _switch_off(words: str) -> Any:
    return _switch(default=False, words=words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How this tenant behaves where the notes leave a doubt; frozen, so change it with `replace`."""

    error_items: str = _switch(
        "string",
        "Items of the error lists: `string`, `object`, or `object_without_ids` (§13.5).",
        "string",
        "object",
        "object_without_ids",
    )
    error_body: str = _switch(
        "text",
        "Body of a 400 to a single call: plain `text`, or an `object` (§8).",
        "text",
        "object",
    )
    null_reads: str = _switch(
        "null",
        "A field set to null reads back as `null` or is `absent` (§13.11).",
        "null",
        "absent",
    )
    custom_update: str = _switch(
        "merge",
        "An update of `custom` is a `merge` by key, or a `replace` of the whole object (§13.12).",
        "merge",
        "replace",
    )
    batch_duplicates: str = _switch(
        "error",
        "The same key twice in one batch: an `error` for the second row, or two `insert`s (§13.7).",
        "error",
        "insert",
    )
    post_duplicates: str = _switch(
        "refuse",
        "`POST` with a key that exists: `refuse` with 400, or `create` a second record (§13.16).",
        "refuse",
        "create",
    )
    unplaced_endusers: str = _switch(
        "drop",
        "An enduser without a company: `drop` in silence, or an `error` in `createdErrors` (§13.17).",
        "drop",
        "error",
    )
    partial_status: str = _switch(
        "206",
        "Status of a bulk call of which some rows failed: `206` or `400` (§13.6).",
        "206",
        "400",
    )
    rate_headers: str = _switch(
        "cycle",
        "Spelling of the rate-limit headers: `old`, `new`, `none`, or `cycle` through all three (§13.4).",
        "cycle",
        "old",
        "new",
        "none",
    )
    retry_after: bool = _switch_off("Whether a 429 of the quota carries `Retry-After` (§13.4).")
    unknown_custom: str = _switch(
        "store",
        "A custom key without a definition: `store` it, or `refuse` the row (§13.13).",
        "store",
        "refuse",
    )
    email_case: str = _switch(
        "exact",
        "E-mail keys match `exact`ly, or `ignore` the case (§13.33).",
        "exact",
        "ignore",
    )
    archived_filter: str = _switch(
        "include",
        "A list asked for archived records answers them `include`d with the others, or `only` them (§7).",
        "include",
        "only",
    )
    delete_body: str = _switch(
        "counters",
        "Body of a `DELETE`: `counters` (conversations: the deleted object), or `empty` (§13.20).",
        "counters",
        "empty",
    )
    strict_tracking_auth: bool = _switch_off("Whether a wrong token on a tracking call is a 401 (§13.2).")
    strict_updates: bool = _switch_off(
        "Whether `_id` in the body of a single update is a 400 (§13.23); else it is ignored.",
    )
    strict_licenses: bool = _switch_off("Whether a licence without `fromDate` is refused (§13.34).")
    patch: bool = _switch_off("Whether `PATCH` works like `PUT` (§13.24); else it is 405.")
    read_delay: float = _switch(0.0, "Seconds until a new record or metric point is seen by reads (§13.32).")
    conversation_types: tuple[str, ...] = _switch(
        ("note", "email", "chat", "ticket", "call"),
        "Conversation types that exist; another type is stored as `note` (§12.8).",
    )
    denied: tuple[str, ...] = _switch(
        (),
        "Rights the token lacks, as `companies:create` (`create`, `update`, `read`, `delete`; §1.2); "
        "`dimensiondata:read` for metric points.",
    )

    def __post_init__(self) -> None:
        for item in fields(self):
            value, choices = getattr(self, item.name), item.metadata["choices"]
            if choices and value not in choices:
                raise ValueError(f"rule {item.name}: {value!r} is not one of {', '.join(choices)}")
        for right in self.denied:
            if right.partition(":")[2] not in _VERBS:
                raise ValueError(f"rule denied: {right!r} is not of the form companies:create")

    def allows(self, path: str, verb: str) -> bool:
        """Whether the token may `create`, `update`, `read` or `delete` records of this path."""
        return not self.denied or f"{path}:{verb}" not in self.denied

    def changed(self, changes: Mapping[str, Any]) -> Rules:
        """A copy with `changes`; values may be text, as they come from a command line or JSON.

        Raises:
            ValueError: unknown rule or value; the message lists what is allowed.
        """
        types = {item.name: item.type for item in fields(self)}
        unknown = sorted(changes.keys() - types.keys())
        if unknown:
            raise ValueError(f"no rule named {', '.join(unknown)}; rules: {', '.join(sorted(types))}")
        return replace(
            self, **{name: _read(name, str(types[name]), value) for name, value in changes.items()}
        )

    def as_json(self) -> dict[str, Any]:
        """All switches with their values."""
        return asdict(self)


def describe() -> Iterator[tuple[str, str, str]]:
    """Name, default as text, and meaning of every rule."""
    for item in fields(Rules):
        default = ",".join(item.default) if isinstance(item.default, tuple) else str(item.default).lower()
        yield item.name, default, str(item.metadata["words"])


def _read(name: str, kind: str, value: Any) -> Any:
    if kind == "bool":
        if value in (True, "true", "yes", "on", "1"):
            return True
        if value in (False, "false", "no", "off", "0"):
            return False
        raise ValueError(f"rule {name}: expected true or false, not {value!r}")
    if kind == "float":
        try:
            return float(value)
        except (TypeError, ValueError):
            raise ValueError(f"rule {name}: expected seconds, not {value!r}") from None
    if kind.startswith("tuple"):
        items = value.split(",") if isinstance(value, str) else value
        return tuple(str(item).strip() for item in items if str(item).strip())
    return str(value)
