"""What people and programs read of plans and runs: golden texts on small values."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from textwrap import dedent

import pytest

from planhat_dbt import __version__
from planhat_dbt.errors import FailedError
from planhat_dbt.guards import Refusal
from planhat_dbt.plan import HELD_CODES, REJECTED_CODES, Operation, SampleRow, SyncPlan
from planhat_dbt.report.document import as_json, plan_document, result_document, write_results
from planhat_dbt.report.markdown import plan_markdown
from planhat_dbt.report.text import show_plan, show_result
from planhat_dbt.report.wording import aside, estimate, number, value
from planhat_dbt.result import Counts, RunResult, Status, SyncResult

PLAN = SyncPlan(
    "companies", "dim_companies", "company", "upsert", 12_345, 12_000,
    {Operation.INSERT: 345, Operation.UPDATE: 2, Operation.CLEAR: 1, Operation.DELETE: 3},
    {"duplicate_key": 2, "parent_missing": 4}, 5000,
    samples=(
        SampleRow(Operation.INSERT, "c-1", {"name": (None, "Acme | <b>"), "tags": (None, ["a"])}),
        SampleRow(Operation.UPDATE, "c-2", {"phase": ("old\nline", None), "custom.Seats": (1, 2.5)}),
        SampleRow(Operation.DELETE, "c-3", {}),
    ),
)  # fmt: skip
COMPANIES = SyncResult("companies", "dim_companies", "company", "upsert", Status.SUCCESS, plan=PLAN,
                       counts=Counts(345, 2, 1, 3, 4, 2), calls=5, seconds_compare=0.12345, failing=2)  # fmt: skip
GATED = SyncResult(
    "people", "dim_people", "enduser", "upsert", Status.GATED, "dbt tests did not pass: x (fail)"
)
METRIC = SyncResult("points", "f", "metric", "insert", Status.NOTHING_TO_DO,
                    plan=SyncPlan("points", "f", "metric", "insert", 0, 0, {}, {}, 5000))  # fmt: skip
RUN = RunResult(
    "0190-run",
    "inv-1",
    "dev",
    "sync",
    dt.datetime.fromisoformat("2024-01-01T10:00:00"),
    dt.datetime.fromisoformat("2024-01-01T10:00:02.500"),
    (COMPANIES, GATED, METRIC),
    calls=5,
    bytes_sent=1024 * 1024 * 3,
)


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").splitlines()]


def test_a_plan_on_a_terminal(capsys):
    show_plan("dev", [COMPANIES, GATED, METRIC], 200)
    assert lines(capsys.readouterr().out) == lines(dedent("""
        sync       object   in model  insert  update  clear  delete  held  rejected  calls
        companies  company    12,345     345       2      1       3     4         2      5
        people     enduser                                                           gated
        points     metric          0

        companies
          + c-1  name Acme | <b>  tags ["a"]
          ~ c-2  phase old\\nline → null  custom.Seats 1 → 2.5
          - c-3

        people gated: dbt tests did not pass: x (fail)

        companies: 2 rows rejected (duplicate_key): other rows with the same key.
        companies: 4 rows held (parent_missing): what it refers to is not in Planhat yet.

        Target dev: 351 rows in 5 calls. Nothing was sent.
        After a sync, see which rows these are: planhat-dbt failures
    """))  # fmt: skip


def test_a_result_on_a_terminal(capsys):
    show_result(RUN)
    assert lines(capsys.readouterr().out) == lines(dedent("""
        sync       object   status         inserted  updated  cleared  deleted  held  rejected  calls
        companies  company  success             345        2        1        3     4         2      5
        people     enduser  gated
        points     metric   nothing_to_do

        people gated: dbt tests did not pass: x (fail)

        gated: 351 rows sent in 5 calls (3.0 MiB), 2.5 s, run 0190-run
        See why rows did not go through: planhat-dbt failures
    """))  # fmt: skip


def test_a_plan_in_a_pull_request():
    assert plan_markdown("dev", [COMPANIES, GATED, METRIC], 200).splitlines() == lines(dedent("""
        ### Planhat plan for target `dev`

        | sync | object | in model | insert | update | clear | delete | held | rejected | calls |
        | --- | --- | --: | --: | --: | --: | --: | --: | --: | --: |
        | companies | company | 12,345 | 345 | 2 | 1 | 3 | 4 | 2 | 5 |
        | people | enduser |  |  |  |  |  |  |  | gated |
        | points | metric | 0 |  |  |  |  |  |  |  |

        351 rows in 5 calls.

        - **people** gated: dbt tests did not pass: x (fail)
        - **companies**: 2 rows rejected (duplicate_key): other rows with the same key
        - **companies**: 4 rows held (parent_missing): what it refers to is not in Planhat yet

        <details><summary>companies</summary>

        | | key | field | old | new |
        |-|-|-|-|-|
        | + | c-1 | name |  | Acme \\| &lt;b> |
        | + | c-1 | tags |  | ["a"] |
        | ~ | c-2 | phase | old\\nline | null |
        | ~ | c-2 | custom.Seats | 1 | 2.5 |
        | - | c-3 |  |  |  |

        </details>
    """))  # fmt: skip


def test_a_plan_for_programs():
    found = json.loads(as_json(plan_document("dev", [COMPANIES, GATED])))
    assert found["metadata"] == {"planhat_dbt_version": __version__, "target": "dev"}
    companies, people = found["results"]
    assert companies["operations"] == {"insert": 345, "update": 2, "clear": 1, "delete": 3}
    assert companies["set_aside"] == {"duplicate_key": 2, "parent_missing": 4}
    assert (companies["rows_in_model"], companies["rows_known"], companies["calls"]) == (12345, 12000, 5)
    assert companies["samples"][1] == {
        "operation": "update",
        "key": "c-2",
        "changes": {"phase": ["old\nline", None], "custom.Seats": [1, 2.5]},
    }
    assert people == {"sync": "people", "model": "dim_people", "object": "enduser", "mode": "upsert", "status": "gated",
                      "reason": "dbt tests did not pass: x (fail)"}  # fmt: skip


def test_a_run_for_programs(tmp_path):
    document = write_results(tmp_path, RUN)
    text = (tmp_path / "planhat_results.json").read_text()
    found = json.loads(text)
    assert found["metadata"] == {
        "planhat_dbt_version": __version__, "run_id": "0190-run", "invocation_id": "inv-1", "target": "dev",
        "command": "sync", "started_at": "2024-01-01T10:00:00Z", "finished_at": "2024-01-01T10:00:02.500000Z",
        "status": "gated", "exit_code": 1}  # fmt: skip
    assert found["results"][0] == {
        "sync": "companies", "model": "dim_companies", "object": "company", "mode": "upsert", "status": "success",
        "reason": None, "rows_in_model": 12345, "inserted": 345, "updated": 2, "cleared": 1, "deleted": 3, "held": 4,
        "rejected": 2, "unknown": 0, "noted": {}, "calls": 5, "seconds_compare": 0.123,
        "seconds_deliver": 0.0}  # fmt: skip
    assert found["totals"] == {"inserted": 345, "updated": 2, "cleared": 1, "deleted": 3, "held": 4, "rejected": 2,
                               "unknown": 0, "calls": 5, "bytes_sent": 3145728}  # fmt: skip
    assert json.loads(as_json(document)) == found == json.loads(as_json(result_document(RUN)))


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(FailedError, match="cannot be written") as caught:
        write_results(tmp_path / "no such folder", RUN)
    assert "recorded in the warehouse" in caught.value.hint


def test_a_refusal_is_shown_in_full(capsys):
    refusal = Refusal(
        "companies", "removals", 50, 100, "10%", "50 of 100 rows (50.0%) would be removed; the limit is x."
    )
    show_plan(
        "dev",
        [SyncResult("companies", "m", "company", "upsert", Status.REFUSED, str(refusal), PLAN, refusal)],
        200,
    )
    assert "planhat-dbt sync --allow-removals companies" in " ".join(capsys.readouterr().out.split())


def test_rows_that_a_guard_refuses_are_not_among_those_that_would_be_sent(capsys):
    results = [replace(COMPANIES, sync="refused", status=Status.REFUSED, reason="too many"), COMPANIES]
    show_plan("dev", results, 200)
    assert "Target dev: 351 rows in 5 calls; 351 rows refused. Nothing was sent." in capsys.readouterr().out
    assert "351 rows in 5 calls; 351 rows refused." in plan_markdown("dev", results, 200)


def test_rows_of_unknown_outcome_have_a_column_where_there_are_any(capsys):
    doubtful = replace(
        COMPANIES, plan=replace(PLAN, set_aside={"unknown": 7}), counts=Counts(held=4, unknown=7)
    )
    show_plan("dev", [doubtful, GATED], 200)
    show_result(replace(RUN, results=(doubtful, GATED)))
    plan, result = (line.split() for line in capsys.readouterr().out.splitlines() if "held" in line)
    assert plan[-4:] == result[-4:] == ["held", "unknown", "rejected", "calls"]
    assert "| held | unknown | rejected |" in plan_markdown("dev", [doubtful, GATED], 200)


def test_rows_of_earlier_runs_explain_the_exit_code(capsys):
    run = replace(RUN, results=(replace(GATED, failing=3), METRIC))
    assert run.exit_code == 1
    show_result(run)
    shown = capsys.readouterr().out
    assert "people: 3 rows of earlier runs still rejected or of unknown outcome." in shown
    assert "See why rows did not go through: planhat-dbt failures" in shown


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (None, "null"),
        ("", ""),
        ("x" * 40, "x" * 40),
        ("x" * 41, "x" * 39 + "…"),
        (1.5, "1.5"),
        (True, "true"),
        ({"a": [None]}, '{"a":[null]}'),
    ],
)
def test_values(found, shown):
    assert value(found) == shown


def test_numbers():
    assert [number(n) for n in (0, 1, 12345)] == ["", "1", "12,345"]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (0, "0 calls"),
        (1, "1 call"),
        (10_000, "2 calls"),
        (1_000_000, "200 calls"),
        (1_000_001, "201 calls, at least 1 min at 200 calls a minute"),
        (5_000_000, "1,000 calls, at least 4 min at 200 calls a minute"),
    ],
)
def test_estimates(rows, expected):
    counts = {Operation.INSERT: rows} if rows else {}
    one = SyncResult(
        "c",
        "c",
        "company",
        "upsert",
        Status.SUCCESS,
        plan=SyncPlan("c", "c", "company", "upsert", 1, 1, counts, {}, 5000),
    )
    assert estimate([one], 200) == expected


def test_events_are_not_under_the_quota():
    plan = SyncPlan("m", "m", "metric", "insert", 1, 1, {Operation.INSERT: 5_000_000}, {}, 5000)
    assert (
        estimate([SyncResult("m", "m", "metric", "insert", Status.SUCCESS, plan=plan)], 200) == "1,000 calls"
    )


@pytest.mark.parametrize("code", sorted(HELD_CODES | REJECTED_CODES))
def test_a_plan_has_words_for_every_reason_not_to_send(code: str) -> None:
    (text,) = aside(replace(COMPANIES, plan=replace(PLAN, set_aside={code: 1})))
    assert f"({code}): " in text
