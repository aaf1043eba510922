"""Planned rows to Planhat, and what became of each of them. Knows no SQL and writes no state."""
