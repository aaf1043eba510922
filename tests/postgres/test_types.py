"""Every type of PostgreSQL: what it is compared by, what is sent, and what has no JSON form (dbt-notes §7)."""

from __future__ import annotations

from typing import Any

import pytest
from harness import Project
from harness.postgres import server

from planhat_dbt.warehouse.port import ColumnKind
from planhat_dbt.warehouse.postgres import PostgresSession
from planhat_dbt.warehouse.postgres_dialect import PostgresDialect

OWN_TYPES = (
    "create type main.mood as enum ('sad', 'so \"so\"', 'glad')",
    "create type main.place as (street text, number integer, since timestamptz)",
    "create domain main.euro as numeric(12,2)",
    "create domain main.price as main.euro check (value >= 0)",
)
BLOCK: dict[str, Any] = {
    "object": "company",
    "match": {"externalId": "id"},
    "fields": {"name": "id", "custom": {"Value": "value"}},
}
SAME, CHANGED = False, True


def raw(project: Project, *statements: str) -> None:
    """Run statements in PostgreSQL's own words."""
    with project.connect() as connection:
        for statement in statements:
            connection.raw(statement)


def model(project: Project, kind: str, *values: str) -> None:
    raw(project, "drop table if exists companies", f"create table companies (id text, value {kind})")
    rows = [f"('c-{i}', {value})" for i, value in enumerate(values, 1)]
    raw(project, f"insert into companies values {', '.join(rows)}")
    project.declare("companies", BLOCK)


def sent(project: Project) -> dict[str, Any]:
    records = project.sandbox.tenant.records("companies")
    return {r["externalId"]: r.get("custom", {}).get("Value") for r in records}


SENT = [
    ("smallint", "7", 7),
    ("bigint", "9007199254740992", 2**53),
    ("bigint", "9007199254740993", "9007199254740993"),
    ("numeric(10,2)", "12.50", 12.5),
    ("numeric", "12345678901234567.125", 12345678901234567.125),
    ("numeric", "1e30", "1" + "0" * 30),
    ("main.price", "3.10", 3.1),
    ("real", "0.1", 0.10000000149011612),
    ("double precision", "0.1", 0.1),
    ("double precision", "2", 2.0),
    ("double precision", "1e-7", 1e-7),
    ("double precision", "1e22", 1e22),
    ("boolean", "true", True),
    ("text", "'007'", "007"),
    ("text", r"'back\slash ''quote'' 100% {x} ünï 🙂'", "back\\slash 'quote' 100% {x} ünï 🙂"),
    ("varchar(3)", "'abc'", "abc"),
    ("char(5)", "'ab'", "ab"),
    ("name", "'abc'", "abc"),
    ("main.mood", "'so \"so\"'", 'so "so"'),
    ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("date", "'2026-03-01'", "2026-03-01T00:00:00.000Z"),
    ("timestamp", "'2026-03-01 12:30:00.1239'", "2026-03-01T12:30:00.123Z"),
    ("timestamp(0)", "'2026-03-01 12:30:00'", "2026-03-01T12:30:00.000Z"),
    ("timestamptz", "'2026-03-01 12:30:00.5+02'", "2026-03-01T10:30:00.500Z"),
    ("timestamptz", "'1969-12-31 23:59:59.9999Z'", "1969-12-31T23:59:59.999Z"),
    ("time", "'10:20:30'", "10:20:30"),
    ("json", """'[{"b": 1.50, "a": [1, null, "x y"]}]'""", [{"b": 1.5, "a": [1, None, "x y"]}]),
    ("jsonb", """'[{"b": 1.50, "a": [1, null, "x y"]}]'""", [{"b": 1.5, "a": [1, None, "x y"]}]),
    ("text[]", """'{a,NULL,"b, c"}'""", ["a", None, "b, c"]),
    ("integer[]", "'{{1,2},{3,4}}'", [[1, 2], [3, 4]]),
    ("numeric(10,2)[]", "'{1.50,2}'", [1.5, 2]),
    ("timestamptz[]", """'{"2026-03-01 12:30:00.1239+02",NULL}'""", ["2026-03-01T10:30:00.123Z", None]),
    ("timestamp[]", """'{{"2026-03-01 12:30:00.1239"},{"2026-03-01 12:30:00"}}'""",
     [["2026-03-01T12:30:00.123Z"], ["2026-03-01T12:30:00.000Z"]]),
    ("date[]", "'{2026-03-01}'", ["2026-03-01"]),
    ("main.mood[]", "'{sad,glad}'", ["sad", "glad"]),
    ("uuid[]", "'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'", ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    ("jsonb[]", """array['{"a": 1}'::jsonb]""", [{"a": 1}]),
    ("main.place[]", "array[row('High St', 5, '2026-03-01 12:00Z')::main.place]",
     [{"street": "High St", "number": 5, "since": "2026-03-01T12:00:00+00:00"}]),
    ("main.place[]", "array[row('A', 1, null)::main.place]", [{"street": "A", "number": 1, "since": None}]),
]  # fmt: skip


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("kind", "value", "json"), SENT, ids=[f"{k} {v}" for k, v, _ in SENT])
def test_what_is_sent(project: Project, kind: str, value: str, json: object) -> None:
    raw(project, *OWN_TYPES)
    model(project, kind, value, "null")
    project.sync()
    assert sent(project) == {"c-1": json, "c-2": None}
    project.quiet()
    raw(project, "drop table companies", f"create table companies (id text, value {kind})")
    raw(project, f"insert into companies values ('c-1', {value}), ('c-2', {value})")
    outcome = project.sync()
    assert outcome.counts("companies") == {"updated": 1}
    assert sent(project) == {"c-1": json, "c-2": json}


