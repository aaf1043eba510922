"""One sync as OpenLineage run events: what it read, what it wrote, which column feeds which field (decision 33).

Names of datasets follow OpenLineage's naming; numbers are rows. No row and no secret is in an event.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    JobFacet,
    RunFacet,
    column_lineage_dataset,
    documentation_job,
    error_message_run,
    input_statistics_input_dataset,
    job_type_job,
    output_statistics_output_dataset,
    parent_run,
    processing_engine_run,
    schema_dataset,
    set_producer,
    tags_run,
)
from openlineage.client.uuid import generate_static_uuid

from planhat_dbt import __version__
from planhat_dbt.declaration.types import FromColumn
from planhat_dbt.report.wording import counted
from planhat_dbt.result import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from planhat_dbt.declaration.types import FieldMapping, Sync
    from planhat_dbt.result import SyncResult
    from planhat_dbt.warehouse.port import Column

PRODUCER: Final = f"urn:planhat-dbt:{__version__}"
set_producer(PRODUCER)
_ENDS: Final = {
    Status.SUCCESS: RunState.COMPLETE,
    Status.NOTHING_TO_DO: RunState.COMPLETE,
    Status.PARTIAL: RunState.COMPLETE,
    Status.FAILED: RunState.FAIL,
    Status.GATED: RunState.ABORT,
    Status.REFUSED: RunState.ABORT,
    Status.INTERRUPTED: RunState.ABORT,
}


@dataclass(frozen=True, slots=True)
class Parent:
    """The run that ours is a part of."""

    namespace: str
    job: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Place:
    """What holds for all events of a run."""

    run_id: str
    """Of our run, as in `runs`."""
    started_at: dt.datetime
    namespace: str
    """Of the jobs."""
    warehouse: str
    """Namespace of the models' tables."""
    planhat: str
    """Host of Planhat's API."""
    fields: Mapping[str, Mapping[str, str]]
    """Object → field → type, of all that the project's syncs write."""
    redact: Callable[[str], str]
    """Takes secrets out of a message."""
    parent: Parent | None = None
    root: Parent | None = None
    """The run at the top, where it is known to be another than the parent."""


def read_parent(given: str) -> Parent | None:
    """Read `OPENLINEAGE_PARENT_ID`: `namespace/job/run id`; None where it is not that."""
    parts = given.strip().rsplit("/", 2)
    return Parent(*parts) if len(parts) == 3 and all(parts) and _is_uuid(parts[2]) else None


def dbt_parent(namespace: str, project: str, invocation_id: str) -> Parent | None:
    """Name dbt's invocation as the run that ours is a part of."""
    return Parent(namespace, f"dbt-run-{project}", invocation_id) if _is_uuid(invocation_id) else None


def fields_written(syncs: Iterable[Sync]) -> dict[str, dict[str, str]]:
    """Object → field → type: several syncs may write one object, and each event tells of the whole."""
    found: dict[str, dict[str, str]] = {}
    for sync in syncs:
        types = found.setdefault(sync.object.name, {})
        types |= {m.target: m.field.type.value for m in sync.fields}
        if sync.match:
            types.setdefault(sync.match.field, "id" if sync.match.field == "_id" else "text")
    return found


def started(place: Place, sync: Sync, columns: Sequence[Column]) -> RunEvent:
    """The event of a sync that begins; `columns` are those of the built table, none where they are not known."""
    return _event(place, sync, RunState.START, _input(place, sync, columns), _output(place, sync))


def ended(place: Place, sync: Sync, columns: Sequence[Column], result: SyncResult) -> RunEvent:
    """The event of a sync that ended, whichever way."""
    read = _input(place, sync, columns)
    written = _output(place, sync)
    if result.plan is not None:
        rows = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
            rowCount=result.plan.rows_in_model
        )
        read.inputFacets = {"inputStatistics": rows}
    sent = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=result.counts.sent)
    written.outputFacets = {"outputStatistics": sent}
    return _event(place, sync, _ENDS[result.status], read, written, place.redact(_message(result)))


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _event(
    place: Place, sync: Sync, state: RunState, read: InputDataset, written: OutputDataset, message: str = ""
) -> RunEvent:
    run_id = generate_static_uuid(place.started_at, f"{place.run_id}/{sync.name}".encode())
    return RunEvent(
        eventTime=dt.datetime.now(dt.UTC).isoformat(),
        eventType=state,
        producer=PRODUCER,
        run=Run(str(run_id), _run_facets(place, message)),
        job=Job(place.namespace, sync.name, _job_facets(sync)),
        inputs=[read],
        outputs=[written],
    )


