"""Who is meant by a bulk answer: answers by hand, then any answer a server may give (planhat-api §5.1, §13)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planhat_dbt.deliver.bulk import BulkCourier
from planhat_dbt.deliver.courier import Limits
from planhat_dbt.deliver.judge import Verdict, judge
from planhat_dbt.deliver.payload import Batch
from planhat_dbt.deliver.written import SentRow
from planhat_dbt.outcome import RowStatus
from planhat_dbt.planhat import Answer, read_bulk


def oid(number: int) -> str:
    return f"{number:024x}"


def sent(spec: str) -> list[SentRow]:
    """`+a` inserts key a; `~b` updates b by its key; `~c#3` updates c by `_id` 3; `o…` clears."""
    operations = {"+": "insert", "~": "update", "o": "clear"}
    rows = []
    for number, word in enumerate(spec.split(), start=1):
        key, _, planhat_id = word[1:].partition("#")
        item = orjson.dumps({"externalId": key})
        rows.append(
            SentRow(number, key, operations[word[0]], oid(int(planhat_id)) if planhat_id else None, item)
        )
    return rows


def keys(*names: str, match: str = "externalId") -> list[dict[str, str]]:
    return [{"_id": oid(900 + i), match: name} for i, name in enumerate(names)]


def verdict(rows: list[SentRow], status: int = 200, match: str | None = "externalId", **body: Any) -> Verdict:
    return judge(rows, read_bulk(Answer(status, {}, orjson.dumps({"created": 0, **body}))), match)


def told(found: Verdict) -> dict[str, Any]:
    """Keys by what became of them; those accepted are not listed."""
    result: dict[str, Any] = {}
    if found.refused:
        result["refused"] = {r.row.key: r.code for r in found.refused}
    for name in ("again", "unsure"):
        rows = getattr(found, name)
        if rows:
            assert len({r.row for r in rows}) == len(rows), f"a row is {name} twice"
            result[name] = "".join(sorted(r.key for r in rows))
    return result


DUPLICATE = "externalId,email duplicated"
CASES: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    # what, rows, answer, expected
    ("all created", "+a +b", {"created": 2, "insertsKeys": keys("a", "b")}, {}),
    ("all changed", "~a#1 ~b", {"updated": 2, "updatesKeys": keys("a", "b")}, {}),
    ("all equal already", "+a ~b", {"nonupdates": 2}, {}),
    ("a mix of all three", "+a ~b +c", {"created": 1, "insertsKeys": keys("a"), "updated": 1,
        "updatesKeys": keys("b"), "nonupdates": 1}, {}),
    ("an insert that matched a record", "+a", {"updated": 1, "updatesKeys": keys("a")}, {}),
    ("errors that name keys", "+a +b", {"created": 1, "insertsKeys": keys("a"),
        "createdErrors": [{"externalId": "b", "message": DUPLICATE}]}, {"refused": {"b": "refused"}}),
    ("errors that name keys of rows that passed unnamed", "+a +b +c", {"nonupdates": 2,
        "createdErrors": [{"item": {"externalId": "b"}, "message": DUPLICATE}]}, {"refused": {"b": "refused"}}),
    ("an error that names an id", "~a#1 +b", {"nonupdates": 1,
        "permissionErrors": [{"_id": oid(1), "message": "no"}]}, {"refused": {"a": "permission"}}),
    ("an error that names nothing, all others named", "+a +b", {"created": 1, "insertsKeys": keys("a"),
        "createdErrors": [DUPLICATE]}, {"refused": {"b": "refused"}}),
    ("an error that names nothing among unchanged rows", "+a +b +c", {"nonupdates": 2,
        "updatedErrors": [DUPLICATE]}, {"unsure": "abc"}),
    ("named changes narrow the doubt", "+a +b +c +d", {"created": 2, "insertsKeys": keys("a", "b"),
        "nonupdates": 1, "updatedErrors": [DUPLICATE]}, {"unsure": "cd"}),
    ("all refused, nobody named", "+a +b", {"createdErrors": ["x", "y"]},
        {"refused": {"a": "refused", "b": "refused"}}),
    ("one row refused for two reasons", "+a", {"createdErrors": ["x"], "validationErrors": ["y"]},
        {"refused": {"a": "refused"}}),
    ("permission and content, nobody named", "+a +b", {"createdErrors": ["x"], "permissionErrors": ["y"]},
        {"unsure": "ab"}),
    ("a permission error", "+a", {"permissionErrors": [{"externalId": "a", "message": "no right"}]},
        {"refused": {"a": "permission"}}),
    ("nobody named, one dropped besides", "+a +b +c", {"createdErrors": ["x"], "created": 1,
        "insertsKeys": keys("c")}, {"unsure": "ab"}),
    ("all dropped in silence", "+a +b", {}, {"refused": {"a": "dropped", "b": "dropped"}}),
    ("one dropped, the others named", "+a +b", {"created": 1, "insertsKeys": keys("a")},
        {"refused": {"b": "dropped"}}),
    ("one dropped among unchanged rows", "+a +b +c", {"nonupdates": 2}, {"unsure": "abc"}),
    ("counts above the rows", "+a", {"nonupdates": 3}, {"unsure": "a"}),
    ("more named than counted", "+a +b", {"created": 1, "insertsKeys": keys("a", "b")}, {}),
    ("more named than counted, and one not named", "+a +b +c", {"created": 1,
        "insertsKeys": keys("a", "b")}, {"unsure": "c"}),
    ("an update answered as created", "~a ~b", {"created": 1, "insertsKeys": keys("a"), "updated": 1,
        "updatesKeys": keys("b")}, {"again": "a"}),
    ("an update by id answered as created", "~a#1", {"created": 1, "insertsKeys": keys("a")}, {"again": "a"}),
    ("a clear answered as created", "oa", {"created": 1, "insertsKeys": keys("a")}, {"again": "a"}),
    ("created where one insert was equal", "+a ~b", {"created": 1, "insertsKeys": keys("b"),
        "nonupdates": 1}, {"again": "b"}),
    ("more created than inserts, unnamed: a part may stand alone now", "~a ~b +c", {"created": 2,
        "nonupdates": 1}, {"again": "ab"}),
    ("more created than inserts, one named", "~a ~b ~c", {"created": 2, "insertsKeys": keys("a"),
        "nonupdates": 1}, {"again": "abc"}),
    ("more created than inserts, the unchanged one named as changed", "~a ~b", {"created": 1, "updated": 1,
        "updatesKeys": keys("b")}, {"again": "a"}),
    ("an update answered as created beside an error", "~a +b", {"created": 1, "insertsKeys": keys("a"),
        "createdErrors": [DUPLICATE]}, {"again": "a", "refused": {"b": "refused"}}),
    ("an unnamed stump beside a named error", "~a +b", {"created": 1,
        "createdErrors": [{"externalId": "b", "message": DUPLICATE}]}, {"again": "a", "refused": {"b": "refused"}}),
    ("an update by an id that is gone", "~a#1 ~b#2", {"updated": 1, "updatesKeys": [{"_id": oid(2)}],
        "updatedErrors": ["_id not found"]}, {"again": "a"}),
    ("an update by id without the right to it", "~a#1", {"permissionErrors": ["no right"]},
        {"refused": {"a": "permission"}}),
    ("a key listed twice among the created", "~a ~b", {"created": 2, "insertsKeys": keys("a", "a")},
        {"again": "ab"}),
    ("an error about a row that was created", "+a +b", {"created": 1, "insertsKeys": keys("a"),
        "createdErrors": [{"externalId": "a", "message": "x"}]}, {"refused": {"a": "refused", "b": "dropped"}}),
    ("the same row refused twice, the other dropped", "+a +b",
        {"createdErrors": [{"externalId": "a", "message": "x"}] * 2}, {"refused": {"a": "refused", "b": "dropped"}}),
]  # fmt: skip


@pytest.mark.parametrize(("what", "rows", "answer", "expected"), CASES, ids=[c[0] for c in CASES])
def test_answers(what, rows, answer, expected):
    assert told(verdict(sent(rows), **answer)) == expected


@pytest.mark.parametrize("status", [200, 206, 400, 403])
def test_the_status_says_nothing_that_the_body_does_not_say(status):
    found = verdict(sent("+a +b"), status, created=1, insertsKeys=keys("a"), createdErrors=["x"])
    assert told(found) == {"refused": {"b": "refused"}}


def test_ids_come_from_both_key_lists():
    found = verdict(sent("+a ~b +c"), created=1, insertsKeys=keys("a"), updated=1,
                    updatesKeys=[{"_id": oid(7), "externalId": "b"}], nonupdates=1)  # fmt: skip
    assert found.ids == (("a", oid(900), True), ("b", oid(7), False))


def test_numbers_sent_as_keys_come_back_as_numbers():
    found = verdict(sent("+7"), created=1, insertsKeys=[{"_id": oid(1), "externalId": 7}])
    assert found.ids == (("7", oid(1), True),)


@pytest.mark.parametrize("match", ["sourceId", "externalId"])
def test_the_declared_key_is_the_one_that_counts(match):
    other = "externalId" if match == "sourceId" else "sourceId"
    found = verdict(sent("+a +b"), match=match, created=1, createdErrors=["x"],
                    insertsKeys=[{"_id": oid(1), match: "a", other: "b"}])  # fmt: skip
    assert told(found) == {"refused": {"b": "refused"}}
    assert [i.key for i in found.ids] == ["a"]


def test_an_email_is_named_by_errors_only():
    rows = sent("+a@x.com +b@x.com")
    found = verdict(rows, match="email", created=1, insertsKeys=[{"_id": oid(1), "externalId": "e1"}],
                    createdErrors=[{"item": {"email": "b@x.com"}, "message": "x"}])  # fmt: skip
    assert told(found) == {"refused": {"b@x.com": "refused"}}
    assert found.ids == ()


def test_an_email_whose_record_is_gone_is_sent_whole():
    # Nothing names it, and sent once more it would read as unchanged: a part would stand alone for ever.
    assert told(verdict(sent("~a@x.com"), match="email", created=1, insertsKeys=[{"_id": oid(1)}])) == {
        "again": "a@x.com"
    }


def test_new_rows_beside_updates_by_email_need_no_second_look():
    found = verdict(
        sent("+a@x.com ~b@x.com"), match="email", created=1, insertsKeys=[{"_id": oid(1)}], updated=1
    )
    assert told(found) == {}


def test_rows_with_ids_only():
    rows = [SentRow(1, oid(1), "update", oid(1), b"{}"), SentRow(2, oid(2), "update", oid(2), b"{}")]
    found = verdict(rows, match="_id", updated=1, updatesKeys=[{"_id": oid(2)}], updatedErrors=["gone"])
    assert [r.row for r in found.again] == [1]


def test_a_refusal_carries_planhats_words():
    found = verdict(sent("+a"), createdErrors=[{"externalId": "a", "message": DUPLICATE}])
    assert found.refused[0].message == DUPLICATE
    joint = verdict(sent("+a +b"), createdErrors=["name is required", "companyId: company not found"])
    assert "name is required; companyId: company not found" in joint.refused[0].message


# -- any answer a server may give, and the calls it takes to tell all rows apart


@dataclass
class Server:
    """Planhat's side of bulk upserts, row by row as decided; it answers in one of the shapes the notes allow."""

    decisions: dict[str, str]
    errors: str
    names: str
    status: str
    calls: int = 0
    applied: set[str] = field(default_factory=set)

    def bulk(self, path: str, body: bytes, *, repeatable: bool) -> Answer:
        self.calls += 1
        assert repeatable
        answer: dict[str, Any] = {"created": 0, "updated": 0, "nonupdates": 0}
        lists: dict[str, list[Any]] = {
            "insertsKeys": [],
            "updatesKeys": [],
            "upsertedIds": [],
            "modified": [],
        }
        failed: dict[str, list[Any]] = {"createdErrors": [], "updatedErrors": [], "permissionErrors": []}
        for row in orjson.loads(body):
            key = row["key"]
            decision = self.decisions[key]
            if decision in ("create", "update", "gone", "unchanged") and key in self.applied:
                decision = "unchanged"
            if decision in ("create", "gone"):
                answer["created"] += 1
                lists["insertsKeys"].append(self._named(key))
                lists["upsertedIds"].append(f"{hash(key) & 0xFFFFFF:024x}")
                self.applied.add(key)
            elif decision == "update":
                answer["updated"] += 1
                lists["updatesKeys"].append(self._named(key))
                self.applied.add(key)
            elif decision == "unchanged":
                answer["nonupdates"] += 1
            elif decision != "drop":
                failed[decision].append(self._error(key, row))
        if self.names == "bare":
            answer["upsertedIds"] = lists["upsertedIds"]
        else:
            answer |= lists
        bad = any(failed.values())
        good = answer["created"] + answer["updated"] + answer["nonupdates"]
        code = (
            403
            if failed["permissionErrors"]
            else (206 if good and self.status == "206" else 400)
            if bad
            else 200
        )
        return Answer(code, {}, orjson.dumps(answer | failed))

    def _named(self, key: str) -> dict[str, str]:
        return {"_id": f"{hash(key) & 0xFFFFFF:024x}"} | ({"externalId": key} if self.names == "keys" else {})

    def _error(self, key: str, row: dict[str, Any]) -> Any:
        return {
            "text": "externalId,email duplicated",
            "object": {"externalId": key, "message": "refused"},
            "nested": {"item": {**row, "externalId": key}, "error": {"message": "refused"}},
            "without_ids": {"message": "refused", "code": 11000},
        }[self.errors]


