"""What the screens of the commands say of runs that did not go through: counts by their names, and reasons."""

from __future__ import annotations

import pytest
from harness import Project

from run.shop import add_companies


@pytest.mark.parametrize("options", [("--discard", "--resend"), ("--resend", "--discard"), ()])
def test_resolve_takes_one_decision(project: Project, options: tuple[str, ...]) -> None:
    add_companies(project, 1)
    outcome = project.cli("resolve", "companies", *options)
    assert outcome.code == 2
    assert "Give one: planhat-dbt resolve companies --resend, or --discard" in outcome.err
