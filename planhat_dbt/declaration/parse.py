"""From raw meta to the models of `block`, past the first fault: what is wrong is told and mended.

So that one pass finds all faults, a block with a misspelt key is still checked for its fields.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from planhat_dbt.declaration.block import FIELD_FORMS, Fields
from planhat_dbt.declaration.wording import dotted, explain, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_core import ErrorDetails

    from planhat_dbt.declaration.wording import Faults

M = TypeVar("M", bound=BaseModel)
PLACEHOLDER = "_"
"""Stands for a field's value that was at fault, so that it does not count as missing as well."""


def parse(model: type[M], raw: dict[str, Any], faults: Faults, path: str = "") -> M | None:
    """Read `raw` as `model`, telling all that is wrong with it.

    Keys that are null count as not given.

    Returns:
        What could be read; None if too little is right to go on.
    """
    data = copy.deepcopy({str(k): v for k, v in raw.items() if v is not None})
    for _ in range(4):  # leaving out one thing may bring another to light, hardly ever more
        try:
            return model.model_validate(data)
        except ValidationError as e:
            errors = e.errors(include_url=False)
        errors.sort(key=lambda e: e["type"] == "missing")  # misspelt keys first: they may be what is missing
        for error in _worth_telling(model, errors):
            below = dotted(error["loc"])
            place = f"{path}.{below}" if path and below else path or below
            if error["type"] == "missing" and faults.tells_of(place):
                continue  # it was there, and taken out for a fault of its own
            faults.error(place, explain(error, lambda location: _keys_at(model, location)))
        mended = [_mend(model, data, error) for error in errors]
        if not all(mended):
            return None
    return None


def _worth_telling(model: type[BaseModel], errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """All but a missing key whose misspelling is told anyway."""
    misspelt = {
        (e["loc"][:-1], nearest(str(e["loc"][-1]), _keys_at(model, e["loc"][:-1])))
        for e in errors
        if e["type"] == "extra_forbidden"
    }
    return [e for e in errors if e["type"] != "missing" or (e["loc"][:-1], e["loc"][-1]) not in misspelt]


def _keys_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys that are right in the mapping at a location, as a person writes them."""
    form = next(
        (FIELD_FORMS[p] for p in reversed(location) if isinstance(p, str) and p in FIELD_FORMS), model
    )
    return [info.alias or name for name, info in form.model_fields.items()]


def _mend(model: type[BaseModel], data: dict[str, Any], error: ErrorDetails) -> bool:
    """Take the fault out of `data`: a misspelt key is read as what it means, a wrong value left out.

    Returns:
        False if nothing sensible is left without it.
    """
    location = [p for p in error["loc"] if not (isinstance(p, str) and p.startswith("<"))]
    first = str(location[0])
    if len(location) > 1 and first == "fields":
        _mend_field(data["fields"], [str(p) for p in location[1:]])
        return True
    if error["type"] == "missing" and len(location) == 1:
        return first in data  # there by now, where it was misspelt
    value = data.pop(first, None)
    meant = nearest(first, _keys_at(model, ())) if error["type"] == "extra_forbidden" else None
    if meant is not None and value is not None:
        data.setdefault(meant, value)
    return True


def _mend_field(fields: dict[str, Any], location: list[str]) -> None:
    if location[0] != "custom":
        fields[location[0]] = PLACEHOLDER
    elif len(location) == 1:
        fields["custom"] = {}
    else:
        fields["custom"][location[1]] = PLACEHOLDER


def field_entries(fields: Fields) -> list[tuple[str, Any]]:
    """Targets and values: system fields by name, custom fields as `custom.<display name>`."""
    system = list((fields.__pydantic_extra__ or {}).items())
    return [*system, *((f"custom.{name}", value) for name, value in fields.custom.items())]
