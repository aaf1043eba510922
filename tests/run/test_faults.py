"""Whatever breaks on the way, Planhat is the exact mirror of the model after at most one more run (DESIGN §14)."""

from __future__ import annotations

import pytest
from harness import Project

from planhat_dbt.sandbox import Fault, FaultKind
from run.shop import add_companies, company, mirrors

KINDS = [
    Fault(kind=FaultKind.STATUS, status=503),
    Fault(kind=FaultKind.STATUS, status=500),
    Fault(kind=FaultKind.STATUS, status=429, retry_after="1"),
    Fault(kind=FaultKind.STATUS, status=429),
    Fault(kind=FaultKind.STATUS_AFTER, status=504),
    Fault(kind=FaultKind.RESET_BEFORE),
    Fault(kind=FaultKind.RESET_AFTER),
    Fault(kind=FaultKind.TRUNCATED),
    Fault(kind=FaultKind.NOT_JSON),
    Fault(kind=FaultKind.WRONG_COUNTERS, rows=2),
    Fault(kind=FaultKind.LOST_ROWS, rows=2),
    Fault(kind=FaultKind.HANG),
    Fault(kind=FaultKind.HANG_AFTER),
]
every_fault = pytest.mark.parametrize("fault", KINDS, ids=lambda f: f"{f.kind}-{f.status}-{f.retry_after}")


def change_much(project: Project) -> None:
    """Of 30 companies: 10 new, 10 changed, 5 gone."""
    rows = [company(i, **({"phase": "Risk"} if i <= 10 else {})) for i in range(1, 41) if not 20 < i <= 25]
    project.replace("companies", rows)


@pytest.mark.sampled(3)
@every_fault
def test_a_fault_without_retries(project: Project, fault: Fault) -> None:
    """The second of the calls fails for good, in each phase; the next run completes it."""
    project.settings(batch_rows=10, max_tries=1, read_timeout=0.4, max_wait=0.5)
    add_companies(project, 30, on_removed="delete", max_removals="50%")
    for phase in ("first load", "changes"):
        if phase == "changes":
            change_much(project)
        project.sandbox.faults.add(Fault(**{**fault.as_json(), "method": "PUT", "skip": 1}))
        first = project.sync(code=None)
        assert first.writes[1].fault == fault.kind
        project.sync()
        assert mirrors(project)
        assert project.failures() == {}
        project.quiet()


@pytest.mark.sampled(3)
@every_fault
def test_a_passing_fault_is_got_over_in_the_same_run(project: Project, fault: Fault) -> None:
    project.settings(batch_rows=10, read_timeout=0.4)
    add_companies(project, 30)
    project.sandbox.faults.add(Fault(**{**fault.as_json(), "method": "PUT", "skip": 1}))
    # A pause longer than this project waits; rows that an answer does not speak of count as dropped.
    lasting = (fault.status, fault.retry_after) == (429, "")
    lasting |= fault.kind in (FaultKind.WRONG_COUNTERS, FaultKind.LOST_ROWS)
    outcome = project.sync(code=None if lasting else 0)
    if lasting and outcome.code:
        project.sync()
    assert mirrors(project)
    project.quiet()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.STATUS, status=503),
        Fault(kind=FaultKind.RESET_AFTER),
        Fault(kind=FaultKind.STATUS, status=429),
    ],
    ids=lambda f: f"{f.kind}-{f.status}",
)
def test_deletes_under_faults(project: Project, fault: Fault) -> None:
    project.settings(max_tries=1, max_wait=0.5)
    add_companies(project, 12, on_removed="delete", max_removals="100%")
    project.sync()
    project.replace("companies", [company(1), company(2)])
    project.sandbox.faults.add(Fault(**{**fault.as_json(), "method": "DELETE", "skip": 2, "count": 3}))
    project.sync(code=None)
    project.sandbox.faults.clear()  # how many of them the first run met depends on how many calls were under way
    project.sync()
    assert mirrors(project)
    assert project.failures() == {}
    project.quiet()


def test_a_dead_service_stops_the_sync_and_holds_the_rest(project: Project) -> None:
    project.settings(batch_rows=10, max_tries=1)
    add_companies(project, 200)
    project.sandbox.faults.add(Fault(kind=FaultKind.STATUS, path="/companies", status=503, count=None))
    outcome = project.sync(code=1)
    assert len(outcome.calls) < 10  # the breaker
    assert outcome.status("companies") == "failed"
    counts = outcome.counts("companies")
    assert counts.keys() <= {"held", "unknown"}
    assert sum(counts.values()) == 200
    project.sandbox.faults.clear()
    project.sync()
    assert mirrors(project)
    assert project.failures() == {}


def test_a_revoked_token_stops_the_run_at_once(project: Project) -> None:
    project.settings(batch_rows=10)
    add_companies(project, 30)
    project.model(
        "assets",
        {
            "object": "asset",
            "match": {"externalId": "id"},
            "fields": {"name": "id", "companyId": {"company": "c"}},
        },
        {"id": "varchar", "c": "varchar"},
        [("a-1", "c-1")],
    )
    project.sandbox.faults.add(Fault.token_revoked(after_calls=2))
    outcome = project.sync(code=1)
    assert [(call.method, call.status) for call in outcome.calls] == [
        ("GET", 200),
        ("PUT", 200),
        ("PUT", 401),
    ]
    assert outcome.counts("companies") == {"inserted": 10, "held": 20}
    assert len(project.snapshot("companies")) == 10
    assert "PLANHAT_API_TOKEN" in outcome.told
    assert outcome.status("assets") == "failed"
    project.sandbox.faults.clear()
    outcome = project.sync()
    assert outcome.counts("companies") == {"inserted": 20}
    assert outcome.counts("assets") == {"inserted": 1}
    assert mirrors(project)


def test_a_wrong_token(project: Project) -> None:
    add_companies(project, 3)
    outcome = project.sync(code=1, env={"PLANHAT_API_TOKEN": "some-other-token"})
    assert [call.status for call in outcome.calls] == [401]
    assert "some-other-token" not in outcome.told
    assert project.snapshot("companies") == {}
    project.sync()
    assert mirrors(project)
