"""Write the example's input: the source tables of an invented software company, as CSV seeds.

The same step always gives the same bytes. Step 1 is the committed state of `seeds/`; step 2 is the next
day: accounts renamed, moved to another plan or owner, gone and new, with all that hangs on them. Higher steps
go on, one day each.

    python generate_seeds.py                      # step 1 into seeds/ beside this file
    python generate_seeds.py --step 2 --out DIR   # the next day, into the seeds folder of a copy
    python generate_seeds.py --planhat-users      # Planhat's users as JSON, for a sandbox
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from seed_generator.accounts import planhat_users
from seed_generator.export import tables_on, write

SEEDS = Path(__file__).parent / "seeds"


def main() -> None:
    """Read the options, write the seeds, say how many rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--step", type=int, default=1, help="day of the story, from 1 (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=SEEDS, help="folder for the CSV files (default: seeds/)")
    parser.add_argument("--planhat-users", action="store_true", help="print Planhat's users as JSON instead")
    options = parser.parse_args()
    if options.step < 1:
        parser.error("--step counts from 1")
    if options.planhat_users:
        print(json.dumps([user.as_planhat() for user in planhat_users()]))
        return
    tables = tables_on(options.step - 1)
    write(tables, options.out)
    rows = sum(len(table) for table in tables.values())
    print(f"step {options.step}: {len(tables)} tables, {rows:,} rows in {options.out}")


if __name__ == "__main__":
    main()