PASSING = ("create", "update", "unchanged")
FAILING = ("createdErrors", "updatedErrors", "permissionErrors", "drop")


@st.composite
def loads(draw: st.DrawFn) -> tuple[list[SentRow], dict[str, str], Server]:
    size = draw(st.integers(1, 120))
    names = draw(st.sampled_from(["keys", "keys", "ids", "bare"]))
    decisions: dict[str, str] = {}
    rows: list[SentRow] = []
    bad = draw(st.sets(st.integers(0, size - 1), max_size=6))
    for number in range(size):
        key = f"k{number}"
        operation = draw(st.sampled_from(["insert", "update_by_key", "update_by_id"]))
        if number in bad:
            choices = list(FAILING)
            if operation == "update_by_key" and names == "keys":
                choices.append("gone")
        else:
            choices = list(PASSING) if operation == "insert" else ["update", "unchanged"]
        decisions[key] = draw(st.sampled_from(choices))
        planhat_id = oid(number + 1) if operation == "update_by_id" else None
        rows.append(SentRow(number, key, operation[:6], planhat_id, orjson.dumps({"key": key})))
    server = Server(
        decisions,
        errors=draw(st.sampled_from(["text", "object", "nested", "without_ids"])),
        names=names,
        status=draw(st.sampled_from(["206", "400"])),
    )
    return rows, decisions, server


