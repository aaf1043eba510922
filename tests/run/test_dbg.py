from harness import Project
from run.conftest import folder, sandbox  # noqa
from planhat_dbt.sandbox.pytest_plugin import _running_sandbox, planhat_sandbox  # noqa
def test_x(folder, sandbox):
    p = Project(folder / "shop", sandbox)
    ids = []
    import httpx
    for i in range(3):
        p.model("c", {"object":"company","match":{"externalId":"id"},"fields":{"name":"name"}}, {"id":"varchar","name":"varchar"}, [(f"c{i}", f"N{i}") for i in range(3)])
    p.sync()
    ids=[r["_id"] for r in sandbox.tenant.records("companies")]
    p.model("c", {"object":"company","name":"by_id", "match":{"_id":"id"},"fields":{"name":"name"}}, {"id":"varchar","name":"varchar"}, [(i, f"M{i}") for i in ids])
    o = p.sync(code=None)
    print(o.kinds, o.told)
    print(p.query("select object, key_field, key, planhat_id, company_id from planhat_sync.lookups"))
    print(p.query("select key, code, message from planhat_sync.failures"))
    print(p.query("select _key, _planhat_id, _state from planhat_sync.snapshot__by_id"))
    o = p.sync(code=None)
    print(o.kinds, o.told)
    assert 0