COMPARED = [
    ("numeric", "1.5", "1.500", SAME),
    ("numeric", "1.5", "1.5000000000000000000001", CHANGED),
    ("double precision", "0.1", "0.10000000000000001", SAME),
    ("double precision", "1", "1.0000000000000002", CHANGED),
    ("real", "0.1", "0.1000001", CHANGED),
    ("text", "'a'", "'A'", CHANGED),
    ("text", "'a'", "'a '", CHANGED),
    ("text", "''", "null", CHANGED),
    ("text", "'é'", "E'e\\u0301'", CHANGED),
    ("char(3)", "'a'", "'a  '", SAME),
    ("timestamptz", "'2026-01-01 12:00+00'", "'2026-01-01 14:00+02'", SAME),
    ("timestamptz", "'2026-01-01 12:00:00.1231+00'", "'2026-01-01 12:00:00.1239+00'", SAME),
    ("timestamp", "'2026-01-01 12:00:00.123'", "'2026-01-01 12:00:00.124'", CHANGED),
    ("jsonb", """'[{"a": 1, "b": 2}]'""", """'[{"b": 2,  "a": 1}]'""", SAME),
    ("json", """'[{"a": 1, "b": 2}]'""", """'[ {"b": 2,  "a": 1}]'""", SAME),
    ("json", """'[{"a": 1}]'""", """'[{"a": 1.0}]'""", SAME),
    ("json", "'[1, 2]'", "'[2, 1]'", CHANGED),
    ("json", """'[{"a": null}]'""", "'[{}]'", CHANGED),
    ("text[]", "'{a,b}'", "'{b,a}'", CHANGED),
    ("text[]", "'{}'", "null", CHANGED),
    ("timestamptz[]", "'{2026-01-01 12:00:00.1231+00}'", "'{2026-01-01 13:00:00.1239+01}'", SAME),
    ("main.mood", "'sad'", "'glad'", CHANGED),
    ("main.place[]", "array[row('a', 1, null)::main.place]", "array[row('a', 2, null)::main.place]", CHANGED),
]  # fmt: skip


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("kind", "before", "after", "changed"), COMPARED, ids=[f"{k} {b} {a}" for k, b, a, _ in COMPARED]
)
def test_what_is_a_change(project: Project, kind: str, before: str, after: str, changed: bool) -> None:
    raw(project, *OWN_TYPES)
    model(project, kind, before, before)
    project.sync()
    raw(project, f"update companies set value = {after} where id = 'c-2'")
    outcome = project.sync()
    assert outcome.counts("companies") == ({"updated": 1} if changed else {})
    project.quiet()