def expected_of(row: SentRow, decision: str) -> tuple[str, str]:
    if decision in PASSING:
        return ("accepted", "")
    if decision == "gone":
        return ("again", "")
    if decision == "permissionErrors":
        return ("rejected", "permission")
    if decision == "drop":
        return ("rejected", "dropped")
    missing = row.planhat_id or (row.operation == "update" and decision == "createdErrors")
    return ("again", "") if missing else ("rejected", "refused")


@settings(max_examples=250, deadline=None)
@given(loads())
def test_every_row_ends_as_the_server_decided(load):
    rows, decisions, server = load
    courier = BulkCourier(server, "/companies", "externalId", Limits(split_calls=10_000))
    outcome = courier.deliver(Batch(1, tuple(rows)))
    found = {e.row: (e.status.value, e.code) for e in outcome.exceptions}
    found |= dict.fromkeys(outcome.again, ("again", ""))
    by_row = {r.row: found.get(r.row, ("accepted", "")) for r in rows}
    assert by_row == {r.row: expected_of(r, decisions[r.key]) for r in rows}
    assert outcome.accepted + len(outcome.exceptions) + len(outcome.again) == len(rows)
    bad = sum(1 for d in decisions.values() if d not in PASSING)
    per_row = 2 * math.ceil(math.log2(max(len(rows), 2))) + 2
    assert server.calls == outcome.calls <= 1 + bad * per_row
    if not bad:
        assert server.calls == 1


