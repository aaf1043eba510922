"""Metric points as Planhat shows them, and which of those in doubt are among them (planhat-api §10.1, §13 no. 26, 27).

That a point is there may be read off any list. That it is not there counts only of a list that was read to its end and
is worth believing: it must not show the point at another time of the day (we may read times otherwise than Planhat),
and it must show something of what is known to be there.
"""

from __future__ import annotations

import datetime as dt
import math
from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from planhat_dbt.objects import OBJECTS
from planhat_dbt.planhat import UnreadableAnswerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from planhat_dbt.deliver.courier import Calls

PAGE_ROWS: Final = 2000
"""Points asked for in one call; clients in use ask for as many or more (planhat-api §10.1)."""
DAY: Final = 86_400_000
"""Milliseconds."""
PROOFS: Final = 3
"""So many known points of a dimension are looked for in a list before it is believed."""
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND: Final = dt.timedelta(milliseconds=1)


class Series(NamedTuple):
    """The points of one record in one dimension."""

    parent: str
    """The `_id` of the record."""
    dimension: str


class Point(NamedTuple):
    """One metric point; two that are equal cannot be told from one another."""

    series: Series
    value: float
    at: int
    """Milliseconds since 1970."""


@dataclass(slots=True)
class Known:
    """Points that Planhat is known to hold, as far as they matter for those in doubt."""

    near: Counter[Point] = field(default_factory=Counter)
    """Those that could be taken for one in doubt: same series and value, at most a day away."""
    proofs: dict[Series, list[Point]] = field(default_factory=dict)
    """Some of each series."""
    forgotten: int | float = -math.inf
    """Points before this time may be there although nobody knows of them any more."""


class Verdict(StrEnum):
    """What a list says of a point in doubt."""

    FOUND = "found"
    ABSENT = "absent"
    ALIKE = "alike"
    """It may be there under another time."""
    UNPROVEN = "unproven"
    """The list lacks what is known to be there."""


def moment(text: str) -> int:
    """Read a date or time as ISO 8601, UTC where it names no zone: milliseconds since 1970.

    Raises:
        ValueError: It is none.
    """
    at = dt.datetime.fromisoformat(text.strip())
    return ((at if at.tzinfo else at.replace(tzinfo=dt.UTC)) - _EPOCH) // _MILLISECOND


def read_text(value: str | None, date: str | None) -> tuple[float, int] | None:
    """Read a noted point's value and time; None: they are no such things, so it cannot have been sent."""
    try:
        return float(value or ""), moment(date or "")
    except (ValueError, OverflowError):
        return None


def tie(doubts: Sequence[tuple[str, Point]], shown: Counter[Point], known: Known) -> dict[str, Verdict]:
    """Say of each point in doubt, named by its key, whether it is among those shown and not accounted for."""
    free = shown - known.near
    verdicts: dict[str, Verdict] = {}
    for key, point in doubts:
        if free[point] > 0:
            free[point] -= 1
            verdicts[key] = Verdict.FOUND
    others = _by_value(free)
    for key, point in doubts:
        if key not in verdicts:
            verdicts[key] = _absent(point, others, shown, known)
    return verdicts


def _by_value(points: Counter[Point]) -> dict[tuple[Series, float], list[int]]:
    """The times of points that nothing accounts for, in order."""
    times: dict[tuple[Series, float], list[int]] = {}
    for point in sorted(point for point, count in points.items() if count > 0):
        times.setdefault((point.series, point.value), []).append(point.at)
    return times


def _absent(
    point: Point, others: dict[tuple[Series, float], list[int]], shown: Counter[Point], known: Known
) -> Verdict:
    times = others.get((point.series, point.value), [])
    if bisect_right(times, point.at - DAY) < bisect_left(times, point.at + DAY):
        return Verdict.ALIKE
    proofs = known.proofs.get(point.series)
    if proofs and not any(shown[proof] for proof in proofs):
        return Verdict.UNPROVEN
    return Verdict.ABSENT


class PointReader:
    """Reads metric points of companies, within a number of calls."""

    def __init__(self, calls: Calls, most: int) -> None:
        self._calls = calls
        self.left = most
        """Calls that may still be made."""

    def read(self, company: str, wanted: set[Series], first: int, last: int) -> Counter[Point] | None:
        """Read the points of some series of one company.

        All dimensions come in one list; they are read one by one where that list is too long.

        Args:
            company: Its `_id`.
            wanted: The series.
            first: The first day, since 1970.
            last: The last day.

        Returns:
            The points; None if the list could not be read to its end within the calls left.

        Raises:
            CallError: A call brought no usable answer.
            FailedError: Planhat refused the list.
        """
        query: dict[str, str | int] = {"cId": company, "from": first, "to": last}
        dimensions = sorted({series.dimension for series in wanted})
        points = self._list(query, wanted, len(dimensions))
        if points is not None:
            return points
        points = Counter()
        for dimension in dimensions:
            part = self._list({**query, "dimid": dimension}, wanted, self.left)
            if part is None:
                return None
            points.update(p for p in part.elements() if p.series.dimension == dimension)
        return points

    def _list(self, query: dict[str, str | int], wanted: set[Series], most: int) -> Counter[Point] | None:
        most = min(most, self.left)
        if not most:
            return None
        calls, cut = 1, False

        def enough() -> bool:
            nonlocal calls, cut
            cut = calls >= most
            calls += not cut
            return cut

        try:
            pages = self._calls.list(OBJECTS["metric"].path, query, limit=PAGE_ROWS, enough=enough)
            points = Counter(_wanted(pages, wanted))
        finally:
            self.left -= calls
        return None if cut else points


def _wanted(pages: Iterable[list[dict[str, object]]], wanted: set[Series]) -> Iterable[Point]:
    for page in pages:
        for item in page:
            series = _series(item)
            if series in wanted:
                yield _point(series, item)


def _series(item: dict[str, object]) -> Series:
    parent = item.get("parentId")
    if parent is None and item.get("model") in (None, "Company"):
        parent = item.get("companyId")
    dimension = item.get("dimensionId")
    if not isinstance(parent, str) or not isinstance(dimension, str):
        raise _unreadable("names no record or no dimension")
    return Series(parent, dimension)


def _point(series: Series, item: dict[str, object]) -> Point:
    value, time = item.get("value"), item.get("time")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _unreadable("has a value that is no number")
    try:
        return Point(series, float(value), moment(str(time)))
    except (ValueError, OverflowError):
        raise _unreadable("has no time that can be read") from None


def _unreadable(what: str) -> UnreadableAnswerError:
    return UnreadableAnswerError(
        f"GET /dimensiondata was answered with a metric point that {what}.",
        hint="Check that PLANHAT_REGION or PLANHAT_API_URL names a Planhat API.",
        maybe_applied=False,
    )
