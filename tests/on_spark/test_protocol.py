"""A whole life on Spark: its parser reads each statement, its engine works out what that changes."""

from __future__ import annotations

import pytest
from harness import Project
from run.life import lead_a_life


@pytest.mark.timeout(3000)
def test_a_life(project: Project, statements: list[str]) -> None:
    lead_a_life(project)
    assert len(statements) > 500
    assert project.query("select count(*) from planhat_sync.steps") == [(0,)]
