"""Planned rows as JSON: whole for a new record, else what changed, the key and nothing more (DESIGN §5, §15)."""

from __future__ import annotations

from itertools import chain
from typing import Any

import orjson
import pytest

from core.workbench import Bench
from planhat_dbt.deliver.courier import Limits, parts
from planhat_dbt.deliver.payload import Batch, PayloadWriter
from planhat_dbt.deliver.written import SentRow, json_array

ID = "0123456789abcdef01234567"


def batches(bench: Bench, name: str, *, whole: bool = False) -> list[Batch]:
    bench.plans()
    with bench.session() as session:
        writer = PayloadWriter(bench.bound(session, name), bench.warehouse.dialect)
        query = f"select {', '.join(writer.select)} from {bench.tables.plan(name)} p where _batch is not null"
        return writer.batches(chain.from_iterable(session.stream(query, 2)), whole=whole)


def payloads(bench: Bench, name: str, *, whole: bool = False) -> dict[str, Any]:
    rows = [r for b in batches(bench, name, whole=whole) for r in b.rows]
    return {r.key: orjson.loads(r.item) for r in rows}


COMPANY = """
c:
  object: company
  match: {externalId: id}
  on_removed: clear
  fields:
    name: name
    status: {value: customer}
    tags: tags
    owner: owner
    custom: {"Plan Tier": tier, "Seats": {column: seats, nulls: skip}, "It's \\"new\\" 🙂": {value: [1, {a: null}]}}
"""


def company(bench: Bench, *rows: str) -> None:
    columns = "(id, name, tags, owner, tier, seats)"
    bench.table("c", f"select id, name, tags::varchar[] as tags, owner::varchar as owner, tier::varchar as tier, "
                     f"seats::integer as seats from (values {', '.join(rows)}) t{columns}")  # fmt: skip


ODD = {'It\'s "new" 🙂': [1, {"a": None}]}


def test_a_new_record_is_sent_whole(bench):
    bench.declare(COMPANY)
    company(bench, f"('a', 'Ünï \"x\"\n', ['t'], '{ID}', 'Gold', 5)", "('b', 'B', null, null, null, null)")
    assert payloads(bench, "c") == {
        "a": {"externalId": "a", "name": 'Ünï "x"\n', "status": "customer", "tags": ["t"], "owner": ID,
              "custom": {"Plan Tier": "Gold", "Seats": 5, **ODD}},
        "b": {"externalId": "b", "name": "B", "status": "customer", "tags": [], "owner": None,
              "custom": {"Plan Tier": None, **ODD}},
    }  # fmt: skip


def test_a_changed_record_carries_its_key_and_its_changes(bench):
    bench.declare(COMPANY)
    company(
        bench,
        "('a', 'A', ['t'], null, 'Gold', 5)",
        "('b', 'B', ['t'], null, 'Gold', 5)",
        "('c', 'C', null, null, null, 1)",
    )
    bench.accept("c", ids={"a": ID})
    company(bench, "('a', 'A2', ['t'], null, 'Gold', null)", "('b', 'B', null, null, null, 6)")
    assert payloads(bench, "c") == {
        "a": {"_id": ID, "name": "A2"},
        "b": {"externalId": "b", "tags": [], "custom": {"Plan Tier": None, "Seats": 6}},
        "c": {"externalId": "c", "custom": {"Seats": None}},
    }


def test_a_clear_empties_all_but_key_required_references_and_constants(bench):
    bench.declare(COMPANY)
    company(bench, f"('a', 'A', ['t'], '{ID}', 'Gold', 5)")
    bench.accept("c", ids={"a": ID})
    bench.sql("delete from c where true", "insert into c values ('z', 'Z', null, null, null, null)")
    found = payloads(bench, "c")
    assert found["a"] == {"_id": ID, "tags": [], "owner": None, "custom": {"Plan Tier": None, "Seats": None}}


def test_a_record_that_is_gone_is_sent_whole_by_its_key(bench):
    bench.declare(COMPANY.replace("tags: tags", "tags: {column: tags, write: on_insert}"))
    company(bench, "('a', 'A', ['t'], null, 'Gold', 5)")
    bench.accept("c", ids={"a": ID})
    company(bench, "('a', 'A2', ['t'], null, 'Gold', 5)")
    assert payloads(bench, "c") == {"a": {"_id": ID, "name": "A2"}}
    whole = payloads(bench, "c", whole=True)["a"]
    assert whole == {"externalId": "a", "name": "A2", "status": "customer", "tags": ["t"], "owner": None,
                     "custom": {"Plan Tier": "Gold", "Seats": 5, **ODD}}  # fmt: skip