def test_a_batch_that_cannot_be_told_apart_is_held_and_no_row_is_lost():
    rows = [SentRow(i, f"k{i}", "insert", None, orjson.dumps({"key": f"k{i}"})) for i in range(64)]
    server = Server(
        {r.key: "createdErrors" if r.row % 2 else "unchanged" for r in rows}, "text", "ids", "206"
    )
    outcome = BulkCourier(server, "/companies", "externalId", Limits(split_calls=5)).deliver(
        Batch(1, tuple(rows))
    )
    assert {e.status for e in outcome.exceptions} <= {RowStatus.REJECTED, RowStatus.HELD}
    assert {e.code for e in outcome.exceptions if e.status is RowStatus.HELD} == {"not_sent"}
    assert server.calls < 20


@dataclass
class PlainRefusal:
    """Refuses whole calls with plain text as long as a certain row is in them; good rows may have been written."""

    bad: set[str]
    calls: int = 0

    def bulk(self, path: str, body: bytes, *, repeatable: bool) -> Answer:
        self.calls += 1
        rows = orjson.loads(body)
        if any(r["key"] in self.bad for r in rows):
            return Answer(400, {}, b"Bad Request: something is wrong")
        return Answer(200, {}, orjson.dumps({"created": 0, "nonupdates": len(rows)}))