UNFIT = [
    ("double precision", "'NaN'"),
    ("double precision", "'-Infinity'"),
    ("numeric", "'NaN'"),
    ("numeric", "'Infinity'"),
    ("double precision[]", "'{1,NaN}'"),
    ("timestamp", "'infinity'"),
    ("timestamptz", "'-infinity'"),
    ("timestamptz", "'12026-01-01'"),
    ("date", "'infinity'"),
    ("date", "'0044-03-15 BC'"),
    ("timestamp[]", "'{infinity}'"),
    ("bytea", r"'\x01'"),
    ("interval", "'1 month'"),
    ("money", "12"),
    ("inet", "'127.0.0.1'"),
    ("int4range", "'[1,2)'"),
    ("point", "'(1,2)'"),
    ("timetz", "'10:00+01'"),
    ("bytea[]", r"array['\x01'::bytea]"),
    ("tsvector", "'a b'"),
    ("bit(3)", "'101'"),
]


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("kind", "value"), UNFIT, ids=[f"{k} {v}" for k, v in UNFIT])
def test_values_without_a_json_form_stop_their_row_alone(project: Project, kind: str, value: str) -> None:
    raw(project, *OWN_TYPES)
    model(project, kind, value, "null")
    outcome = project.sync(code=1)
    assert [r["externalId"] for r in outcome.sent("/companies")] == ["c-2"]
    assert project.failures() == {"c-1": ("rejected", "bad_value")}
    raw(project, "update companies set value = null")
    project.sync()
    assert project.failures() == {}


def test_json_that_jsonb_cannot_hold_stops_its_row_alone(project: Project) -> None:
    model(project, "json", r"""'["\u0000"]'""", "'[1]'", r"""'["\\u0000"]'""")
    project.declare("companies", {**BLOCK, "fields": {"name": "id", "collaborators": "value"}})
    raw(project, "update companies set value = '[]' where id <> 'c-1'")
    project.sync(code=1)
    assert project.failures() == {"c-1": ("rejected", "bad_value")}
    assert sorted(sent(project)) == ["c-2", "c-3"]


def test_a_collation_of_a_column_does_not_matter(project: Project) -> None:
    raw(project, 'create table companies (id text collate "C", value varchar(9) collate "C.utf8")')
    raw(project, "insert into companies values ('b', 'x'), ('B', 'y')")
    project.declare("companies", BLOCK)
    project.sync()
    assert sent(project) == {"b": "x", "B": "y"}
    project.quiet()


KEYS = [
    ("integer", "7", "7"),
    ("numeric(10,2)", "7.00", "7"),
    ("numeric", "7.50", "7.5"),
    ("numeric", "-0.0", "0"),
    ("double precision", "7", "7"),
    ("double precision", "9007199254740991", "9007199254740991"),
    ("double precision", "1e22", "10000000000000000000000"),
    ("double precision", "0.25", "0.25"),
    ("real", "0.1", "0.1"),
    ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("char(5)", "'ab'", "ab"),
    ("main.mood", "'sad'", "sad"),
    ("text", "' 007'", " 007"),
    ("date", "'2026-03-01'", "2026-03-01"),
]


@pytest.mark.parametrize(("kind", "value", "key"), KEYS, ids=[f"{k} {v}" for k, v, _ in KEYS])
def test_keys(project: Project, kind: str, value: str, key: str) -> None:
    raw(project, *OWN_TYPES, f"create table companies (id {kind}, name text)")
    raw(project, f"insert into companies values ({value}, 'Acme')")
    project.declare("companies", {**BLOCK, "fields": {"name": "name"}})
    project.sync()
    assert [r["externalId"] for r in project.sandbox.tenant.records("companies")] == [key]
    project.quiet()


RETYPED = [
    ("integer", "bigint", "7", SAME),
    ("bigint", "integer", "7", SAME),
    ("integer", "numeric(10,2)", "7", SAME),
    ("integer", "double precision", "7", SAME),
    ("double precision", "numeric", "0.1", SAME),
    ("double precision", "numeric(3,1)", "0.1", SAME),
    ("numeric", "integer", "7", SAME),
    ("real", "double precision", "0.5", SAME),
    ("numeric(10,2)", "real", "0.1", SAME),
    ("timestamp", "timestamptz", "'2026-01-01 12:00'", SAME),
    ("timestamptz", "timestamp", "'2026-01-01 12:00Z'", SAME),
    ("date", "timestamp", "'2026-01-01'", SAME),
    ("varchar(5)", "text", "'ab'", SAME),
    ("text", "main.mood", "'sad'", SAME),
    ("json", "jsonb", "'[1]'", SAME),
    ("integer", "text", "7", CHANGED),
    ("text", "date", "'2026-01-01'", CHANGED),
]


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("old", "new", "value", "changed"), RETYPED, ids=[f"{o} {n}" for o, n, _, _ in RETYPED]
)
def test_a_column_of_another_type(project: Project, old: str, new: str, value: str, changed: bool) -> None:
    raw(project, *OWN_TYPES)
    model(project, old, value, "null")
    project.sync()
    model(project, new, value, "null")
    outcome = project.sync()
    assert outcome.counts("companies") == ({"updated": 2} if changed else {})
    project.quiet()