PERSON = """
p:
  object: enduser
  match: {KEY: id}
  fields: {companyId: {company: company, by: BY}, email: mail, firstName: first}
"""


@pytest.mark.parametrize(
    ("by", "value", "expected"),
    [
        ("externalId", "'007'", "extid-007"),
        ("externalId", "7", "extid-7"),
        ("sourceId", "'x/y z'", "srcid-x/y z"),
        ("_id", f"'{ID}'", ID),
    ],
)
def test_references_to_a_company(bench, by, value, expected):
    bench.declare(PERSON.replace("KEY", "externalId").replace("BY", by))
    bench.table("p", f"select 1 as id, {value} as company, 'a@b' as mail, 'F' as first")
    assert payloads(bench, "p")["1"]["companyId"] == expected


def test_a_key_that_is_unique_only_within_its_company_travels_with_the_company(bench):
    bench.declare(PERSON.replace("KEY", "externalId").replace("BY", "externalId"))
    bench.table(
        "p",
        "select * from (values (1, 'c', 'a@b', 'F'), (2, 'c', 'c@d', 'G'), (3, null, 'e@f', 'H')) "
        "t(id, company, mail, first)",
    )
    bench.accept("p", ids={"2": ID})
    bench.table("p", "select id, company, mail, first || '!' as first from p")
    assert payloads(bench, "p") == {
        "1": {"externalId": "1", "companyId": "extid-c", "firstName": "F!"},
        "2": {"_id": ID, "firstName": "G!"},
        "3": {"externalId": "3", "firstName": "H!"},
    }


def test_a_reference_that_becomes_null_is_left_as_planhat_has_it(bench):
    # Planhat takes no null there (planhat-api §13 no. 11), and which company a record is of tells its key apart.
    bench.declare(PERSON.replace("KEY", "externalId").replace("BY", "externalId"))
    bench.table("p", "select 1 as id, 'c' as company, 'a@b' as mail, 'F' as first")
    bench.accept("p")
    bench.table("p", "select 1 as id, null::varchar as company, 'a@b' as mail, 'F' as first")
    assert payloads(bench, "p") == {}
    bench.table("p", "select 1 as id, null::varchar as company, 'a@b' as mail, 'G' as first")
    assert payloads(bench, "p") == {"1": {"externalId": "1", "companyId": "extid-c", "firstName": "G"}}


def test_a_null_reference_is_not_sent(bench):
    bench.declare(PERSON.replace("KEY", "email").replace("BY", "externalId").replace("email: mail, ", ""))
    bench.table("p", "select 'a@b' as id, null::varchar as company, 'a@b' as mail, 'F' as first")
    assert payloads(bench, "p") == {"a@b": {"email": "a@b", "firstName": "F"}}


def test_an_invoice_says_extid_and_cid_on_the_wire(bench):
    bench.declare("""
i:
  object: invoice
  match: {externalId: id}
  fields: {companyId: {company: c}, currency: {value: EUR}, invoiceDate: d, amountTotal: a}
""")
    bench.table("i", "select 'i1' as id, 'c' as c, date '2024-01-31' as d, 12.50::decimal(10,2) as a")
    assert payloads(bench, "i") == {
        "i1": {"extId": "i1", "cId": "extid-c", "currency": "EUR", "invoiceDate": 19753, "amountTotal": 12.5}
    }
    bench.accept("i")
    bench.table("i", "select 'i1' as id, 'c' as c, date '2024-01-31' as d, 13::decimal(10,2) as a")
    assert payloads(bench, "i") == {"i1": {"extId": "i1", "cId": "extid-c", "amountTotal": 13}}


def test_issues_name_several_companies(bench):
    bench.declare("""
i:
  object: issue
  match: {sourceId: id}
  fields: {title: t, companyIds: {company: cs}}
""")
    bench.table(
        "i", "select * from (values ('1', 'T', ['a', 'b']), ('2', 'T', []), ('3', 'T', null)) t(id, t, cs)"
    )
    assert payloads(bench, "i") == {
        "1": {"sourceId": "1", "title": "T", "companyIds": ["extid-a", "extid-b"]},
        "2": {"sourceId": "2", "title": "T", "companyIds": []},
        "3": {"sourceId": "3", "title": "T"},
    }


