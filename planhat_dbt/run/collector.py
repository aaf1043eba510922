"""How often Python looks for cycles while rows are in its hands."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_FRESH: Final = 50_000
"""Objects made, and not let go, before Python looks at the youngest of them."""


@contextmanager
def collected_rarely() -> Iterator[None]:
    """Windows of rows are tens of thousands of tuples in no cycle: looking at them took a tenth of a first load."""
    before = gc.get_threshold()
    gc.set_threshold(_FRESH, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
