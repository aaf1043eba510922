"""The demo: a dbt project feeds a Planhat of its own, twice, and the second time only the differences travel.

Works on a copy of the project in `.demo/`, with DuckDB and the sandbox; nothing leaves this machine. Ends with exit
code 1 if Planhat is not an exact mirror of the models.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from rich.console import Console
from rich.table import Table

from planhat_dbt.bootstrap import Request, load_checked
from planhat_dbt.sandbox import Rules, Sandbox

sys.path.insert(0, str(Path(__file__).parent))  # the demo is a script beside its modules
from mirror import Mirror
from seed_generator.accounts import planhat_users

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from planhat_dbt.declaration import Sync

PROJECT = Path(__file__).parent
DEMO = PROJECT.parent / ".demo"
DATABASE = DEMO / "example.duckdb"
BIN = Path(sys.executable).parent
STYLED = sys.stdout.isatty()

DAY = (  # what, the record's model in Planhat, its field, and the first such row: key, _id, yesterday, model today
    (
        "update: finds its record",
        "companies",
        "custom.Usage Trend",
        """select usage.account_id, _planhat_id, 'held (no_match)', trend
           from analytics.planhat_company_usage as usage
           inner join planhat_sync.snapshot__planhat_company_usage on _key = account_id
           where list_contains($held, account_id)""",
    ),
    (
        "insert: left alone",
        "projects",
        "arr",
        """select project_id, _planhat_id, 'arr ' || round(arr), 'arr ' || round(annual_amount)
           from analytics.planhat_projects as project
           inner join planhat_sync.snapshot__planhat_projects on _key = project_id
           where arr <> annual_amount""",
    ),
    (
        "clear",
        "campaigns",
        "custom.Response",
        """select key, planhat_id, changes ->> '$."custom.Response"[0]', 'no row' from planhat_sync.changes
           where sync = 'planhat_campaigns' and operation = 'clear'""",
    ),
    (
        "delete",
        "assets",
        "name",
        """select key, planhat_id, 'a sandbox', 'no row' from planhat_sync.changes
           where sync = 'planhat_assets' and operation = 'delete' and key like 'wks-sand-%'""",
    ),
    (
        "look-up: new owner",
        "companies",
        "owner",
        """select key, planhat_id, split_part(changes ->> '$.owner[0]', '@', 1),
             split_part(changes ->> '$.owner[1]', '@', 1)
           from planhat_sync.changes
           where sync = 'planhat_companies' and operation = 'update' and changes ->> '$.owner[1]' is not null""",
    ),
)

CUSTOM_FIELDS = {
    "asset": {"Workspace Kind": "list", "Region": "list", "Storage (GB)": "number"},
    "campaign": {"Response": "list", "Responded On": "day"},
    "company": {
        "Source": "text",
        "Plan Tier": "list",
        "Seats": "number",
        "ARR (local currency)": "number",
        "Contract Ends": "day",
        "Customer Since": "day",
        "SSO Enabled": "checkbox",
        "Hosting Regions": "multipicklist",
        "Größenklasse": "list",
        "Last Change in CRM": "date",
        "Active Users (7 Days)": "number",
        "Documents Approved (7 Days)": "number",
        "Usage Trend": "list",
        "Last Used On": "day",
    },
    "conversation": {
        "Channel": "list",
        "Ticket Status": "list",
        "Known Issue": "text",
        "Closed At": "date",
        "Author": "text",  # of the notes, which are conversations
    },
    "enduser": {"User Since": "date"},
    "invoice": {"Subscription": "text"},
    "issue": {"Reported Tickets": "number"},
    "license": {"Seats": "number"},
    "project": {"Stage": "list", "Übergabe an CSM": "day", "Main Contact": "enduser"},
    "user": {"Accounts": "number", "Accounts at Risk": "number", "Seats in Portfolio": "number"},
}
"""The tenant's custom fields: object → display name → type. They are made in Planhat before values are sent."""

