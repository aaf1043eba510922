"""A declaration meets a built table: what fits, what never can, told at once (DESIGN §3, §15)."""

from __future__ import annotations

import pytest

from planhat_dbt.binding import BindingError
from planhat_dbt.declaration.error import DeclarationError
from planhat_dbt.warehouse.port import ColumnKind

BLOCK = """
c:
  object: company
  match: {externalId: ID}
  fields: {name: Name, owner: o, csmScore: s, tags: t, custom: {X: x}}
"""
FITS = "select 1 as id, 'n' as name, 'x' as o, 1 as s, ['a'] as t, 1.5::double as x"


def test_columns_are_found_and_typed(bench):
    bench.declare(BLOCK)
    bench.table("c", FITS)
    with bench.session() as session:
        bound = bench.bound(session, "c")
    assert (bound.name, bound.key.name, bound.key.kind) == ("c", "id", ColumnKind.INTEGER)
    assert {f.name: (f.kind.value, f.stored_type) for f in bound.fields} == {
        "name": ("text", "varchar"), "owner": ("text", "varchar"), "csmScore": ("integer", "INTEGER"),
        "tags": ("nested", "VARCHAR[]"), "custom_x": ("float", "DOUBLE")}  # fmt: skip


def test_all_misfits_are_told_at_once(bench):
    bench.declare(BLOCK)
    bench.table("c", "select true as id, 'n' as name, 1 as o, date '2024-01-01' as s, 5 as t, 'x'::blob as x")
    with bench.session() as session, pytest.raises(BindingError) as caught:
        bench.bound(session, "c")
    told = {f.path: f.message for f in caught.value.faults}
    assert set(told) == {
        f"config.meta.planhat.{p}" for p in ("fields.owner", "fields.csmScore", "fields.tags", "key")
    }
    assert "column o is of type INTEGER, the field takes id: cast it in the model" in told.values()


def test_a_blob_binds_for_its_nulls(bench):
    bench.declare(BLOCK)
    bench.table("c", FITS.replace("1.5::double", "null::blob"))
    assert bench.by_key("c") == {"1": "insert"}


@pytest.mark.parametrize("kind", ["boolean", "varchar[]", "json", "blob", "struct(a integer)", "time"])
def test_what_is_no_key(bench, kind):
    bench.declare(BLOCK)
    bench.table("c", FITS.replace("1 as id", f"null::{kind} as id"))
    with (
        bench.session() as session,
        pytest.raises(BindingError, match="a key is text, a number, a UUID or a time"),
    ):
        bench.bound(session, "c")


def test_a_run_tells_missing_tables_columns_and_misfits_of_all_syncs_together(bench):
    bench.declare(
        BLOCK
        + """
d:
  object: asset
  match: {externalId: id}
  fields: {name: nmae, companyId: {company: c}}
e:
  object: project
  match: {externalId: id}
  fields: {name: name, companyId: {company: c}}
"""
    )
    bench.table("c", FITS.replace("'x' as o", "1 as o"))
    bench.table("d", "select 1 as id, 'n' as name, 'c' as c")
    with pytest.raises(DeclarationError) as caught:
        bench.plans()
    told = {f.model: f.message for f in caught.value.faults}
    assert "cast it in the model" in told["c"]
    assert "nmae" in told["d"]
    assert "does not exist in target dev: run `dbt build --select e`" in told["e"]
    assert bench.one("select count(*) from planhat_sync.meta where setting = 'lease'") == 0, (
        "the lease is given back"
    )
