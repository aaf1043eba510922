from conformance.test_cells import *
from conformance.cells import *
import conformance.test_cells as tc
def test_x(project):
    from conformance.cells import Cell
    cells=[c for c in tc.CELLS if c.object in("project","asset") and c.match=="_id" and c.mode=="upsert" and c.on_removed=="keep"] 
    print(cells)
    tc.seed_companies(project)
    trials=[tc.Trial(c, project) for c in cells]
    for t in trials: t.declare()
    o = project.sync(code=None, legal=False)
    print(o.kinds, o.told)
    print(project.query("select sync, key, code, message from planhat_sync.failures"))
    print(project.query("select object, key_field, key, planhat_id, company_id from planhat_sync.lookups"))
    assert 0