NARROWED = [
    ("bigint", "smallint", "70000"),
    ("numeric", "integer", "7.5"),
    ("numeric", "numeric(3,1)", "7.55"),
    ("numeric", "numeric(3,1)", "100"),
    ("numeric", "real", "0.123456789012"),
    ("numeric", "double precision", "0.1234567890123456789"),
    ("double precision", "bigint", "1e300"),
    ("timestamp", "date", "'2026-01-01 12:00'"),
]


@pytest.mark.parametrize(("old", "new", "value"), NARROWED, ids=[f"{o} {n}" for o, n, _ in NARROWED])
def test_what_the_new_type_cannot_hold_is_sent_again(
    project: Project, old: str, new: str, value: str
) -> None:
    """The snapshot would be cut to it, and a difference go unseen."""
    model(project, old, value)
    project.sync()
    model(project, new, "null")
    project.sync()
    assert sent(project) == {"c-1": None}
    project.quiet()


@pytest.fixture
def session():
    name = server().database()
    connection = server().connect(name)
    found = PostgresSession(connection, PostgresDialect())
    for statement in ("create schema main", *OWN_TYPES):
        found.execute(statement)
    yield found
    connection.close()


@pytest.mark.parametrize("text", ["", "it's", 'a "b"', "back\\slash", "new\nline", "ünï 🙂", "''", "100% %d"])
def test_literals_and_names_are_quoted(session: PostgresSession, text: str) -> None:
    dialect = PostgresDialect()
    assert session.rows(f"select {dialect.literal(text)}") == [(text,)]
    assert session.rows("select cast(%s as text)", [text]) == [(text,)]
    if text:
        session.execute(f"create table q ({dialect.quote(text)} integer)")
        assert session.columns("q")[0].name == text
        session.insert("q", [text], [[1], [2]])
        assert session.rows("select count(*) from q") == [(2,)]


def test_nul_characters_are_left_out(session: PostgresSession) -> None:
    assert session.rows("select cast(%s as text)", ["a\0b"]) == [("ab",)]
    spelt = PostgresDialect().literal("a\0b")
    assert session.rows(f"select {spelt}") == [("ab",)]
    session.load("planhat_lists", {"a": "text"}, [["x\0", None]])
    assert session.rows("select a from planhat_lists") == [("x",), (None,)]


def test_the_kind_of_a_type_of_ones_own(session: PostgresSession) -> None:
    session.execute("create table t (a main.mood, b main.place, c main.price, d main.mood[], e main.price[])")
    kinds = [(c.name, c.kind) for c in session.columns("t")]
    nested = ColumnKind.NESTED
    assert kinds == [
        ("a", ColumnKind.TEXT),
        ("b", nested),
        ("c", ColumnKind.DECIMAL),
        ("d", nested),
        ("e", nested),
    ]


def test_a_stream_and_a_transaction(session: PostgresSession) -> None:
    parts = list(session.stream("select i from generate_series(1, 7) i order by i", 3))
    assert [[i for (i,) in part] for part in parts] == [[1, 2, 3], [4, 5, 6], [7]]
    stream = session.stream("select i from generate_series(1, 7) i", 3)
    next(stream)
    stream.close()
    session.execute("create table t (a integer)")
    with pytest.raises(KeyboardInterrupt), session.transaction():  # noqa: PT012 - one transaction
        session.execute("insert into t values (1)")
        raise KeyboardInterrupt
    with session.transaction():
        session.execute("insert into t values (2)")
    assert session.rows("select a from t") == [(2,)]


def test_digests_are_numbers_below_sixty_bits(session: PostgresSession) -> None:
    dialect = PostgresDialect()
    digits = f"substr({dialect.digest('cast(i as text)')}, 1, 15)"
    found = session.rows(f"select {digits}, {dialect.digest_number(digits)} from generate_series(1, 50) i")
    assert [number for _, number in found] == [int(digits, 16) for digits, _ in found]