def _run_facets(place: Place, message: str) -> dict[str, RunFacet]:
    facets: dict[str, RunFacet] = {
        "processing_engine": processing_engine_run.ProcessingEngineRunFacet(
            version=__version__, name="planhat_dbt"
        ),
        "tags": tags_run.TagsRunFacet(
            tags=[tags_run.TagsRunFacetFields("planhat_dbt_run_id", place.run_id, source="PLANHAT_DBT")]
        ),
    }
    if place.parent:
        root = place.root or place.parent
        facets["parent"] = parent_run.ParentRunFacet(
            run=parent_run.Run(place.parent.run_id),
            job=parent_run.Job(place.parent.namespace, place.parent.job),
            root=parent_run.Root(
                run=parent_run.RootRun(root.run_id), job=parent_run.RootJob(root.namespace, root.job)
            ),
        )
    if message:
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(message, programmingLanguage="PYTHON")
    return facets


def _job_facets(sync: Sync) -> dict[str, JobFacet]:
    told = f"{sync.model.name} to Planhat {sync.object.plural}, mode {sync.mode.value}"
    return {
        "jobType": job_type_job.JobTypeJobFacet(
            processingType="BATCH", integration="PLANHAT_DBT", jobType="SYNC"
        ),
        "documentation": documentation_job.DocumentationJobFacet(description=told),
    }


def _table(sync: Sync) -> str:
    relation = sync.model.relation
    return ".".join((relation.database, relation.schema, relation.identifier))


def _input(place: Place, sync: Sync, columns: Sequence[Column]) -> InputDataset:
    fields = [schema_dataset.SchemaDatasetFacetFields(name=c.name, type=c.type) for c in columns]
    facets: dict[str, Any] = {"schema": schema_dataset.SchemaDatasetFacet(fields=fields)} if fields else {}
    return InputDataset(namespace=place.warehouse, name=_table(sync), facets=facets)


def _output(place: Place, sync: Sync) -> OutputDataset:
    types = sorted(place.fields[sync.object.name].items())
    fields = [schema_dataset.SchemaDatasetFacetFields(name=name, type=kind) for name, kind in types]
    return OutputDataset(
        namespace=f"planhat://{place.planhat}",
        name=sync.object.name,
        facets={
            "schema": schema_dataset.SchemaDatasetFacet(fields=fields),
            "columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet(_column_lineage(place, sync)),
        },
    )


def _column_lineage(place: Place, sync: Sync) -> dict[str, column_lineage_dataset.Fields]:
    """Planhat field → the model column that feeds it; constants come from none."""
    found: dict[str, column_lineage_dataset.Fields] = {}
    if sync.match:
        found[sync.match.field] = _from(place, sync, sync.match.column, "IDENTITY")
    for mapping in sync.fields:
        if mapping.model_column is not None:
            found[mapping.target] = _from(place, sync, mapping.model_column, _subtype(mapping))
    return dict(sorted(found.items()))


def _subtype(mapping: FieldMapping) -> str:
    return "IDENTITY" if isinstance(mapping.source, FromColumn) else "TRANSFORMATION"


def _from(place: Place, sync: Sync, column: str, subtype: str) -> column_lineage_dataset.Fields:
    step = column_lineage_dataset.Transformation(
        type="DIRECT", subtype=subtype, description="", masking=False
    )
    field = column_lineage_dataset.InputField(place.warehouse, _table(sync), column, [step])
    return column_lineage_dataset.Fields([field])


def _message(result: SyncResult) -> str:
    """What went wrong, without a row's key or value of our own saying; empty: nothing did."""
    if result.refusal:
        return f"refused: {result.refusal.reason}"
    if result.reason:
        return re.sub(r"\s+", " ", f"{result.status.value}: {result.reason}")
    counts = result.counts
    told = {"held": counts.held, "rejected": counts.rejected, "of unknown outcome": counts.unknown}
    parts = [f"{counted(n, 'row')} {what}" for what, n in told.items() if n]
    return f"{result.status.value}: {', '.join(parts)}" if parts else ""
