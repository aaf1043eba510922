"""Bulk, metrics and error bodies, in the shapes planhat-api §5.1, §8, §10 and §13 allow for."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from planhat_dbt.planhat import (
    Answer,
    OutcomeUnknownError,
    RecordKeys,
    UnreadableAnswerError,
    is_bulk_body,
    read_bulk,
    read_message,
    read_metrics,
)

A, B, C = ("a" * 24, "b" * 24, "c" * 24)


def bulk(status: int = 200, **body: Any) -> Any:
    return read_bulk(Answer(status, {}, orjson.dumps(body)))


def test_the_documented_sample() -> None:
    report = bulk(
        created=1,
        createdErrors=[],
        insertsKeys=[{"_id": A, "externalId": "ours-1"}],
        updated=1,
        updatedErrors=[],
        updatesKeys=[{"_id": B}],
        nonupdates=1,
        modified=[B],
        upsertedIds=[A],
        permissionErrors=[],
        validationErrors=[],
    )
    assert (report.status, report.created, report.updated, report.unchanged) == (200, 1, 1, 1)
    assert report.inserts == (RecordKeys(A, "ours-1"),)
    assert report.updates == (RecordKeys(B),)
    assert report.errors == ()
    assert report.answered == 3


@pytest.mark.parametrize(
    ("item", "keys"),
    [
        ({"_id": A}, RecordKeys(A)),
        ({"_id": A, "externalId": "e", "sourceId": "s"}, RecordKeys(A, "e", "s")),
        ({"_id": A, "extId": "e"}, RecordKeys(A, "e")),  # invoices
        ({"_id": A, "externalId": 17}, RecordKeys(A, "17")),  # numbers are coerced, §3.1
        ({"_id": A, "externalId": 0}, RecordKeys(A, "0")),
        ({"_id": A, "externalId": "", "sourceId": None}, RecordKeys(A)),
        ({}, RecordKeys()),
    ],
)
def test_keys_of_inserts_and_updates(item: dict[str, Any], keys: RecordKeys) -> None:
    assert bulk(insertsKeys=[item]).inserts == (keys,)
    assert bulk(updatesKeys=[item]).updates == (keys,)


def test_bare_ids_stand_in_for_missing_key_lists() -> None:
    report = bulk(created=2, upsertedIds=[A, B], updated=1, modified=[C], updatesKeys=None)
    assert [keys.id for keys in report.inserts] == [A, B]
    assert [keys.id for keys in report.updates] == [C]


@pytest.mark.parametrize(
    ("item", "message", "keys"),
    [
        ("externalId,email duplicated", "externalId,email duplicated", RecordKeys()),
        (
            {"message": "no name", "item": {"externalId": "e", "sourceId": 5}},
            "no name",
            RecordKeys(None, "e", "5"),
        ),
        ({"error": "dup", "_id": A, "email": "x@y.z"}, "dup", RecordKeys(A, email="x@y.z")),
        ({"error": {"message": "deep"}, "data": {"extId": "i-1"}}, "deep", RecordKeys(None, "i-1")),
        ({"errmsg": "E11000", "keyValue": {"sourceId": "s"}}, "E11000", RecordKeys(None, None, "s")),
        ({"errors": ["one", "two"]}, "one; two", RecordKeys()),
        ({"code": 7}, '{"code":7}', RecordKeys()),
        # Ids of other records in the item are not the row's.
        ({"message": "m", "company": {"_id": B}, "owner": {"_id": C}}, "m", RecordKeys()),
        ({"message": "m", "_id": A, "item": {"_id": B, "email": "x@y.z"}}, "m", RecordKeys(A, email="x@y.z")),
        (None, "null", RecordKeys()),
        (["x", {"y": 1}], '["x",{"y":1}]', RecordKeys()),
        ({"_id": {"$oid": A}, "message": "m"}, "m", RecordKeys()),
    ],
)
@pytest.mark.parametrize("kind", ["createdErrors", "updatedErrors", "permissionErrors", "brandNewErrors"])
def test_error_items(kind: str, item: Any, message: str, keys: RecordKeys) -> None:
    report = bulk(206, **{"created": 0, kind: [item]})
    (error,) = report.errors
    assert (error.kind, error.message, error.keys, error.raw) == (kind, message, keys, item)
    assert report.answered == 1


def test_messages_are_bounded() -> None:
    (error,) = bulk(400, createdErrors=["x" * 10_000]).errors
    assert len(error.message) == 500
    assert error.message.endswith("…")
    assert error.raw == "x" * 10_000


def test_a_message_wrapped_without_end_is_still_read() -> None:
    item = b'{"error":' * 900 + b'"core"' + b"}" * 900
    (error,) = read_bulk(Answer(400, {}, b'{"createdErrors":[' + item + b"]}")).errors
    assert error.message == "(an item nested too deeply to show)"
    item = b'{"error":' * 100 + b'"core"' + b"}" * 100
    (error,) = read_bulk(Answer(400, {}, b'{"createdErrors":[' + item + b"]}")).errors
    assert error.message.startswith('{"error":')


@pytest.mark.parametrize(
    "body",
    [
        {"created": None, "updated": 2},
        {"updated": 2, "createdErrors": None, "insertsKeys": None, "whatever": {"x": 1}},
        {"updated": 2, "errors": "not a list of ours", "message": "text"},
    ],
)
def test_missing_and_null_keys_are_tolerated(body: dict[str, Any]) -> None:
    report = bulk(206, **body)
    assert (report.created, report.updated, report.unchanged, report.answered) == (0, 2, 0, 2)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"<html>gateway</html>",
        b'{"created": 1, "upd',
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'"too many"',
        b'{"message": "bad"}',
        b'{"errors": []}',
        b'{"created": "2024-01-01T00:00:00.000Z", "_id": "aaaaaaaaaaaaaaaaaaaaaaaa"}',
        b'{"created": true}',
        b'{"created": 1, "updated": "2"}',
        b'{"created": -1}',
        b'{"created": 1.5, "updated": 1}',
        b'{"created": 1, "createdErrors": "one failed"}',
        b'{"created": 1, "createdErrors": {"a": 1}}',
        b'{"created": 1, "insertsKeys": {"_id": "x"}}',
        b'{"created": 1, "insertsKeys": ["aaaaaaaaaaaaaaaaaaaaaaaa"]}',
        b'{"created": 1, "insertsKeys": [null]}',
    ],
)
def test_anything_else_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableAnswerError) as caught:
        read_bulk(Answer(200, {}, body))
    assert isinstance(caught.value, OutcomeUnknownError)
    assert caught.value.maybe_applied


@pytest.mark.parametrize(
    ("parsed", "expected"),
    [
        ({"created": 0}, True),
        ({"nonupdates": 5}, True),
        ({"permissionErrors": []}, True),
        ({"insertsKeys": []}, True),
        ({"created": "2024-01-01"}, False),
        ({"created": True}, False),
        ({"message": "Forbidden"}, False),
        ({}, False),
        ([], False),
        ("Forbidden", False),
        (None, False),
    ],
)
def test_is_bulk_body(parsed: object, expected: bool) -> None:
    assert is_bulk_body(parsed) is expected


def test_five_thousand_keys_take_milliseconds() -> None:
    keys = [{"_id": f"{number:024x}", "externalId": f"account-{number}"} for number in range(5000)]
    body = orjson.dumps({"created": 5000, "insertsKeys": keys, "upsertedIds": [key["_id"] for key in keys]})
    best = min(_seconds(body) for _ in range(5))
    assert best < 0.05  # about 5 ms on a quiet machine
    assert read_bulk(Answer(200, {}, body)).inserts[4999] == RecordKeys(f"{4999:024x}", "account-4999")


def _seconds(body: bytes) -> float:
    started = time.perf_counter()
    read_bulk(Answer(200, {}, body))
    return time.perf_counter() - started


def test_metrics() -> None:
    row = {"value": 1}
    body = {"processed": 2, "errors": [{"item": row, "error": "dimensionId must be specified"}, "odd"]}
    report = read_metrics(orjson.dumps(body))
    assert report.processed == 2
    assert [(error.item, error.message) for error in report.errors] == [
        (row, "dimensionId must be specified"),
        (None, "odd"),
    ]


@pytest.mark.parametrize("body", [b"{}", b'{"processed": null, "errors": null}'])
def test_metrics_bodies_that_tell_nothing(body: bytes) -> None:
    report = read_metrics(body)
    assert (report.processed, report.errors) == (None, ())


@pytest.mark.parametrize(
    "body", [b"", b"OK", b"[]", b'{"processed": "2"}', b'{"processed": 1, "errors": {}}']
)
def test_metrics_bodies_that_cannot_be_read(body: bytes) -> None:
    with pytest.raises(UnreadableAnswerError):
        read_metrics(body)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"Too many requests", "Too many requests"),
        (b'"plain string"', "plain string"),
        (b'{"message": "no right"}', "no right"),
        (b'{"error": {"message": "deep"}}', "deep"),
        (b"<html>\n  <h1>502</h1>\n</html>", "<html> <h1>502</h1> </html>"),
        (b"", ""),
        (b"\xff" * 3, "���"),
    ],
)
def test_messages_of_error_bodies(body: bytes, words: str) -> None:
    assert read_message(body) == words