def test_a_note_carries_its_type_always_and_our_key_never(bench):
    bench.declare("""
n:
  object: note
  key: id
  fields: {companyId: {company: c}, subject: s, description: d}
""")
    bench.table("n", "select 1 as id, 'c' as c, 's' as s, 'd' as d")
    assert payloads(bench, "n") == {
        "1": {"type": "note", "companyId": "extid-c", "subject": "s", "description": "d"}
    }
    bench.accept("n", ids={"1": ID})
    bench.table("n", "select 1 as id, 'c' as c, 's2' as s, 'd' as d")
    assert payloads(bench, "n") == {"1": {"type": "note", "_id": ID, "subject": "s2"}}


def test_events_leave_nulls_out(bench):
    bench.declare("""
a:
  object: user_activity
  key: id
  fields: {externalId: u, email: m, action: act, info: i, companyExternalId: c}
""")
    bench.table("a", "select 1 as id, 'u' as u, null::varchar as m, 'login' as act, {'k': 1} as i, 'c' as c")
    assert payloads(bench, "a") == {
        "1": {"euExtId": "u", "action": "login", "info": {"k": 1}, "companyExternalId": "c"}
    }


def test_a_bad_value_stops_its_row_and_names_the_field_but_not_the_value(bench):
    bench.declare(COMPANY)
    company(bench, "('a', 'A', null, 'my secret', null, null)", f"('b', 'B', null, '{ID}', null, null)")
    (batch,) = batches(bench, "c")
    assert [r.key for r in batch.rows] == ["b"]
    (refused,) = batch.refused
    assert (refused.key, refused.operation) == ("a", "insert")
    assert refused.message.startswith("owner: ")
    assert "secret" not in refused.message


def test_numbers_on_the_wire_are_exact(bench):
    bench.declare("""
c:
  object: company
  match: {externalId: id}
  fields: {name: id, custom: {D: d, F: f, H: h, S: s}}
""")
    bench.table("c", "select 'a' as id, 12345678901234567890.10::decimal(38,2) as d, 1e-7::double as f, "
                     "9007199254740993::hugeint as h, {'x': 0.12345678901234567890::decimal(38,20)} as s")  # fmt: skip
    (batch,) = batches(bench, "c")
    text = batch.rows[0].item.decode()
    assert '"D":12345678901234567890.10' in text
    assert '"F":0.0000001' in text
    assert '"H":"9007199254740993"' in text
    assert '"S":{"x":0.1234567890123456789' in text


# -- bodies


def sized(*lengths: int) -> list[SentRow]:
    return [SentRow(i, str(i), "insert", None, b'"' + b"x" * (n - 2) + b'"') for i, n in enumerate(lengths)]


@pytest.mark.parametrize(
    ("lengths", "rows", "size", "expected"),
    [
        ([5] * 3, 5, 100, [3]),
        ([5] * 5, 2, 100, [2, 2, 1]),
        ([5] * 4, 5, 13, [2, 2]),
        ([5] * 4, 5, 12, [1, 1, 1, 1]),
        ([50, 5, 5], 5, 20, [1, 2]),
        ([], 5, 20, []),
    ],
)
def test_parts_keep_both_limits(lengths, rows, size, expected):
    found = parts(sized(*lengths), Limits(rows=rows, bytes=size))
    assert [len(p) for p in found] == expected
    for part in found:
        body = json_array(part)
        assert len(orjson.loads(body)) == len(part)
        assert len(body) <= size or len(part) == 1


def test_a_batch_knows_its_size():
    rows = sized(5, 6, 7)
    assert Batch(1, tuple(rows)).bytes == len(json_array(rows))


@pytest.mark.parametrize("told", ["name: ", "custom.Plan Tier: "])
def test_a_value_that_json_cannot_carry_names_its_field(bench, told):
    bench.declare(COMPANY)
    company(bench, "('a', 'A', null, null, 'Gold', 5)")
    bench.plans()
    with bench.session() as session:
        writer = PayloadWriter(bench.bound(session, "c"), bench.warehouse.dialect)
        query = f"select {', '.join(writer.select)} from {bench.tables.plan('c')} p"
        (row,) = chain.from_iterable(session.stream(query, 2))
    values = list(row)
    values[6 + [f.target for f in writer._fields].index(told[:-2])] = "\ud800secret"
    (batch,) = writer.batches([tuple(values)])
    (refused,) = batch.refused
    assert refused.message.startswith(told)
    assert "secret" not in refused.message