QUERIES = (
    (
        "What the runs did",
        """select command, status, inserted, updated, cleared, deleted, calls, bytes_sent
           from planhat_sync.runs order by started_at""",
    ),
    (
        "One company's history, as Planhat accepted it",
        """select operation, changes, status, planhat_id from planhat_sync.changes
           where sync = 'planhat_companies' and key = (
             select min(key) from planhat_sync.changes where sync = 'planhat_companies' and operation = 'update')
           order by "at" """,
    ),
    (
        "The snapshot table: what Planhat holds, typed, one row per key",
        """select _key, _planhat_id, _state, _origin, name, phase, "custom_plan_tier" as plan_tier
           from planhat_sync.snapshot__planhat_companies order by _key limit 3""",
    ),
)


def main() -> int:
    """Run the demo and say whether the mirror is exact."""
    started = time.monotonic()
    prepare()
    # The tenant has a conversation type of its own; Planhat files unknown types as notes.
    rules = Rules(conversation_types=(*Rules().conversation_types, "support case"))
    with Sandbox(rules=rules) as sandbox:
        for parent, types in CUSTOM_FIELDS.items():
            rows = ({"parent": parent, "name": name, "type": kind} for name, kind in types.items())
            sandbox.tenant.seed("customfields", rows)
        environ = os.environ | sandbox.environment
        environ |= {"EXAMPLE_DUCKDB_PATH": str(DATABASE), "PYTHONIOENCODING": "utf-8"}
        sandbox.tenant.seed("users", [user.as_planhat() for user in planhat_users()])  # made by people
        mirror = Mirror(DATABASE, sandbox.url)
        title("1", "Build the dbt project: 16 models, each with a `planhat` block in its meta")
        run(environ, "dbt", "build", "--quiet")
        title("2", "Plan: everything is new; nothing is sent yet")
        run(environ, "planhat-dbt", "plan", "--samples", "0")
        title("3", f"Sync: send it to Planhat (here a sandbox, {sandbox.url})")
        run(environ, "planhat-dbt", "sync")
        mirror.follow(syncs(environ))
        run(environ, "planhat-dbt", "failures")
        held = held_keys()
        title("4", "A day passes: some accounts changed, some are new, some are gone. Build again, and plan")
        run(environ, sys.executable, "generate_seeds.py", "--step", "2", "--out", "seeds")
        run(environ, "dbt", "build", "--quiet")
        run(environ, "planhat-dbt", "plan", "--samples", "1")
        title("5", "Sync: only the differences travel")
        run(environ, "planhat-dbt", "sync")
        mirror.follow(syncs(environ))
        title("6", "What that did: one row of each kind, and what Planhat holds now")
        show_day(sandbox, held)
        title("7", "Sync again: nothing changed, so not one call")
        calls = sandbox_calls(sandbox)
        run(environ, "planhat-dbt", "sync")
        idle = sandbox_calls(sandbox) - calls
        title("8", "State is tables; open them with SQL")
        show_tables()
        title("9", "What the sandbox holds, compared with the models field by field")
        exact = compare(mirror, sandbox, idle)
    seconds = time.monotonic() - started
    print(f"\n{seconds:.0f} s. The copy of the project, its DuckDB file and all state are in {shown(DEMO)}/.")
    return 0 if exact else 1


def prepare() -> None:
    """Make a fresh copy of the project."""
    shutil.rmtree(DEMO, ignore_errors=True)
    shutil.copytree(
        PROJECT,
        DEMO,
        ignore=shutil.ignore_patterns("target", "logs", "*.duckdb*", "__pycache__", "demo.py", "mirror.py"),
    )


def syncs(environ: dict[str, str]) -> tuple[Sync, ...]:
    """The declarations of the copy."""
    return load_checked(Request(environ=environ, project_dir=str(DEMO))).declarations.syncs


def title(number: str, text: str) -> None:
    """Say what comes next."""
    line = f"\n{number}. {text}"
    print(f"\033[1m{line}\033[0m" if STYLED else line, flush=True)


