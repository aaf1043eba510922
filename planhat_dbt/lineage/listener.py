"""Listens to a run, and tells OpenLineage of its syncs: one START each, one COMPLETE, FAIL or ABORT."""

from __future__ import annotations

import datetime as dt
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from planhat_dbt.lineage.emitter import Emitter, open_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openlineage.client.event_v2 import RunEvent

    from planhat_dbt.binding import BoundSync
    from planhat_dbt.declaration.types import Sync
    from planhat_dbt.lineage.events import Place
    from planhat_dbt.plan import SyncPlan
    from planhat_dbt.planhat import Endpoint
    from planhat_dbt.result import SyncResult
    from planhat_dbt.run.context import Context, Listener
    from planhat_dbt.warehouse.port import Column


class LineageListener:
    """Passes on what it hears, and sends an event for it."""

    def __init__(self, inner: Listener, emitter: Emitter, place: Place, syncs: dict[str, Sync]) -> None:
        self._inner = inner
        self._emitter = emitter
        self._place = place
        self._syncs = syncs
        self._columns: dict[str, tuple[Column, ...]] = {}
        self._failed = False

    def notice(self, text: str) -> None:
        """Pass it on."""
        self._inner.notice(text)

    def comparing(self, bound: BoundSync) -> None:
        """A sync begins, unless it had begun: a sealed plan is compared twice."""
        self._inner.comparing(bound)
        if bound.name not in self._columns:
            self._start(bound.sync, bound.table)

    def planned(self, plan: SyncPlan) -> None:
        """Pass it on."""
        self._inner.planned(plan)

    def delivered(self, sync: Sync, rows: int, of: int) -> None:
        """Pass it on."""
        self._inner.delivered(sync, rows, of)

    def finished(self, result: SyncResult) -> None:
        """A sync ended; of one whose model another dbt run builds there is nothing to tell."""
        self._inner.finished(result)
        if result.not_due:
            return
        sync = self._syncs[result.sync]
        if sync.name not in self._columns:
            self._start(sync, ())
        from planhat_dbt.lineage.events import ended  # noqa: PLC0415 - the client is an extra

        self._send(lambda: ended(self._place, sync, self._columns[sync.name], result))

    def _start(self, sync: Sync, columns: tuple[Column, ...]) -> None:
        from planhat_dbt.lineage.events import started  # noqa: PLC0415 - as above

        self._columns[sync.name] = columns
        self._send(lambda: started(self._place, sync, columns))

    def _send(self, event: Callable[[], RunEvent]) -> None:
        try:
            self._emitter.send(event())
        except Exception as error:  # noqa: BLE001 - lineage is told beside a sync, never instead of it
            if not self._failed:
                self._inner.notice(f"OpenLineage: an event could not be made ({type(error).__name__}).")
            self._failed = True


@contextmanager
def telling_openlineage(
    context: Context, inner: Listener, run_id: str, endpoint: Endpoint
) -> Iterator[Listener]:
    """Listen to a run and tell OpenLineage, if the project asks for it; else only pass on what is heard.

    Args:
        context: The run's context.
        inner: Who is told of everything.
        run_id: Of the run.
        endpoint: Where the run sends to.

    Raises:
        UsageError: The project asks for it, and the client is not installed.
    """
    settings = context.settings
    disabled = os.environ.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true"
    client = None if disabled or not settings.openlineage else open_client(inner.notice)
    if client is None:
        yield inner
        return
    from planhat_dbt.lineage.events import Place, dbt_parent, fields_written, read_parent  # noqa: PLC0415 - as above

    given = read_parent(os.environ.get("OPENLINEAGE_PARENT_ID", ""))
    namespace = settings.openlineage_namespace
    place = Place(
        run_id=run_id,
        started_at=dt.datetime.now(dt.UTC),
        namespace=namespace,
        warehouse=context.data_source,
        planhat=endpoint.api_host,
        fields=fields_written(context.all_syncs),
        redact=endpoint.redact,
        parent=given or dbt_parent(namespace, context.manifest.project_name, context.invocation_id),
        root=read_parent(os.environ.get("OPENLINEAGE_ROOT_PARENT_ID", "")) if given else None,
    )
    emitter = Emitter(client, inner.notice)
    try:
        yield LineageListener(inner, emitter, place, {s.name: s for s in context.all_syncs})
    finally:
        emitter.close(settings.openlineage_timeout)
