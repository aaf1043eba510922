"""`planhat-dbt doctor`: everything that a run depends on, looked at one by one; one fault hides no other."""

from planhat_dbt.doctor.finding import Finding, State
from planhat_dbt.doctor.visit import examine

__all__ = ["Finding", "State", "examine"]
