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

import duckdb
from rich.console import Console
from rich.table import Table

from planhat_dbt.bootstrap import Request, load_checked
from planhat_dbt.sandbox import Rules, Sandbox

sys.path.insert(0, str(Path(__file__).parent))  # the demo is a script beside its modules
from mirror import Mirror

PROJECT = Path(__file__).parent
DEMO = PROJECT.parent / ".demo"
DATABASE = DEMO / "example.duckdb"
BIN = Path(sys.executable).parent
STYLED = sys.stdout.isatty()

CUSTOM_FIELDS = {
    "asset": {"Workspace Kind": "list", "Region": "list", "Storage (GB)": "number"},
    "campaign": {"Response": "list", "Responded On": "day"},
    "company": {
        "Source": "text",
        "CSM": "text",
        "Plan Tier": "list",
        "Seats": "number",
        "ARR (local currency)": "number",
        "Contract Ends": "day",
        "Customer Since": "day",
        "SSO Enabled": "checkbox",
        "Hosting Regions": "multipicklist",
        "Größenklasse": "list",
        "Last Change in CRM": "date",
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
    "project": {"Stage": "list", "Übergabe an CSM": "day"},
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
        title("1", "Build the dbt project: 14 models, each with a `planhat` block in its meta")
        run(environ, "dbt", "build", "--quiet")
        title("2", "Plan: everything is new; nothing is sent yet")
        run(environ, "planhat-dbt", "plan", "--samples", "0")
        title("3", f"Sync: send it to Planhat (here a sandbox, {sandbox.url})")
        run(environ, "planhat-dbt", "sync")
        title("4", "A day passes: some accounts changed, some are new, some are gone. Build again, and plan")
        run(environ, sys.executable, "generate_seeds.py", "--step", "2", "--out", "seeds")
        run(environ, "dbt", "build", "--quiet")
        run(environ, "planhat-dbt", "plan", "--samples", "1")
        title("5", "Sync: only the differences travel")
        run(environ, "planhat-dbt", "sync")
        title("6", "Sync again: nothing changed, so not one call")
        calls = sandbox_calls(sandbox)
        run(environ, "planhat-dbt", "sync")
        idle = sandbox_calls(sandbox) - calls
        title("7", "State is tables; open them with SQL")
        show_tables()
        title("8", "What the sandbox holds, compared with the models field by field")
        exact = compare(environ, sandbox, idle)
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


def show_tables() -> None:
    """Run a few queries on the state tables."""
    console = Console(width=None if STYLED else 160, highlight=False)
    with duckdb.connect(str(DATABASE), read_only=True) as connection:
        for name, sql in QUERIES:
            cursor = connection.execute(sql)
            table = Table(title=name, title_justify="left", title_style="italic", box=None, pad_edge=False)
            for column in cursor.description or ():
                table.add_column(column[0], overflow="fold")
            for row in cursor.fetchall():
                table.add_row(*("" if value is None else str(value) for value in row))
            console.print(table)
            console.print()


def compare(environ: dict[str, str], sandbox: Sandbox, idle_calls: int) -> bool:
    """Tell whether the sandbox mirrors the models, made no needless call and saw no illegal one."""
    syncs = load_checked(Request(environ=environ, project_dir=str(DEMO))).declarations.syncs
    differences = list(Mirror(DATABASE, sandbox.url, syncs).differences())
    for difference in differences[:10]:
        print(f"  differs: {difference}")
    violations = list(sandbox.log.violations)
    for violation in violations[:5]:
        print(f"  illegal: {violation}")
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
