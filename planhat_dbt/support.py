"""What a declaration may say but this version does not deliver yet; refused with the reason, never half done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from planhat_dbt.declaration.types import Fault, Lookup, Mode, Sync

if TYPE_CHECKING:
    from planhat_dbt.settings import ProjectSettings


def unsupported(sync: Sync) -> Fault | None:
    """Name the first part of a declaration that this version does not deliver; None: it delivers all of it."""
    path, message = "", ""
    record = not sync.object.is_event
    if record and sync.mode is not Mode.UPSERT:
        path, message = "mode", f"mode {sync.mode.value} is not delivered by this version; use upsert"
    elif sync.match and sync.match.field == "_id":
        path, message = "match", "matching on _id is not delivered by this version; use another key"
    elif any(isinstance(f.source, Lookup) for f in sync.fields):
        path, message = "fields", "look-ups are not delivered by this version; map the _id from a column"
    elif record and not sync.object.bulk:
        path, message = (
            "object",
            f"{sync.object.plural} have no bulk upsert; this version does not deliver them",
        )
    if not message:
        return None
    return Fault(
        sync.model.name, sync.model.path, f"config.meta.planhat.{path}", f"sync `{sync.name}`: {message}"
    )


_UNUSED_SETTINGS: Final = ("alerts", "hook", "single_insert_rows")


def unsupported_settings(settings: ProjectSettings) -> tuple[Fault, ...]:
    """Name the project settings that are given but do nothing in this version."""
    return tuple(
        Fault(
            "",
            "dbt_project.yml",
            f"vars.planhat.{name}",
            "this setting does nothing in this version; take it out",
        )
        for name in _UNUSED_SETTINGS
        if name in settings.model_fields_set
    )
