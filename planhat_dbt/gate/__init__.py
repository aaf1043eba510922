"""The gate: only data that was built and tested goes out (DESIGN §7, decisions 30, 50).

Pure: artifacts in, a reason out.
"""

from planhat_dbt.gate.evidence import Gate, is_older, open_gate
from planhat_dbt.gate.verdict import Closed, check_gate

__all__ = ["Closed", "Gate", "check_gate", "is_older", "open_gate"]
