"""Python's collector of cycles during a run."""

from __future__ import annotations

import gc

import pytest

from planhat_dbt.run.collector import collected_rarely


def test_it_works_rarely_and_then_as_before() -> None:
    before = gc.get_threshold()

    def broken_off() -> None:
        with collected_rarely():
            assert gc.get_threshold()[0] > before[0]
            raise ValueError("broken off")

    with pytest.raises(ValueError, match="broken off"):
        broken_off()
    assert gc.get_threshold() == before
