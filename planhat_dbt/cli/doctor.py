"""`planhat-dbt doctor`: what a run depends on, line by line."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from planhat_dbt.cli.options import project_options, request
from planhat_dbt.doctor import Finding, State, examine
from planhat_dbt.report.document import as_json
from planhat_dbt.report.text import show_findings
from planhat_dbt.report.wording import counted


@click.command()
@project_options
@click.option("--offline", is_flag=True, help="Leave Planhat alone.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def doctor(output: str, *, offline: bool, **given: Any) -> int:
    """Check versions, project, profile, artifacts, declarations, warehouse, state, token and clock.

    Nothing is changed and nothing sent; Planhat is asked for one company that does not exist.
    Exit code 0: a sync can run, warnings or not; else the code that a sync would end with.
    """
    findings = examine(request(given), offline=offline)
    code = next((f.exit_code for f in findings if f.state is State.FAILED), 0)
    if output == "json":
        click.echo(as_json({"exit_code": code, "findings": [asdict(f) for f in findings]}))
    else:
        show_findings([(f.check, f.state.value, f.text, f.hint) for f in findings])
        click.echo(_sum(findings))
    return code


def _sum(findings: list[Finding]) -> str:
    count = {state: sum(f.state is state for f in findings) for state in State}
    failed, warnings = count[State.FAILED], count[State.WARNING]
    if failed:
        return f"{counted(failed, 'fault')}, {counted(warnings, 'warning')}: mend the first, then look again."
    return f"A sync can run ({counted(warnings, 'warning')})." if warnings else "All is well: a sync can run."
