"""What a block means: whether mode, key, fields and removal suit its object (DESIGN §3, §5, §15)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from planhat_dbt.declaration.manner import Creates, manner
from planhat_dbt.declaration.mapping import Entry, canonical, read_mapping
from planhat_dbt.declaration.state_columns import state_columns
from planhat_dbt.declaration.types import FieldMapping, Match, Mode, OnRemoved, Sync
from planhat_dbt.declaration.wording import did_you_mean, nearest, one_of
from planhat_dbt.objects import OBJECTS, FieldType, ObjectType, find_object, object_words

if TYPE_CHECKING:
    from planhat_dbt.declaration.block import Block
    from planhat_dbt.declaration.types import KeyField, Limit, Model
    from planhat_dbt.declaration.wording import Faults

NAME = re.compile(r"[a-z][a-z0-9_]*")
NAME_LENGTH = 50
_NAME_RULE = f"expected a small letter, then small letters, digits and `_`, at most {NAME_LENGTH} in all"
KEY_FIELDS = ("_id", "sourceId", "externalId", "email")


@dataclass(frozen=True, slots=True)
class Draft:
    """One block whose shape is right, with all its fields gathered."""

    model: Model
    block: Block
    entries: tuple[Entry, ...]
    defaulted: frozenset[str]
    """Keys that come from the project's defaults: where one does not suit, it gives way in silence."""
    faults: Faults

    @property
    def name(self) -> str:
        """The sync's name."""
        return self.block.name if self.block.name is not None else self.model.name


def check(draft: Draft) -> Sync | None:
    """Check one block and read it as a sync; all that is wrong goes to its faults.

    Returns:
        The sync as far as it could be read (it counts only without errors); None if its object is not known.
    """
    block, faults = draft.block, draft.faults
    _check_name(draft)
    _check_previous_name(draft)
    _check_relation(draft)
    obj = find_object(block.object)
    if obj is None:
        words = object_words()
        meant = did_you_mean(block.object, words)
        faults.error("object", f"unknown object `{block.object}`; expected {one_of(OBJECTS)}.{meant}")
        return None
    mode = _mode(obj, draft)
    match = _match(obj, mode, draft)
    creates = manner(obj, mode, match.field if match else None).creates is not Creates.NEVER
    mappings = _mappings(obj, match, draft, creates=creates)
    if creates and draft.entries:
        _check_required(obj, match, draft)
    if match:
        _check_company_known(obj, mode, match, draft)
    _check_lookback(obj, draft)
    return Sync(
        name=draft.name,
        model=draft.model,
        object=obj,
        mode=mode,
        match=match,
        key=match.column if match else block.key or "",
        fields=mappings,
        on_removed=_on_removed(obj, mode, draft),
        max_removals=_max_removals(draft),
        max_changes=block.max_changes,
        tests=block.tests,
        enabled=block.enabled,
        tags=tuple(dict.fromkeys((*draft.model.tags, *block.tags))),
        previous_name=block.previous_name or "",
        previous_match=_previous_match(obj, mode, match, draft),
        event_time=block.event_time or "",
        lookback=block.lookback,
    )


def _check_name(draft: Draft) -> None:
    name = draft.name
    if _is_name(name):
        return
    if draft.block.name is None:
        draft.faults.error(
            "", f"the model's name `{name}` cannot name the sync: {_NAME_RULE}. Add `name: …`."
        )
    else:
        draft.faults.error("name", f"`{name}` is no name for a sync: {_NAME_RULE}.")


def _check_previous_name(draft: Draft) -> None:
    name = draft.block.previous_name
    if name is None:
        return
    if not _is_name(name):
        draft.faults.error("previous_name", f"`{name}` was no name of a sync: {_NAME_RULE}.")
    elif name == draft.name:
        draft.faults.error(
            "previous_name",
            f"`{name}` is the sync's present name; expected the one it had before, or leave `previous_name` out.",
        )


def _is_name(name: str) -> bool:
    return bool(NAME.fullmatch(name)) and len(name) <= NAME_LENGTH


def _check_relation(draft: Draft) -> None:
    if not draft.model.relation.rendered:
        draft.faults.error(
            "",
            f"`{draft.model.name}` has no table in the warehouse (ephemeral); materialize it as a "
            "table, view or incremental model.",
        )


def _mode(obj: ObjectType, draft: Draft) -> Mode:
    declared = draft.block.mode
    if not obj.is_event:
        return declared or Mode.UPSERT
    if declared not in (None, Mode.INSERT) and "mode" not in draft.defaulted:
        draft.faults.error("mode", f"{obj.plural} are events: expected `insert`, found `{declared}`.")
    return Mode.INSERT


