"""One run at a time: taken, renewed, lost; a dead holder frees it (DESIGN §9, §15)."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time

import orjson
import pytest

from core.workbench import Bench
from planhat_dbt.errors import RefusedError
from planhat_dbt.state.layout import ensure_tables, existing_tables
from planhat_dbt.state.lease import Lease


@pytest.fixture
def state(bench: Bench):
    with bench.session() as session:
        ensure_tables(session, bench.tables, existing_tables(session, bench.tables))
        yield bench, session


def lease(bench: Bench, run: str, seconds: float = 60.0) -> Lease:
    return Lease(bench.tables, run, "sync", seconds)


def holder(bench, session) -> dict:
    return orjson.loads(session.rows(f"select value from {bench.tables.meta} where setting = 'lease'")[0][0])


def edit(bench, session, **values) -> None:
    value = orjson.dumps({**holder(bench, session), **values}).decode()
    session.execute(f"update {bench.tables.meta} set value = ? where setting = 'lease'", [value])


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def later(seconds: float) -> str:
    moment = dt.datetime.now(dt.UTC).replace(tzinfo=None) + dt.timedelta(seconds=seconds)
    return moment.isoformat(sep=" ", timespec="milliseconds")


def test_a_second_run_is_told_who_holds_it(state):
    bench, session = state
    lease(bench, "one").take(session)
    with pytest.raises(
        RefusedError, match=rf"planhat-dbt sync` on .+ \(PID {os.getpid()}\), running since"
    ) as caught:
        lease(bench, "two").take(session)
    assert caught.value.exit_code == 3
    assert holder(bench, session)["run_id"] == "one"


def test_it_is_free_when_given_back(state):
    bench, session = state
    one = lease(bench, "one")
    one.take(session)
    one.take(session)
    one.give_back(session)
    lease(bench, "two").take(session)
    one.give_back(session)
    assert holder(bench, session)["run_id"] == "two", "another's lease is not given back"


def test_renewing_prolongs_it(state):
    bench, session = state
    one = lease(bench, "one")
    one.take(session)
    edit(bench, session, until=later(-1))
    one.renew(session)
    assert holder(bench, session)["until"] > later(30)


def test_it_is_overdue_when_nobody_renewed_it_in_time(state):
    bench, session = state
    held = lease(bench, "one", seconds=0.2)
    held.take(session)
    assert not held.overdue
    time.sleep(0.25)
    assert held.overdue
    held.renew(session)
    assert not held.overdue


def test_a_check_writes_nothing_and_sees_that_another_run_took_over(state):
    bench, session = state
    one = lease(bench, "one")
    one.take(session)
    before = holder(bench, session)
    one.check(session)
    assert holder(bench, session) == before
    edit(bench, session, run_id="two")
    with pytest.raises(RefusedError, match="lost its lease"):
        one.check(session)


@pytest.mark.parametrize("taken", [True, False])
def test_a_run_that_lost_it_writes_no_state(state, taken):
    bench, session = state
    one = lease(bench, "one")
    one.take(session)
    session.execute(f"delete from {bench.tables.meta} where setting = 'lease'")
    if taken:
        lease(bench, "two").take(session)
    with pytest.raises(RefusedError, match="PID" if taken else "nobody"), session.transaction():  # noqa: PT012 - one transaction
        session.execute(f"insert into {bench.tables.meta} values ('x', 'y', now())")
        one.renew(session)
    assert session.rows(f"select * from {bench.tables.meta} where setting = 'x'") == []


def test_a_dead_process_of_this_machine_frees_it_at_once(state):
    bench, session = state
    lease(bench, "one").take(session)
    edit(bench, session, pid=ended_process())
    lease(bench, "two").take(session)
    assert holder(bench, session)["run_id"] == "two"


def test_a_process_id_used_again_is_not_the_holder(state):
    bench, session = state
    lease(bench, "one").take(session)
    edit(bench, session, started="1")
    lease(bench, "two").take(session)


def test_a_living_process_holds_it_beyond_its_time(state):
    # A long call renews nothing; who is seen to live here is waited for.
    bench, session = state
    lease(bench, "one").take(session)
    edit(bench, session, until=later(-3600))
    with pytest.raises(RefusedError):
        lease(bench, "two").take(session)


@pytest.mark.parametrize(("seconds", "free"), [(30, False), (-1, True)])
def test_another_machine_holds_it_until_it_stops_renewing(state, seconds, free):
    bench, session = state
    lease(bench, "one").take(session)
    edit(bench, session, host="elsewhere", until=later(seconds))
    if free:
        lease(bench, "two").take(session)
    else:
        with pytest.raises(RefusedError, match="on elsewhere"):
            lease(bench, "two").take(session)
