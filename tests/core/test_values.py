"""Every kind of column into every type of field: exact where it fits, refused where it cannot (dbt-notes §7)."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import uuid
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.wire import DIALECT, TEXT, F, K, as_sent, into
from planhat_dbt.objects import Field, FieldType
from planhat_dbt.values import BadValueError, Conversion, conversion
from planhat_dbt.warehouse.port import ColumnKind, WireForm

# -- which cells there are at all

POSSIBLE: dict[FieldType, set[ColumnKind]] = {
    F.TEXT: set(K) - {K.UNSUPPORTED},
    F.NUMBER: {K.INTEGER, K.DECIMAL, K.FLOAT, K.TEXT},
    F.INTEGER: {K.INTEGER, K.DECIMAL, K.FLOAT, K.TEXT},
    F.BOOLEAN: {K.BOOLEAN, K.INTEGER, K.TEXT},
    F.DATETIME: {K.DATE, K.TIMESTAMP, K.TIMESTAMPTZ, K.TEXT},
    F.DAY: {K.DATE, K.TIMESTAMP, K.TIMESTAMPTZ, K.TEXT, K.INTEGER},
    F.DATE: {K.DATE, K.TIMESTAMP, K.TIMESTAMPTZ, K.TEXT},
    F.ID: {K.TEXT},
    F.COMPANY: {K.TEXT},
    F.COMPANIES: {K.TEXT, K.JSON, K.NESTED},
    F.TEXTS: {K.TEXT, K.JSON, K.NESTED},
    F.IDS: {K.TEXT, K.JSON, K.NESTED},
    F.OBJECT: {K.TEXT, K.JSON, K.NESTED},
    F.OBJECTS: {K.TEXT, K.JSON, K.NESTED},
    F.ANY: set(K) - {K.UNSUPPORTED},
}


@pytest.mark.parametrize("field", list(F))
@pytest.mark.parametrize("kind", [k for k in K if k is not K.UNSUPPORTED])
def test_impossible_cells_are_none(field, kind):
    assert (conversion(kind, Field("f", field)) is not None) == (kind in POSSIBLE[field])


@pytest.mark.parametrize("field", list(F))
def test_columns_without_a_json_form_bind_and_their_values_are_rejected_by_the_comparison(field):
    assert conversion(K.UNSUPPORTED, Field("f", field)) == Conversion(WireForm.NATIVE)


# -- numbers: never rounded, never with an exponent

BIG = 2**53


@given(value=st.integers(-(2**127) + 1, 2**127 - 1))
@example(value=BIG).via("the last exact double")
@example(value=BIG + 1)
@example(value=-BIG)
@example(value=2**64)
@pytest.mark.parametrize("field", [F.NUMBER, F.INTEGER, F.ANY])
def test_whole_numbers_are_exact_and_text_beyond_the_safe_range(db, field, value):
    expected = value if abs(value) <= BIG else str(value)
    assert as_sent(db, into(field, K.INTEGER), "hugeint", value) == expected


@given(value=st.decimals(-(10**20), 10**20, places=9, allow_nan=False, allow_infinity=False))
@example(value=Decimal("0.000000001"))
@example(value=Decimal("0.100000000"))
@pytest.mark.parametrize("field", [F.NUMBER, F.ANY])
def test_decimals_are_exact(db, field, value):
    assert Decimal(as_sent(db, into(field, K.DECIMAL), "decimal(38,9)", str(value))) == value


@given(value=st.floats(allow_nan=False, allow_infinity=False))
@example(value=1e-300)
@example(value=1.7976931348623157e308)
@example(value=5e-324)
@example(value=-0.0)
@example(value=1e15)
@example(value=0.1)
@pytest.mark.parametrize("field", [F.NUMBER, F.ANY])
def test_floats_come_back_as_they_were(db, field, value):
    assert float(as_sent(db, into(field, K.FLOAT), "double", value)) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_floats_that_json_cannot_carry(value):
    with pytest.raises(BadValueError, match="finite"):
        into(F.NUMBER, K.FLOAT).convert(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.50", "1.5"),
        (" -3 ", "-3"),
        ("1e3", "1000"),
        ("0.1", "0.1"),
        ("12345678901234567890.5", "12345678901234567890.5"),
        ("007", "7"),
        ("1E-5", "0.00001"),
    ],
)
def test_numbers_in_texts(db, text, expected):
    assert as_sent(db, into(F.NUMBER, K.TEXT), "varchar", text) == Decimal(expected)


@pytest.mark.parametrize(
    "text", ["", "x", "1,5", "NaN", "inf", "0x10", "1_000", "1e999999999", "1e-999999999", "--1"]
)
@pytest.mark.parametrize("field", [F.NUMBER, F.INTEGER])
def test_texts_that_are_no_numbers(field, text):
    with pytest.raises(BadValueError):
        into(field, K.TEXT).convert(text)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [("decimal(10,2)", "3.00", 3), ("double", 3.0, 3), ("varchar", "3", 3), ("varchar", "3.0", 3), ("double", -0.0, 0),
     ("decimal(38,0)", str(2**80), str(2**80)), ("double", 1e20, str(10**20)), ("varchar", str(2**70), str(2**70))],
)  # fmt: skip
def test_whole_numbers_of_other_columns(db, kind, value, expected):
    column = {"v": K.TEXT, "d": K.FLOAT}[kind[0]] if kind in ("varchar", "double") else K.DECIMAL
    assert as_sent(db, into(F.INTEGER, column), kind, value) == expected


@pytest.mark.parametrize(
    ("kind", "value"), [(K.FLOAT, 1.5), (K.DECIMAL, "1.50"), (K.TEXT, "1.5"), (K.FLOAT, math.nan)]
)
def test_a_field_of_whole_numbers_takes_no_fractions(kind, value):
    with pytest.raises(BadValueError, match="whole"):
        into(F.INTEGER, kind).convert(value)


# -- text


@given(value=TEXT)
@example(value="007")
@example(value="2024-01-01")
@example(value='{"a": 1}')
@example(value="1e5")
@pytest.mark.parametrize("field", [F.TEXT, F.ANY])
def test_text_stays_text(db, field, value):
    assert as_sent(db, into(field, K.TEXT), "varchar", value) == value


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [("integer", 7, "7"), ("double", 7.0, "7"), ("double", 0.5, "0.5"), ("decimal(10,2)", "7.00", "7"),
     ("decimal(10,2)", "7.10", "7.1"), ("boolean", True, "true"), ("time", "10:00:01", "10:00:01"),
     ("date", "2024-02-29", "2024-02-29"), ("timestamp", "2024-01-01 10:00:00.1239", "2024-01-01T10:00:00.123Z"),
     ("timestamptz", "2024-01-01 10:00:00+02", "2024-01-01T08:00:00.000Z"), ("bit", "101", "101"),
     ("uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
     ("hugeint", 2**100, str(2**100)), ("json", '{"a": [1]}', '{"a":[1]}')],
)  # fmt: skip
def test_other_columns_in_text_fields(db, kind, value, expected):
    column = DIALECT.kind(db.execute(f"describe select cast(null as {kind})").fetchall()[0][1])
    assert as_sent(db, into(F.TEXT, column), kind, value) == expected


@given(value=st.uuids())
def test_uuids_are_text(db, value):
    assert uuid.UUID(as_sent(db, into(F.ANY, K.UUID), "uuid", str(value))) == value


def test_enumerations_are_closed():
    found = into(F.TEXT, K.TEXT, ("active", "won"))
    assert found.convert("won") == "won"
    with pytest.raises(BadValueError, match="expected one of active, won"):
        found.convert("secret")


# -- times

MOMENTS = st.datetimes(dt.datetime.fromisoformat("0001-01-02"), dt.datetime.fromisoformat("9999-12-30"))


@given(value=MOMENTS)
@pytest.mark.parametrize("field", [F.DATETIME, F.ANY])
@pytest.mark.parametrize(("column", "kind"), [(K.TIMESTAMP, "timestamp"), (K.TIMESTAMPTZ, "timestamptz")])
def test_times_are_iso_in_utc_with_milliseconds(db, field, column, kind, value):
    sent = as_sent(
        db, into(field, column), kind, value.replace(tzinfo=dt.UTC) if column is K.TIMESTAMPTZ else value
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", sent)
    assert dt.datetime.fromisoformat(sent) == value.replace(
        microsecond=value.microsecond // 1000 * 1000, tzinfo=dt.UTC
    )


@given(value=st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31)))
@example(value=dt.date(1969, 12, 31))
def test_dates(db, value):
    assert as_sent(db, into(F.DATETIME, K.DATE), "date", value) == f"{value.isoformat()}T00:00:00.000Z"
    assert as_sent(db, into(F.DATE, K.DATE), "date", value) == value.isoformat()
    assert as_sent(db, into(F.DAY, K.DATE), "date", value) == (value - dt.date(1970, 1, 1)).days


@pytest.mark.parametrize(
    ("text", "instant", "day"),
    [
        ("2024-01-31", "2024-01-31T00:00:00.000Z", 19753),
        ("2024-01-31T23:30:00-02:00", "2024-02-01T01:30:00.000Z", 19754),
        (" 2024-01-31T10:00:00Z ", "2024-01-31T10:00:00.000Z", 19753),
        ("2024-01-31 10:00:00.123456", "2024-01-31T10:00:00.123Z", 19753),
        ("1969-12-31", "1969-12-31T00:00:00.000Z", -1),
    ],
)
def test_times_in_texts(db, text, instant, day):
    assert as_sent(db, into(F.DATETIME, K.TEXT), "varchar", text) == instant
    assert as_sent(db, into(F.DAY, K.TEXT), "varchar", text) == day
    assert as_sent(db, into(F.DATE, K.TEXT), "varchar", text) == instant[:10]


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2024-13-01", "31.01.2024", "0001-01-01T00:00:00+14:00", "infinity"]
)
@pytest.mark.parametrize("field", [F.DATETIME, F.DAY, F.DATE])
def test_texts_that_are_no_times(field, text):
    with pytest.raises(BadValueError, match="ISO 8601"):
        into(field, K.TEXT).convert(text)


# -- booleans


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("boolean", False, False),
        ("integer", 1, True),
        ("integer", 0, False),
        ("varchar", " True", True),
        ("varchar", "f", False),
    ],
)
def test_booleans(db, kind, value, expected):
    column = {"boolean": K.BOOLEAN, "integer": K.INTEGER, "varchar": K.TEXT}[kind]
    assert as_sent(db, into(F.BOOLEAN, column), kind, value) is expected


@pytest.mark.parametrize(("kind", "value"), [(K.INTEGER, 2), (K.INTEGER, -1), (K.TEXT, "yes"), (K.TEXT, "")])
def test_what_is_no_boolean(kind, value):
    with pytest.raises(BadValueError):
        into(F.BOOLEAN, kind).convert(value)


# -- messages


def message(found: Conversion, text: str) -> str:
    try:
        found.convert(text)
    except BadValueError as error:
        return str(error)
    return ""


@given(value=st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=3))
def test_messages_never_repeat_the_value(value):
    for field in F:
        found = conversion(K.TEXT, Field("f", field, values=("one", "two") if field is F.TEXT else ()))
        if found is None or found.convert is None:
            continue
        for text in (
            value,
            json.dumps([value], ensure_ascii=False),
            json.dumps({"a": value}, ensure_ascii=False),
        ):
            assert value not in message(found, text)
