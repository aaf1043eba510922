"""What Planhat is known to hold near the metric points in doubt: points that were sent, by whichever sync.

Of all known points only those are kept that could be taken for one in doubt, and a few of each series that prove a
list; so this takes no more memory than the doubts themselves, however much was sent before.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Final

from planhat_dbt.declaration.types import FromColumn
from planhat_dbt.deliver.points import DAY, PROOFS, Known, Point, Series, moment, read_text
from planhat_dbt.state.event_times import forgotten_before
from planhat_dbt.state.layout import existing_tables
from planhat_dbt.state.points import known_points

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from planhat_dbt.declaration.types import Sync
    from planhat_dbt.run.desk import Desk
    from planhat_dbt.state.doubts import Doubt
    from planhat_dbt.warehouse.port import Session

_EPOCH: Final = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - as our own time columns: UTC, without zone
_FIRST_DAY: Final = (dt.date.min - _EPOCH.date()).days
_LAST_DAY: Final = (dt.date.max - _EPOCH.date()).days


def read_known(desk: Desk, sync: Sync, doubts: Sequence[tuple[Doubt, Point]]) -> Known:
    """Read what the snapshot tables of all metrics say near points in doubt.

    Args:
        desk: What the run shares.
        sync: The sync of the doubts.
        doubts: Each with its point.
    """
    near = _Near(point for _, point in doubts)
    parents = {doubt.record: point.series.parent for doubt, point in doubts}
    if not parents:
        return near.known
    between = _days(point.at for _, point in doubts)
    with desk.context.warehouse.open() as session:
        present = existing_tables(session, desk.tables)
        for other in _metric_syncs(desk, sync):
            columns = present.get(f"snapshot__{other.name}")
            if columns is None:
                continue
            for part in known_points(session, desk.tables, other.name, columns, sync.name, between):
                for model, external_id, dimension, value, date in part:
                    parent, read = parents.get((model, external_id)), read_text(value, date)
                    if parent and read:
                        near.add(Point(Series(parent, dimension), *read))
            near.known.forgotten = max(near.known.forgotten, _forgotten(desk, session, other))
    return near.known


def _days(times: Iterable[int]) -> tuple[dt.datetime, dt.datetime]:
    """The days of some times, in milliseconds since 1970, and one more at either end, within the years 1 to 9999."""
    days = [at // DAY for at in times]
    first, last = max(min(days) - 1, _FIRST_DAY), min(max(days) + 2, _LAST_DAY)
    return _EPOCH + dt.timedelta(days=first), _EPOCH + dt.timedelta(days=last)


def _metric_syncs(desk: Desk, own: Sync) -> Iterator[Sync]:
    yield own
    for sync in desk.context.all_syncs:
        if sync.object.name == "metric" and sync.name != own.name:
            yield sync


def _forgotten(desk: Desk, session: Session, sync: Sync) -> float:
    """Say before which time points of a sync may be in Planhat of which the keys are forgotten."""
    found = forgotten_before(session, desk.tables, sync.name)
    if found is None:
        return -math.inf
    before, column = found
    dated_by = next((f.source for f in sync.fields if f.target == "date"), None)
    if isinstance(dated_by, FromColumn) and dated_by.column.casefold() == column.casefold():
        return moment(before.isoformat())
    return math.inf  # the time by which keys are forgotten says nothing of the points' dates


class _Near:
    """Sorts known points."""

    def __init__(self, points: Iterable[Point]) -> None:
        self.known = Known()
        self._days: set[tuple[Series, float, int]] = set()
        self._spans: dict[Series, tuple[int, int]] = {}
        for series, value, at in points:
            self._days.update((series, value, at // DAY + step) for step in (-1, 0, 1))
            first, last = self._spans.get(series, (at, at))
            self._spans[series] = (min(first, at), max(last, at))

    def add(self, point: Point) -> None:
        """Take a known point into account."""
        if point.series not in self._spans:
            return
        if (point.series, point.value, point.at // DAY) in self._days:
            self.known.near[point] += 1
        first, last = self._spans[point.series]
        proofs = self.known.proofs.setdefault(point.series, [])
        if (
            len(proofs) < PROOFS and first - DAY <= point.at <= last + DAY
        ):  # within the days that are asked for
            proofs.append(point)