def _match(obj: ObjectType, mode: Mode, draft: Draft) -> Match | None:
    block, faults = draft.block, draft.faults
    if obj.is_event:
        if block.match:
            faults.error(
                "match", f"{obj.plural} are events and match nothing; name the row with `key: <column>`."
            )
        elif not block.key and not faults.tells_of("key"):
            faults.error("", f"`key` is missing: the column that identifies each of the {obj.plural}.")
        return None
    if block.match is None:
        if not faults.tells_of("match") and not faults.tells_of("key"):
            _check_unmatched(obj, mode, draft)
        return None
    ((word, column),) = block.match.items()
    field = canonical(obj, word)
    if block.key is not None and block.key != column:
        faults.error(
            "key", f"with `match`, the row is identified by the match column `{column}`; leave `key` out."
        )
    problem = _match_problem(obj, mode, field)
    if problem:
        faults.error(f"match.{word}", f"{problem}{_keyed_instead(obj, mode, field)}")
    if field not in KEY_FIELDS:
        return None
    return Match(cast("KeyField", field), column)


def _keyed_instead(obj: ObjectType, mode: Mode, field: str) -> str:
    """How rows are told apart of objects in which Planhat keeps no key of ours."""
    if obj.bulk_keys != ("_id",) or field == "_id" or mode is Mode.UPDATE:
        return ""
    return f" Planhat keeps no key of yours in {obj.plural}: leave `match` out and give `key: <column>`."


def _previous_match(obj: ObjectType, mode: Mode, match: Match | None, draft: Draft) -> Match | None:
    if draft.block.previous_match is None:
        return None
    ((word, column),) = draft.block.previous_match.items()
    field = canonical(obj, word)
    problem = _previous_match_problem(obj, mode, match, field)
    if problem:
        draft.faults.error(f"previous_match.{word}", problem)
    return Match(cast("KeyField", field), column) if field in KEY_FIELDS else None


def _previous_match_problem(obj: ObjectType, mode: Mode, match: Match | None, field: str) -> str:
    if obj.is_event:
        return f"{obj.plural} are events and were never matched; leave `previous_match` out."
    if match is None:
        return "it tells what `match` was before; expected `match` beside it."
    if mode is Mode.INSERT:
        return (
            "mode `insert` changes no record, so the new key cannot be written into Planhat; expected mode `upsert` "
            "or `update`."
        )
    if field == match.field:
        return f"`{field}` is the present match key; expected the one before, or leave `previous_match` out."
    return _match_problem(obj, Mode.UPSERT, field)


def _check_unmatched(obj: ObjectType, mode: Mode, draft: Draft) -> None:
    keys = one_of(obj.bulk_keys)
    only_by_id = obj.bulk_keys == ("_id",)
    if mode is Mode.INSERT and not obj.single_calls:
        others = one_of(k for k in obj.bulk_keys if k != "_id")
        draft.faults.error(
            "", f"`match` is missing: Planhat creates no {obj.plural} one by one; match on {others}."
        )
        return
    if mode is Mode.INSERT or (mode is Mode.UPSERT and only_by_id):
        if not draft.block.key:
            draft.faults.error(
                "",
                "`key` is missing: without `match`, it names the column that tells rows apart, so that "
                "none is sent twice.",
            )
        return
    other = " (or, as Planhat keeps no key of yours here, `key: <column>`)" if only_by_id else ""
    if mode is Mode.UPSERT:
        draft.faults.error(
            "",
            f"`match` is missing: mode `upsert` needs the Planhat key and the column with its values, by "
            f"{keys}{other if only_by_id else ''}.",
        )
    else:
        draft.faults.error("", f"`match` is missing: mode `update` needs it to find the record, by {keys}.")


def _check_lookback(obj: ObjectType, draft: Draft) -> None:
    block, faults = draft.block, draft.faults
    given = {"event_time": block.event_time, "lookback": block.lookback}
    here = [name for name, value in given.items() if value is not None]
    if not obj.is_event:
        for name in here:
            faults.error(name, f"only events have it, and {obj.plural} are records: leave it out.")
    elif here == ["event_time"] and not faults.tells_of("lookback"):
        faults.error("", "`lookback` is missing: with `event_time`, it says how old an event may be.")
    elif here == ["lookback"] and not faults.tells_of("event_time"):
        faults.error("", "`event_time` is missing: the column by which `lookback` is measured.")


def _match_problem(obj: ObjectType, mode: Mode, field: str) -> str:
    keys = one_of(obj.bulk_keys)
    if field == "_id" and mode is Mode.INSERT:
        others = [k for k in obj.bulk_keys if k != "_id"]
        instead = f"match by {one_of(others)}, or leave" if others else "leave"
        return f"a record to be created has no `_id` yet; {instead} `match` out and give `key: <column>`."
    if field in obj.bulk_keys or field in obj.path_keys:
        return ""
    if field in obj.fields:
        return f"`{field}` is no key of {obj.name}: Planhat matches {obj.plural} on {keys}."
    return f"{obj.name} has no `{field}`; match by {keys}.{did_you_mean(field, obj.bulk_keys)}"


