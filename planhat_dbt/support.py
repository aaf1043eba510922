"""What a project may say but this version does not do yet; refused with the reason, never half done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from planhat_dbt.declaration.types import Fault

if TYPE_CHECKING:
    from planhat_dbt.settings import ProjectSettings

_UNUSED_SETTINGS: Final = ("alerts",)


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
