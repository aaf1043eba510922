"""Faults as plain text for a terminal, grouped by file and model."""

from __future__ import annotations

from itertools import groupby
from textwrap import fill
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from planhat_dbt.declaration.types import Fault

WIDTH = 100


def render_faults(faults: Iterable[Fault]) -> str:
    """All faults, errors before warnings within a model; empty if there are none."""
    lines: list[str] = []
    in_order = sorted(faults, key=lambda f: (f.file, f.model, f.warning))
    for file, in_file in groupby(in_order, key=lambda f: f.file):
        lines.append(file)
        for model, of_model in groupby(in_file, key=lambda f: f.model):
            if model:
                lines.append(f"  {model}")
            for fault in of_model:
                lines.append(f"    {'warning' if fault.warning else 'error'}: {fault.path}")
                indent = " " * 6
                lines.append(
                    fill(
                        fault.message,
                        WIDTH,
                        initial_indent=indent,
                        subsequent_indent=indent,
                        break_long_words=False,
                        break_on_hyphens=False,
                    )
                )
    return "\n".join(lines)


def count_faults(faults: Iterable[Fault]) -> str:
    """`2 errors, 1 warning`."""
    told = tuple(faults)
    warnings = sum(f.warning for f in told)
    counts = ((len(told) - warnings, "error"), (warnings, "warning"))
    return ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in counts if n) or "no faults"
