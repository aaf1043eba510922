"""The models of the benchmark: 12 mixed columns a row, from 10 thousand to 10 million rows, made by DuckDB itself."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNTS = """
create or replace table accounts as
select
  'acc-' || i as account_id,
  'Account ' || i || ' ' || substr(md5(i::varchar), 1, 12) as name,
  (['prospect', 'coming', 'customer', 'canceled'])[1 + i % 4] as status,
  (['Berlin', 'Oslo', 'Lisboa', 'Zürich', 'Łódź'])[1 + i % 5] as city,
  case when i % 7 = 0 then null else 'https://www.example.com/' || i end as web,
  (i % 100)::integer as score,
  ((i * 37) % 5000000 / 100.0)::decimal(12, 2) as worth,
  (i % 1000)::bigint as seats,
  i % 3 = 0 as trial,
  date '2026-01-01' + (i % 700)::integer as renewal,
  (['free', 'team', 'business', null])[1 + (i // 3) % 4] as plan,
  timestamp '2026-01-01 08:00:00' + to_seconds((i % 20000000)::bigint) as seen_at,
from range(1, {rows} + 1) t(i)
"""
POINTS = """
create or replace table points as
select
  'pt-' || i as point_id,
  'acc-' || (1 + i % 20000) as account_id,
  timestamp '2026-10-01' + to_minutes((i % 40000)::bigint) as happened_at,
  ((i * 13) % 10007 / 10.0)::double as amount,
from range(1, {rows} + 1) t(i)
"""
POSTGRES_ACCOUNTS = """
create table accounts as
select
  'acc-' || i as account_id,
  'Account ' || i || ' ' || substr(md5(i::text), 1, 12) as name,
  (array['prospect', 'coming', 'customer', 'canceled'])[1 + i % 4] as status,
  (array['Berlin', 'Oslo', 'Lisboa', 'Zürich', 'Łódź'])[1 + i % 5] as city,
  case when i % 7 = 0 then null else 'https://www.example.com/' || i end as web,
  i % 100 as score,
  (((i::bigint * 37) % 5000000) / 100.0)::numeric(12, 2) as worth,
  (i % 1000)::bigint as seats,
  i % 3 = 0 as trial,
  date '2026-01-01' + i % 700 as renewal,
  (array['free', 'team', 'business', null])[1 + (i / 3) % 4] as plan,
  timestamp '2026-01-01 08:00:00' + make_interval(secs => i % 20000000) as seen_at
from generate_series(1, {rows}) t(i)
"""
POSTGRES_POINTS = """
create table points as
select
  'pt-' || i as point_id,
  'acc-' || (1 + i % 20000) as account_id,
  timestamp '2026-10-01' + make_interval(mins => i % 40000) as happened_at,
  ((i::bigint * 13) % 10007 / 10.0)::double precision as amount
from generate_series(1, {rows}) t(i)
"""
CHANGE = """
update accounts set name = name || ' Ltd', score = (score + 1) % 100
where cast(substr(account_id, 5) as bigint) % 100 = 7
"""
REMOVE = "delete from accounts where cast(substr(account_id, 5) as bigint) % 1000 = 11"


def run(file: Path, *statements: str) -> None:
    """Run statements in a DuckDB file, in a process of its own: a process begins with the peak of its parent."""
    if statements:
        subprocess.run([sys.executable, "-m", "benchmarks.data", str(file), *statements], check=True)  # noqa: S603


def main() -> None:
    """Do what `run` asks."""
    _, file, *statements = sys.argv
    with duckdb.connect(file) as connection:
        for statement in statements:
            connection.execute(statement)


if __name__ == "__main__":
    main()