def run(environ: dict[str, str], *command: str) -> None:
    """Show a command and run it in the copy; the demo ends with the first that fails."""
    words = ["python" if command[0] == sys.executable else command[0], *command[1:]]
    print(f"$ {' '.join(words)}", flush=True)
    program = command[0] if command[0] == sys.executable else str(BIN / command[0])
    # Progress belongs to a person who waits; here it would only be noise.
    quiet = subprocess.PIPE if command[0] == "planhat-dbt" and not sys.stderr.isatty() else None
    done = subprocess.run([program, *command[1:]], cwd=DEMO, env=environ, stderr=quiet, check=False)
    if done.returncode:
        if done.stderr:
            sys.stderr.write(done.stderr.decode())
        raise SystemExit(f"{command[0]} ended with exit code {done.returncode}")


def sandbox_calls(sandbox: Sandbox) -> int:
    """Count the calls that reached the sandbox so far."""
    return sum(sandbox.log.counts.values())


def held_keys() -> list[str]:
    """The rows of the update-only sync of companies that wait for their record."""
    sql = "select key from planhat_sync.failures where sync = 'planhat_company_usage' order by key"
    with duckdb.connect(str(DATABASE), read_only=True) as connection:
        return [key for (key,) in connection.execute(sql).fetchall()]


def show_day(sandbox: Sandbox, held: list[str]) -> None:
    """Show the first row of each kind: what was, what the model says, what Planhat holds."""
    users = {r["_id"]: f"{r['firstName']} {r['lastName']}" for r in sandbox.tenant.records("users")}
    lines: list[tuple[object, ...]] = []
    with duckdb.connect(str(DATABASE), read_only=True) as connection:
        for what, model, field, sql in DAY:
            found = connection.execute(
                f"{sql} order by 1 limit 1", {"held": held} if "$held" in sql else None
            ).fetchone()
            if found is None:
                raise SystemExit(f"no row shows this: {what}")
            key, planhat_id, yesterday, today = found
            record = next((r for r in sandbox.tenant.records(model) if r["_id"] == planhat_id), None)
            lines.append((what, key, yesterday, today, in_planhat(record, field, users)))
    show_table("", ("", "row", "yesterday", "model today", "Planhat today"), lines)


def in_planhat(record: dict[str, Any] | None, field: str, users: dict[str, str]) -> str:
    """A field of a record in words."""
    if record is None:
        return "no record"
    custom = field.removeprefix("custom.")
    value = record.get(field) if custom == field else record["custom"].get(custom)
    if value is None:
        return "empty"
    return users.get(value, f"{field} {value:.0f}" if isinstance(value, int | float) else str(value))


def show_tables() -> None:
    """Run a few queries on the state tables."""
    with duckdb.connect(str(DATABASE), read_only=True) as connection:
        for number, (name, sql) in enumerate(QUERIES):
            print("\n" * bool(number), end="", flush=True)
            cursor = connection.execute(sql)
            show_table(name, [column[0] for column in cursor.description or ()], cursor.fetchall())


def show_table(name: str, heads: Sequence[str], rows: Iterable[tuple[object, ...]]) -> None:
    """Print a table."""
    console = Console(width=None if STYLED else 160, highlight=False)
    table = Table(title=name or None, title_justify="left", title_style="italic", box=None, pad_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    console.print(table)


def compare(mirror: Mirror, sandbox: Sandbox, idle_calls: int) -> bool:
    """Tell whether the sandbox mirrors the models, made no needless call and saw no illegal one."""
    differences = list(mirror.differences())
    for difference in differences[:10]:
        print(f"  differs: {difference}")
    violations = list(sandbox.log.violations)
    for violation in violations[:5]:
        print(f"  illegal: {violation}")
    print(f"Rows compared: {mirror.records:,}, fields: {mirror.fields:,}")
    print(f"Fields that differ: {len(differences)}")
    print(f"Calls of the unchanged run: {idle_calls}")
    print(f"Requests the API does not allow: {len(violations)}")
    exact = not differences and not idle_calls and not violations
    print("Exact mirror." if exact else "NOT an exact mirror.")
    return exact


def shown(path: Path) -> str:
    """A path as seen from here."""
    return os.path.relpath(path)


if __name__ == "__main__":
    raise SystemExit(main())
