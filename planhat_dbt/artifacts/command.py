"""Which of dbt's commands a command line means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMMANDS: Final = frozenset(
    (
        "build", "clean", "clone", "compile", "debug", "deps", "docs", "init", "list", "ls", "parse", "retry", "run",
        "run-operation", "seed", "show", "snapshot", "source", "test",
    )
)  # fmt: skip
_WITH_VALUE: Final = frozenset(
    (
        "--defer-state", "--indirect-selection", "--log-file-max-bytes", "--log-format", "--log-format-file",
        "--log-level", "--log-level-file", "--log-path", "--partial-parse-file-path", "--printer-width", "--profile",
        "--profiles-dir", "--project-dir", "--record-timing-info", "-r", "--state", "--target", "-t", "--target-path",
        "--threads", "--vars", "--warn-error-options",
    )
)  # fmt: skip
"""Options of dbt itself and of all its commands, which may stand before a command: the next word is their value."""
_OF_A_COMMAND: Final = frozenset(
    (
        "--select", "-s", "--models", "--model", "-m", "--exclude", "--selector", "--resource-type", "--resource-types",
        "--exclude-resource-type", "--exclude-resource-types", "--event-time-start", "--event-time-end", "--sample",
    )
)  # fmt: skip
"""Options with values that follow a command: before one, there is none."""


def command_of(words: Sequence[str]) -> str | None:
    """Find the command among dbt's arguments; None: they do not name one, and are those of some command."""
    left = iter(words)
    for word in left:
        if not word.startswith("-"):
            return word if word in _COMMANDS else None
        name, equals, _ = word.partition("=")
        if name in _OF_A_COMMAND:
            return None
        if name in _WITH_VALUE and not equals:
            next(left, None)
    return None