def _check_company_known(obj: ObjectType, mode: Mode, match: Match, draft: Draft) -> None:
    """Where records are found by a key that says who is meant only with the company, the company should be told."""
    company = obj.fields.get(obj.company_field)
    if (
        manner(obj, mode, match.field).finds_first
        and obj.needs_company(match.field)
        and company
        and company.type is FieldType.COMPANY
        and company.name not in {canonical(obj, e.target) for e in draft.entries}
    ):
        draft.faults.warn(
            "fields",
            f"no `{company.name}`: a {match.field} is unique only within its company, so all {obj.plural} are listed "
            f"to find those meant. `{company.name}: {{company: <column>}}` makes it certain, and cheaper for few rows.",
        )


def _mappings(
    obj: ObjectType, match: Match | None, draft: Draft, *, creates: bool
) -> tuple[FieldMapping, ...]:
    faults = draft.faults
    entries: dict[str, Entry] = {}
    for entry in draft.entries:
        target = canonical(obj, entry.target)
        if target in entries:
            faults.error(
                entry.path, f"`{target}` is mapped twice: also at `{faults.at(entries[target].path)}`."
            )
        elif match and target == match.field:
            faults.error(
                entry.path, f"`{target}` is the match field and is sent already; leave it out of `fields`."
            )
        elif target in obj.constants:
            _check_constant_of_object(obj, target, entry, faults)
        else:
            entries[target] = Entry(target, entry.value, entry.path)
    columns = state_columns(entries, taken=(match.field,) if match else ())
    found = (
        read_mapping(obj, e, columns[e.target], draft.block.nulls, faults, creates=creates)
        for e in entries.values()
    )
    mappings = tuple(m for m in found if m)
    if not draft.entries and not faults.tells_of("fields"):
        faults.error("", "`fields` is missing: say which Planhat fields come from which columns.")
    return mappings


def _check_constant_of_object(obj: ObjectType, target: str, entry: Entry, faults: Faults) -> None:
    value: Any = getattr(entry.value, "value", None)
    if value == obj.constants[target]:
        faults.warn(entry.path, f"`{target}` of a {obj.name} is always `{value}`; it can be left out.")
    else:
        faults.error(
            entry.path, f"`{target}` of a {obj.name} is always `{obj.constants[target]}`; leave it out."
        )


def _check_required(obj: ObjectType, match: Match | None, draft: Draft) -> None:
    """Whatever a create needs must be there, in upsert and insert (planhat-api §4)."""
    targets = {canonical(obj, e.target) for e in draft.entries}
    given = targets | set(obj.constants) | ({match.field} if match else set())
    misspelt = {nearest(t, obj.fields) for t in targets - set(obj.fields) if not t.startswith("custom.")}
    missing = [f for f in obj.required if f not in given and f not in misspelt]
    if missing:
        draft.faults.error(
            "fields",
            f"a new {obj.name} needs {', '.join(f'`{f}`' for f in missing)} as well.{_help(obj, missing)}",
        )
    for group in obj.one_of:
        if not given & set(group) and not misspelt & set(group):
            draft.faults.error("fields", f"a new {obj.name} needs at least one of {one_of(group)}.")
    for name, otherwise in obj.advised.items():
        if name not in given and name not in misspelt:
            draft.faults.warn("fields", f"no `{name}`: {otherwise}.")
    company = obj.fields.get(obj.company_field)
    if company and company.type is FieldType.COMPANY and company.name not in given and not company.required:
        draft.faults.warn(
            "fields",
            f"no `{company.name}`: Planhat finds the company by e-mail domain, and drops {obj.plural} for "
            f"which it finds none. `{company.name}: {{company: <column with the company's externalId>}}` is "
            "safer.",
        )


def _help(obj: ObjectType, missing: list[str]) -> str:
    company = next((f for f in missing if obj.fields[f].type is FieldType.COMPANY), None)
    if company:
        return f" For example `{company}: {{company: <column with the company's externalId>}}`."
    return ""


def _on_removed(obj: ObjectType, mode: Mode, draft: Draft) -> OnRemoved:
    wanted = draft.block.on_removed
    allowed = {
        Mode.UPSERT: (OnRemoved.KEEP, OnRemoved.CLEAR, OnRemoved.DELETE),
        Mode.UPDATE: (OnRemoved.KEEP, OnRemoved.CLEAR),
        Mode.INSERT: (OnRemoved.KEEP,),
    }[mode]
    if wanted not in allowed:
        if "on_removed" not in draft.defaulted:
            what = f"{obj.plural}, which are events," if obj.is_event else f"mode `{mode}`"
            draft.faults.error("on_removed", f"{what} cannot `{wanted}`; expected {one_of(allowed)}.")
        return OnRemoved.KEEP
    if wanted is OnRemoved.DELETE and obj.rank == 0:
        draft.faults.warn(
            "on_removed",
            "deleting a company in Planhat takes its endusers, licenses and everything else of it along.",
        )
    return wanted


def _max_removals(draft: Draft) -> Limit:
    limit = draft.block.max_removals
    if limit.share is not None and limit.share > 1:
        draft.faults.error("max_removals", f"at most 100% can be removed, found {limit}.")
    return limit
