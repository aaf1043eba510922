"""A dbt project in, a Planhat state out: what the end-to-end tests share.

`Project` writes what dbt would leave behind (tables in a DuckDB file, `manifest.json`, `run_results.json`) in
milliseconds, runs the command line against a sandbox over real HTTP, and reads state tables and the sandbox's log.
"""

from __future__ import annotations

from harness.outcome import Outcome, Row
from harness.project import Project, Values

__all__ = ["Outcome", "Project", "Row", "Values"]