@given(st.integers(1, 200), st.data())
@settings(max_examples=50, deadline=None)
def test_a_call_refused_as_a_whole_is_split_until_the_row_at_fault_stands_alone(size, data):
    bad = data.draw(st.sets(st.integers(0, size - 1), max_size=3))
    rows = [SentRow(i, f"k{i}", "insert", None, orjson.dumps({"key": f"k{i}"})) for i in range(size)]
    server = PlainRefusal({f"k{i}" for i in bad})
    outcome = BulkCourier(server, "/companies", "externalId", Limits()).deliver(Batch(1, tuple(rows)))
    assert {e.row for e in outcome.exceptions} == bad
    assert all(e.code == "refused" and "something is wrong" in e.message for e in outcome.exceptions)
    assert server.calls <= 1 + len(bad) * (2 * math.ceil(math.log2(max(size, 2))) + 2)


class Babbler:
    """Answers every call with counts that never add up."""

    calls = 0

    def bulk(self, path: str, body: bytes, *, repeatable: bool) -> Answer:
        self.calls += 1
        return Answer(200, {}, orjson.dumps({"created": 0, "nonupdates": len(orjson.loads(body)) + 1}))


def test_an_answer_that_never_adds_up_ends_in_a_refusal_of_each_row():
    server = Babbler()
    outcome = BulkCourier(server, "/companies", "externalId", Limits()).deliver(
        Batch(1, tuple(sent("+a +b +c +d")))
    )
    assert [e.code for e in outcome.exceptions] == ["unclear"] * 4
    assert server.calls == 7
