from __future__ import annotations

import pytest

from planhat_dbt.errors import FailedError


@pytest.mark.parametrize(
    ("message", "hint", "told"),
    [
        ("Out of memory", "Give it more.", "Out of memory. Give it more."),
        ("Out of memory.", "Give it more.", "Out of memory. Give it more."),
        ("How?", "So.", "How? So."),
        ("Out of memory", "", "Out of memory"),
    ],
)
def test_in_one_line(message: str, hint: str, told: str) -> None:
    assert FailedError(message, hint=hint).told == told
