"""Lists, objects, ids and references on their way to Planhat."""

from __future__ import annotations

import json
import math
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.wire import DIALECT, ID, TEXT, F, K, as_sent, into
from planhat_dbt.objects import Field
from planhat_dbt.values import BadValueError, company_conversion, conversion

# -- lists and objects

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(value=JSON)
def test_json_is_embedded_as_it_is(db, value):
    assume(value is not None)
    text = json.dumps(value)
    assert as_sent(db, into(F.ANY, K.JSON), "json", text) == value
    found = conversion(K.JSON, Field("f", F.OBJECT))
    if isinstance(value, dict):
        assert as_sent(db, found, "json", text) == value
    else:
        with pytest.raises(BadValueError, match="an object"):
            found.convert(text)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [("varchar[]", ["a", "b"], ["a", "b"]), ("varchar[]", [], []), ("integer[]", [1, 2], [1, 2]),
     ("struct(a integer, b varchar)", {"a": 1, "b": None}, {"a": 1, "b": None}),
     ("map(varchar, integer)", {"a": 1}, {"a": 1}), ("varchar[2]", ["a", "b"], ["a", "b"])],
)  # fmt: skip
def test_nested_columns(db, kind, value, expected):
    assert as_sent(db, into(F.ANY, K.NESTED), kind, value) == expected


def test_numbers_inside_nested_values_are_not_rounded(db):
    exact = "12345678901234567890.123456789"
    assert as_sent(db, into(F.ANY, K.NESTED), "struct(a decimal(38,9))", {"a": Decimal(exact)})[
        "a"
    ] == Decimal(exact)
    rows = as_sent(db, into(F.OBJECTS, K.NESTED), "struct(a decimal(38,9))[]", [{"a": Decimal(exact)}])
    assert rows[0]["a"] == Decimal(exact)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("varchar[]", ["a", None, "ü"], ["a", "ü"]),
        ("integer[]", [1, 2], ["1", "2"]),
        ("json", '["a", 1, true]', ["a", "1", "true"]),
        ("hugeint[]", [2**100], [str(2**100)]),
        ("decimal(30,10)[]", [Decimal("12345678901234567.1234567891")], ["12345678901234567.1234567891"]),
        ("varchar", '["x"]', ["x"]),
        ("varchar[]", [], []),
    ],
)
def test_lists_of_texts(db, kind, value, expected):
    column = K.TEXT if kind == "varchar" else K.JSON if kind == "json" else K.NESTED
    assert as_sent(db, into(F.TEXTS, column), kind, value) == expected


@pytest.mark.parametrize("text", ["x", "{}", '"a"', '[{"a": 1}]', '[["a"]]', "[1", "NaN", "[NaN]"])
def test_what_is_no_list_of_texts(text):
    with pytest.raises(BadValueError):
        into(F.TEXTS, K.TEXT).convert(text)


def test_nan_inside_a_list_is_refused(db):
    with pytest.raises(BadValueError, match="NaN"):
        as_sent(db, into(F.ANY, K.NESTED), "double[]", [math.nan])


# -- ids and references


@pytest.mark.parametrize("value", [ID, ID.upper()])
def test_ids(value):
    assert into(F.ID, K.TEXT).convert(value) == value
    assert into(F.IDS, K.TEXT).convert(json.dumps([value])) == [value]


@pytest.mark.parametrize("value", ["", "x", ID[:-1], ID + "0", ID[:-1] + "g", f"extid-{ID}"])
def test_what_is_no_id(value):
    with pytest.raises(BadValueError):
        into(F.ID, K.TEXT).convert(value)
    with pytest.raises(BadValueError):
        into(F.IDS, K.TEXT).convert(json.dumps([value]))


@pytest.mark.parametrize("value", [ID, "extid-7", "srcid-x y"])
def test_references_in_all_three_forms(value):
    assert into(F.COMPANY, K.TEXT).convert(value) == value
    assert into(F.COMPANIES, K.TEXT).convert(value) == [value]
    assert into(F.COMPANIES, K.JSON).convert(json.dumps([value])) == [value]


@pytest.mark.parametrize("value", ["7", "extid-", "srcid-", "", "ext-7"])
def test_what_is_no_reference(value):
    with pytest.raises(BadValueError, match="extid-"):
        into(F.COMPANY, K.TEXT).convert(value)


@pytest.mark.parametrize(
    ("kind", "value", "by", "expected"),
    [
        ("varchar", "007", "externalId", "extid-007"),
        ("integer", 7, "externalId", "extid-7"),
        ("double", 7.0, "sourceId", "srcid-7"),
        ("decimal(10,2)", "7.00", "externalId", "extid-7"),
        ("varchar", ID, "_id", ID),
        ("hugeint", 2**90, "externalId", f"extid-{2**90}"),
    ],
)
def test_company_keys(db, kind, value, by, expected):
    column = DIALECT.kind(db.execute(f"describe select cast(null as {kind})").fetchall()[0][1])
    assert as_sent(db, company_conversion(column, by, several=False), kind, value) == expected
    assert as_sent(db, company_conversion(column, by, several=True), kind, value) == [expected]


def test_lists_of_company_keys(db):
    found = company_conversion(K.NESTED, "externalId", several=True)
    assert as_sent(db, found, "integer[]", [1, 2]) == ["extid-1", "extid-2"]
    assert as_sent(db, found, "varchar[]", []) == []
    assert company_conversion(K.NESTED, "externalId", several=False) is None
    assert company_conversion(K.BOOLEAN, "externalId", several=False) is None
    with pytest.raises(BadValueError, match="24 hex"):
        company_conversion(K.NESTED, "_id", several=True).convert('["x"]')
    with pytest.raises(BadValueError):
        company_conversion(K.TEXT, "externalId", several=False).convert("")
